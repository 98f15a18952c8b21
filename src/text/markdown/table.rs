//! Tables: WhatsApp has none, so each row becomes lines of `*Header:* value`.

use super::inline::{Emphasis, InlineText};

/// The maximum length in bytes of a header that is repeated on each row. A longer one is shown on the first row only.
/// Without a limit, a table with one long header and many short rows would grow quadratically.
const MAX_REPEATED_HEADER_BYTES: usize = 80;

#[derive(Debug, Default)]
struct Header {
    text: String,
    was_shown: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum TableState {
    #[default]
    Outside,
    Head,
    Row,
}

/// The table being read.
#[derive(Debug, Default)]
pub(super) struct Table {
    headers: Vec<Header>,
    state: TableState,
    column: usize,
    /// The starts of the cell's line and of its value.
    line_start: usize,
    value_start: usize,
}

impl Table {
    /// Returns whether a table is being read, so that text belongs to a cell and not to a paragraph.
    pub(super) fn is_open(&self) -> bool {
        self.state != TableState::Outside
    }

    pub(super) fn start_head(&mut self) {
        self.state = TableState::Head;
    }

    pub(super) fn end_head(&mut self) {
        self.state = TableState::Row;
    }

    pub(super) fn start_row(&mut self) {
        self.column = 0;
    }

    pub(super) fn start_cell(&mut self, words: &mut InlineText) {
        words.forget_loose_bold();
        self.line_start = words.len();
        if self.state == TableState::Row {
            if words.len() > 0 {
                words.push("\n");
            }
            if let Some(header) = self.headers.get(self.column).filter(|header| header.should_show()) {
                words.open(Emphasis::Bold);
                words.push(&header.text);
                words.push(":");
                words.close();
                words.push(" ");
            }
        }
        self.value_start = words.len();
    }

    pub(super) fn end_cell(&mut self, words: &mut InlineText) {
        if self.state == TableState::Head {
            let text = words.take_plain();
            let text = text.trim().trim_end_matches([':', '：']).trim_end().to_owned();
            self.headers.push(Header { text, was_shown: false });
            return;
        }
        if words.text_from(self.value_start).trim().is_empty() {
            words.truncate(self.line_start);
        } else if let Some(header) = self.headers.get_mut(self.column) {
            header.was_shown = true;
        }
        self.column += 1;
    }

    /// Ends the table and writes the headers that no row has shown, so that no word is lost.
    pub(super) fn push_unshown_headers(&mut self, words: &mut InlineText) {
        self.state = TableState::Outside;
        for header in self.headers.drain(..).filter(|header| !header.was_shown && !header.text.is_empty()) {
            if words.len() > 0 {
                words.push("\n");
            }
            words.open(Emphasis::Bold);
            words.push(&header.text);
            words.close();
        }
    }
}

impl Header {
    fn should_show(&self) -> bool {
        !self.text.is_empty() && (self.text.len() <= MAX_REPEATED_HEADER_BYTES || !self.was_shown)
    }
}
