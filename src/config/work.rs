//! How answers are made, and when a conversation ends.

use std::time::Duration;

use super::parse;
use super::reader::Reader;

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
    /// Whether contacts see that an answer is being written.
    pub typing: bool,
    /// What the model is told before the conversation; not blank.
    pub system_prompt: String,
    /// What a contact reads when no answer can be had; 1 to 1,500 UTF-16 code units.
    pub sorry: String,
}

/// What happens to a sent message that the provider does not list after five looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownSends {
    /// It is sent again.
    Resend,
    /// It waits for the operator.
    Hold,
}

/// When a conversation ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationConfig {
    /// The idle time that ends it, at least a minute.
    pub ttl: Duration,
}

/// The longest text that fits one message of every channel, in UTF-16 code units (Twilio, error 21617: 1,600, and fewer
/// where characters count double).
const ONE_MESSAGE: usize = 1_500;

const MINUTE: Duration = Duration::from_secs(60);

pub(super) fn read(reader: &mut Reader) -> WorkConfig {
    let fates = [("resend", UnknownSends::Resend), ("hold", UnknownSends::Hold)];
    WorkConfig {
        workers: reader.or_default("MYNAH_WORKERS", |text| parse::whole(text, 1..=10_000)),
        merge_window: reader.or_default("MYNAH_MERGE_WINDOW", |text| parse::duration(text, Duration::ZERO..=MINUTE)),
        max_context_messages: reader.or_default("MYNAH_MAX_CONTEXT_MESSAGES", |text| parse::whole(text, 1..=200)),
        unknown_sends: reader.or_default("MYNAH_UNKNOWN_SENDS", |text| parse::one_of(text, &fates)),
        typing: reader.or_default("MYNAH_TYPING", |text| parse::one_of(text, &[("true", true), ("false", false)])),
        system_prompt: reader.or_default("MYNAH_SYSTEM_PROMPT", |text| parse::text(text, usize::MAX)),
        sorry: reader.or_default("MYNAH_TEXT_SORRY", |text| parse::text(text, ONE_MESSAGE)),
    }
}

pub(super) fn read_conversation(reader: &mut Reader) -> ConversationConfig {
    let ttl = reader.or_default("MYNAH_CONVERSATION_TTL", |text| parse::duration(text, MINUTE..=Duration::MAX));
    ConversationConfig { ttl }
}
