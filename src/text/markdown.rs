//! Markdown into WhatsApp's markup, by walking the events of a CommonMark parser.

mod html;
mod inline;
mod link;
mod page;
mod table;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use inline::{Inline, Mark};
use page::{Kind, Page};
use table::Table;

/// How often a fence tagged `markdown` or a block of HTML is read as Markdown again. Each level reads its text once
/// more, so without an end a hostile text would cost the square of its length.
const LEVELS: usize = 3;

/// Turns Markdown (CommonMark with tables, strikethrough and task lists) into WhatsApp's markup (`*bold*`, `_italic_`,
/// `~strike~`, `` `code` ``, fences, `- ` and `1. ` lists, `> ` quotes; WhatsApp help, "How to format your messages").
///
/// Never fails: what is not Markdown passes as it is. No line ends in a space outside code, no more than one blank line
/// stands in a row, and the ends are trimmed; blank input gives an empty string. Time is linear in the input.
///
/// - Markers that WhatsApp would show as they are (inside a word, around a space, over a line break) are dropped, moved
///   or set again on each line. Signs that are arithmetic (`2 * 3`, `5*3*2`, `x**2 + y**2`) stay.
/// - Words are kept in their order. Only what is not shown goes: tags of HTML, comments, titles of links, the language of
///   a fence, the boxes of tasks. A table's headers are repeated on each row.
///
/// A second pass over the result changes nothing, but for two things that the two languages spell alike: `*x*` is bold
/// in WhatsApp and emphasis in Markdown, so bold (headings and table headers are bold) becomes `_x_`, and `*_x_*`
/// becomes `_x_`; and what was escaped (`\*x\*`, `&amp;lt;`) is read as markup once its escape is gone.
#[must_use]
pub fn whatsapp(markdown: &str) -> String {
    convert(markdown, LEVELS)
}

fn convert(markdown: &str, levels: usize) -> String {
    let source = if markdown.contains('\r') {
        Cow::Owned(markdown.replace("\r\n", "\n").replace('\r', "\n"))
    } else {
        Cow::Borrowed(markdown)
    };
    Walk::new(&source, levels).run()
}

fn parser(source: &str) -> Parser<'_> {
    Parser::new_ext(source, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS)
}

/// One conversion under way.
struct Walk<'a> {
    source: &'a str,
    levels: usize,
    page: Page,
    inline: Inline,
    /// The block whose words are being gathered.
    leaf: Option<Kind>,
    /// How far the source has been written, to see whether a blank line precedes the next block.
    reach: usize,
    /// The links that stand bare in the source: no marker opens inside one.
    bare: Vec<Range<usize>>,
    /// Definitions (`[label]: target`) that nothing refers to, last first. A parser swallows them; a reader of
    /// `[Ann]: hello` would miss them.
    orphans: Vec<Range<usize>>,
    /// Of each open list the last number, as the source has it and as it was written; `None` for bullets.
    lists: Vec<Option<(u64, u64)>>,
    /// The text of the open code block, and whether it is Markdown to be unwrapped.
    code: Option<(String, bool)>,
    html: Option<String>,
    table: Table,
    /// Where the labels of the open links begin, and their targets.
    targets: Vec<(usize, String)>,
}

impl<'a> Walk<'a> {
    fn new(source: &'a str, levels: usize) -> Self {
        Self {
            source,
            levels,
            page: Page::with_capacity(source.len() + source.len() / 8),
            inline: Inline::default(),
            leaf: None,
            reach: 0,
            bare: link::bare(source),
            orphans: link::orphans(source),
            lists: Vec::new(),
            code: None,
            html: None,
            table: Table::default(),
            targets: Vec::new(),
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
                        self.words(&at).push(&text);
                        if &*text == "*" {
                            self.star(at.start);
                        }
                    }
                },
                Event::Html(text) => match &mut self.html {
                    Some(html) => html.push_str(&text),
                    None => self.words(&at).push(&text),
                },
                Event::Code(code) => self.words(&at).push_code(&code),
                Event::InlineHtml(tag) => match html::tag(&tag) {
                    html::Tag::Break => self.words(&at).push("\n"),
                    html::Tag::Text => self.words(&at).push(&tag),
                    html::Tag::Markup(_) => _ = self.words(&at),
                },
                Event::SoftBreak | Event::HardBreak => self.words(&at).push("\n"),
                Event::Rule => {
                    self.settle(at.start);
                    self.page.force_blank();
                    self.reach = self.end_of(&at);
                }
                Event::TaskListMarker(_) => {}
                // Not enabled; kept as text should the parser ever send them.
                Event::InlineMath(text) | Event::DisplayMath(text) | Event::FootnoteReference(text) => {
                    self.words(&at).push(&text);
                }
            }
        }
        self.settle(self.source.len() + 1);
        self.page.finish()
    }

    fn start(&mut self, tag: Tag<'_>, at: Range<usize>) {
        match tag {
            Tag::Paragraph => self.open(Kind::Paragraph, at.start),
            Tag::Heading { .. } => self.open(Kind::Heading, at.start),
            Tag::BlockQuote(_) => {
                self.settle(at.start);
                self.page.apart(Kind::Quote, self.blank_before(at.start));
                self.page.enter_quote();
                self.reach = self.reach.max(at.start + 1);
            }
            Tag::CodeBlock(kind) => {
                self.settle(at.start);
                let markdown = matches!(&kind, CodeBlockKind::Fenced(info) if is_markdown(info)) && self.levels > 0;
                self.code = Some((String::new(), markdown));
            }
            Tag::HtmlBlock => {
                self.settle(at.start);
                self.html = Some(String::new());
            }
            Tag::List(first) => {
                self.settle(at.start);
                self.lists.push(first.map(|_| (u64::MAX, 0)));
            }
            Tag::Item => self.item(at.start),
            Tag::Table(_) => {
                self.settle(at.start);
                self.table = Table::default();
            }
            Tag::TableHead => self.table.start_head(),
            Tag::TableRow => self.table.start_row(),
            Tag::TableCell => self.table.start_cell(&mut self.inline),
            Tag::Emphasis => self.mark(Mark::Italic, &at),
            Tag::Strong => self.mark(Mark::Bold, &at),
            Tag::Strikethrough => self.mark(Mark::Strike, &at),
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => {
                let start = self.words(&(at.start..at.start)).len();
                self.targets.push((start, dest_url.into_string()));
            }
            // Not enabled.
            _ => self.settle(at.start),
        }
    }

    fn end(&mut self, tag: TagEnd, at: &Range<usize>) {
        match tag {
            TagEnd::Heading(level) => self.heading(level, at),
            TagEnd::BlockQuote(_) => {
                self.flush();
                self.page.leave(Kind::Quote);
            }
            TagEnd::CodeBlock => self.code_block(at),
            TagEnd::HtmlBlock => {
                let text = html::strip(&self.html.take().unwrap_or_default());
                let body = if self.levels > 0 { convert(&text, self.levels - 1) } else { text };
                self.block(Kind::Paragraph, at, &body);
            }
            TagEnd::List(_) => {
                self.lists.pop();
                self.page.end_list();
            }
            TagEnd::Item => {
                self.flush();
                self.page.leave(Kind::List);
            }
            TagEnd::TableHead => self.table.end_head(),
            TagEnd::TableCell => self.table.end_cell(&mut self.inline),
            TagEnd::TableRow => {
                let body = self.inline.render();
                self.block(Kind::Apart, at, &body);
            }
            TagEnd::Table => {
                self.table.unseen(&mut self.inline);
                let body = self.inline.render();
                self.block(Kind::Apart, at, &body);
            }
            TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough => {
                self.inline.close();
                self.reach = at.end;
            }
            TagEnd::Link | TagEnd::Image => {
                if let Some((start, target)) = self.targets.pop() {
                    self.inline.end_link(start, &target);
                }
                self.reach = at.end;
            }
            _ => self.flush(),
        }
    }

    /// The words of the open block; opens one where a tight list's item has none.
    fn words(&mut self, at: &Range<usize>) -> &mut Inline {
        if self.leaf.is_none() && !self.table.is_open() {
            self.open(Kind::Paragraph, at.start);
        }
        self.reach = self.reach.max(at.end);
        &mut self.inline
    }

    fn open(&mut self, kind: Kind, start: usize) {
        self.settle(start);
        // The blank line is looked for now: words move the reach on.
        self.page.apart(kind, self.blank_before(start));
        self.leaf = Some(kind);
        if kind == Kind::Heading {
            self.inline.open(Mark::Bold);
        }
    }

    /// Writes the open block, and the orphaned definitions that stand before `start`.
    fn settle(&mut self, start: usize) {
        self.flush();
        while let Some(orphan) = self.orphans.pop_if(|orphan| orphan.start < start) {
            let text = self.source[orphan.clone()].trim();
            self.block(Kind::Paragraph, &orphan, text);
        }
    }

    fn flush(&mut self) {
        if let Some(kind) = self.leaf.take() {
            self.page.write(kind, &self.inline.render());
        }
    }

    /// Writes a block whose text is finished.
    fn block(&mut self, kind: Kind, at: &Range<usize>, body: &str) {
        self.page.apart(kind, self.blank_before(at.start));
        self.page.write(kind, body);
        self.reach = self.reach.max(self.end_of(at));
    }

    fn heading(&mut self, level: HeadingLevel, at: &Range<usize>) {
        let underlined = !self.source[at.start..].trim_start().starts_with('#');
        if underlined && level == HeadingLevel::H2 && self.inline.spans_lines() {
            // Several lines over `---` are a paragraph and a rule in a model's mind, not a heading of three lines.
            self.inline.forget_open();
            self.leaf = Some(Kind::Paragraph);
            self.flush();
            self.page.force_blank();
        } else {
            self.inline.join_lines();
            self.inline.close();
            self.flush();
        }
        self.reach = self.end_of(at);
    }

    fn code_block(&mut self, at: &Range<usize>) {
        let Some((code, markdown)) = self.code.take() else { return };
        if markdown {
            let body = convert(&code, self.levels - 1);
            self.block(Kind::Apart, at, &body);
        } else if !code.trim().is_empty() {
            let fence = "`".repeat(inline::longest_run(&code).max(2) + 1);
            let code = code.strip_suffix('\n').unwrap_or(&code);
            self.block(Kind::Code, at, &format!("{fence}\n{code}\n{fence}"));
        }
    }

    fn item(&mut self, start: usize) {
        self.settle(start);
        self.page.apart(Kind::List, self.blank_before(start));
        let marker = match self.lists.last_mut() {
            Some(Some((last, shown))) => {
                let text = self.source[start..].trim_start();
                let digits = text.bytes().take(9).take_while(u8::is_ascii_digit).count();
                let number = text[..digits].parse().unwrap_or(1);
                // The source's own number, but `1. 1. 1.` is Markdown's way to say 1, 2, 3.
                *shown = if number == *last { *shown + 1 } else { number };
                *last = number;
                format!("{shown}. ")
            }
            _ => "- ".to_owned(),
        };
        self.page.enter_item(marker);
        self.reach = self.reach.max(start + 1);
    }

    fn mark(&mut self, mark: Mark, at: &Range<usize>) {
        let text = &self.source[at.clone()];
        let width = if mark == Mark::Bold || text.starts_with("~~") { 2 } else { 1 };
        let signs = &text[..width.min(text.len())];
        let literal = self.in_bare_link(at.start) || is_arithmetic(self.source, at, signs.len());
        let words = self.words(&(at.start..at.start));
        if literal { words.open_literal(signs) } else { words.open(mark) }
    }

    /// A `*` is left over at `at`: where it ends a run of just two, the run may be a marker that Markdown refused.
    fn star(&mut self, at: usize) {
        let Some(head) = self.source[..at].strip_suffix('*') else { return };
        let after = self.source[at + 1..].chars().next();
        let alone = !head.ends_with(['*', '\\']) && after != Some('*');
        // The first of the two was left over as well if the words hold both.
        if alone && self.targets.is_empty() && self.inline.tail(0).ends_with("**") && !self.in_bare_link(at) {
            self.inline.pair_loose(after.is_some_and(|sign| !sign.is_whitespace()));
        }
    }

    fn in_bare_link(&self, at: usize) -> bool {
        let after = self.bare.partition_point(|link| link.start <= at);
        after > 0 && self.bare[after - 1].contains(&at)
    }

    fn blank_before(&self, start: usize) -> bool {
        self.source.get(self.reach..start).is_some_and(|gap| gap.bytes().filter(|&byte| byte == b'\n').nth(1).is_some())
    }

    fn end_of(&self, at: &Range<usize>) -> usize {
        at.start + self.source[at.clone()].trim_end().len()
    }
}

fn is_markdown(info: &str) -> bool {
    let language = info.split_whitespace().next().unwrap_or_default();
    language.eq_ignore_ascii_case("markdown") || language.eq_ignore_ascii_case("md")
}

/// Whether emphasis is in truth arithmetic or a name (`5*3*2`, `x**2 + y**2`, `10~20~30`): it opens inside an ASCII word
/// and either is a single sign or has a digit at its side.
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
