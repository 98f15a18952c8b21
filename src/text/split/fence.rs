//! Code fences: which is open at a cut, and how it is closed and opened again.

/// Backticks of the longest fence that is followed: a longer one is cut like other text, or its two lines alone could
/// fill a message.
const MAX_TICKS: usize = 5;

/// An open code fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fence {
    ticks: usize,
    /// In a block quote: its lines begin with `> `.
    quoted: bool,
}

/// What is open at the end of a text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FenceState {
    pub(super) fence: Option<Fence>,
    /// Where the open fence's first line starts, if the fence opens in this text and holds nothing yet.
    pub(super) empty_fence_start: Option<usize>,
}

/// Reads a text at whose start `fence` is open.
pub(super) fn state_after(text: &str, fence: Option<Fence>) -> FenceState {
    let mut state = FenceState { fence, empty_fence_start: None };
    let mut start = 0;
    for line in text.split('\n') {
        match state.fence {
            Some(fence) if fence.is_closed_by(line) => state = FenceState::default(),
            Some(_) if !line.trim().is_empty() => state.empty_fence_start = None,
            Some(_) => {}
            None => {
                if let Some(fence) = Fence::opened_by(line) {
                    state = FenceState { fence: Some(fence), empty_fence_start: Some(start) };
                }
            }
        }
        start += line.len() + 1;
    }
    state
}

impl Fence {
    fn opened_by(line: &str) -> Option<Self> {
        let (quoted, ticks, rest) = parse_line(line);
        // A backtick further on makes it inline code: "```a``` and more".
        ((3..=MAX_TICKS).contains(&ticks) && !rest.contains('`')).then_some(Self { ticks, quoted })
    }

    pub(super) fn is_closed_by(self, line: &str) -> bool {
        let (_, ticks, rest) = parse_line(line);
        ticks >= self.ticks && rest.trim().is_empty()
    }

    fn marker_line(self) -> &'static str {
        let start = if self.quoted { 0 } else { 2 };
        &"> `````"[start..2 + self.ticks]
    }

    /// UTF-16 units of the line that opens it again, with its break.
    pub(super) fn opening_units(self) -> usize {
        self.marker_line().len() + 1
    }

    /// UTF-16 units of the line that closes it, with the break before it.
    pub(super) fn closing_units(self) -> usize {
        self.marker_line().len() + 1
    }

    /// A message: what was open before is opened again, what stays open is closed.
    pub(super) fn close_and_reopen(opening: Option<Self>, body: &str, closing: Option<Self>) -> String {
        let mut part = String::with_capacity(body.len() + 20);
        if let Some(fence) = opening {
            part.push_str(fence.marker_line());
            part.push('\n');
        }
        part.push_str(body);
        if let Some(fence) = closing {
            part.push('\n');
            part.push_str(fence.marker_line());
        }
        part
    }
}

/// A line's quote mark, its run of backticks and what follows.
fn parse_line(line: &str) -> (bool, usize, &str) {
    let line = line.trim_start();
    let (quoted, line) = line.strip_prefix('>').map_or((false, line), |rest| (true, rest.trim_start()));
    let rest = line.trim_start_matches('`');
    (quoted, line.len() - rest.len(), rest)
}
