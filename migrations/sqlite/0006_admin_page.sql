-- role: what the account may do on the admin page.
ALTER TABLE admin_accounts ADD COLUMN role TEXT NOT NULL DEFAULT 'owner'
    CHECK (role IN ('owner', 'operator', 'viewer'));

-- Who is signed in to the admin page. token_hash: the SHA-256 of the token in the cookie, which is stored nowhere.
-- seen_at: the last request, to within a minute. expires_at: the end, however busy the session is. remembered: 1 if it
-- does not end when nobody uses it. address, browser: for the list of sessions, as the request told them.
CREATE TABLE admin_sessions (
    token_hash BLOB    NOT NULL PRIMARY KEY,
    account    TEXT    NOT NULL REFERENCES admin_accounts (name) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    remembered INTEGER NOT NULL,
    address    TEXT    NOT NULL,
    browser    TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX admin_sessions_account ON admin_sessions (account);
