//! Splits long texts into messages.

mod cut_point;
mod fence;

#[cfg(test)]
mod tests;

use unicode_segmentation::UnicodeSegmentation;

use cut_point::{CutRequest, fitting_prefix_len};
use fence::Fence;

/// The end of the last message if the text needs more messages than allowed.
const TRUNCATION_MARK: &str = " …";

/// The lowest limit in UTF-16 units. It leaves room for a fence that is closed and opened again, the truncation mark,
/// and a character.
const MIN_LIMIT: usize = 20;

/// Splits converted text into at most `max_messages` messages of at most `limit` UTF-16 code units each, as Twilio and
/// Meta count them. A `limit` below 20 counts as 20.
///
/// Cuts at a blank line or, if there is none, at the end of a line, sentence, word or grapheme, in this order. A
/// boundary in the first 60 % of a message is skipped in favor of a finer one, so that no message is very short. A
/// grapheme is cut only if it exceeds the limit by itself. A link that fits into one message is kept whole. A code
/// fence that is cut is closed at the end of the message and opened again in the next. If `max_messages` messages
/// cannot hold the text, the last one ends in ` …`.
///
/// No message is blank, begins with a blank line or ends in whitespace. Blank text, or a `max_messages` of 0, gives no
/// message. Splitting a message again does not change it.
#[must_use]
pub fn split(text: &str, limit: usize, max_messages: usize) -> Vec<String> {
    let limit = limit.max(MIN_LIMIT);
    let mut parts = Vec::new();
    let mut rest = trim_blank_lines(text);
    let mut fence: Option<Fence> = None;
    while !rest.is_empty() && parts.len() < max_messages {
        let opening = fence.map_or(0, Fence::opening_units);
        if fitting_prefix_len(rest, limit - opening) == rest.len() {
            parts.push(Fence::close_and_reopen(fence, rest, None));
            break;
        }
        let last = parts.len() + 1 == max_messages;
        let longest = limit - opening;
        let budget = longest - if last { TRUNCATION_MARK.chars().count() } else { 0 };
        let taken = take_first(CutRequest { text: rest, budget, max_link_units: longest, is_hard_limit: true }, fence);
        if !taken.body.trim().is_empty() {
            let mut part = Fence::close_and_reopen(fence, taken.body, taken.closing);
            if last && !taken.rest.is_empty() {
                part.push_str(TRUNCATION_MARK);
            }
            parts.push(part);
        }
        rest = taken.rest;
        fence = taken.opening;
    }
    parts
}

/// Splits a text that the provider refused as too long in two, near its middle, by the rules of [`split()`]. Both
/// halves are not blank and are shorter than the text in UTF-16 code units. Returns `None` if the trimmed text has
/// fewer than two graphemes.
#[must_use]
pub fn split_in_half(text: &str) -> Option<(String, String)> {
    let text = text.trim();
    text.graphemes(true).nth(1)?;
    let units = utf16_len(text);
    // The budget is five eighths and its first 60 % is skipped, so the cut falls between 3/8 and 5/8.
    let budget = (units * 5 / 8).max(1);
    let cut = CutRequest { text, budget, max_link_units: units, is_hard_limit: false };
    let taken = take_first(cut, None);
    let halves = (
        Fence::close_and_reopen(None, taken.body, taken.closing),
        Fence::close_and_reopen(taken.opening, taken.rest, None),
    );
    let shorter = |half: &str| !half.trim().is_empty() && utf16_len(half) < units;
    if shorter(&halves.0) && shorter(&halves.1) {
        return Some(halves);
    }
    // The text is little more than a fence: cut it without closing and reopening the fence.
    let at = cut.last_grapheme_end(fitting_prefix_len(text, budget));
    Some((text[..at].trim_end().to_owned(), text[at..].trim_start().to_owned()))
}

/// The first message of a text that does not fit into one.
struct FirstMessage<'a> {
    body: &'a str,
    rest: &'a str,
    /// The fence that the message must close, and the one that the next must open.
    closing: Option<Fence>,
    opening: Option<Fence>,
}

/// Takes the first message from a text. `fence` is open at the start of the text.
fn take_first(cut: CutRequest<'_>, fence: Option<Fence>) -> FirstMessage<'_> {
    let text = cut.text;
    let mut at = cut.find_cut();
    let mut open = fence::state_after(&text[..at], fence);
    let mut room = 0;
    // The line that closes a fence needs room. With less room, the cut may fall into another fence with a longer line.
    while let Some(more) = open.fence.map(Fence::closing_units).filter(|more| *more > room) {
        room = more;
        at = CutRequest { budget: cut.budget.saturating_sub(room).max(1), ..cut }.find_cut();
        open = fence::state_after(&text[..at], fence);
    }
    if let Some(line) = open.empty_fence_start.filter(|line| *line > 0) {
        // The message would end with only the fence's first line: move that line to the next message.
        at = line;
        open = fence::state_after(&text[..at], fence);
    }
    let body = text[..at].trim_end();
    let mut rest = &text[at..];
    if !text[..at].ends_with('\n') {
        // After a cut inside a line, the next message begins with the next word, not with the space before it. After a
        // cut at the end of a line, the next line keeps its indentation.
        rest = rest.trim_start_matches(|sign: char| sign.is_whitespace() && !matches!(sign, '\n' | '\r'));
    }
    rest = trim_blank_lines(rest);
    let closing = open.fence;
    let mut opening = closing;
    if let Some(inside) = closing {
        let line = rest.split('\n').next().unwrap_or_default();
        if inside.is_closed_by(line) {
            // The added line closes the fence, so leave out the source's own closing line.
            rest = trim_blank_lines(&rest[line.len()..]);
            opening = None;
        }
    }
    FirstMessage { body, rest, closing, opening }
}

/// Removes blank lines at the start and whitespace at the end. The first line keeps its indentation.
fn trim_blank_lines(text: &str) -> &str {
    let text = text.trim_end();
    let words = text.len() - text.trim_start().len();
    let line = text[..words].rfind('\n').map_or(0, |at| at + 1);
    &text[line..]
}

fn utf16_len(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}
