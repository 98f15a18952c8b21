//! Extracts the text of Office and OpenDocument files, which are archives of XML.

use std::collections::HashMap;

use super::file_kind::FileKind;
use super::text_collector::TextCollector;
use super::unreadable::Unreadable;
use super::xml::{Archive, XmlEvent, XmlReader, attribute};

/// The maximum number of sheets to read.
const MAX_SHEETS: usize = 200;

/// The maximum number of tabs for empty cells in a row, and of spaces in OpenDocument's `text:s`.
const MAX_GAP: usize = 20;

/// Collects the text of a document until the collector is full or a limit is reached.
pub(super) fn gather_text(kind: FileKind, bytes: &[u8], gathered: &mut TextCollector) -> Result<(), Unreadable> {
    let mut parts = Archive::open(bytes)?;
    match kind {
        FileKind::Docx => parts.read_xml("word/document.xml", |xml| read_paragraphs(xml, gathered)),
        FileKind::OpenDocument => parts.read_xml("content.xml", |xml| read_paragraphs(xml, gathered)),
        FileKind::Pptx => {
            for (number, name) in parts.numbered_entries("ppt/slides/slide").iter().enumerate() {
                gathered.push(&format!("\nSlide {}\n", number + 1));
                parts.read_xml(name, |xml| read_paragraphs(xml, gathered))?;
                if gathered.is_full() {
                    break;
                }
            }
            Ok(())
        }
        _ => read_workbook(&mut parts, gathered),
    }
}

/// Reads the paragraphs of Word (`w:p`, `w:t`, `w:tab`, `w:br`, `w:tc`, `w:tr`), PowerPoint (`a:p`, `a:t`, `a:br`) and
/// OpenDocument (`text:p`, `text:h`, `text:tab`, `text:s`, `table:table-cell`). Word and PowerPoint have their text in
/// `t`, OpenDocument anywhere in a paragraph. Skips content for older programs (`mc:Fallback`), annotations and tracked
/// changes.
fn read_paragraphs(xml: &mut XmlReader<'_>, gathered: &mut TextCollector) -> Result<(), Unreadable> {
    let (mut is_open_document, mut in_text, mut paragraphs, mut cells, mut hidden_depth) =
        (false, 0_u32, 0_u32, 0_u32, 0_u32);
    while !gathered.is_full() {
        let Some(piece) = xml.next()? else { return Ok(()) };
        match piece {
            XmlEvent::Start(name, attributes) => match name.as_str() {
                "document-content" => is_open_document = true,
                "Fallback" | "annotation" | "tracked-changes" => hidden_depth += 1,
                _ if hidden_depth > 0 => {}
                "t" => in_text += 1,
                "p" | "h" => paragraphs += 1,
                "tc" | "table-cell" => cells += 1,
                "tab" if paragraphs > 0 => gathered.push("\t"),
                "br" | "cr" | "line-break" => gathered.push("\n"),
                "s" if is_open_document => {
                    let count = attribute(&attributes, "c").and_then(|count| count.parse().ok()).unwrap_or(1_usize);
                    gathered.push(&" ".repeat(count.min(MAX_GAP)));
                }
                _ => {}
            },
            XmlEvent::End(name) => match name.as_str() {
                "Fallback" | "annotation" | "tracked-changes" => hidden_depth = hidden_depth.saturating_sub(1),
                _ if hidden_depth > 0 => {}
                "t" => in_text = in_text.saturating_sub(1),
                "p" | "h" => {
                    paragraphs = paragraphs.saturating_sub(1);
                    gathered.push(if cells > 0 { " " } else { "\n" });
                }
                "tc" | "table-cell" => {
                    cells = cells.saturating_sub(1);
                    gathered.push("\t");
                }
                "tr" | "table-row" => gathered.push("\n"),
                _ => {}
            },
            XmlEvent::Text(text) if hidden_depth == 0 && (in_text > 0 || (is_open_document && paragraphs > 0)) => {
                gathered.push(&text);
            }
            XmlEvent::Text(_) => {}
        }
    }
    Ok(())
}

/// Reads an Excel workbook: the sheets in the order of the workbook, each row on a line. Numbers appear as they are
/// stored, dates as days since 1900.
fn read_workbook(parts: &mut Archive<'_>, gathered: &mut TextCollector) -> Result<(), Unreadable> {
    let mut sheets: Vec<(String, String)> = Vec::new();
    parts.read_xml("xl/workbook.xml", |xml| {
        while let Some(piece) = xml.next()? {
            if let XmlEvent::Start(name, attributes) = piece
                && name == "sheet"
                && let (Some(name), Some(id)) = (attribute(&attributes, "name"), attribute(&attributes, "id"))
                && sheets.len() < MAX_SHEETS
            {
                sheets.push((name.to_owned(), id.to_owned()));
            }
        }
        Ok(())
    })?;
    let mut targets: HashMap<String, String> = HashMap::new();
    parts.read_xml("xl/_rels/workbook.xml.rels", |xml| {
        while let Some(piece) = xml.next()? {
            if let XmlEvent::Start(name, attributes) = piece
                && name == "Relationship"
                && let (Some(id), Some(target)) = (attribute(&attributes, "Id"), attribute(&attributes, "Target"))
            {
                targets.insert(id.to_owned(), target.to_owned());
            }
        }
        Ok(())
    })?;
    let mut shared: Vec<String> = Vec::new();
    if parts.contains("xl/sharedStrings.xml") {
        parts.read_xml("xl/sharedStrings.xml", |xml| read_shared_strings(xml, &mut shared))?;
    }
    for (name, id) in sheets {
        let Some(target) = targets.get(&id) else { continue };
        let target = target.strip_prefix('/').map_or_else(|| format!("xl/{target}"), str::to_owned);
        gathered.push(&format!("\n{name}\n"));
        parts.read_xml(&target, |xml| read_sheet(xml, &shared, gathered))?;
        if gathered.is_full() {
            break;
        }
    }
    Ok(())
}

/// Reads the strings that cells share. Leaves out phonetic readings of Japanese text (`rPh`).
fn read_shared_strings(xml: &mut XmlReader<'_>, shared: &mut Vec<String>) -> Result<(), Unreadable> {
    let (mut in_text, mut in_phonetic) = (false, false);
    while let Some(piece) = xml.next()? {
        match piece {
            XmlEvent::Start(name, _) => match name.as_str() {
                "si" => shared.push(String::new()),
                "t" => in_text = true,
                "rPh" => in_phonetic = true,
                _ => {}
            },
            XmlEvent::End(name) => match name.as_str() {
                "t" => in_text = false,
                "rPh" => in_phonetic = false,
                _ => {}
            },
            XmlEvent::Text(text) if in_text && !in_phonetic => {
                if let Some(last) = shared.last_mut() {
                    last.push_str(&text);
                }
            }
            XmlEvent::Text(_) => {}
        }
    }
    Ok(())
}

fn read_sheet(xml: &mut XmlReader<'_>, shared: &[String], gathered: &mut TextCollector) -> Result<(), Unreadable> {
    let (mut in_value, mut is_shared, mut value, mut column) = (false, false, String::new(), 0);
    while !gathered.is_full() {
        let Some(piece) = xml.next()? else { return Ok(()) };
        match piece {
            XmlEvent::Start(name, attributes) => match name.as_str() {
                "row" => column = 0,
                "c" => {
                    is_shared = attribute(&attributes, "t") == Some("s");
                    let place = attribute(&attributes, "r").and_then(column_index).unwrap_or(column);
                    let first = usize::from(column == 0);
                    gathered.push(&"\t".repeat((place.saturating_sub(column) + 1 - first).min(MAX_GAP)));
                    column = place + 1;
                    value.clear();
                }
                "v" | "t" => in_value = true,
                _ => {}
            },
            XmlEvent::End(name) => match name.as_str() {
                "v" | "t" => in_value = false,
                "c" if is_shared => {
                    let index = value.trim().parse::<usize>().ok();
                    gathered.push(index.and_then(|index| shared.get(index)).map_or("", String::as_str));
                }
                "c" => gathered.push(&value),
                "row" => gathered.push("\n"),
                _ => {}
            },
            XmlEvent::Text(text) if in_value => value.push_str(&text),
            XmlEvent::Text(_) => {}
        }
    }
    Ok(())
}

/// Returns the index of a cell's column: `C7` is in the third column, 2.
fn column_index(place: &str) -> Option<usize> {
    let letters = place.bytes().take_while(u8::is_ascii_uppercase).take(3);
    letters.map(|letter| usize::from(letter - b'A') + 1).reduce(|number, letter| number * 26 + letter).map(|n| n - 1)
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::super::document::{DocumentText, extract_text};
    use super::super::sniff;
    use super::super::xml::{DAMAGED, TOO_LARGE};
    use super::*;

    fn zip_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in entries {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(content).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn extract_words(bytes: &[u8], kind: FileKind) -> Result<String, Unreadable> {
        assert_eq!(sniff(bytes), kind);
        extract_text(kind, bytes, 10_000).map(|read| read.text)
    }

    const CONTENT_TYPES_XML: &[u8] = br#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>"#;

    fn docx_with_body(body: &str) -> Vec<u8> {
        let namespace = "http://schemas.openxmlformats.org/wordprocessingml/2006/main";
        let xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<w:document xmlns:w=\"{namespace}\"><w:body>{body}</w:body></w:document>"
        );
        zip_of(&[("[Content_Types].xml", CONTENT_TYPES_XML), ("word/document.xml", xml.as_bytes())])
    }

    #[test]
    fn a_word_document_is_read_with_its_tables_and_without_deleted_text() {
        let docx = docx_with_body(
            "<w:p><w:pPr><w:pStyle w:val=\"Title\"/></w:pPr><w:r><w:t>Bread &amp; more</w:t></w:r></w:p>\
             <w:p><w:r><w:t xml:space=\"preserve\">Rye </w:t></w:r><w:r><w:t>&#8364;4</w:t><w:br/><w:t>or</w:t><w:tab/><w:t>5</w:t></w:r>\
             <w:del><w:r><w:delText>never</w:delText></w:r></w:del></w:p>\
             <w:tbl><w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>b</w:t></w:r></w:p></w:tc></w:tr></w:tbl>\
             <mc:AlternateContent><mc:Choice><w:p><w:r><w:t>new</w:t></w:r></w:p></mc:Choice>\
             <mc:Fallback><w:p><w:r><w:t>old</w:t></w:r></w:p></mc:Fallback></mc:AlternateContent>",
        );
        assert_eq!(extract_words(&docx, FileKind::Docx).unwrap(), "Bread & more\nRye €4\nor\t5\na \tb\nnew");
        let start = extract_text(FileKind::Docx, &docx, 5).unwrap();
        assert_eq!(start, DocumentText { text: "Bread".into(), truncated: true });
    }

    #[test]
    fn a_workbook_is_read_sheet_by_sheet_in_the_order_of_the_book() {
        let book = br#"<workbook xmlns:r="r"><sheets><sheet name="Prices" sheetId="1" r:id="rId2"/><sheet name="Hours" sheetId="2" r:id="rId1"/></sheets></workbook>"#;
        let targets = br#"<Relationships><Relationship Id="rId1" Target="worksheets/sheet1.xml"/><Relationship Id="rId2" Target="/xl/worksheets/sheet2.xml"/></Relationships>"#;
        let shared =
            "<sst><si><t>Rye</t></si><si><r><t>Spelt </t></r><r><t>&lt;dark&gt;</t></r><rPh><t>x</t></rPh></si></sst>";
        let hours = br#"<worksheet><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>Mon</t></is></c></row></sheetData></worksheet>"#;
        let prices = br#"<worksheet><sheetData><row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1"><v>4.2</v></c></row><row r="2"><c r="A2" t="s"><v>1</v></c><c r="D2"><f>B1*2</f><v>8.4</v></c></row><row r="3"><c r="B3" t="s"><v>99</v></c><c r="C3" t="str"><v>end</v></c></row></sheetData></worksheet>"#;
        let xlsx = zip_of(&[
            ("[Content_Types].xml", CONTENT_TYPES_XML),
            ("xl/workbook.xml", book),
            ("xl/_rels/workbook.xml.rels", targets),
            ("xl/sharedStrings.xml", shared.as_bytes()),
            ("xl/worksheets/sheet1.xml", hours),
            ("xl/worksheets/sheet2.xml", prices),
        ]);
        let expected = "Prices\nRye\t4.2\nSpelt <dark>\t\t\t8.4\n\t\tend\n\nHours\nMon";
        assert_eq!(extract_words(&xlsx, FileKind::Xlsx).unwrap(), expected);
    }

    #[test]
    fn slides_are_read_in_their_order() {
        let slide = |text: &str| format!("<p:sld><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:sld>").into_bytes();
        let pptx = zip_of(&[
            ("ppt/presentation.xml", b"<p:presentation/>"),
            ("ppt/slides/slide10.xml", &slide("last")),
            ("ppt/slides/slide2.xml", &slide("second")),
            ("ppt/slides/slide1.xml", &slide("first")),
        ]);
        let expected = "Slide 1\nfirst\n\nSlide 2\nsecond\n\nSlide 3\nlast";
        assert_eq!(extract_words(&pptx, FileKind::Pptx).unwrap(), expected);
    }

    #[test]
    fn an_opendocument_text_is_read() {
        let xml = "<office:document-content><office:body><office:text><text:h>Title</text:h><text:p>One<text:s text:c=\"2\"/>two\
                   <text:span> three</text:span><office:annotation><text:p>hidden</text:p></office:annotation></text:p>\
                   </office:text></office:body></office:document-content>";
        // The format requires an uncompressed first entry, so that the kind can be detected from the content.
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        zip.start_file("mimetype", options).unwrap();
        zip.write_all(b"application/vnd.oasis.opendocument.text").unwrap();
        zip.start_file("content.xml", SimpleFileOptions::default()).unwrap();
        zip.write_all(xml.as_bytes()).unwrap();
        let odt = zip.finish().unwrap().into_inner();
        assert_eq!(extract_words(&odt, FileKind::OpenDocument).unwrap(), "Title\nOne  two three");
    }

    #[test]
    fn a_zip_bomb_is_stopped_at_the_limit() {
        let bomb = docx_with_body(&" ".repeat(21 << 20));
        assert!(bomb.len() < 100_000, "{}", bomb.len());
        let error = extract_text(FileKind::Docx, &bomb, 10_000).unwrap_err();
        assert_eq!(error.to_string(), "it is too large: it unpacks to more than the limit");
        // Many slides, each below the limit.
        let blank = " ".repeat(14 << 20);
        let names: Vec<String> = (1..=4).map(|number| format!("ppt/slides/slide{number}.xml")).collect();
        let mut slides: Vec<(&str, &[u8])> = vec![("ppt/presentation.xml", b"<p/>")];
        slides.extend(names.iter().map(|name| (name.as_str(), blank.as_bytes())));
        assert_eq!(extract_text(FileKind::Pptx, &zip_of(&slides), 10_000).unwrap_err(), TOO_LARGE);
    }

    #[test]
    fn enough_text_is_enough_however_much_follows() {
        let long = docx_with_body(&"<w:p><w:r><w:t>word word word</w:t></w:r></w:p>".repeat(300_000));
        let read = extract_text(FileKind::Docx, &long, 1_004).unwrap();
        assert_eq!((read.text.chars().count(), read.truncated), (1_004, true));
    }

    #[test]
    fn entities_do_not_multiply() {
        let laughs = "<!DOCTYPE l [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;\">]><w:document><w:p><w:t>&b;x</w:t></w:p></w:document>";
        assert_eq!(extract_words(&zip_of(&[("word/document.xml", laughs.as_bytes())]), FileKind::Docx).unwrap(), "x");
    }

    #[test]
    fn a_damaged_document_is_reported_so() {
        let whole = docx_with_body("<w:p><w:r><w:t>Hello</w:t></w:r></w:p>");
        for broken in [whole[..whole.len() / 2].to_vec(), zip_of(&[("word/document.xml.bak", b"x")])] {
            assert_eq!(extract_text(FileKind::Docx, &broken, 100).unwrap_err(), DAMAGED);
        }
        let broken = zip_of(&[("word/document.xml", b"<w:p><w:t>Hello</w:t")]);
        assert_eq!(extract_text(FileKind::Docx, &broken, 100).unwrap_err(), DAMAGED);
        assert_eq!(extract_text(FileKind::Docx, &docx_with_body("<w:p/>"), 100).unwrap_err(), Unreadable::NoText);
        assert_eq!(extract_text(FileKind::Zip, &whole, 100).unwrap_err().to_string(), "archives are not supported");
    }
}
