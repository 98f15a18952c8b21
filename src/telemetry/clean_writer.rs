//! Cleans each line before it is written: what it says may come from a model's server, a library or a contact.

use std::borrow::Cow;
use std::io;

use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

use super::journal;
use crate::text;

/// Removes invisible characters, and characters that reverse the writing direction, and masks phone numbers. For the
/// journal, adds the priority of each line.
pub(super) struct CleanWriter<W> {
    inner: W,
    /// Whether the log writes colors. These begin with an invisible character, which then stays.
    colour: bool,
    target: Target,
}

/// What reads the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A person or a file.
    Plain,
    /// The journal of systemd.
    Journal,
}

/// Writes one event.
pub(super) struct CleanLine<W> {
    inner: W,
    colour: bool,
    prefix: Option<&'static str>,
}

impl<W> CleanWriter<W> {
    pub(super) fn new(inner: W, colour: bool, target: Target) -> CleanWriter<W> {
        CleanWriter { inner, colour, target }
    }
}

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for CleanWriter<W> {
    type Writer = CleanLine<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        CleanLine { inner: self.inner.make_writer(), colour: self.colour, prefix: None }
    }

    fn make_writer_for(&'a self, event: &Metadata<'_>) -> Self::Writer {
        let prefix = (self.target == Target::Journal).then(|| journal::priority_prefix(*event.level()));
        CleanLine { inner: self.inner.make_writer_for(event), colour: self.colour, prefix }
    }
}

impl<W: io::Write> io::Write for CleanLine<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        const ESCAPE: char = '\u{1b}';
        let hides = |char: char| text::is_hidden(char) && !(self.colour && char == ESCAPE);
        let Ok(written) = str::from_utf8(line) else {
            self.inner.write_all(line)?;
            return Ok(line.len());
        };
        let visible = if written.contains(hides) { Cow::Owned(written.replace(hides, "")) } else { written.into() };
        let masked = text::mask_phones(&visible);
        match self.prefix {
            Some(prefix) => self.inner.write_all(journal::with_priority(&masked, prefix).as_bytes())?,
            None => self.inner.write_all(masked.as_bytes())?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
