//! The fixed texts that contacts read, in the owner's words.

use crate::config::schema::parse;
use crate::config::sources::reader::SettingsReader;

/// The texts; each fits one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Texts {
    /// Sent if mynah has no answer and no other text fits.
    pub sorry: String,
    /// Sent if the model is overloaded for too long.
    pub busy: String,
    /// Sent if the model does not answer in time.
    pub timeout: String,
    /// Sent if the model declines and says nothing.
    pub declined: String,
    /// Sent if the message is too long for the model.
    pub too_long: String,
    /// Sent if mynah cannot read an attachment.
    pub media: String,
    /// Sent once for each burst above `MYNAH_RATE_LIMIT`, and for a `/reset` that mynah does not carry out.
    pub slow_down: String,
    /// Sent if a budget is spent.
    pub budget: String,
    /// The answer to `/help`.
    pub help: String,
    /// The answer to `/reset`.
    pub reset: String,
    /// Sent when a person takes over.
    pub human: String,
    /// The one confirmation after STOP.
    pub stopped: String,
    /// The answer to START.
    pub started: String,
    /// Sent to somebody who may not talk with the assistant.
    pub stranger: String,
    /// Sent to somebody who sends the right pairing code.
    pub admitted: String,
    /// Takes the place of a link that `MYNAH_LINKS` does not allow.
    pub link: String,
}

/// The longest text that fits one message on every channel, in UTF-16 code units (Twilio, error 21617: 1,600, and fewer
/// if characters count double).
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
