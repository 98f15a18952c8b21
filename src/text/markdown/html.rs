//! HTML in Markdown: keeps line breaks, removes other tags and keeps their text.

/// How a piece of HTML is shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Tag {
    /// `<br>`
    Break,
    /// A tag or a comment, which is not shown. In a block of HTML, this text replaces it.
    Markup(&'static str),
    /// Not an HTML tag (`<name>`), shown unchanged.
    Text,
}

/// Tags that start a new line.
const BLOCK_TAGS: [&str; 24] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "dd",
    "details",
    "div",
    "dl",
    "dt",
    "figure",
    "footer",
    "form",
    "header",
    "hr",
    "main",
    "nav",
    "ol",
    "p",
    "pre",
    "section",
    "summary",
    "table",
    "ul",
];
const HEADING_AND_ROW_TAGS: [&str; 10] = ["h1", "h2", "h3", "h4", "h5", "h6", "tr", "thead", "tbody", "caption"];
const CELL_TAGS: [&str; 2] = ["td", "th"];
const INLINE_TAGS: [&str; 48] = [
    "a",
    "abbr",
    "audio",
    "b",
    "bdi",
    "bdo",
    "big",
    "button",
    "center",
    "cite",
    "code",
    "col",
    "colgroup",
    "data",
    "del",
    "dfn",
    "em",
    "figcaption",
    "font",
    "head",
    "html",
    "i",
    "iframe",
    "img",
    "input",
    "ins",
    "kbd",
    "label",
    "link",
    "mark",
    "meta",
    "picture",
    "q",
    "s",
    "samp",
    "script",
    "small",
    "source",
    "span",
    "strike",
    "strong",
    "style",
    "sub",
    "sup",
    "time",
    "u",
    "video",
    "wbr",
];

/// Classifies one tag, given with its brackets.
pub(super) fn classify_tag(tag: &str) -> Tag {
    let inner = tag.trim_start_matches('<');
    if inner.starts_with(['!', '?']) {
        return Tag::Markup("");
    }
    let name = inner.trim_start_matches('/');
    let end = name.find(|sign: char| !sign.is_ascii_alphanumeric()).unwrap_or(name.len());
    // A name longer than any HTML tag name is not worth copying.
    if end == 0 || end > 12 || !name[end..].starts_with([' ', '\n', '\t', '/', '>']) {
        return Tag::Text;
    }
    let name = name[..end].to_ascii_lowercase();
    let name = name.as_str();
    match name {
        "br" => Tag::Break,
        "li" => Tag::Markup(if inner.starts_with('/') { "" } else { "\n- " }),
        _ if BLOCK_TAGS.contains(&name) || HEADING_AND_ROW_TAGS.contains(&name) => Tag::Markup("\n"),
        _ if CELL_TAGS.contains(&name) => Tag::Markup(" "),
        _ if INLINE_TAGS.contains(&name) => Tag::Markup(""),
        _ => Tag::Text,
    }
}

/// Returns the text of a block of HTML with its lines trimmed.
pub(super) fn strip_tags(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    // The position of the next `>`, counted from the end, so that it is searched only once: `<<<<…` must not take
    // quadratic time.
    let mut closing: Option<usize> = None;
    let mut comments = true;
    while let Some(open) = rest.find('<') {
        text.push_str(&rest[..open]);
        rest = &rest[open..];
        if comments && rest.starts_with("<!--") {
            match rest.find("-->") {
                Some(end) => {
                    rest = &rest[end + 3..];
                    continue;
                }
                None => comments = false,
            }
        }
        if closing.is_none_or(|left| left > rest.len()) {
            let Some(close) = rest.find('>') else { break };
            closing = Some(rest.len() - close);
        }
        let close = rest.len() - closing.unwrap_or_default();
        match classify_tag(&rest[..=close]) {
            Tag::Break => text.push('\n'),
            Tag::Markup(instead) if !rest.starts_with("<!--") => text.push_str(instead),
            _ => {
                text.push('<');
                rest = &rest[1..];
                continue;
            }
        }
        rest = &rest[close + 1..];
    }
    text.push_str(rest);
    let mut lines = String::with_capacity(text.len());
    for line in text.lines() {
        lines.push_str(line.trim());
        lines.push('\n');
    }
    lines
}
