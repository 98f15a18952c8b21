//! How answers are made, and when a conversation ends.

use std::time::Duration;

use crate::config::schema::parse;
use crate::config::sources::reader::Reader;

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
    pub burst: Burst,
    /// How old a message whose webhook never came may be, up to 23 hours, to be answered when it is found at the provider;
    /// `None` where nobody looks for such.
    pub catch_up: Option<Duration>,
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
pub enum Burst {
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
const ANSWERED_WITHIN: Duration = Duration::from_secs(23 * 3600);

pub(in crate::config) fn read(reader: &mut Reader) -> WorkConfig {
    let fates = [("resend", UnknownSends::Resend), ("hold", UnknownSends::Hold)];
    WorkConfig {
        workers: reader.or_default("MYNAH_WORKERS", |text| parse::whole(text, 1..=10_000)),
        merge_window: reader.or_default("MYNAH_MERGE_WINDOW", |text| parse::duration(text, Duration::ZERO..=MINUTE)),
        max_context_messages: read_window(reader),
        unknown_sends: reader.or_default("MYNAH_UNKNOWN_SENDS", |text| parse::one_of(text, &fates)),
        burst: reader.or_default("MYNAH_BURST", |text| {
            parse::one_of(text, &[("next", Burst::Next), ("restart", Burst::Restart)])
        }),
        catch_up: reader.or_default("MYNAH_CATCH_UP_WITHIN", |text| {
            parse::one_of(text, &[("off", None)])
                .or_else(|_| parse::duration(text, Duration::ZERO..=ANSWERED_WITHIN).map(Some))
        }),
        typing: reader.or_default("MYNAH_TYPING", |text| parse::one_of(text, &[("true", true), ("false", false)])),
        system_prompt: read_prompt(reader),
    }
}

pub(in crate::config) fn read_window(reader: &mut Reader) -> usize {
    reader.or_default("MYNAH_MAX_CONTEXT_MESSAGES", |text| parse::whole(text, 1..=200))
}

pub(in crate::config) fn read_prompt(reader: &mut Reader) -> String {
    reader.or_default("MYNAH_SYSTEM_PROMPT", |text| parse::text(text, usize::MAX))
}

pub(in crate::config) fn read_conversation(reader: &mut Reader) -> ConversationConfig {
    ConversationConfig {
        ttl: reader.or_default("MYNAH_CONVERSATION_TTL", |text| parse::duration(text, MINUTE..=Duration::MAX)),
        retention: kept(reader, "MYNAH_RETENTION", MINUTE * 60 * 24),
        webhook_log_retention: kept(reader, "MYNAH_WEBHOOK_LOG_RETENTION", MINUTE * 60),
    }
}

/// How long something is kept: at least `least`, or `0` for ever.
fn kept(reader: &mut Reader, key: &'static str, least: Duration) -> Option<Duration> {
    let kept = reader.or_default(key, |text| {
        parse::duration(text, Duration::ZERO..=Duration::ZERO).or_else(|_| parse::duration(text, least..=Duration::MAX))
    });
    (!kept.is_zero()).then_some(kept)
}
