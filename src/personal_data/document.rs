//! Writes a JSON document piece by piece, so that a long one is never in memory.

use std::io::{self, Write};

use serde_json::Value;

/// The document so far. Objects and arrays that are begun must be ended in the reverse order.
pub(super) struct DocumentWriter<W> {
    out: W,
    /// For each object and array that is open, whether it has a member already.
    open: Vec<bool>,
}

impl<W: Write> DocumentWriter<W> {
    /// Begins a document, which is an object.
    pub(super) fn begin(mut out: W) -> io::Result<DocumentWriter<W>> {
        out.write_all(b"{")?;
        Ok(DocumentWriter { out, open: vec![false] })
    }

    /// Adds a member to the open object, or an element to the open array if `name` is `None`.
    pub(super) fn value(&mut self, name: Option<&str>, value: &Value) -> io::Result<()> {
        self.start_member(name)?;
        let indent = format!("\n{}", "  ".repeat(self.open.len()));
        // A line break in a text is written as `\n`, so each break of the document belongs to its layout.
        write!(self.out, "{}", format!("{value:#}").replace('\n', &indent))
    }

    /// Adds a member that is an array, and opens it.
    pub(super) fn begin_array(&mut self, name: &str) -> io::Result<()> {
        self.start_member(Some(name))?;
        self.open.push(false);
        self.out.write_all(b"[")
    }

    /// Adds an element to the open array that has the members of `object` and to which more are added.
    pub(super) fn begin_element(&mut self, object: &Value) -> io::Result<()> {
        self.start_member(None)?;
        self.open.push(false);
        self.out.write_all(b"{")?;
        for (name, value) in object.as_object().into_iter().flatten() {
            self.value(Some(name), value)?;
        }
        Ok(())
    }

    /// Ends the open array.
    pub(super) fn end_array(&mut self) -> io::Result<()> {
        self.end("]")
    }

    /// Ends the open element.
    pub(super) fn end_element(&mut self) -> io::Result<()> {
        self.end("}")
    }

    /// Ends the document and returns what it was written to.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.end("}")?;
        self.out.write_all(b"\n")?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn start_member(&mut self, name: Option<&str>) -> io::Result<()> {
        let indent = "  ".repeat(self.open.len());
        let has_members = self.open.last_mut().map(|has_members| std::mem::replace(has_members, true));
        let comma = if has_members == Some(true) { "," } else { "" };
        write!(self.out, "{comma}\n{indent}")?;
        match name {
            Some(name) => write!(self.out, "{}: ", Value::from(name)),
            None => Ok(()),
        }
    }

    fn end(&mut self, bracket: &str) -> io::Result<()> {
        match self.open.pop() {
            Some(true) => write!(self.out, "\n{}{bracket}", "  ".repeat(self.open.len())),
            _ => self.out.write_all(bracket.as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_piece_by_piece_is_the_document_as_a_whole() {
        let mut document = DocumentWriter::begin(Vec::new()).unwrap();
        document.value(Some("a \"b\""), &json!({ "text": "two\nlines", "none": {} })).unwrap();
        document.begin_array("empty").unwrap();
        document.end_array().unwrap();
        document.begin_array("list").unwrap();
        document.begin_element(&json!({ "id": 1 })).unwrap();
        document.begin_array("inner").unwrap();
        document.value(None, &json!([1, 2])).unwrap();
        document.value(None, &json!("x")).unwrap();
        document.end_array().unwrap();
        document.end_element().unwrap();
        document.begin_element(&json!({})).unwrap();
        document.end_element().unwrap();
        document.end_array().unwrap();
        let text = String::from_utf8(document.finish().unwrap()).unwrap();
        let whole = json!({
            "a \"b\"": { "text": "two\nlines", "none": {} },
            "empty": [],
            "list": [{ "id": 1, "inner": [[1, 2], "x"] }, {}],
        });
        assert_eq!(text, format!("{whole:#}\n"));
    }
}
