//! How mynah answers, and when conversations end.

use std::time::Duration;

use crate::config::schema::parse;
use crate::config::sources::reader::SettingsReader;

/// How mynah answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkConfig {
    /// The most conversations that mynah answers at once, 1 to 10,000.
    pub workers: usize,
    /// How long a turn waits for more messages of a burst before its first claim, up to a minute; zero for no wait.
    pub merge_window: Duration,
    /// How many of the latest messages the model sees, 1 to 200.
    pub max_context_messages: usize,
    /// What happens to a part that stays unknown.
    pub unknown_sends: UnknownSends,
    /// What happens to a message that arrives while the model works.
    pub burst: BurstPolicy,
    /// How old a message may be for catch-up to answer it, up to 23 hours; `None` turns catch-up off.
    pub catch_up_max_age: Option<Duration>,
    /// Whether contacts see that an answer is being written.
    pub typing: bool,
    /// The instructions for the model; not blank.
    pub system_prompt: String,
}

/// What happens to a part that is still unknown after five lookups in the provider's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownSends {
    /// mynah sends it again.
    Resend,
    /// It is held for the operator.
    Hold,
}

/// What happens to a message that arrives while the model works on earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BurstPolicy {
    /// mynah answers it in the next turn.
    Next,
    /// mynah gives up the running call and asks the model again with all messages.
    Restart,
}

/// When conversations end, and how long they are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationConfig {
    /// The idle time after which a conversation ends, at least a minute.
    pub ttl: Duration,
    /// How long an ended conversation is kept; `None` for forever.
    pub retention: Option<Duration>,
    /// How long the log of webhooks is kept; `None` for forever.
    pub webhook_log_retention: Option<Duration>,
}

const MINUTE: Duration = Duration::from_secs(60);

/// mynah answers no message that is older than this.
const MAX_CATCH_UP_AGE: Duration = Duration::from_secs(23 * 3600);

pub(in crate::config) fn read(reader: &mut SettingsReader) -> WorkConfig {
    let choices = [("resend", UnknownSends::Resend), ("hold", UnknownSends::Hold)];
    WorkConfig {
        workers: reader.read_or_default("MYNAH_WORKERS", |text| parse::integer(text, 1..=10_000)),
        merge_window: reader
            .read_or_default("MYNAH_MERGE_WINDOW", |text| parse::duration(text, Duration::ZERO..=MINUTE)),
        max_context_messages: read_max_context_messages(reader),
        unknown_sends: reader.read_or_default("MYNAH_UNKNOWN_SENDS", |text| parse::choice(text, &choices)),
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

/// Reads how long something is kept: at least `least`, or `0` for forever.
fn read_retention(reader: &mut SettingsReader, key: &'static str, least: Duration) -> Option<Duration> {
    let kept = reader.read_or_default(key, |text| {
        parse::duration(text, Duration::ZERO..=Duration::ZERO).or_else(|_| parse::duration(text, least..=Duration::MAX))
    });
    (!kept.is_zero()).then_some(kept)
}
