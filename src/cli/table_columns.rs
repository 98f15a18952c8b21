//! Prints lists in columns.

use crate::text;

/// Formats rows as lines, each column as wide as its widest cell. Cells may hold text from unknown senders, so hidden
/// characters are removed and each cell stays on its line. The width of an emoji or a Chinese character in a terminal
/// is unknown here, so text that people wrote belongs in the last column, which nothing follows.
pub(super) fn columns<const N: usize>(rows: Vec<[String; N]>) -> String {
    let rows: Vec<_> = rows.into_iter().map(|row| row.map(|cell| one_line(&cell))).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<_> = (0..N).map(width).collect();
    let mut lines = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).filter(|(_, width)| **width > 0);
        let cells: Vec<_> = cells.map(|(cell, width)| format!("{cell:<width$}")).collect();
        lines.push_str(cells.join("  ").trim_end());
        lines.push('\n');
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

    fn lines(rows: &[[&str; 3]]) -> String {
        columns(rows.iter().map(|row| row.map(str::to_owned)).collect())
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_empty_ones_take_no_room() {
        assert_eq!(lines(&[]), "");
        assert_eq!(lines(&[["a", "bcd", "王 🧁"], ["efg", "", "h"]]), "a    bcd  王 🧁\nefg       h\n");
        assert_eq!(lines(&[["a", "", "b"], ["c", "", ""]]), "a  b\nc\n");
    }

    #[test]
    fn a_cell_breaks_no_line_and_colours_nothing() {
        assert_eq!(lines(&[["a", "b\nc\td", "\u{1b}[31mred\u{202e}"]]), "a  b c d  [31mred\n");
    }
}
