//! Finds where to cut: the coarsest boundary in the last two fifths of the text that fits.

use std::ops::Range;

use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};

/// A text to cut, and the available room.
#[derive(Clone, Copy, Debug)]
pub(super) struct CutRequest<'a> {
    pub(super) text: &'a str,
    /// UTF-16 units that fit before the cut.
    pub(super) budget: usize,
    /// UTF-16 units of the longest link that is kept whole.
    pub(super) max_link_units: usize,
    /// Whether the budget is a limit. If not, the cut may exceed it to keep a link or a grapheme whole.
    pub(super) is_hard_limit: bool,
}

/// Returns how many bytes of a text fit into `units` UTF-16 code units, up to the end of a character.
pub(super) fn fitting_prefix_len(text: &str, units: usize) -> usize {
    // No character has more units than bytes.
    if text.len() <= units {
        return text.len();
    }
    let mut left = units;
    for (at, sign) in text.char_indices() {
        let Some(rest) = left.checked_sub(sign.len_utf16()) else { return at };
        left = rest;
    }
    text.len()
}

impl CutRequest<'_> {
    /// Returns the byte to cut at: greater than 0, at the end of a character, within the budget.
    pub(super) fn find_cut(self) -> usize {
        let mut end = fitting_prefix_len(self.text, self.budget);
        let floor = fitting_prefix_len(self.text, (self.budget * 3).div_ceil(5));
        if let Some(link) = self.link_around(end) {
            if !self.text[..link.start].trim().is_empty() {
                end = link.start;
                if end < floor {
                    return end;
                }
            } else if !self.is_hard_limit && link.end < self.text.len() {
                return link.end;
            }
        }
        self.last_line_break(2, floor, end)
            .or_else(|| self.last_line_break(1, floor, end))
            .or_else(|| self.last_sentence_end(floor, end))
            .or_else(|| self.last_space(floor, end))
            .or_else(|| self.last_word_start(floor, end))
            .unwrap_or_else(|| self.last_grapheme_end(end))
    }

    /// Returns the last position of `count` consecutive line breaks.
    fn last_line_break(self, count: usize, floor: usize, end: usize) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let is_break = |at: usize| bytes.get(at..at + count).is_some_and(|run| run.iter().all(|&byte| byte == b'\n'));
        (floor.max(1)..=end).rev().find(|&at| is_break(at))
    }

    fn last_sentence_end(self, floor: usize, end: usize) -> Option<usize> {
        let (head, tail) = self.text.split_at(end);
        let ends_here = head.ends_with(['.', '!', '?', '…', '。', '！', '？']) && tail.starts_with(char::is_whitespace);
        if ends_here {
            return Some(end);
        }
        // A boundary without a space is doubtful ("v1.Beta", "?Q=1"), except in scripts that use no spaces.
        let settled = |at: usize| {
            head[..at].ends_with(|sign: char| sign.is_whitespace() || matches!(sign, '。' | '！' | '？' | '।' | '።'))
        };
        let found: Vec<usize> = head
            .split_sentence_bound_indices()
            .map(|(at, _)| at)
            .filter(|&at| at >= floor.max(1) && settled(at))
            .collect();
        found.into_iter().rev().find(|&at| self.is_grapheme_boundary(at) && self.link_around(at).is_none())
    }

    fn last_space(self, floor: usize, end: usize) -> Option<usize> {
        let last = self.text[end..].chars().next().map_or(end, |sign| end + sign.len_utf8());
        self.text[..last].char_indices().rev().take_while(|(at, _)| *at >= floor.max(1)).find_map(|(at, sign)| {
            // The next message begins after the space, so that position must be a boundary too: a combining mark may
            // follow the space.
            let next = self.text.len() - self.text[at..].trim_start().len();
            (is_breaking_space(sign) && self.is_grapheme_boundary(at) && self.is_grapheme_boundary(next)).then_some(at)
        })
    }

    /// Returns the last start of a word, for scripts that use no spaces.
    fn last_word_start(self, floor: usize, end: usize) -> Option<usize> {
        // Collect forward, then search backward: reading flag emoji backward takes quadratic time.
        let starts: Vec<usize> = (self.text[..end].split_word_bound_indices())
            .filter(|(at, word)| *at >= floor.max(1) && word.starts_with(char::is_alphanumeric))
            .map(|(at, _)| at)
            .collect();
        let mut bar = end;
        for at in starts.into_iter().rev().filter(|&at| self.is_grapheme_boundary(at)) {
            if at <= bar {
                match self.link_around(at) {
                    Some(link) => bar = link.start,
                    None => return Some(at),
                }
            }
        }
        None
    }

    /// Returns the end of the last grapheme, or of the last character if one grapheme exceeds the budget.
    pub(super) fn last_grapheme_end(self, end: usize) -> usize {
        let whole = (1..=end).rev().find(|&at| self.text.is_char_boundary(at) && self.is_grapheme_boundary(at));
        whole.unwrap_or_else(|| {
            let first = |units: Option<&str>| units.map_or(self.text.len(), str::len);
            if self.is_hard_limit {
                end.max(self.text.chars().next().map_or(0, char::len_utf8))
            } else {
                first(self.text.graphemes(true).next())
            }
        })
    }

    fn is_grapheme_boundary(self, at: usize) -> bool {
        GraphemeCursor::new(at, self.text.len(), true).is_boundary(self.text, 0).unwrap_or(true)
    }

    /// Returns the link that a cut at `at` would break, with the brackets and markers before it, if it fits into one
    /// message.
    fn link_around(self, at: usize) -> Option<Range<usize>> {
        let text = self.text;
        let token = text[..at].rfind(char::is_whitespace).map_or(0, |space| space + 1);
        let token = (token..=at).find(|&start| text.is_char_boundary(start))?;
        // The cut may fall into the scheme itself.
        let seen = (at..=text.len().min(at + 8)).rev().find(|&end| text.is_char_boundary(end))?;
        let link = ["http://", "https://"].iter().filter_map(|scheme| text[token..seen].rfind(scheme)).max()? + token;
        let mut left = self.max_link_units;
        let mut end = link;
        for sign in text[link..].chars() {
            if sign.is_whitespace()
                || matches!(sign, '<' | '>' | '"' | '`' | '。' | '，' | '、' | '」' | '）' | '！' | '？')
            {
                break;
            }
            left = left.checked_sub(sign.len_utf16())?;
            end += sign.len_utf8();
        }
        let before = &text[token..link];
        let opening = before.len() - before.trim_end_matches(['(', '[', '<', '"', '\'', '*', '_', '~']).len();
        let start = if opening <= left { link - opening } else { link };
        (start < at && at < end).then_some(start..end)
    }
}

/// Returns whether a text may be cut at this space.
fn is_breaking_space(sign: char) -> bool {
    sign.is_whitespace() && !matches!(sign, '\u{a0}' | '\u{2007}' | '\u{202f}')
}
