//! Text that is gathered up to a limit.

/// Text that is gathered until there is enough, without trailing blanks and without more than one empty line on end.
pub(super) struct TextCollector {
    pub(super) text: String,
    chars_left: usize,
    chars_seen: usize,
    pub(super) full: bool,
}

/// As many characters are looked at, be they added or not: a sheet may name a long string of blank lines for each cell.
pub(super) const MAX_CHARS_SEEN: usize = 32 << 20;

impl TextCollector {
    pub(super) fn new(most_chars: usize) -> TextCollector {
        TextCollector { text: String::new(), chars_left: most_chars, chars_seen: 0, full: false }
    }

    /// Whether there is enough; what follows is not looked at.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// Says that there is more.
    pub(super) fn mark_truncated(&mut self) {
        self.full = true;
    }

    /// Whether there is nothing but blanks.
    pub(super) fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// Adds text as far as there is room.
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
