//! The page being written: blocks one under the other, with the marks of the lists and quotes that hold them.

/// Containers that show on a line. Deeper ones are read but not shown: a line would cost its depth, and no one reads it.
const DEPTH: usize = 16;

/// What a block is, as far as the space around it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Paragraph,
    Heading,
    Code,
    List,
    Quote,
    /// A blank line on both sides, always: the rows of a table, Markdown out of a fence.
    Apart,
}

#[derive(Debug)]
enum Holder {
    /// `fresh` until its first line is written.
    Quote { fresh: bool },
    /// A quote in a quote: WhatsApp knows one level.
    Hidden,
    /// The marker waits for the item's first line; later lines are indented by its width.
    Item { marker: String, fresh: bool },
}

/// The text written so far.
#[derive(Debug, Default)]
pub(super) struct Page {
    out: String,
    holders: Vec<Holder>,
    quotes: usize,
    previous: Option<Kind>,
    /// Line breaks due before the next line; `None` until a block or container has said.
    due: Option<usize>,
    force: bool,
}

impl Page {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self { out: String::with_capacity(bytes), ..Self::default() }
    }

    pub(super) fn finish(self) -> String {
        let text = self.out.trim();
        if text.len() == self.out.len() { self.out } else { text.to_owned() }
    }

    /// The next block is of this kind; `blank` says that the source has a blank line before it. The outermost of
    /// several that begin at one place decides.
    pub(super) fn apart(&mut self, kind: Kind, blank: bool) {
        if self.due.is_some() {
            return;
        }
        // The source's own spacing is kept, except where the lines would run together when read as Markdown.
        let breaks = match (self.previous, kind) {
            (None, _) => 0,
            _ if blank || self.force => 2,
            (Some(Kind::Apart), _) | (_, Kind::Apart) => 2,
            (Some(Kind::Heading), _) => 1,
            (_, Kind::Heading)
            | (Some(Kind::List | Kind::Quote), Kind::Paragraph)
            | (Some(Kind::Quote), Kind::Quote) => 2,
            _ => 1,
        };
        self.due = Some(breaks);
    }

    pub(super) fn force_blank(&mut self) {
        self.force = true;
    }

    pub(super) fn enter_quote(&mut self) {
        self.holders.push(if self.quotes == 0 { Holder::Quote { fresh: true } } else { Holder::Hidden });
        self.quotes += 1;
    }

    pub(super) fn enter_item(&mut self, marker: String) {
        self.holders.push(Holder::Item { marker, fresh: true });
    }

    /// Leaves the innermost quote or item.
    pub(super) fn leave(&mut self, kind: Kind) {
        if kind == Kind::Quote {
            self.quotes -= 1;
        }
        match self.holders.pop() {
            // It held nothing and was never shown: what follows finds its own distance.
            Some(Holder::Quote { fresh: true } | Holder::Item { fresh: true, .. }) if self.holders.len() < DEPTH => {
                self.due = None;
            }
            _ => self.previous = self.previous.map(|previous| if kind == Kind::Quote { kind } else { previous }),
        }
    }

    pub(super) fn end_list(&mut self) {
        self.previous = self.previous.map(|_| Kind::List);
    }

    /// Writes a block's lines; an empty one leaves no trace.
    pub(super) fn write(&mut self, kind: Kind, body: &str) {
        if body.is_empty() {
            if !self.holders.iter().take(DEPTH).any(Holder::is_fresh) {
                self.due = None;
            }
            return;
        }
        let due = self.due.take().unwrap_or(2);
        if !self.out.is_empty() && due > 0 {
            self.out.push('\n');
            if due > 1 {
                self.blank_line();
            }
        }
        for (number, line) in body.split('\n').enumerate() {
            if number > 0 {
                self.out.push('\n');
            }
            self.line(line);
        }
        self.previous = Some(kind);
        self.force = false;
    }

    fn line(&mut self, line: &str) {
        for holder in self.holders.iter_mut().take(DEPTH) {
            match holder {
                Holder::Hidden => {}
                Holder::Quote { fresh } => {
                    *fresh = false;
                    self.out.push_str("> ");
                }
                Holder::Item { marker, fresh: true } => {
                    self.out.push_str(marker);
                    *holder = Holder::Item { marker: " ".repeat(marker.len()), fresh: false };
                }
                Holder::Item { marker, .. } => self.out.push_str(marker),
            }
        }
        if line.is_empty() {
            self.out.truncate(self.out.trim_end_matches(' ').len());
        }
        self.out.push_str(line);
    }

    /// A blank line between two blocks: inside a quote it bears the quote's mark, or the quote would end there.
    fn blank_line(&mut self) {
        for holder in self.holders.iter().take(DEPTH).take_while(|holder| !holder.is_fresh()) {
            match holder {
                Holder::Hidden => {}
                Holder::Quote { .. } => self.out.push_str("> "),
                Holder::Item { marker, .. } => self.out.push_str(marker),
            }
        }
        self.out.truncate(self.out.trim_end_matches(' ').len());
        self.out.push('\n');
    }
}

impl Holder {
    fn is_fresh(&self) -> bool {
        matches!(self, Self::Quote { fresh: true } | Self::Item { fresh: true, .. })
    }
}
