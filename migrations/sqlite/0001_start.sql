-- Times are milliseconds since 1970 (UTC). UUIDs are 16 bytes. JSON is text.

-- opted_out_at: nothing is sent since then. admitted_at: admitted by the pairing code. noticed_at: when the contact was
-- last told to slow down, or that the assistant is not for them.
CREATE TABLE contacts (
    id           INTEGER PRIMARY KEY,
    name         TEXT,
    created_at   INTEGER NOT NULL,
    opted_out_at INTEGER,
    blocked_at   INTEGER,
    admitted_at  INTEGER,
    noticed_at   INTEGER
) STRICT;

-- seen_at: when the contact last wrote with the address, to within a day; NULL if never.
-- accounts: for a user ID, the accounts at the provider that it came through, separated by spaces, because it
-- identifies the person to one business only. NULL if an operator named it and no message has come with it.
CREATE TABLE addresses (
    kind       TEXT    NOT NULL CHECK (kind IN ('phone', 'bsuid')),
    value      TEXT    NOT NULL,
    contact_id INTEGER NOT NULL REFERENCES contacts (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    seen_at    INTEGER,
    accounts   TEXT,
    PRIMARY KEY (kind, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX addresses_contact ON addresses (contact_id);

-- account: the account at the provider that the conversation came through. mode: who answers. mode_until: when `human`
-- ends by itself; NULL if never. reopened_at: when a template was last queued in it.
CREATE TABLE conversations (
    id              BLOB    NOT NULL PRIMARY KEY,
    contact_id      INTEGER NOT NULL REFERENCES contacts (id) ON DELETE CASCADE,
    channel         TEXT    NOT NULL,
    account         TEXT    NOT NULL DEFAULT '',
    our_address     TEXT    NOT NULL,
    reply_to        TEXT    NOT NULL,
    revision        INTEGER NOT NULL DEFAULT 1,
    started_at      INTEGER NOT NULL,
    last_inbound_at INTEGER NOT NULL,
    ended_at        INTEGER,
    mode            TEXT    NOT NULL DEFAULT 'auto' CHECK (mode IN ('auto', 'human')),
    mode_until      INTEGER,
    mode_why        TEXT,
    reopened_at     INTEGER,
    is_open         INTEGER GENERATED ALWAYS AS (CASE WHEN ended_at IS NULL THEN 1 END) VIRTUAL
) STRICT, WITHOUT ROWID;
-- One open conversation with a contact on a number. Ended ones have NULL, and NULLs are never equal. The index also
-- finds all conversations of a contact.
CREATE UNIQUE INDEX conversations_contact ON conversations (contact_id, channel, our_address, is_open);
CREATE INDEX conversations_ended ON conversations (ended_at) WHERE ended_at IS NOT NULL;

-- Our addresses to which contacts have written, by the account that they came through: a provider's list may contain
-- messages to somebody else. This is a table of its own because conversations are deleted, and because an index would
-- be written with each conversation.
CREATE TABLE our_addresses (
    channel TEXT NOT NULL,
    account TEXT NOT NULL,
    address TEXT NOT NULL,
    PRIMARY KEY (channel, account, address)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER conversations_ours AFTER INSERT ON conversations BEGIN
    INSERT INTO our_addresses (channel, account, address) VALUES (NEW.channel, NEW.account, NEW.our_address)
    ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER conversations_moved AFTER UPDATE OF account ON conversations WHEN NEW.account <> OLD.account BEGIN
    INSERT INTO our_addresses (channel, account, address) VALUES (NEW.channel, NEW.account, NEW.our_address)
    ON CONFLICT DO NOTHING;
END;

-- turn_id has no foreign key: both rows are deleted with their conversation, and a key would need one more index. id
-- has no index of its own either: a message is always looked up within its conversation.
-- word: the command of a message that is nothing but a command word; the model does not see the message.
CREATE TABLE messages (
    id              BLOB    NOT NULL,
    conversation_id BLOB    NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    turn_id         INTEGER NOT NULL,
    role            TEXT    NOT NULL CHECK (role IN ('user', 'assistant', 'operator')),
    content         TEXT    NOT NULL,
    metadata        TEXT    NOT NULL,
    channel         TEXT,
    provider_id     TEXT,
    created_at      INTEGER NOT NULL,
    word            TEXT
) STRICT;
CREATE UNIQUE INDEX messages_window ON messages (conversation_id, turn_id, id);
CREATE UNIQUE INDEX messages_provider ON messages (channel, provider_id) WHERE provider_id IS NOT NULL;

-- What contacts attached. mark: the placeholder in the message's text until the attachment is read. hash: of the
-- original file. shown: the hash of the file that the model is shown. Both files are among the conversation's files.
CREATE TABLE attachments (
    conversation_id BLOB    NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    message_id      BLOB    NOT NULL,
    number          INTEGER NOT NULL,
    state           TEXT    NOT NULL CHECK (state IN ('waiting', 'read', 'unreadable')),
    url             TEXT    NOT NULL,
    media_type      TEXT    NOT NULL,
    mark            TEXT    NOT NULL,
    hash            TEXT,
    shown           TEXT,
    size            INTEGER,
    error           TEXT,
    PRIMARY KEY (conversation_id, message_id, number)
) STRICT, WITHOUT ROWID;
-- Few attachments wait: those of turns that wait, and for a moment those of turns that are not answered.
CREATE INDEX attachments_waiting ON attachments (state) WHERE state = 'waiting';

-- Which files a conversation holds, by the hash of their content, whoever sent them. A file that no row names is
-- removed from the folder of files.
CREATE TABLE files (
    conversation_id BLOB    NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    hash            TEXT    NOT NULL,
    media_type      TEXT    NOT NULL,
    name            TEXT,
    size            INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (conversation_id, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX files_hash ON files (hash);

-- due_at: when a worker may claim the turn; NULL in `open` while the turn before it is active.
-- not_before: the turn is not due before this, whatever else it waits for. command: what the turn asks for that no
-- model answers.
-- expires_at: until when a template in the turn may be sent, independent of the contact's last message.
-- crashes: how often the process died while the turn was running. crashes_alone: how often it was then the only running
-- turn.
-- reserved: the token of the claim whose calls are reserved in `spent` and not settled yet; set only if there is a
-- budget.
-- live: 1 in `open`, 0 while active, NULL when ended. This is a column of its own so that the index over it is written
-- only when it changes.
-- conversation_id has no foreign key, because that would need an index that is written with each turn. Every turn has a
-- message, so the trigger finds the turns.
CREATE TABLE turns (
    id               INTEGER PRIMARY KEY,
    conversation_id  BLOB    NOT NULL,
    state            TEXT    NOT NULL
                     CHECK (state IN ('open', 'running', 'retry', 'sending', 'done', 'dead', 'expired', 'skipped')),
    live             INTEGER
                     CHECK (live IS CASE WHEN state = 'open' THEN 1 WHEN state IN ('running', 'retry', 'sending') THEN 0 END),
    command          TEXT,
    due_at           INTEGER CHECK (due_at IS NULL OR state IN ('open', 'retry')),
    not_before       INTEGER,
    expires_at       INTEGER,
    created_at       INTEGER NOT NULL,
    claimed_at       INTEGER,
    finished_at      INTEGER,
    attempts         INTEGER NOT NULL DEFAULT 0,
    crashes          INTEGER NOT NULL DEFAULT 0,
    crashes_alone    INTEGER NOT NULL DEFAULT 0,
    token            INTEGER,
    reserved         INTEGER,
    error            TEXT,
    model            TEXT,
    input_tokens     INTEGER,
    output_tokens    INTEGER,
    tokens_estimated INTEGER,
    cost_micros      INTEGER
) STRICT;
-- At most one open and one active turn in a conversation.
CREATE UNIQUE INDEX turns_live ON turns (conversation_id, live) WHERE live IS NOT NULL;
-- The newest turn of all keeps its row, which contains no text of any message: status callbacks name turns, so an id
-- must never be assigned twice. (AUTOINCREMENT would write one more page with each message.)
CREATE TRIGGER conversations_turns BEFORE DELETE ON conversations BEGIN
    DELETE FROM parts WHERE id > (SELECT MAX(id) FROM turns) * 16 AND conversation_id = OLD.id;
    DELETE FROM turns WHERE id IN (SELECT turn_id FROM messages WHERE conversation_id = OLD.id)
        AND id < (SELECT MAX(id) FROM turns);
    UPDATE turns SET state = 'skipped', live = NULL, due_at = NULL, token = NULL, error = 'its conversation was deleted'
    WHERE id IN (SELECT turn_id FROM messages WHERE conversation_id = OLD.id);
END;
-- For the list of turns that were not answered. A turn that ends 'done', as nearly all do, writes nothing here.
CREATE INDEX turns_failed ON turns (state, id) WHERE state IN ('dead', 'expired', 'skipped');
CREATE INDEX turns_requests ON turns (due_at) WHERE command IS NOT NULL AND due_at IS NOT NULL;
CREATE INDEX turns_due ON turns (due_at) WHERE due_at IS NOT NULL;

-- id: the turn's id times 16, plus the number of the part, which is at most 15. An index of its own over the two would
-- be written with each part.
-- due_at: in `ready`, when to post; NULL while the part before it is on its way. In `unknown`, when to look it up next.
-- template, variables: what is sent instead of the body. file: the hash of the file that is sent with it.
-- expires_at: the part is not sent after this; NULL means 23 hours after the contact's last message.
-- posted_to: the address that the part was last posted to. Lookups use it, because the contact may be answered
-- elsewhere by then.
-- posted_by: the account that last posted the part. Its callbacks come from that account and lookups go there, even if
-- our number has been moved to another account since.
-- absences: lookups that did not find the part. looks_failed: lookups that failed since the last one that worked.
CREATE TABLE parts (
    id              INTEGER PRIMARY KEY CHECK (number > 0),
    turn_id         INTEGER GENERATED ALWAYS AS (id / 16) VIRTUAL,
    number          INTEGER GENERATED ALWAYS AS (id % 16) VIRTUAL,
    conversation_id BLOB    NOT NULL,
    body            TEXT    NOT NULL,
    template        TEXT,
    variables       TEXT,
    file            TEXT,
    expires_at      INTEGER,
    state           TEXT    NOT NULL CHECK (state IN ('ready', 'sending', 'unknown', 'sent', 'held', 'failed')),
    due_at          INTEGER CHECK (due_at IS NULL OR state IN ('ready', 'unknown')),
    attempts        INTEGER NOT NULL DEFAULT 0,
    absences        INTEGER NOT NULL DEFAULT 0,
    looks_failed    INTEGER NOT NULL DEFAULT 0,
    token           INTEGER,
    first_tried_at  INTEGER,
    posted_to       TEXT,
    posted_by       TEXT,
    sent_at         INTEGER,
    provider_id     TEXT,
    status          TEXT,
    status_rank     INTEGER NOT NULL DEFAULT -1,
    status_at       INTEGER,
    error_code      INTEGER,
    error           TEXT
) STRICT;
CREATE UNIQUE INDEX parts_in_flight ON parts (conversation_id) WHERE state IN ('sending', 'unknown');
-- Parts that the provider accepted and did not deliver; they mark their turn. A part that is delivered writes nothing
-- here.
CREATE INDEX parts_undelivered ON parts (id) WHERE status = 'failed';
CREATE UNIQUE INDEX parts_provider ON parts (provider_id) WHERE provider_id IS NOT NULL;
CREATE TRIGGER turns_parts BEFORE DELETE ON turns BEGIN
    DELETE FROM parts WHERE id > OLD.id * 16 AND id < OLD.id * 16 + 16;
END;
CREATE INDEX parts_due ON parts (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE webhook_log (
    id            INTEGER PRIMARY KEY,
    channel       TEXT    NOT NULL,
    received_at   INTEGER NOT NULL,
    path          TEXT    NOT NULL,
    headers       TEXT    NOT NULL,
    body          TEXT    NOT NULL,
    status        INTEGER NOT NULL,
    processing_us INTEGER NOT NULL,
    message_id    BLOB,
    error         TEXT
) STRICT;

CREATE TABLE secrets (
    name       TEXT    NOT NULL PRIMARY KEY,
    sealed     TEXT    NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row for each cause and subject.
CREATE TABLE alerts (
    cause    TEXT    NOT NULL,
    subject  TEXT    NOT NULL,
    message  TEXT    NOT NULL,
    first_at INTEGER NOT NULL,
    last_at  INTEGER NOT NULL,
    count    INTEGER NOT NULL,
    PRIMARY KEY (cause, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX alerts_last ON alerts (last_at);

CREATE TABLE schedule (
    job         TEXT    NOT NULL PRIMARY KEY,
    last_run_at INTEGER NOT NULL,
    took_ms     INTEGER NOT NULL,
    result      TEXT    NOT NULL,
    failed      INTEGER NOT NULL,
    next_run_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- How far the provider's list of messages (list) of one of our numbers has been read for messages whose webhook never
-- came. began_at: older messages were never ours to answer. caught_up_at: when the list was last read to its end and
-- everything that had been missed was stored.
CREATE TABLE catch_ups (
    list         TEXT    NOT NULL PRIMARY KEY,
    began_at     INTEGER NOT NULL,
    caught_up_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What model calls cost. scope: `all` or `contact ID`. period: `2026-11-01` or `2026-11`. Written only if a budget is
-- set.
CREATE TABLE spent (
    scope  TEXT    NOT NULL,
    period TEXT    NOT NULL,
    calls  INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    micros INTEGER NOT NULL,
    PRIMARY KEY (period, scope)
) STRICT, WITHOUT ROWID;

-- Settings by their variables, such as MYNAH_TYPING. Secrets are not stored here.
CREATE TABLE settings (
    key        TEXT    NOT NULL PRIMARY KEY,
    value      TEXT    NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
