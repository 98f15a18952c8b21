//! Collects text up to a limit.

/// Collects text up to a limit, without trailing spaces on lines and without more than one blank line in a row.
pub(super) struct TextCollector {
    pub(super) text: String,
    chars_left: usize,
    chars_seen: usize,
    pub(super) full: bool,
}

/// The maximum number of characters to read, added or not: each cell of a sheet may refer to a long string of blank
/// lines.
pub(super) const MAX_CHARS_SEEN: usize = 32 << 20;

impl TextCollector {
    pub(super) fn new(most_chars: usize) -> TextCollector {
        TextCollector { text: String::new(), chars_left: most_chars, chars_seen: 0, full: false }
    }

    /// Returns whether the limit is reached. More text is ignored.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// Records that the document has more text.
    pub(super) fn mark_truncated(&mut self) {
        self.full = true;
    }

    /// Returns whether the text is only whitespace.
    pub(super) fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// Adds text up to the limit.
    pub(super) fn push(&mut self, text: &str) {
        for char in text.chars() {
            self.chars_seen += 1;
            if self.chars_seen > MAX_CHARS_SEEN {
                self.full = true;
                return;
            }
            match char {
                '\r' | '\0' => {}
                '\n' => {
                    let kept = self.text.trim_end_matches([' ', '\t']).len();
                    self.text.truncate(kept);
                    if !self.text.is_empty() && !self.text.ends_with("\n\n") {
                        self.push_char('\n');
                    }
                }
                char => self.push_char(char),
            }
            if self.full {
                return;
            }
        }
    }

    fn push_char(&mut self, char: char) {
        if self.chars_left == 0 {
            self.full = true;
        } else {
            self.chars_left -= 1;
            self.text.push(char);
        }
    }
}
