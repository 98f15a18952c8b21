//! Code fences: finds the fence that is open at a cut, closes it and opens it again.

/// The number of backticks in the longest fence that is kept intact. A longer fence is cut like other text, because its
/// two lines alone could fill a message.
const MAX_TICKS: usize = 5;

/// An open code fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fence {
    ticks: usize,
    /// Whether the fence is in a block quote: its lines begin with `> `.
    quoted: bool,
}

/// The fence that is open at the end of a text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FenceState {
    pub(super) fence: Option<Fence>,
    /// The start of the open fence's first line, if the fence opens in this text and is still empty.
    pub(super) empty_fence_start: Option<usize>,
}

/// Returns the state at the end of a text. `fence` is open at its start.
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
        // Another backtick in the line makes it inline code: "```a``` and more".
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

    /// Returns the UTF-16 units of the line that opens the fence again, with its line break.
    pub(super) fn opening_units(self) -> usize {
        self.marker_line().len() + 1
    }

    /// Returns the UTF-16 units of the line that closes the fence, with the line break before it.
    pub(super) fn closing_units(self) -> usize {
        self.marker_line().len() + 1
    }

    /// Returns a message's text: opens the fence that was open before the message, and closes the one that is open
    /// after it.
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

/// Returns whether a line is quoted, the number of its backticks, and the text after them.
fn parse_line(line: &str) -> (bool, usize, &str) {
    let line = line.trim_start();
    let (quoted, line) = line.strip_prefix('>').map_or((false, line), |rest| (true, rest.trim_start()));
    let rest = line.trim_start_matches('`');
    (quoted, line.len() - rest.len(), rest)
}
