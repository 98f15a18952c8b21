//! Counts where a text still stands in the database: in what belongs to somebody else, or in the configuration.

use crate::store::database::{Store, StoreError, args};

/// The columns that hold text, by what they are to an operator. Each statement counts the rows of one table.
const MESSAGES: &str = "SELECT COUNT(*) FROM messages WHERE instr(content, ?1) > 0 OR instr(metadata, ?1) > 0";

const CONTACTS: &str = "SELECT COUNT(*) FROM contacts WHERE instr(name, ?1) > 0";

const ADDRESSES: &str = "SELECT COUNT(*) FROM addresses WHERE instr(value, ?1) > 0";

const CONVERSATIONS: &str =
    "SELECT COUNT(*) FROM conversations WHERE instr(reply_to, ?1) > 0 OR instr(mode_why, ?1) > 0";

const OUR_ADDRESSES: &str = "
    SELECT COUNT(*) FROM our_addresses WHERE instr(address, ?1) > 0 OR instr(account, ?1) > 0";

const TURNS: &str = "SELECT COUNT(*) FROM turns WHERE instr(error, ?1) > 0 OR instr(model, ?1) > 0";

const PARTS: &str = "
    SELECT COUNT(*) FROM parts
    WHERE instr(body, ?1) > 0 OR instr(variables, ?1) > 0 OR instr(error, ?1) > 0 OR instr(posted_to, ?1) > 0";

const ATTACHMENTS: &str = "
    SELECT COUNT(*) FROM attachments WHERE instr(url, ?1) > 0 OR instr(error, ?1) > 0 OR instr(mark, ?1) > 0";

const FILES: &str = "SELECT COUNT(*) FROM files WHERE instr(name, ?1) > 0";

const ALERTS: &str = "SELECT COUNT(*) FROM alerts WHERE instr(subject, ?1) > 0 OR instr(message, ?1) > 0";

const ALERT_MESSAGES: &str = "SELECT COUNT(*) FROM alert_deliveries WHERE instr(message, ?1) > 0";

const WEBHOOKS: &str = "
    SELECT COUNT(*) FROM webhook_log
    WHERE instr(body, ?1) > 0 OR instr(path, ?1) > 0 OR instr(headers, ?1) > 0 OR instr(error, ?1) > 0";

const SETTINGS: &str = "SELECT COUNT(*) FROM settings WHERE instr(value, ?1) > 0";

const NUMBERS: &str = "SELECT COUNT(*) FROM numbers WHERE instr(settings, ?1) > 0 OR instr(name, ?1) > 0";

const AI_CONFIGURATIONS: &str = "
    SELECT COUNT(*) FROM ai_configurations WHERE instr(settings, ?1) > 0 OR instr(name, ?1) > 0";

const SCHEDULE: &str = "SELECT COUNT(*) FROM schedule WHERE instr(result, ?1) > 0";

const PLACES: [(&str, &str); 16] = [
    ("messages of others", MESSAGES),
    ("names of others", CONTACTS),
    ("addresses of others", ADDRESSES),
    ("conversations of others", CONVERSATIONS),
    ("your own numbers", OUR_ADDRESSES),
    ("turns of others", TURNS),
    ("sent messages of others", PARTS),
    ("attachments of others", ATTACHMENTS),
    ("file names of others", FILES),
    ("alerts", ALERTS),
    ("messages about alerts", ALERT_MESSAGES),
    ("the webhook log of others", WEBHOOKS),
    ("your settings", SETTINGS),
    ("the settings of your numbers", NUMBERS),
    ("the settings of your models", AI_CONFIGURATIONS),
    ("results of regular jobs", SCHEDULE),
];

/// A kind of place where a text stands.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Mention {
    /// What it is, such as `messages of others`.
    pub place: &'static str,
    /// How many there are.
    pub rows: i64,
}

impl Store {
    /// Returns where any of the texts stands. Reads the whole database.
    pub async fn mentions(&self, texts: Vec<String>) -> Result<Vec<Mention>, StoreError> {
        self.read(move |tx| {
            let mut found = Vec::new();
            for (place, sql) in PLACES {
                let mut rows = 0;
                for text in &texts {
                    rows =
                        rows.max(tx.fetch_optional(sql, args![text.as_str()], |row| row.int(0))?.unwrap_or_default());
                }
                if rows > 0 {
                    found.push(Mention { place, rows });
                }
            }
            Ok(found)
        })
        .await
    }
}
