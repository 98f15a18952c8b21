//! The text of one block and its emphasis, rendered line by line.

use std::cmp::Reverse;
use std::ops::Range;

use super::link;

/// An emphasis that WhatsApp supports. The order is the order of nesting if several cover the same text: `*_x_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Emphasis {
    Bold,
    Italic,
    Strike,
}

impl Emphasis {
    fn marker(self) -> char {
        match self {
            Self::Bold => '*',
            Self::Italic => '_',
            Self::Strike => '~',
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct EmphasisSpan {
    mark: Emphasis,
    start: usize,
    end: usize,
}

#[derive(Debug)]
enum OpenMark {
    Marked(Emphasis, usize),
    /// Characters that are not emphasis. They are written unchanged.
    Literal(String),
}

/// The text of a block without markers, and the spans that get markers.
#[derive(Debug, Default)]
pub(super) struct InlineText {
    text: String,
    spans: Vec<EmphasisSpan>,
    open: Vec<OpenMark>,
    /// The position of a `**` that is not emphasis in Markdown but may have been meant as the start of one.
    loose_bold: Option<usize>,
}

impl InlineText {
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Appends code between as many backticks as it needs. WhatsApp supports one or three, so the next number after one
    /// is three.
    pub(super) fn push_code(&mut self, code: &str) {
        let ticks = match longest_run(code) {
            0 => 1,
            run => (run + 1).max(3),
        };
        // Markdown removes one space from each end, so a space that belongs to the code needs a second one.
        let spaced = code.starts_with(' ') && code.ends_with(' ') && !code.trim_matches(' ').is_empty();
        let pad = if spaced || code.starts_with('`') || code.ends_with('`') { " " } else { "" };
        let fence = "`".repeat(ticks);
        for piece in [&fence, pad, code, pad, &fence] {
            self.text.push_str(piece);
        }
    }

    pub(super) fn open(&mut self, mark: Emphasis) {
        self.open.push(OpenMark::Marked(mark, self.text.len()));
    }

    pub(super) fn open_literal(&mut self, signs: &str) {
        self.text.push_str(signs);
        self.open.push(OpenMark::Literal(signs.to_owned()));
    }

    pub(super) fn close(&mut self) {
        match self.open.pop() {
            Some(OpenMark::Marked(mark, start)) => self.spans.push(EmphasisSpan { mark, start, end: self.text.len() }),
            Some(OpenMark::Literal(signs)) => self.text.push_str(&signs),
            None => {}
        }
    }

    /// Handles a `**` at the end of the text that is not emphasis in Markdown. Markdown does not read `**중요:**입니다` as
    /// bold because a space is missing, although the model meant bold. This is common in scripts without spaces, so
    /// such a pair on one line becomes bold.
    pub(super) fn pair_loose_bold(&mut self, opens: bool) {
        let at = self.text.len() - 2;
        if let Some(start) = self.loose_bold.take() {
            let inner = &self.text[start + 2..at];
            let crossed = self.open.iter().any(|open| matches!(open, OpenMark::Marked(_, from) if *from > start))
                || self.spans.iter().rev().take_while(|span| span.end > start).any(|span| span.start < start);
            if !crossed && !inner.is_empty() && !inner.contains('\n') && !inner.ends_with(char::is_whitespace) {
                self.text.truncate(at);
                self.text.replace_range(start..start + 2, "");
                for span in self.spans.iter_mut().rev().take_while(|span| span.start > start) {
                    span.start -= 2;
                    span.end -= 2;
                }
                self.spans.push(EmphasisSpan { mark: Emphasis::Bold, start, end: self.text.len() });
                return;
            }
        }
        self.loose_bold = opens.then_some(at);
    }

    /// Keeps an unpaired `**` as plain text.
    pub(super) fn forget_loose_bold(&mut self) {
        self.loose_bold = None;
    }

    pub(super) fn forget_open(&mut self) {
        self.open.clear();
    }

    pub(super) fn spans_lines(&self) -> bool {
        self.text.contains('\n')
    }

    /// Joins several lines into one. A line break and a space have the same length, so the spans still fit.
    pub(super) fn join_lines(&mut self) {
        if self.spans_lines() {
            self.text = self.text.replace('\n', " ");
        }
    }

    /// Takes the text without emphasis.
    pub(super) fn take_plain(&mut self) -> String {
        self.join_lines();
        self.spans.clear();
        self.open.clear();
        self.loose_bold = None;
        std::mem::take(&mut self.text)
    }

    pub(super) fn text_from(&self, start: usize) -> &str {
        self.text.get(start..).unwrap_or_default()
    }

    /// Removes the text from `start` on.
    pub(super) fn truncate(&mut self, start: usize) {
        self.text.truncate(start);
        while self.spans.pop_if(|span| span.end > start).is_some() {}
    }

    /// Ends a link whose label begins at `start`. The target follows in parentheses unless the label already contains
    /// it.
    pub(super) fn end_link(&mut self, start: usize, target: &str) {
        let shown = link::display_target(target);
        let label = self.text_from(start).trim();
        if shown.is_empty() || shown.starts_with('#') || label == shown {
            return;
        }
        if label.is_empty() {
            self.text.push_str(&shown);
        } else if link::label_is_target(label, target) {
            self.truncate(start);
            self.text.push_str(&shown);
        } else if !link::label_is_phone_number(label, target) {
            for piece in [" (", &shown, ")"] {
                self.text.push_str(piece);
            }
        }
    }

    /// Returns the block's lines with their markers, and resets the block to empty.
    pub(super) fn render(&mut self) -> String {
        self.open.clear();
        self.loose_bold = None;
        let text = std::mem::take(&mut self.text);
        let spans = keep_outermost(std::mem::take(&mut self.spans));
        let mut out = String::with_capacity(text.len() + 2 * spans.len());
        let mut waiting = spans.as_slice();
        let (mut current, mut line_spans): (Vec<EmphasisSpan>, Vec<EmphasisSpan>) = (Vec::new(), Vec::new());
        let (mut start, mut blank) = (0, false);
        for line in text.split('\n') {
            let end = start + line.len();
            let fresh = waiting.partition_point(|span| span.start < end);
            current.retain(|span| span.end > start);
            current.extend_from_slice(&waiting[..fresh]);
            waiting = &waiting[fresh..];
            let visible = trim_range(&text, start..end);
            if visible.is_empty() {
                blank = !out.is_empty();
            } else {
                if !out.is_empty() {
                    out.push_str(if blank { "\n\n" } else { "\n" });
                }
                blank = false;
                line_spans.clear();
                line_spans.extend(current.iter().filter_map(|span| visible_part(&text, &visible, *span)));
                write_with_markers(&mut out, &text, &visible, &mut line_spans);
            }
            start = end + 1;
        }
        out
    }
}

/// Returns the length of the longest run of backticks.
pub(super) fn longest_run(code: &str) -> usize {
    let (mut longest, mut run) = (0, 0);
    for byte in code.bytes() {
        run = if byte == b'`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

/// Sorts the spans and removes those inside another span of the same kind: bold in bold is bold. The remaining spans
/// are at most three deep, one of each kind, which keeps rendering linear.
fn keep_outermost(mut spans: Vec<EmphasisSpan>) -> Vec<EmphasisSpan> {
    spans.sort_unstable_by_key(|span| (span.start, Reverse(span.end), span.mark));
    let mut covered = [0; 3];
    spans.retain(|span| {
        let until = &mut covered[span.mark as usize];
        let outer = span.start >= *until;
        *until = span.end.max(*until);
        outer && span.start < span.end
    });
    spans
}

fn trim_range(text: &str, within: Range<usize>) -> Range<usize> {
    let slice = &text[within.clone()];
    let end = within.start + slice.trim_end().len();
    let start = end - text[within.start..end].trim_start().len();
    start..end
}

/// Returns the part of a span on a line, if WhatsApp would read it as markup: no space just inside, no word just
/// outside, and no link at its end, because the link would include the marker.
fn visible_part(text: &str, line: &Range<usize>, span: EmphasisSpan) -> Option<EmphasisSpan> {
    let (from, to) = (span.start.max(line.start), span.end.min(line.end));
    if from >= to {
        return None;
    }
    let Range { start, end } = trim_range(text, from..to);
    let is_word = |sign: char| sign.is_alphanumeric() || sign == '_';
    let touches = text[line.start..start].chars().next_back().is_some_and(is_word)
        || text[end..line.end].chars().next().is_some_and(is_word);
    (start < end && !touches && !link::ends_with_link(&text[start..end])).then_some(EmphasisSpan { start, end, ..span })
}

fn write_with_markers(out: &mut String, text: &str, line: &Range<usize>, spans: &mut [EmphasisSpan]) {
    spans.sort_unstable_by_key(|span| (span.start, Reverse(span.end), span.mark));
    let mut open: Vec<EmphasisSpan> = Vec::new();
    let mut at = line.start;
    let close = |out: &mut String, open: &mut Vec<EmphasisSpan>, at: &mut usize, until: usize| {
        while let Some(span) = open.pop_if(|span| span.end <= until) {
            out.push_str(&text[*at..span.end]);
            out.push(span.mark.marker());
            *at = span.end;
        }
    };
    for span in spans {
        close(out, &mut open, &mut at, span.start);
        out.push_str(&text[at..span.start]);
        out.push(span.mark.marker());
        at = span.start;
        open.push(*span);
    }
    close(out, &mut open, &mut at, line.end);
    out.push_str(&text[at..line.end]);
}
