//! The XML in an archive, read as it is unpacked and up to a limit.

use std::io::{BufRead, BufReader, Cursor, Read};

use quick_xml::Reader;
use quick_xml::escape::{resolve_predefined_entity, unescape};
use quick_xml::events::{BytesStart, Event};
use zip::ZipArchive;
use zip::result::ZipError;

use super::unreadable::Unreadable;

/// The most that one entry unpacks to, in bytes, and all that are read.
const MOST_ENTRY: u64 = 20 << 20;
const MOST_TOGETHER: u64 = 40 << 20;

/// The most attributes of one element that are looked at.
const MOST_ATTRIBUTES: usize = 50;

/// The most parts of one kind that are listed.
const MOST_PARTS: usize = 200;

pub(super) const TOO_LARGE: Unreadable = Unreadable::TooLarge("it unpacks to more than is read");
pub(super) const DAMAGED: Unreadable = Unreadable::Damaged("Office document");

/// The entries of an archive, with what may still be unpacked of them.
pub(super) struct Parts<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    left: u64,
}

/// One entry's XML as it comes.
pub(super) struct Xml<'a> {
    reader: Reader<&'a mut dyn BufRead>,
    buffer: Vec<u8>,
    /// The end of an element without content, which is told next.
    pending: Option<String>,
}

impl<'a> Parts<'a> {
    /// An archive's.
    pub(super) fn of(bytes: &'a [u8]) -> Result<Parts<'a>, Unreadable> {
        let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|_| DAMAGED)?;
        Ok(Parts { archive, left: MOST_TOGETHER })
    }

    /// Whether there is such an entry.
    pub(super) fn has(&self, name: &str) -> bool {
        self.archive.index_for_name(name).is_some()
    }

    /// Reads one entry up to the limit, which no header is believed.
    pub(super) fn xml(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Xml<'_>) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        let entry = self.archive.by_name(name).map_err(|error| match error {
            ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => Unreadable::Locked,
            _ => DAMAGED,
        })?;
        let most = self.left.min(MOST_ENTRY);
        let mut unpacked = BufReader::new(entry.take(most));
        let outcome = {
            let mut reader = Reader::from_reader(&mut unpacked as &mut dyn BufRead);
            reader.config_mut().check_end_names = false;
            read(&mut Xml { reader, buffer: Vec::new(), pending: None })
        };
        let rest = unpacked.into_inner().limit();
        self.left -= most - rest;
        // What broke off at the limit is too large, whatever it looks like.
        if rest == 0 { Err(TOO_LARGE) } else { outcome }
    }

    /// The entries `prefix1.xml`, `prefix2.xml` and so on that there are, in their order.
    pub(super) fn numbered(&self, prefix: &str) -> Vec<String> {
        let number = |name: &str| name.strip_prefix(prefix)?.strip_suffix(".xml")?.parse::<u32>().ok();
        let names = self.archive.file_names().flatten();
        let mut found: Vec<_> = names.filter_map(|name| Some((number(&name)?, name.into_owned()))).collect();
        found.sort();
        found.into_iter().take(MOST_PARTS).map(|(_, name)| name).collect()
    }
}

/// What stands in the XML, as far as it matters here. Names are without their prefix.
pub(super) enum Piece {
    /// An element begins, with its attributes.
    Begin(String, Vec<(String, String)>),
    /// An element ends.
    End(String),
    /// Words, their entities resolved.
    Text(String),
}

impl Xml<'_> {
    /// The next piece; `None` at the end. An element without content begins and ends.
    pub(super) fn next(&mut self) -> Result<Option<Piece>, Unreadable> {
        if let Some(name) = self.pending.take() {
            return Ok(Some(Piece::End(name)));
        }
        loop {
            self.buffer.clear();
            match self.reader.read_event_into(&mut self.buffer).map_err(|_| DAMAGED)? {
                Event::Start(start) => return Ok(Some(begin(&start))),
                Event::Empty(start) => {
                    self.pending = Some(local(&start));
                    return Ok(Some(begin(&start)));
                }
                Event::End(end) => return Ok(Some(Piece::End(end.local_name().as_ref().to_owned()))),
                Event::Text(text) => return Ok(Some(Piece::Text(text.xml10_content().into_owned()))),
                Event::CData(text) => return Ok(Some(Piece::Text(text.xml10_content().into_owned()))),
                Event::GeneralRef(reference) => {
                    let char = reference.resolve_char_ref().ok().flatten().map(String::from);
                    let named = || resolve_predefined_entity(&reference.xml10_content()).map(str::to_owned);
                    return Ok(Some(Piece::Text(char.or_else(named).unwrap_or_default())));
                }
                Event::Eof => return Ok(None),
                _ => {}
            }
        }
    }
}

fn local(start: &BytesStart<'_>) -> String {
    start.local_name().as_ref().to_owned()
}

fn begin(start: &BytesStart<'_>) -> Piece {
    let mut attributes = start.attributes();
    let attributes = attributes.with_checks(false).flatten().take(MOST_ATTRIBUTES).map(|attribute| {
        let value = unescape(attribute.value.as_ref()).map(|value| value.into_owned());
        (attribute.key.local_name().as_ref().to_owned(), value.unwrap_or_default())
    });
    Piece::Begin(local(start), attributes.collect())
}

/// The value of an attribute.
pub(super) fn attribute<'a>(attributes: &'a [(String, String)], name: &str) -> Option<&'a str> {
    attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}
