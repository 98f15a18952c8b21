//! How answers are made, and when a conversation ends.

use std::time::Duration;

use crate::config::schema::parse;
use crate::config::sources::reader::SettingsReader;

/// How answers are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkConfig {
    /// Conversations being answered at once, 1 to 10,000.
    pub workers: usize,
    /// How long a turn waits for more of a burst before its first claim, up to a minute; zero claims at once.
    pub merge_window: Duration,
    /// How many of the last messages the model sees, 1 to 200.
    pub max_context_messages: usize,
    /// What happens to a sent message whose fate stays unknown.
    pub unknown_sends: UnknownSends,
    /// What becomes of a message that arrives while the model works.
    pub burst: BurstPolicy,
    /// How old a message whose webhook never came may be, up to 23 hours, to be answered when it is found at the provider;
    /// `None` where nobody looks for such.
    pub catch_up_max_age: Option<Duration>,
    /// Whether contacts see that an answer is being written.
    pub typing: bool,
    /// What the model is told before the conversation; not blank.
    pub system_prompt: String,
}

/// What happens to a sent message that the provider does not list after five looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownSends {
    /// It is sent again.
    Resend,
    /// It waits for the operator.
    Hold,
}

/// What becomes of a message that arrives while the model works on those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BurstPolicy {
    /// It is answered in the next turn.
    Next,
    /// The work is given up, and the model is asked again with all of them.
    Restart,
}

/// When a conversation ends, and when it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationConfig {
    /// The idle time that ends it, at least a minute.
    pub ttl: Duration,
    /// How long an ended one is kept; `None` keeps it.
    pub retention: Option<Duration>,
    /// How long the log of webhooks is kept; `None` keeps it.
    pub webhook_log_retention: Option<Duration>,
}

const MINUTE: Duration = Duration::from_secs(60);

/// Nothing is answered later than so.
const MAX_CATCH_UP_AGE: Duration = Duration::from_secs(23 * 3600);

pub(in crate::config) fn read(reader: &mut SettingsReader) -> WorkConfig {
    let fates = [("resend", UnknownSends::Resend), ("hold", UnknownSends::Hold)];
    WorkConfig {
        workers: reader.read_or_default("MYNAH_WORKERS", |text| parse::integer(text, 1..=10_000)),
        merge_window: reader
            .read_or_default("MYNAH_MERGE_WINDOW", |text| parse::duration(text, Duration::ZERO..=MINUTE)),
        max_context_messages: read_max_context_messages(reader),
        unknown_sends: reader.read_or_default("MYNAH_UNKNOWN_SENDS", |text| parse::choice(text, &fates)),
        burst: reader.read_or_default("MYNAH_BURST", |text| {
            parse::choice(text, &[("next", BurstPolicy::Next), ("restart", BurstPolicy::Restart)])
        }),
        catch_up_max_age: reader.read_or_default("MYNAH_CATCH_UP_WITHIN", |text| {
            parse::choice(text, &[("off", None)])
                .or_else(|_| parse::duration(text, Duration::ZERO..=MAX_CATCH_UP_AGE).map(Some))
        }),
        typing: reader.read_or_default("MYNAH_TYPING", |text| parse::choice(text, &[("true", true), ("false", false)])),
        system_prompt: read_prompt(reader),
    }
}

pub(in crate::config) fn read_max_context_messages(reader: &mut SettingsReader) -> usize {
    reader.read_or_default("MYNAH_MAX_CONTEXT_MESSAGES", |text| parse::integer(text, 1..=200))
}

pub(in crate::config) fn read_prompt(reader: &mut SettingsReader) -> String {
    reader.read_or_default("MYNAH_SYSTEM_PROMPT", |text| parse::text(text, usize::MAX))
}

pub(in crate::config) fn read_conversation(reader: &mut SettingsReader) -> ConversationConfig {
    ConversationConfig {
        ttl: reader.read_or_default("MYNAH_CONVERSATION_TTL", |text| parse::duration(text, MINUTE..=Duration::MAX)),
        retention: read_retention(reader, "MYNAH_RETENTION", MINUTE * 60 * 24),
        webhook_log_retention: read_retention(reader, "MYNAH_WEBHOOK_LOG_RETENTION", MINUTE * 60),
    }
}

/// How long something is kept: at least `least`, or `0` for ever.
fn read_retention(reader: &mut SettingsReader, key: &'static str, least: Duration) -> Option<Duration> {
    let kept = reader.read_or_default(key, |text| {
        parse::duration(text, Duration::ZERO..=Duration::ZERO).or_else(|_| parse::duration(text, least..=Duration::MAX))
    });
    (!kept.is_zero()).then_some(kept)
}
