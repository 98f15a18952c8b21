//! What contacts read that no model wrote: the owner's words.

use crate::config::schema::parse;
use crate::config::sources::reader::SettingsReader;

/// The texts; each fits one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Texts {
    /// What a contact reads when no answer can be had.
    pub sorry: String,
    /// Where the model had too much to do for too long.
    pub busy: String,
    /// Where the model did not answer in time.
    pub timeout: String,
    /// Where the model declined and said nothing.
    pub declined: String,
    /// Where the message does not fit into what the model can read.
    pub too_long: String,
    /// Where an attachment cannot be read.
    pub media: String,
    /// Once for each burst above `MYNAH_RATE_LIMIT`.
    pub slow_down: String,
    /// Where a budget is spent.
    pub budget: String,
    /// The answer to `/help`.
    pub help: String,
    /// The answer to `/reset`.
    pub reset: String,
    /// Where a person takes over.
    pub human: String,
    /// The one confirmation after STOP.
    pub stopped: String,
    /// The answer to START.
    pub started: String,
    /// Where somebody may not talk.
    pub stranger: String,
    /// Where somebody sent the right pairing code.
    pub admitted: String,
    /// What stands in place of a link that `MYNAH_LINKS` does not allow.
    pub link: String,
}

/// The longest text that fits one message of every channel, in UTF-16 code units (Twilio, error 21617: 1,600, and fewer
/// where characters count double).
const MAX_TEXT_UNITS: usize = 1_500;

pub(in crate::config) fn read(reader: &mut SettingsReader) -> Texts {
    let mut text = |key| reader.read_or_default(key, |text| parse::text(text, MAX_TEXT_UNITS));
    Texts {
        sorry: text("MYNAH_TEXT_SORRY"),
        busy: text("MYNAH_TEXT_BUSY"),
        timeout: text("MYNAH_TEXT_TIMEOUT"),
        declined: text("MYNAH_TEXT_DECLINED"),
        too_long: text("MYNAH_TEXT_TOO_LONG"),
        media: text("MYNAH_TEXT_MEDIA"),
        slow_down: text("MYNAH_TEXT_SLOW_DOWN"),
        budget: text("MYNAH_TEXT_BUDGET"),
        help: text("MYNAH_TEXT_HELP"),
        reset: text("MYNAH_TEXT_RESET"),
        human: text("MYNAH_TEXT_HUMAN"),
        stopped: text("MYNAH_TEXT_STOPPED"),
        started: text("MYNAH_TEXT_STARTED"),
        stranger: text("MYNAH_TEXT_STRANGER"),
        admitted: text("MYNAH_TEXT_ADMITTED"),
        link: text("MYNAH_TEXT_LINK"),
    }
}
