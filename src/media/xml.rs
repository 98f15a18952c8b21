//! Reads the XML in an archive while it is unpacked, up to a limit.

use std::io::{BufRead, BufReader, Cursor, Read};

use quick_xml::Reader;
use quick_xml::escape::{resolve_predefined_entity, unescape};
use quick_xml::events::{BytesStart, Event};
use zip::ZipArchive;
use zip::result::ZipError;

use super::unreadable::Unreadable;

/// The maximum unpacked size in bytes of one entry, and of all entries that are read.
const MAX_ENTRY_BYTES: u64 = 20 << 20;
const MAX_TOTAL_BYTES: u64 = 40 << 20;

/// The maximum number of attributes to read from one element.
const MAX_ATTRIBUTES: usize = 50;

/// The maximum number of numbered entries to list, such as slides.
const MAX_NUMBERED_ENTRIES: usize = 200;

pub(super) const TOO_LARGE: Unreadable = Unreadable::TooLarge("it unpacks to more than the limit");
pub(super) const DAMAGED: Unreadable = Unreadable::Damaged("Office document");

/// An archive, with the number of bytes that may still be unpacked.
pub(super) struct Archive<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    bytes_left: u64,
}

/// A reader of one entry's XML.
pub(super) struct XmlReader<'a> {
    reader: Reader<&'a mut dyn BufRead>,
    buffer: Vec<u8>,
    /// The name of an element without content, whose end event comes next.
    pending_end: Option<String>,
}

impl<'a> Archive<'a> {
    /// Opens an archive.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Archive<'a>, Unreadable> {
        let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|_| DAMAGED)?;
        Ok(Archive { archive, bytes_left: MAX_TOTAL_BYTES })
    }

    /// Returns whether the archive has an entry of that name.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.archive.index_for_name(name).is_some()
    }

    /// Reads one entry up to the limit. The sizes in the archive's headers are not trusted.
    pub(super) fn read_xml(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut XmlReader<'_>) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        let entry = self.archive.by_name(name).map_err(|error| match error {
            ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => Unreadable::PasswordProtected,
            _ => DAMAGED,
        })?;
        let most = self.bytes_left.min(MAX_ENTRY_BYTES);
        let mut unpacked = BufReader::new(entry.take(most));
        let outcome = {
            let mut reader = Reader::from_reader(&mut unpacked as &mut dyn BufRead);
            reader.config_mut().check_end_names = false;
            read(&mut XmlReader { reader, buffer: Vec::new(), pending_end: None })
        };
        let rest = unpacked.into_inner().limit();
        self.bytes_left -= most - rest;
        // An entry that was cut off at the limit is too large, even if its XML looks damaged.
        if rest == 0 { Err(TOO_LARGE) } else { outcome }
    }

    /// Returns the entries `prefix1.xml`, `prefix2.xml` and so on that the archive has, in numeric order.
    pub(super) fn numbered_entries(&self, prefix: &str) -> Vec<String> {
        let number = |name: &str| name.strip_prefix(prefix)?.strip_suffix(".xml")?.parse::<u32>().ok();
        let names = self.archive.file_names().flatten();
        let mut found: Vec<_> = names.filter_map(|name| Some((number(&name)?, name.into_owned()))).collect();
        found.sort();
        found.into_iter().take(MAX_NUMBERED_ENTRIES).map(|(_, name)| name).collect()
    }
}

/// The XML events that matter here. Names are without their prefix.
pub(super) enum XmlEvent {
    /// An element begins, with its attributes.
    Start(String, Vec<(String, String)>),
    /// An element ends.
    End(String),
    /// Text, with its entities resolved.
    Text(String),
}

impl XmlReader<'_> {
    /// Returns the next event, or `None` at the end. An element without content gives a start and an end.
    pub(super) fn next(&mut self) -> Result<Option<XmlEvent>, Unreadable> {
        if let Some(name) = self.pending_end.take() {
            return Ok(Some(XmlEvent::End(name)));
        }
        loop {
            self.buffer.clear();
            match self.reader.read_event_into(&mut self.buffer).map_err(|_| DAMAGED)? {
                Event::Start(start) => return Ok(Some(start_event(&start))),
                Event::Empty(start) => {
                    self.pending_end = Some(local_name(&start));
                    return Ok(Some(start_event(&start)));
                }
                Event::End(end) => return Ok(Some(XmlEvent::End(end.local_name().as_ref().to_owned()))),
                Event::Text(text) => return Ok(Some(XmlEvent::Text(text.xml10_content().into_owned()))),
                Event::CData(text) => return Ok(Some(XmlEvent::Text(text.xml10_content().into_owned()))),
                Event::GeneralRef(reference) => {
                    let char = reference.resolve_char_ref().ok().flatten().map(String::from);
                    let named = || resolve_predefined_entity(&reference.xml10_content()).map(str::to_owned);
                    return Ok(Some(XmlEvent::Text(char.or_else(named).unwrap_or_default())));
                }
                Event::Eof => return Ok(None),
                _ => {}
            }
        }
    }
}

fn local_name(start: &BytesStart<'_>) -> String {
    start.local_name().as_ref().to_owned()
}

fn start_event(start: &BytesStart<'_>) -> XmlEvent {
    let mut attributes = start.attributes();
    let attributes = attributes.with_checks(false).flatten().take(MAX_ATTRIBUTES).map(|attribute| {
        let value = unescape(attribute.value.as_ref()).map(|value| value.into_owned());
        (attribute.key.local_name().as_ref().to_owned(), value.unwrap_or_default())
    });
    XmlEvent::Start(local_name(start), attributes.collect())
}

/// Returns the value of an attribute.
pub(super) fn attribute<'a>(attributes: &'a [(String, String)], name: &str) -> Option<&'a str> {
    attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}
