//! Prints lists in columns.

use console::measure_text_width;

use super::terminal::{self, Tone};
use crate::text;

/// The narrowest last column whose text is broken into lines beside the others. A narrower one goes below them.
const MIN_LAST_WIDTH: usize = 24;

/// How far a last column is indented that goes below the others.
const BELOW: usize = 4;

/// One cell, with the tone of what it says.
pub(super) struct Cell {
    text: String,
    tone: Option<Tone>,
}

impl Cell {
    pub(super) fn toned(text: impl Into<String>, tone: Option<Tone>) -> Cell {
        Cell { text: text.into(), tone }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell { text, tone: None }
    }
}

/// Formats rows as lines, each column as wide as its widest cell. Cells may hold text from unknown senders, so hidden
/// characters are removed and each cell stays in its column. On a terminal, the text of the last column is broken into
/// lines that fit.
pub(super) fn columns<const N: usize, C: Into<Cell>>(rows: Vec<[C; N]>) -> String {
    row_lines(rows).concat()
}

/// Like [`columns`], with the lines of each row apart, for a list that has further lines between its rows.
pub(super) fn row_lines<const N: usize, C: Into<Cell>>(rows: Vec<[C; N]>) -> Vec<String> {
    layout(rows.into_iter().map(|row| row.map(Into::into)).collect(), terminal::width(), terminal::uses_color())
}

fn layout<const N: usize>(rows: Vec<[Cell; N]>, terminal: Option<usize>, color: bool) -> Vec<String> {
    let rows: Vec<_> =
        rows.into_iter().map(|row| row.map(|Cell { text, tone }| Cell { text: one_line(&text), tone })).collect();
    let width = |column: usize| rows.iter().map(|row| measure_text_width(&row[column].text)).max().unwrap_or_default();
    let widths: Vec<_> = (0..N).map(width).collect();
    let Some(last) = (0..N).rev().find(|column| widths[*column] > 0) else {
        return rows.iter().map(|_| "\n".to_owned()).collect();
    };
    let before: usize = widths[..last].iter().filter(|width| **width > 0).map(|width| width + 2).sum();
    rows.iter().map(|row| row_text(row, &widths, (last, before), terminal, color)).collect()
}

fn row_text<const N: usize>(
    row: &[Cell; N],
    widths: &[usize],
    (last, before): (usize, usize),
    terminal: Option<usize>,
    color: bool,
) -> String {
    let paint =
        |text: &str, tone: Option<Tone>| tone.map_or(text.to_owned(), |tone| terminal::paint(text, tone, color));
    let mut line = String::new();
    for (cell, width) in row[..last].iter().zip(widths).filter(|(_, width)| **width > 0) {
        line.push_str(&paint(&cell.text, cell.tone));
        line.push_str(&" ".repeat(width - measure_text_width(&cell.text) + 2));
    }
    let Cell { text, tone } = &row[last];
    let fits = terminal.is_none_or(|terminal| before + measure_text_width(text) <= terminal);
    if fits {
        line.push_str(&paint(text, *tone));
        return format!("{}\n", line.trim_end());
    }
    let room = terminal.unwrap_or(usize::MAX).saturating_sub(before);
    let (indent, room, is_below) = if room >= MIN_LAST_WIDTH {
        (before, room, false)
    } else {
        (BELOW, terminal.unwrap_or(usize::MAX).saturating_sub(BELOW).max(MIN_LAST_WIDTH), true)
    };
    let broken: Vec<_> = break_lines(text, room).iter().map(|piece| paint(piece, *tone)).collect();
    let indent = format!("\n{}", " ".repeat(indent));
    let first = if is_below { format!("{}{indent}", line.trim_end()) } else { line };
    format!("{first}{}\n", broken.join(&indent))
}

/// Returns a text with an indent, each of its lines broken where it fits the terminal.
pub(super) fn indented(text: &str, indent: usize) -> String {
    let room = terminal::width().map_or(usize::MAX, |width| width.saturating_sub(indent).max(MIN_LAST_WIDTH));
    let lines = text.lines().flat_map(|line| {
        // A line that fits keeps its blanks.
        if measure_text_width(line) <= room { vec![line.to_owned()] } else { break_lines(line, room) }
    });
    lines.map(|line| format!("{}{line}\n", " ".repeat(indent))).collect()
}

/// Breaks a text between its words into lines of at most that width. A longer word has a line of its own.
fn break_lines(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always one");
        if line.is_empty() {
            line.push_str(word);
        } else if measure_text_width(line) + 1 + measure_text_width(word) <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// Returns the text without hidden characters and on one line, so that it is safe to print.
pub(super) fn one_line(text: &str) -> String {
    text::sanitize(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_on(terminal: Option<usize>, rows: &[[&str; 3]]) -> String {
        layout(rows.iter().map(|row| row.map(|text| text.to_owned().into())).collect(), terminal, false).concat()
    }

    fn lines(rows: &[[&str; 3]]) -> String {
        lines_on(None, rows)
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_empty_ones_take_no_room() {
        assert_eq!(lines(&[]), "");
        assert_eq!(lines(&[["a", "bcd", "王 🧁"], ["efg", "", "h"]]), "a    bcd  王 🧁\nefg       h\n");
        assert_eq!(lines(&[["a", "", "b"], ["c", "", ""]]), "a  b\nc\n");
        assert_eq!(
            lines(&[["王", "b", "c"], ["def", "b", "c"]]),
            "王   b  c\ndef  b  c\n",
            "a wide character takes two"
        );
    }

    #[test]
    fn a_cell_breaks_no_line_and_colors_nothing() {
        assert_eq!(lines(&[["a", "b\nc\td", "\u{1b}[31mred\u{202e}"]]), "a  b c d  [31mred\n");
    }

    #[test]
    fn a_long_last_column_is_broken_where_it_fits_the_terminal() {
        let rows = [["a", "b", "the words of a long sentence that goes on"], ["c", "d", "short"]];
        assert_eq!(lines_on(Some(34), &rows), "a  b  the words of a long sentence\n      that goes on\nc  d  short\n");
        let narrow = [["a-long-first-column", "b", "the words of a long sentence that goes on"]];
        assert_eq!(
            lines_on(Some(40), &narrow),
            "a-long-first-column  b\n    the words of a long sentence that\n    goes on\n"
        );
        assert_eq!(lines_on(None, &narrow).lines().count(), 1, "a program gets one line for each row");
    }

    #[test]
    fn a_tone_colors_its_cell_and_nothing_else() {
        let row = || [Cell::toned("dead", Some(Tone::Bad)), Cell::from("x".to_owned())];
        assert_eq!(layout(vec![row()], None, false).concat(), "dead  x\n");
        let painted = layout(vec![row()], None, true).concat();
        assert!(painted.ends_with("\u{1b}[0m  x\n") && painted.starts_with('\u{1b}'), "{painted:?}");
    }
}
