//! Splits a note into passages. Each is a heading with as many of its paragraphs as fit easily into one WhatsApp
//! message.

use std::ops::Range;

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use super::notes::Note;

/// The longest passage, in characters. A message at Twilio holds 1,600, and the answer adds a heading and a closing
/// line.
const MAX_PASSAGE_CHARS: usize = 1_000;

/// A part of a note that a search returns as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Passage {
    /// The note's title: its top-level heading, or else its file name.
    pub(super) title: String,
    /// The headings below the title, such as `Cakes › Wedding cakes`. Empty directly under the title.
    pub(super) heading: String,
    /// The paragraphs, as Markdown.
    pub(super) text: String,
}

/// Returns all passages of a note.
pub(super) fn split_note(note: &Note) -> Vec<Passage> {
    let source = note.text.trim_start_matches('\u{feff}');
    let mut cutter = PassageBuilder { title: title_from_file_name(&note.name), source, ..PassageBuilder::default() };
    let options = Options::ENABLE_TABLES | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    let (mut depth, mut heading) = (0_u32, None::<String>);
    for (event, range) in Parser::new_ext(source, options).into_offset_iter() {
        match event {
            Event::Start(tag) => {
                depth += 1;
                match tag {
                    Tag::Heading { .. } if depth == 1 => heading = Some(String::new()),
                    Tag::MetadataBlock(_) => {}
                    Tag::HtmlBlock if source[range.clone()].trim_start().starts_with("<!--") => {}
                    _ if depth == 1 => cutter.push_block(range),
                    _ => {}
                }
            }
            Event::End(end) => {
                depth -= 1;
                if let (TagEnd::Heading(level), Some(text)) = (end, heading.take_if(|_| depth == 0)) {
                    cutter.enter_heading(level, text.trim());
                }
            }
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
            }
            Event::SoftBreak | Event::HardBreak => {
                if let Some(heading) = &mut heading {
                    heading.push(' ');
                }
            }
            _ => {}
        }
    }
    cutter.flush();
    cutter.passages
}

#[derive(Default)]
struct PassageBuilder<'a> {
    source: &'a str,
    title: String,
    path: Vec<(HeadingLevel, String)>,
    text: String,
    passages: Vec<Passage>,
}

impl PassageBuilder<'_> {
    fn enter_heading(&mut self, level: HeadingLevel, text: &str) {
        self.flush();
        if level == HeadingLevel::H1 {
            self.path.clear();
            if !text.is_empty() {
                text.clone_into(&mut self.title);
            }
            return;
        }
        self.path.retain(|(above, _)| *above < level);
        if !text.is_empty() {
            self.path.push((level, text.to_owned()));
        }
    }

    fn push_block(&mut self, range: Range<usize>) {
        let mut rest = self.source[range].trim_end();
        while !rest.trim().is_empty() {
            let (piece, after) = rest.split_at(cut_point(rest));
            if self.text.chars().count() + piece.chars().count() > MAX_PASSAGE_CHARS {
                self.flush();
            }
            if !self.text.is_empty() {
                self.text.push_str("\n\n");
            }
            self.text.push_str(piece.trim_end());
            rest = after.trim_start_matches([' ', '\n', '\r']);
        }
    }

    fn flush(&mut self) {
        if !self.text.is_empty() {
            let heading: Vec<&str> = self.path.iter().map(|(_, text)| text.as_str()).collect();
            let text = std::mem::take(&mut self.text);
            self.passages.push(Passage { title: self.title.clone(), heading: heading.join(" › "), text });
        }
    }
}

/// Returns where to cut a long block: at the end of a line, of a sentence, of a word, or anywhere.
fn cut_point(block: &str) -> usize {
    let Some((end, _)) = block.char_indices().nth(MAX_PASSAGE_CHARS) else { return block.len() };
    let head = &block[..end];
    [("\n", 1), (". ", 2), (" ", 1)]
        .into_iter()
        .find_map(|(mark, length)| head.rfind(mark).filter(|at| *at > end / 4).map(|at| at + length))
        .unwrap_or(end)
}

/// Turns `opening-hours.md` into `Opening hours`.
fn title_from_file_name(name: &str) -> String {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem).replace(['-', '_'], " ");
    let mut chars = stem.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut_text(text: &str) -> Vec<(String, String, String)> {
        let note = Note { name: "opening-hours.md".into(), text: text.into() };
        split_note(&note).into_iter().map(|passage| (passage.title, passage.heading, passage.text)).collect()
    }

    fn passage(title: &str, heading: &str, text: &str) -> (String, String, String) {
        (title.into(), heading.into(), text.into())
    }

    #[test]
    fn a_note_is_cut_by_heading_and_keeps_its_markdown() {
        let text = "---\ndraft: no\n---\n# Hours\nAlways.\n\n## **Shop** `now`\n\nDaily:\n\n- 7 to 9\n- 10 to 12\n\n### Café\n\n\
                    ```\n# no heading\n```\n\n<!-- secret -->\n\n## Empty\n\n## Last\nEnd *here*.\n";
        assert_eq!(
            cut_text(text),
            [
                passage("Hours", "", "Always."),
                passage("Hours", "Shop now", "Daily:\n\n- 7 to 9\n- 10 to 12"),
                passage("Hours", "Shop now › Café", "```\n# no heading\n```"),
                passage("Hours", "Last", "End *here*."),
            ]
        );
    }

    #[test]
    fn a_note_without_headings_is_called_by_its_name() {
        assert_eq!(cut_text("\u{feff}Nine to five."), [passage("Opening hours", "", "Nine to five.")]);
        assert_eq!(cut_text("# Only a title\n"), []);
    }

    #[test]
    fn long_paragraphs_become_several_passages() {
        let sentence = "This sentence is made of exactly fifty characters. ";
        let text = format!("{}\n\nShort.", sentence.repeat(45).trim());
        let passages = cut_text(&text);
        assert_eq!(passages.len(), 3);
        for (_, _, text) in &passages {
            assert!(text.chars().count() <= 1_000 && text.ends_with('.'), "{text}");
        }
        assert!(passages[2].2.ends_with("\n\nShort."));
        assert_eq!(cut_text(&"x".repeat(2_500)).len(), 3, "a block without a line, sentence or word to cut at");
    }
}
