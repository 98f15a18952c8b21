//! The views of the phone page for its templates. One template renders a bubble, both for the page and for live
//! updates.

use askama::Template;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::phones::Bubble;
use super::{Status, markup};
use crate::clock::Time;

/// The whole page.
#[derive(Template)]
#[template(path = "phone.html")]
pub(super) struct PhoneView<'a> {
    pub(super) title: &'a str,
    /// Up to two letters of the title, for the avatar.
    pub(super) initials: String,
    pub(super) responder: &'a str,
    pub(super) number: &'a str,
    pub(super) contact: &'a str,
    pub(super) suggestions: &'a [String],
    /// The bubbles, each rendered by [`BubbleView`].
    pub(super) bubbles: Vec<String>,
    pub(super) typing: bool,
    /// Whether an answer is expected. Without JavaScript, the page then reloads by itself.
    pub(super) waiting: bool,
    /// The last change that the page shows, for `/events`.
    pub(super) seen: String,
    /// The text of a message that was not accepted; `problem` is the reason.
    pub(super) draft: &'a str,
    pub(super) problem: Option<String>,
}

/// One bubble.
#[derive(Template)]
#[template(path = "phone_bubble.html")]
struct BubbleView<'a> {
    sid: &'a str,
    mine: bool,
    html: String,
    clock: String,
    instant: String,
    status: Status,
    problem: Option<&'a str>,
}

impl BubbleView<'_> {
    /// Returns the description of the ticks.
    fn ticks(&self) -> &'static str {
        match self.status {
            Status::Undelivered => "not delivered",
            status => status.as_str(),
        }
    }
}

/// Renders a bubble as HTML.
pub(super) fn render_bubble(bubble: &Bubble) -> Result<String, askama::Error> {
    let time = Timestamp::from_millisecond(bubble.at.millis()).unwrap_or_default();
    BubbleView {
        sid: &bubble.sid,
        mine: bubble.from_contact,
        html: markup::to_html(&bubble.text),
        clock: time.to_zoned(TimeZone::system()).strftime("%H:%M").to_string(),
        instant: time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        status: bubble.status,
        problem: bubble.problem.as_deref(),
    }
    .render()
}

/// Returns the first letters of the first two words.
pub(super) fn initials(title: &str) -> String {
    let letters = title.split_whitespace().filter_map(|word| word.chars().find(|c| c.is_alphanumeric()));
    letters.take(2).flat_map(char::to_uppercase).collect()
}

/// Returns whether the last message is from the contact, was not refused, and is at most two minutes old, so that an
/// answer is expected.
pub(super) fn awaits_answer(bubbles: &[Bubble], now: Time) -> bool {
    bubbles.last().is_some_and(|last| {
        last.from_contact
            && last.status != Status::Undelivered
            && now.since(last.at) < std::time::Duration::from_secs(120)
    })
}
