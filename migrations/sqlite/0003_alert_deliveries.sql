-- resolved_at: when it was well again; NULL while it is not. told_at: when a message about it was last queued. told_count:
-- the count at that time, so that the next message says how many were held back. untold: 1 while there is something to
-- tell; a message about one alert goes out once an hour at most.
ALTER TABLE alerts ADD COLUMN resolved_at INTEGER;
ALTER TABLE alerts ADD COLUMN told_at INTEGER;
ALTER TABLE alerts ADD COLUMN told_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE alerts ADD COLUMN untold INTEGER CHECK (untold IS NULL OR untold = 1);
CREATE INDEX alerts_untold ON alerts (untold) WHERE untold = 1;

-- One message in one way. message: a JSON document. due_at: when to send it next; NULL when it is sent or given up.
-- token: of the claim that sends it.
CREATE TABLE alert_deliveries (
    id          INTEGER PRIMARY KEY,
    cause       TEXT    NOT NULL,
    subject     TEXT    NOT NULL,
    way         TEXT    NOT NULL,
    message     TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    due_at      INTEGER,
    attempts    INTEGER NOT NULL DEFAULT 0,
    token       INTEGER,
    finished_at INTEGER,
    error       TEXT
) STRICT;
CREATE INDEX alert_deliveries_due ON alert_deliveries (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX alert_deliveries_alert ON alert_deliveries (cause, subject, id);
