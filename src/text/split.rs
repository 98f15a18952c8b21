//! Long texts cut into messages.

mod cut;
mod fence;

#[cfg(test)]
mod tests;

use unicode_segmentation::UnicodeSegmentation;

use cut::{Cut, window};
use fence::Fence;

/// Ends the last message where more would have been needed.
const MORE: &str = " …";

/// UTF-16 units of the shortest limit: a fence closed and opened again, the sign for more, and a character.
const LEAST: usize = 20;

/// Splits converted text into at most `most` messages of at most `limit` UTF-16 code units each, counted as Twilio and
/// Meta count them. A `limit` under 20 counts as 20.
///
/// Cuts at a blank line, else at a line's end, a sentence's, a word's, a grapheme's; a boundary in the first 60 % of a
/// message is passed over for a finer one, so that no stub goes out. A grapheme is cut only where it alone exceeds the
/// limit. A link that fits into one message is kept whole. A code fence that is cut is closed at the end of the message
/// and opened again in the next. Where `most` messages do not hold the text, the last one ends in ` …`.
///
/// No message is blank, begins with a blank line or ends in white space; blank text, or `most` of 0, gives none. A
/// message that is split again stays as it is.
#[must_use]
pub fn split(text: &str, limit: usize, most: usize) -> Vec<String> {
    let limit = limit.max(LEAST);
    let mut parts = Vec::new();
    let mut rest = tidy(text);
    let mut fence: Option<Fence> = None;
    while !rest.is_empty() && parts.len() < most {
        let opening = fence.map_or(0, Fence::opening_units);
        if window(rest, limit - opening) == rest.len() {
            parts.push(Fence::wrap(fence, rest, None));
            break;
        }
        let last = parts.len() + 1 == most;
        let longest = limit - opening;
        let budget = longest - if last { MORE.chars().count() } else { 0 };
        let taken = take(Cut { text: rest, budget, longest, firm: true }, fence);
        if !taken.body.trim().is_empty() {
            let mut part = Fence::wrap(fence, taken.body, taken.closing);
            if last && !taken.rest.is_empty() {
                part.push_str(MORE);
            }
            parts.push(part);
        }
        rest = taken.rest;
        fence = taken.opening;
    }
    parts
}

/// Cuts a text that the provider refused as too long in two, near its middle, by the rules of [`split`]. Both halves
/// are shorter than the text, in UTF-16 code units, and not blank. `None` where there is nothing to cut: fewer than two
/// graphemes between the ends.
#[must_use]
pub fn halve(text: &str) -> Option<(String, String)> {
    let text = text.trim();
    text.graphemes(true).nth(1)?;
    let units = units(text);
    // The window ends at five eighths and its first 60 % is passed over: the cut falls between 3/8 and 5/8.
    let budget = (units * 5 / 8).max(1);
    let cut = Cut { text, budget, longest: units, firm: false };
    let taken = take(cut, None);
    let halves = (Fence::wrap(None, taken.body, taken.closing), Fence::wrap(taken.opening, taken.rest, None));
    let shorter = |half: &str| !half.trim().is_empty() && self::units(half) < units;
    if shorter(&halves.0) && shorter(&halves.1) {
        return Some(halves);
    }
    // Little more than a fence: cut it plainly.
    let at = cut.grapheme(window(text, budget));
    Some((text[..at].trim_end().to_owned(), text[at..].trim_start().to_owned()))
}

/// The first message of a text that does not fit.
struct Taken<'a> {
    body: &'a str,
    rest: &'a str,
    /// The fence that the message must close, and the one that the next must open.
    closing: Option<Fence>,
    opening: Option<Fence>,
}

/// Takes the first message off a text, where `fence` is open at the text's start.
fn take(cut: Cut<'_>, fence: Option<Fence>) -> Taken<'_> {
    let text = cut.text;
    let mut at = cut.at();
    let mut open = fence::after(&text[..at], fence);
    let mut room = 0;
    // The line that closes a fence needs room; with less room the cut may fall into another fence, with a longer line.
    while let Some(more) = open.fence.map(Fence::closing_units).filter(|more| *more > room) {
        room = more;
        at = Cut { budget: cut.budget.saturating_sub(room).max(1), ..cut }.at();
        open = fence::after(&text[..at], fence);
    }
    if let Some(line) = open.only_line.filter(|line| *line > 0) {
        // Only the fence's first line would stay behind: it goes along.
        at = line;
        open = fence::after(&text[..at], fence);
    }
    let body = text[..at].trim_end();
    let mut rest = &text[at..];
    if !text[..at].ends_with('\n') {
        // Cut inside a line: the message begins with the next word, not with the space before it. Cut at a line's end,
        // the next line keeps its indentation.
        rest = rest.trim_start_matches(|sign: char| sign.is_whitespace() && !matches!(sign, '\n' | '\r'));
    }
    rest = tidy(rest);
    let closing = open.fence;
    let mut opening = closing;
    if let Some(inside) = closing {
        let line = rest.split('\n').next().unwrap_or_default();
        if inside.is_closed_by(line) {
            // The line that is added closes it, so the source's own is left out.
            rest = tidy(&rest[line.len()..]);
            opening = None;
        }
    }
    Taken { body, rest, closing, opening }
}

/// A text without blank lines at its start and white space at its end. The first line keeps its indentation.
fn tidy(text: &str) -> &str {
    let text = text.trim_end();
    let words = text.len() - text.trim_start().len();
    let line = text[..words].rfind('\n').map_or(0, |at| at + 1);
    &text[line..]
}

fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}
