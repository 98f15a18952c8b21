-- Who was erased, by a keyed hash of each address. The key is derived from a secret. A STOP or a block outlives the
-- erasure here, and neither a late message from before it nor a restored backup brings the person back.
-- person: the same for all addresses of one person, so that a START by one of them counts for all: the least hash.
CREATE TABLE erased_addresses (
    hash         BLOB    NOT NULL PRIMARY KEY,
    person       BLOB    NOT NULL,
    erased_at    INTEGER NOT NULL,
    opted_out_at INTEGER,
    blocked_at   INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX erased_addresses_person ON erased_addresses (person);

-- The latest messages of erased persons, by a keyed hash of the provider's id: the provider may repeat a webhook, or
-- list the message with a time of its own clock. Deleted after a month.
CREATE TABLE erased_messages (
    hash      BLOB    NOT NULL PRIMARY KEY,
    erased_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Every erasure. A running process sees by the greatest id that it must forget what it has cached. unfinished: 1 until
-- the person's files are removed and the log of the database is emptied.
CREATE TABLE erasures (
    id         INTEGER PRIMARY KEY,
    erased_at  INTEGER NOT NULL,
    unfinished INTEGER NOT NULL
) STRICT;
CREATE INDEX erasures_unfinished ON erasures (unfinished) WHERE unfinished = 1;
