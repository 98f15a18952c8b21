-- One row. revision rises with every change of a setting, a secret, an AI configuration or a number, in the same
-- transaction. A running process sees by it that another process changed something.
CREATE TABLE configuration (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    revision INTEGER NOT NULL
) STRICT;
INSERT INTO configuration (id, revision) VALUES (1, 0);

-- settings: a JSON object from variables, such as MYNAH_AI_MODEL, to values. The key of the API is a secret of its own.
CREATE TABLE ai_configurations (
    name       TEXT    NOT NULL PRIMARY KEY,
    settings   TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The numbers after the first that have no file. settings: as in ai_configurations.
CREATE TABLE numbers (
    name       TEXT    NOT NULL PRIMARY KEY,
    settings   TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who may open the admin page. password_hash: Argon2id, as a PHC string.
CREATE TABLE admin_accounts (
    name          TEXT    NOT NULL PRIMARY KEY,
    password_hash TEXT    NOT NULL,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
