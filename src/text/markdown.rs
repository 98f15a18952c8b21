//! Converts Markdown to WhatsApp's markup by walking the events of a CommonMark parser.

mod blocks;
mod html;
mod inline;
mod link;
mod table;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use blocks::{BlockKind, Page};
use inline::{Emphasis, InlineText};
use table::Table;

/// The maximum depth to which a fence tagged `markdown` or a block of HTML is read as Markdown again. Each level reads
/// its text once more, so without a limit a hostile text would take quadratic time.
const MAX_LEVELS: usize = 3;

/// Converts Markdown (CommonMark with tables, strikethrough and task lists) to WhatsApp's markup (`*bold*`, `_italic_`,
/// `~strike~`, `` `code` ``, fences, `- ` and `1. ` lists, `> ` quotes; WhatsApp help, "How to format your messages").
///
/// Never fails: text that is not Markdown passes unchanged. Outside code, no line ends in a space and there is never
/// more than one blank line in a row. The result is trimmed; blank input gives an empty string. Time is linear in the
/// input.
///
/// - Markers that WhatsApp would show literally (inside a word, around a space, across a line break) are dropped, moved
///   or repeated on each line. Characters that are arithmetic (`2 * 3`, `5*3*2`, `x**2 + y**2`) stay.
/// - Words keep their order. Only parts that are not shown are removed: HTML tags, comments, link titles, the language
///   of a fence, the check boxes of tasks. A table's headers are repeated on each row.
///
/// A second pass over the result changes nothing, with two exceptions in which both languages use the same spelling.
/// `*x*` is bold in WhatsApp and emphasis in Markdown, so bold (headings and table headers are bold) becomes `_x_`, and
/// `*_x_*` becomes `_x_`. Escaped text (`\*x\*`, `&amp;lt;`) is read as markup once its escape is gone.
#[must_use]
pub fn to_whatsapp(markdown: &str) -> String {
    convert(markdown, MAX_LEVELS)
}

fn convert(markdown: &str, levels: usize) -> String {
    let source = if markdown.contains('\r') {
        Cow::Owned(markdown.replace("\r\n", "\n").replace('\r', "\n"))
    } else {
        Cow::Borrowed(markdown)
    };
    Converter::new(&source, levels).run()
}

fn parser(source: &str) -> Parser<'_> {
    Parser::new_ext(source, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS)
}

/// One conversion in progress.
struct Converter<'a> {
    source: &'a str,
    levels: usize,
    page: Page,
    inline: InlineText,
    /// The block whose words are being collected.
    open_block: Option<BlockKind>,
    /// How much of the source has been written, to see whether a blank line precedes the next block.
    written_to: usize,
    /// The bare links in the source. No marker opens inside a link.
    bare_links: Vec<Range<usize>>,
    /// Definitions (`[label]: target`) that nothing refers to, last first. The parser drops them, but text such as
    /// `[Ann]: hello` must not get lost.
    unused_definitions: Vec<Range<usize>>,
    /// For each open list, the last number in the source and the last number written; `None` for bullets.
    lists: Vec<Option<(u64, u64)>>,
    /// The text of the open code block, and whether it is Markdown to unwrap.
    code: Option<(String, bool)>,
    html: Option<String>,
    table: Table,
    /// The starts of the open links' labels, and their targets.
    open_links: Vec<(usize, String)>,
}

impl<'a> Converter<'a> {
    fn new(source: &'a str, levels: usize) -> Self {
        Self {
            source,
            levels,
            page: Page::with_capacity(source.len() + source.len() / 8),
            inline: InlineText::default(),
            open_block: None,
            written_to: 0,
            bare_links: link::bare_links(source),
            unused_definitions: link::unused_definitions(source),
            lists: Vec::new(),
            code: None,
            html: None,
            table: Table::default(),
            open_links: Vec::new(),
        }
    }

    fn run(mut self) -> String {
        for (event, at) in parser(self.source).into_offset_iter() {
            match event {
                Event::Start(tag) => self.start(tag, at),
                Event::End(tag) => self.end(tag, &at),
                Event::Text(text) => match (&mut self.code, &mut self.html) {
                    (Some((code, _)), _) => code.push_str(&text),
                    (None, Some(html)) => html.push_str(&text),
                    (None, None) => {
                        self.current_text(&at).push(&text);
                        if &*text == "*" {
                            self.pair_leftover_star(at.start);
                        }
                    }
                },
                Event::Html(text) => match &mut self.html {
                    Some(html) => html.push_str(&text),
                    None => self.current_text(&at).push(&text),
                },
                Event::Code(code) => self.current_text(&at).push_code(&code),
                Event::InlineHtml(tag) => match html::classify_tag(&tag) {
                    html::Tag::Break => self.current_text(&at).push("\n"),
                    html::Tag::Text => self.current_text(&at).push(&tag),
                    html::Tag::Markup(_) => _ = self.current_text(&at),
                },
                Event::SoftBreak | Event::HardBreak => self.current_text(&at).push("\n"),
                Event::Rule => {
                    self.flush_before(at.start);
                    self.page.force_blank();
                    self.written_to = self.end_of(&at);
                }
                Event::TaskListMarker(_) => {}
                // Not enabled. If the parser ever sends them, keep them as text.
                Event::InlineMath(text) | Event::DisplayMath(text) | Event::FootnoteReference(text) => {
                    self.current_text(&at).push(&text);
                }
            }
        }
        self.flush_before(self.source.len() + 1);
        self.page.finish()
    }

    fn start(&mut self, tag: Tag<'_>, at: Range<usize>) {
        match tag {
            Tag::Paragraph => self.begin_block(BlockKind::Paragraph, at.start),
            Tag::Heading { .. } => self.begin_block(BlockKind::Heading, at.start),
            Tag::BlockQuote(_) => {
                self.flush_before(at.start);
                self.page.space_before(BlockKind::Quote, self.blank_before(at.start));
                self.page.enter_quote();
                self.written_to = self.written_to.max(at.start + 1);
            }
            Tag::CodeBlock(kind) => {
                self.flush_before(at.start);
                let markdown = matches!(&kind, CodeBlockKind::Fenced(info) if is_markdown(info)) && self.levels > 0;
                self.code = Some((String::new(), markdown));
            }
            Tag::HtmlBlock => {
                self.flush_before(at.start);
                self.html = Some(String::new());
            }
            Tag::List(first) => {
                self.flush_before(at.start);
                self.lists.push(first.map(|_| (u64::MAX, 0)));
            }
            Tag::Item => self.begin_item(at.start),
            Tag::Table(_) => {
                self.flush_before(at.start);
                self.table = Table::default();
            }
            Tag::TableHead => self.table.start_head(),
            Tag::TableRow => self.table.start_row(),
            Tag::TableCell => self.table.start_cell(&mut self.inline),
            Tag::Emphasis => self.begin_emphasis(Emphasis::Italic, &at),
            Tag::Strong => self.begin_emphasis(Emphasis::Bold, &at),
            Tag::Strikethrough => self.begin_emphasis(Emphasis::Strike, &at),
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => {
                let start = self.current_text(&(at.start..at.start)).len();
                self.open_links.push((start, dest_url.into_string()));
            }
            // Not enabled.
            _ => self.flush_before(at.start),
        }
    }

    fn end(&mut self, tag: TagEnd, at: &Range<usize>) {
        match tag {
            TagEnd::Heading(level) => self.end_heading(level, at),
            TagEnd::BlockQuote(_) => {
                self.flush();
                self.page.leave_container(BlockKind::Quote);
            }
            TagEnd::CodeBlock => self.end_code_block(at),
            TagEnd::HtmlBlock => {
                let text = html::strip_tags(&self.html.take().unwrap_or_default());
                let body = if self.levels > 0 { convert(&text, self.levels - 1) } else { text };
                self.write_block(BlockKind::Paragraph, at, &body);
            }
            TagEnd::List(_) => {
                self.lists.pop();
                self.page.end_list();
            }
            TagEnd::Item => {
                self.flush();
                self.page.leave_container(BlockKind::List);
            }
            TagEnd::TableHead => self.table.end_head(),
            TagEnd::TableCell => self.table.end_cell(&mut self.inline),
            TagEnd::TableRow => {
                let body = self.inline.render();
                self.write_block(BlockKind::Separated, at, &body);
            }
            TagEnd::Table => {
                self.table.push_unshown_headers(&mut self.inline);
                let body = self.inline.render();
                self.write_block(BlockKind::Separated, at, &body);
            }
            TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough => {
                self.inline.close();
                self.written_to = at.end;
            }
            TagEnd::Link | TagEnd::Image => {
                if let Some((start, target)) = self.open_links.pop() {
                    self.inline.end_link(start, &target);
                }
                self.written_to = at.end;
            }
            _ => self.flush(),
        }
    }

    /// Returns the text of the open block. Opens a block if an item of a tight list has none.
    fn current_text(&mut self, at: &Range<usize>) -> &mut InlineText {
        if self.open_block.is_none() && !self.table.is_open() {
            self.begin_block(BlockKind::Paragraph, at.start);
        }
        self.written_to = self.written_to.max(at.end);
        &mut self.inline
    }

    fn begin_block(&mut self, kind: BlockKind, start: usize) {
        self.flush_before(start);
        // Look for the blank line now: text moves `written_to` forward.
        self.page.space_before(kind, self.blank_before(start));
        self.open_block = Some(kind);
        if kind == BlockKind::Heading {
            self.inline.open(Emphasis::Bold);
        }
    }

    /// Writes the open block and the unused definitions before `start`.
    fn flush_before(&mut self, start: usize) {
        self.flush();
        while let Some(orphan) = self.unused_definitions.pop_if(|orphan| orphan.start < start) {
            let text = self.source[orphan.clone()].trim();
            self.write_block(BlockKind::Paragraph, &orphan, text);
        }
    }

    fn flush(&mut self) {
        if let Some(kind) = self.open_block.take() {
            self.page.write(kind, &self.inline.render());
        }
    }

    /// Writes a finished block.
    fn write_block(&mut self, kind: BlockKind, at: &Range<usize>, body: &str) {
        self.page.space_before(kind, self.blank_before(at.start));
        self.page.write(kind, body);
        self.written_to = self.written_to.max(self.end_of(at));
    }

    fn end_heading(&mut self, level: HeadingLevel, at: &Range<usize>) {
        let underlined = !self.source[at.start..].trim_start().starts_with('#');
        if underlined && level == HeadingLevel::H2 && self.inline.spans_lines() {
            // A model means several lines above `---` as a paragraph and a rule, not as a heading of several lines.
            self.inline.forget_open();
            self.open_block = Some(BlockKind::Paragraph);
            self.flush();
            self.page.force_blank();
        } else {
            self.inline.join_lines();
            self.inline.close();
            self.flush();
        }
        self.written_to = self.end_of(at);
    }

    fn end_code_block(&mut self, at: &Range<usize>) {
        let Some((code, markdown)) = self.code.take() else { return };
        if markdown {
            let body = convert(&code, self.levels - 1);
            self.write_block(BlockKind::Separated, at, &body);
        } else if !code.trim().is_empty() {
            let fence = "`".repeat(inline::longest_run(&code).max(2) + 1);
            let code = code.strip_suffix('\n').unwrap_or(&code);
            self.write_block(BlockKind::Code, at, &format!("{fence}\n{code}\n{fence}"));
        }
    }

    fn begin_item(&mut self, start: usize) {
        self.flush_before(start);
        self.page.space_before(BlockKind::List, self.blank_before(start));
        let marker = match self.lists.last_mut() {
            Some(Some((last, shown))) => {
                let text = self.source[start..].trim_start();
                let digits = text.bytes().take(9).take_while(u8::is_ascii_digit).count();
                let number = text[..digits].parse().unwrap_or(1);
                // Use the number in the source, except that `1. 1. 1.` means 1, 2, 3 in Markdown.
                *shown = if number == *last { *shown + 1 } else { number };
                *last = number;
                format!("{shown}. ")
            }
            _ => "- ".to_owned(),
        };
        self.page.enter_item(marker);
        self.written_to = self.written_to.max(start + 1);
    }

    fn begin_emphasis(&mut self, mark: Emphasis, at: &Range<usize>) {
        let text = &self.source[at.clone()];
        let width = if mark == Emphasis::Bold || text.starts_with("~~") { 2 } else { 1 };
        let signs = &text[..width.min(text.len())];
        let literal = self.in_bare_link(at.start) || is_arithmetic(self.source, at, signs.len());
        let words = self.current_text(&(at.start..at.start));
        if literal { words.open_literal(signs) } else { words.open(mark) }
    }

    /// Handles a `*` at `at` that is not part of emphasis. If it ends a run of exactly two, the run may be a marker
    /// that Markdown refused.
    fn pair_leftover_star(&mut self, at: usize) {
        let Some(head) = self.source[..at].strip_suffix('*') else { return };
        let after = self.source[at + 1..].chars().next();
        let alone = !head.ends_with(['*', '\\']) && after != Some('*');
        // If the text ends in both stars, the first one is not part of emphasis either.
        if alone && self.open_links.is_empty() && self.inline.text_from(0).ends_with("**") && !self.in_bare_link(at) {
            self.inline.pair_loose_bold(after.is_some_and(|sign| !sign.is_whitespace()));
        }
    }

    fn in_bare_link(&self, at: usize) -> bool {
        let after = self.bare_links.partition_point(|link| link.start <= at);
        after > 0 && self.bare_links[after - 1].contains(&at)
    }

    fn blank_before(&self, start: usize) -> bool {
        self.source
            .get(self.written_to..start)
            .is_some_and(|gap| gap.bytes().filter(|&byte| byte == b'\n').nth(1).is_some())
    }

    fn end_of(&self, at: &Range<usize>) -> usize {
        at.start + self.source[at.clone()].trim_end().len()
    }
}

fn is_markdown(info: &str) -> bool {
    let language = info.split_whitespace().next().unwrap_or_default();
    language.eq_ignore_ascii_case("markdown") || language.eq_ignore_ascii_case("md")
}

/// Returns whether emphasis is really arithmetic or a name (`5*3*2`, `x**2 + y**2`, `10~20~30`): it opens inside an
/// ASCII word, and its marker is a single character or is next to a digit.
fn is_arithmetic(source: &str, at: &Range<usize>, width: usize) -> bool {
    let before = source[..at.start].chars().next_back();
    let Some(before) = before.filter(char::is_ascii_alphanumeric) else { return false };
    let inside = source.get(at.start + width..at.end.saturating_sub(width)).unwrap_or_default();
    let after = source[at.end..].chars().next();
    let digit = |sign: Option<char>| sign.is_some_and(char::is_numeric);
    width == 1
        || digit(Some(before))
        || digit(inside.chars().next())
        || after.is_some_and(char::is_alphanumeric) && (digit(inside.chars().next_back()) || digit(after))
}
