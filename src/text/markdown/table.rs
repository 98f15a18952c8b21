//! Tables: WhatsApp has none, so each row becomes lines of `*Header:* value`.

use super::inline::{Inline, Mark};

/// Bytes of the longest header that is repeated on each row; a longer one stands on the first row only. Without an end
/// a table of one long header and many short rows would grow with the square of its length.
const REPEATED: usize = 80;

#[derive(Debug, Default)]
struct Header {
    text: String,
    seen: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Outside,
    Head,
    Row,
}

/// The table being read.
#[derive(Debug, Default)]
pub(super) struct Table {
    headers: Vec<Header>,
    state: State,
    column: usize,
    /// Where the cell's line and its value start.
    line: usize,
    value: usize,
}

impl Table {
    /// Whether a cell may be open: its words are then the table's, not a paragraph's.
    pub(super) fn is_open(&self) -> bool {
        self.state != State::Outside
    }

    pub(super) fn start_head(&mut self) {
        self.state = State::Head;
    }

    pub(super) fn end_head(&mut self) {
        self.state = State::Row;
    }

    pub(super) fn start_row(&mut self) {
        self.column = 0;
    }

    pub(super) fn start_cell(&mut self, words: &mut Inline) {
        words.forget_loose();
        self.line = words.len();
        if self.state == State::Row {
            if words.len() > 0 {
                words.push("\n");
            }
            if let Some(header) = self.headers.get(self.column).filter(|header| header.is_due()) {
                words.open(Mark::Bold);
                words.push(&header.text);
                words.push(":");
                words.close();
                words.push(" ");
            }
        }
        self.value = words.len();
    }

    pub(super) fn end_cell(&mut self, words: &mut Inline) {
        if self.state == State::Head {
            let text = words.take_plain();
            let text = text.trim().trim_end_matches([':', '：']).trim_end().to_owned();
            self.headers.push(Header { text, seen: false });
            return;
        }
        if words.tail(self.value).trim().is_empty() {
            words.truncate(self.line);
        } else if let Some(header) = self.headers.get_mut(self.column) {
            header.seen = true;
        }
        self.column += 1;
    }

    /// Ends the table: the headers that no row has shown, so that no word is lost.
    pub(super) fn unseen(&mut self, words: &mut Inline) {
        self.state = State::Outside;
        for header in self.headers.drain(..).filter(|header| !header.seen && !header.text.is_empty()) {
            if words.len() > 0 {
                words.push("\n");
            }
            words.open(Mark::Bold);
            words.push(&header.text);
            words.close();
        }
    }
}

impl Header {
    fn is_due(&self) -> bool {
        !self.text.is_empty() && (self.text.len() <= REPEATED || !self.seen)
    }
}
