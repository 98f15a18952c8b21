//! Who is signed in to the admin page.

use std::time::Duration;

use crate::clock::Time;
use crate::model::AdminRole;
use crate::store::database::{Arg, Row, Store, StoreError, args};

/// A session that nobody uses ends after this time, unless the device is remembered.
pub const IDLE_LIMIT: Duration = Duration::from_secs(30 * 60);

/// A session ends after this time, however busy it is.
pub const SESSION_LIMIT: Duration = Duration::from_secs(12 * 3600);

/// The same on a device that is remembered.
pub const REMEMBERED_LIMIT: Duration = Duration::from_secs(30 * 86_400);

/// How often a request in a session is written down.
const SEEN_INTERVAL: Duration = Duration::from_secs(60);

const START: &str = "
    INSERT INTO admin_sessions (token_hash, account, created_at, seen_at, expires_at, remembered, address, browser)
    VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?7)";

const SESSION: &str = "
    SELECT s.account, a.role, s.created_at, s.seen_at, s.expires_at, s.remembered, s.address, s.browser, s.token_hash
    FROM admin_sessions s JOIN admin_accounts a ON a.name = s.account
    WHERE s.token_hash = ?1 AND s.expires_at > ?2 AND (s.remembered = 1 OR s.seen_at > ?3)";

const OF_ACCOUNT: &str = "
    SELECT s.account, a.role, s.created_at, s.seen_at, s.expires_at, s.remembered, s.address, s.browser, s.token_hash
    FROM admin_sessions s JOIN admin_accounts a ON a.name = s.account
    WHERE s.account = ?1 AND s.expires_at > ?2 AND (s.remembered = 1 OR s.seen_at > ?3)";

const SEE: &str = "UPDATE admin_sessions SET seen_at = ?2 WHERE token_hash = ?1 AND seen_at < ?2";

const END: &str = "DELETE FROM admin_sessions WHERE token_hash = ?1 AND account = ?2";

const END_ALL: &str = "DELETE FROM admin_sessions WHERE account = ?1";

/// Few rows: those of the last month.
const DELETE_ENDED: &str = "DELETE FROM admin_sessions WHERE expires_at <= ?1 OR (remembered = 0 AND seen_at <= ?2)";

/// The SHA-256 of a session's token.
pub type TokenHash = [u8; 32];

/// A session that begins.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// The hash of its token.
    pub token: TokenHash,
    /// The account that signed in.
    pub account: String,
    /// Whether the device is remembered.
    pub remembered: bool,
    /// The client's address, as text.
    pub address: String,
    /// The browser, as it names itself.
    pub browser: String,
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminSession {
    /// The hash of its token.
    pub token: TokenHash,
    /// The account that signed in.
    pub account: String,
    /// What the account may do now.
    pub role: AdminRole,
    /// When it began.
    pub created_at: Time,
    /// The last request, to within a minute.
    pub seen_at: Time,
    /// When it ends.
    pub expires_at: Time,
    /// Whether the device is remembered.
    pub remembered: bool,
    /// The client's address.
    pub address: String,
    /// The browser, as it names itself.
    pub browser: String,
}

impl Store {
    /// Begins a session.
    ///
    /// # Errors
    /// Also if there is no such account.
    pub async fn start_admin_session(&self, session: NewSession, now: Time) -> Result<(), StoreError> {
        let limit = if session.remembered { REMEMBERED_LIMIT } else { SESSION_LIMIT };
        self.write(move |tx| {
            let NewSession { token, account, remembered, address, browser } = &session;
            let (token, remembered) = (Arg::Bytes(token), i64::from(*remembered));
            tx.execute(
                START,
                args![token, account.as_str(), now, now + limit, remembered, address.as_str(), browser.as_str()],
            )
            .map(drop)
        })
        .await
    }

    /// Returns the session with this token, unless it has ended.
    pub async fn admin_session(&self, token: TokenHash, now: Time) -> Result<Option<AdminSession>, StoreError> {
        let session = self
            .read(move |tx| tx.fetch_optional(SESSION, args![Arg::Bytes(&token), now, now - IDLE_LIMIT], from_row))
            .await?;
        if let Some(session) = &session
            && session.seen_at + SEEN_INTERVAL <= now
        {
            // A power cut may undo this: the session then ends a minute earlier.
            self.write_unflushed(move |tx| tx.execute(SEE, args![Arg::Bytes(&token), now]).map(drop)).await?;
        }
        Ok(session)
    }

    /// Returns the sessions of an account that have not ended.
    pub async fn admin_sessions(&self, account: impl Into<String>, now: Time) -> Result<Vec<AdminSession>, StoreError> {
        let account = account.into();
        self.read(move |tx| tx.fetch_all(OF_ACCOUNT, args![account.as_str(), now, now - IDLE_LIMIT], from_row)).await
    }

    /// Ends a session of this account. Returns whether there was one.
    pub async fn end_admin_session(&self, token: TokenHash, account: impl Into<String>) -> Result<bool, StoreError> {
        let account = account.into();
        self.write(move |tx| Ok(tx.execute(END, args![Arg::Bytes(&token), account.as_str()])? == 1)).await
    }

    /// Ends every session of the account.
    pub async fn end_admin_sessions(&self, account: impl Into<String>) -> Result<u64, StoreError> {
        let account = account.into();
        self.write(move |tx| tx.execute(END_ALL, args![account.as_str()])).await
    }

    /// Deletes sessions that have ended. Returns how many.
    pub async fn delete_ended_admin_sessions(&self, now: Time) -> Result<u64, StoreError> {
        self.write(move |tx| tx.execute(DELETE_ENDED, args![now, now - IDLE_LIMIT])).await
    }
}

fn from_row(row: &dyn Row) -> Result<AdminSession, StoreError> {
    let token = row.bytes_or_null(8)?.and_then(|hash| hash.try_into().ok());
    Ok(AdminSession {
        token: token.ok_or_else(|| StoreError::unexpected(8, "a hash"))?,
        account: row.text(0)?.to_owned(),
        role: AdminRole::parse(row.text(1)?).ok_or_else(|| StoreError::unexpected(1, "a role"))?,
        created_at: Time(row.int(2)?),
        seen_at: Time(row.int(3)?),
        expires_at: Time(row.int(4)?),
        remembered: row.int(5)? != 0,
        address: row.text(6)?.to_owned(),
        browser: row.text(7)?.to_owned(),
    })
}
