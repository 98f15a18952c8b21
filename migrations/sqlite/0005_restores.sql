-- Every time a backup took the place of this database. made_at: when the backup was made. The process that wrote the
-- database from then on is lost, with what it received and sent.
CREATE TABLE restores (
    id          INTEGER PRIMARY KEY,
    made_at     INTEGER NOT NULL,
    restored_at INTEGER NOT NULL
) STRICT;

-- may_be_answered: 1 if the lost process may have answered the turn. Before anything is sent, mynah looks at the
-- provider's list of what was sent to the contact.
ALTER TABLE turns ADD COLUMN may_be_answered INTEGER CHECK (may_be_answered IS NULL OR may_be_answered = 1);
