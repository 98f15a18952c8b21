//! The page being written: blocks one below the other, with the markers of the lists and quotes that contain them.

/// The maximum number of containers shown on a line. Deeper ones are read but not shown: each line would grow with its
/// depth, and nobody reads such nesting.
const MAX_SHOWN_DEPTH: usize = 16;

/// The kinds of blocks, as far as the space around them depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlockKind {
    Paragraph,
    Heading,
    Code,
    List,
    Quote,
    /// A block that always has a blank line on both sides: the rows of a table, Markdown from a fence.
    Separated,
}

#[derive(Debug)]
enum Container {
    /// `fresh` until its first line is written.
    Quote { fresh: bool },
    /// A quote in a quote, which is not shown: WhatsApp supports one level.
    NestedQuote,
    /// A list item. Its first line gets the marker; later lines are indented by the marker's width.
    Item { marker: String, fresh: bool },
}

/// The text written so far.
#[derive(Debug, Default)]
pub(super) struct Page {
    out: String,
    containers: Vec<Container>,
    quote_depth: usize,
    previous: Option<BlockKind>,
    /// The line breaks before the next line; `None` until a block or container sets them.
    breaks_due: Option<usize>,
    blank_forced: bool,
}

impl Page {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self { out: String::with_capacity(bytes), ..Self::default() }
    }

    pub(super) fn finish(self) -> String {
        let text = self.out.trim();
        if text.len() == self.out.len() { self.out } else { text.to_owned() }
    }

    /// Sets the space before the next block, which is of this kind. `blank` says that the source has a blank line
    /// before it. If several containers or blocks begin at one position, the outermost one decides.
    pub(super) fn space_before(&mut self, kind: BlockKind, blank: bool) {
        if self.breaks_due.is_some() {
            return;
        }
        // Keep the source's spacing, except where the lines would run together when read as Markdown.
        let breaks = match (self.previous, kind) {
            (None, _) => 0,
            _ if blank || self.blank_forced => 2,
            (Some(BlockKind::Separated), _) | (_, BlockKind::Separated) => 2,
            (Some(BlockKind::Heading), _) => 1,
            (_, BlockKind::Heading)
            | (Some(BlockKind::List | BlockKind::Quote), BlockKind::Paragraph)
            | (Some(BlockKind::Quote), BlockKind::Quote) => 2,
            _ => 1,
        };
        self.breaks_due = Some(breaks);
    }

    pub(super) fn force_blank(&mut self) {
        self.blank_forced = true;
    }

    pub(super) fn enter_quote(&mut self) {
        self.containers.push(if self.quote_depth == 0 {
            Container::Quote { fresh: true }
        } else {
            Container::NestedQuote
        });
        self.quote_depth += 1;
    }

    pub(super) fn enter_item(&mut self, marker: String) {
        self.containers.push(Container::Item { marker, fresh: true });
    }

    /// Leaves the innermost quote or item.
    pub(super) fn leave_container(&mut self, kind: BlockKind) {
        if kind == BlockKind::Quote {
            self.quote_depth -= 1;
        }
        match self.containers.pop() {
            // The container was empty and never shown, so the next block sets its own space.
            Some(Container::Quote { fresh: true } | Container::Item { fresh: true, .. })
                if self.containers.len() < MAX_SHOWN_DEPTH =>
            {
                self.breaks_due = None;
            }
            _ => self.previous = self.previous.map(|previous| if kind == BlockKind::Quote { kind } else { previous }),
        }
    }

    pub(super) fn end_list(&mut self) {
        self.previous = self.previous.map(|_| BlockKind::List);
    }

    /// Writes a block's lines. An empty block writes nothing.
    pub(super) fn write(&mut self, kind: BlockKind, body: &str) {
        if body.is_empty() {
            if !self.containers.iter().take(MAX_SHOWN_DEPTH).any(Container::is_fresh) {
                self.breaks_due = None;
            }
            return;
        }
        let due = self.breaks_due.take().unwrap_or(2);
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
            self.write_line(line);
        }
        self.previous = Some(kind);
        self.blank_forced = false;
    }

    fn write_line(&mut self, line: &str) {
        for holder in self.containers.iter_mut().take(MAX_SHOWN_DEPTH) {
            match holder {
                Container::NestedQuote => {}
                Container::Quote { fresh } => {
                    *fresh = false;
                    self.out.push_str("> ");
                }
                Container::Item { marker, fresh: true } => {
                    self.out.push_str(marker);
                    *holder = Container::Item { marker: " ".repeat(marker.len()), fresh: false };
                }
                Container::Item { marker, .. } => self.out.push_str(marker),
            }
        }
        if line.is_empty() {
            self.out.truncate(self.out.trim_end_matches(' ').len());
        }
        self.out.push_str(line);
    }

    /// Writes a blank line between two blocks. Inside a quote it has the quote's marker, because the quote would end
    /// otherwise.
    fn blank_line(&mut self) {
        for holder in self.containers.iter().take(MAX_SHOWN_DEPTH).take_while(|holder| !holder.is_fresh()) {
            match holder {
                Container::NestedQuote => {}
                Container::Quote { .. } => self.out.push_str("> "),
                Container::Item { marker, .. } => self.out.push_str(marker),
            }
        }
        self.out.truncate(self.out.trim_end_matches(' ').len());
        self.out.push('\n');
    }
}

impl Container {
    fn is_fresh(&self) -> bool {
        matches!(self, Self::Quote { fresh: true } | Self::Item { fresh: true, .. })
    }
}
