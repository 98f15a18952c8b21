//! Renders WhatsApp's markup as HTML. All text that a person wrote is escaped; the only tags are the ones made here.
//!
//! Supports `*bold*`, `_italic_`, `~strike~`, `` `code` ``, ```` ```monospace``` ````, `> quote`, `- item` or `* item`,
//! and `1. item` (WhatsApp help, "How to format your messages"). URLs that begin with `http://` or `https://` become
//! links.

/// The marker around monospaced text.
const FENCE: &str = "```";

/// Renders a message's text as HTML.
pub(super) fn to_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    let mut rest = text;
    // Monospaced text over several lines is a separate block. Within one line it is part of the line.
    while let Some((before, mono, after)) = fenced_block(rest) {
        write_lines(before, &mut out);
        out.push_str("<pre><code>");
        write_escaped(mono, &mut out);
        out.push_str("</code></pre>");
        rest = after.strip_prefix('\n').unwrap_or(after);
    }
    write_lines(rest, &mut out);
    out
}

/// Returns the text before, inside and after the first fence that spans lines.
fn fenced_block(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let open = from + text[from..].find(FENCE)?;
        let inside = open + FENCE.len();
        let close = inside + text[inside..].find(FENCE)?;
        let mono = &text[inside..close];
        if mono.contains('\n') {
            return Some((text[..open].trim_end_matches('\n'), mono.trim_matches('\n'), &text[close + FENCE.len()..]));
        }
        from = close + FENCE.len();
    }
}

#[derive(Clone, Copy, PartialEq)]
enum LineBlock {
    Plain,
    Quote,
    Bullets,
    Numbers,
}

impl LineBlock {
    const fn tags(self) -> (&'static str, &'static str) {
        match self {
            LineBlock::Plain => ("<p>", "</p>"),
            LineBlock::Quote => ("<blockquote>", "</blockquote>"),
            LineBlock::Bullets => ("<ul>", "</ul>"),
            LineBlock::Numbers => ("<ol>", "</ol>"),
        }
    }
}

/// Returns the kind of a line, its number in a list, and its text.
fn classify_line(line: &str) -> (LineBlock, Option<u32>, &str) {
    if let Some(text) = line.strip_prefix("> ") {
        return (LineBlock::Quote, None, text);
    }
    if let Some(text) = line.strip_prefix("- ").or_else(|| line.strip_prefix("* ")) {
        return (LineBlock::Bullets, None, text);
    }
    if let Some((number, text)) = line.split_once(". ")
        && number.len() <= 3
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && let Ok(number) = number.parse()
    {
        return (LineBlock::Numbers, Some(number), text);
    }
    (LineBlock::Plain, None, line)
}

fn write_lines(text: &str, out: &mut String) {
    if text.is_empty() {
        return;
    }
    let mut open: Option<LineBlock> = None;
    for line in text.lines() {
        let (block, number, text) = classify_line(line);
        // A blank line after a list or a quote only ends that block: blocks already have space between them.
        if text.trim().is_empty()
            && block == LineBlock::Plain
            && let Some(before) = open.filter(|open| *open != LineBlock::Plain)
        {
            out.push_str(before.tags().1);
            open = None;
            continue;
        }
        let goes_on = open == Some(block);
        if !goes_on {
            if let Some(block) = open {
                out.push_str(block.tags().1);
            }
            out.push_str(block.tags().0);
            open = Some(block);
        }
        match (block, number) {
            (LineBlock::Bullets, _) => out.push_str("<li>"),
            (LineBlock::Numbers, Some(number)) => out.push_str(&format!("<li value=\"{number}\">")),
            _ if goes_on => out.push_str("<br>"),
            _ => {}
        }
        write_inline(text, 0, out);
        if matches!(block, LineBlock::Bullets | LineBlock::Numbers) {
            out.push_str("</li>");
        }
    }
    if let Some(block) = open {
        out.push_str(block.tags().1);
    }
}

/// The delimiter, the tag, and the bit that says that the span is already open. No span nests in itself, so the depth
/// is bounded.
const SPANS: [(u8, &str, u8); 3] = [(b'*', "b", 1), (b'_', "i", 2), (b'~', "s", 4)];

/// Writes one line. `open` holds the spans around it.
fn write_inline(text: &str, open: u8, out: &mut String) {
    let bytes = text.as_bytes();
    let (mut at, mut plain) = (0, 0);
    while at < bytes.len() {
        let made = match bytes[at] {
            b'`' => render_code(text, at),
            b'h' => render_link(text, at),
            _ => None,
        };
        if let Some((end, html)) = made {
            write_escaped(&text[plain..at], out);
            out.push_str(&html);
            (at, plain) = (end, end);
            continue;
        }
        if let Some((_, tag, bit)) = SPANS.into_iter().find(|(byte, _, bit)| *byte == bytes[at] && open & bit == 0)
            && let Some(end) = span_end(text, at)
        {
            write_escaped(&text[plain..at], out);
            out.push_str(&format!("<{tag}>"));
            write_inline(&text[at + 1..end], open | bit, out);
            out.push_str(&format!("</{tag}>"));
            (at, plain) = (end + 1, end + 1);
            continue;
        }
        at += 1;
    }
    write_escaped(&text[plain..], out);
}

/// Returns the end of the span that opens at `at`. A span opens before and closes after nonblank text, at the edge of a
/// word.
fn span_end(text: &str, at: usize) -> Option<usize> {
    let mark = text.as_bytes()[at];
    let joined = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let blank = |c: Option<char>| c.is_none_or(char::is_whitespace);
    if joined(text[..at].chars().next_back()) || blank(text[at + 1..].chars().next()) {
        return None;
    }
    let closes = |end: &usize| {
        text.as_bytes()[*end] == mark
            && *end > at + 1
            && !blank(text[..*end].chars().next_back())
            && !joined(text[end + 1..].chars().next())
    };
    (at + 1..text.len()).find(closes)
}

/// Returns the end and the HTML of the code that opens at `at`, between one or three backticks.
fn render_code(text: &str, at: usize) -> Option<(usize, String)> {
    let mark = if text[at..].starts_with(FENCE) { FENCE } else { "`" };
    let inside = at + mark.len();
    let close = inside + text[inside..].find(mark)?;
    if text[inside..close].trim().is_empty() {
        return None;
    }
    let mut html = "<code>".to_owned();
    write_escaped(&text[inside..close], &mut html);
    html.push_str("</code>");
    Some((close + mark.len(), html))
}

/// Returns the end and the HTML of the link that begins at `at`.
fn render_link(text: &str, at: usize) -> Option<(usize, String)> {
    let rest = &text[at..];
    let scheme = ["https://", "http://"].into_iter().find(|scheme| rest.starts_with(scheme))?;
    if text[..at].chars().next_back().is_some_and(char::is_alphanumeric) {
        return None;
    }
    let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '`')).unwrap_or(rest.len());
    let address = rest[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '\'', '*', '_', '~']);
    if address.len() <= scheme.len() {
        return None;
    }
    let mut html = "<a href=\"".to_owned();
    write_escaped(address, &mut html);
    html.push_str("\" rel=\"noopener noreferrer\" target=\"_blank\">");
    write_escaped(address, &mut html);
    html.push_str("</a>");
    Some((at + address.len(), html))
}

/// Writes text with the characters escaped that have a meaning in HTML, in attributes or between tags.
fn write_escaped(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::to_html;

    #[test]
    fn whatsapp_markup_becomes_html() {
        for (text, expected) in [
            ("plain", "<p>plain</p>"),
            ("*bold* _italic_ ~gone~ `x`", "<p><b>bold</b> <i>italic</i> <s>gone</s> <code>x</code></p>"),
            ("*_both_*", "<p><b><i>both</i></b></p>"),
            ("(*bold*)", "<p>(<b>bold</b>)</p>"),
            ("one\ntwo", "<p>one<br>two</p>"),
            ("> said\n> twice\nnow", "<blockquote>said<br>twice</blockquote><p>now</p>"),
            ("- a\n- *b*", "<ul><li>a</li><li><b>b</b></li></ul>"),
            ("- a\n\nb", "<ul><li>a</li></ul><p>b</p>"),
            ("a\n\nb", "<p>a<br><br>b</p>"),
            ("* a", "<ul><li>a</li></ul>"),
            ("2. a\n3. b", "<ol><li value=\"2\">a</li><li value=\"3\">b</li></ol>"),
            ("run ```ls *a*``` now", "<p>run <code>ls *a*</code> now</p>"),
            ("a\n```\nlet x;\ny\n```\nb", "<p>a</p><pre><code>let x;\ny</code></pre><p>b</p>"),
        ] {
            assert_eq!(to_html(text), expected, "{text}");
        }
    }

    #[test]
    fn text_that_only_looks_like_markup_stays_text() {
        for text in ["2 * 3 * 4", "snake_case_name", "* *", "**", "a*b*c", "~ 5", "``` ```", "*open", "10.30 o", "é*a*"]
        {
            assert!(
                !to_html(text).contains("<b>") && !to_html(text).contains("<i>") && !to_html(text).contains("<code>"),
                "{text}"
            );
        }
    }

    #[test]
    fn whatever_a_person_writes_is_escaped() {
        let nasty = r#"<script>alert('x')</script> <img src=x onerror="y"> &lt;"#;
        let escaped =
            "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &lt;img src=x onerror=&quot;y&quot;&gt; &amp;lt;";
        assert_eq!(to_html(nasty), format!("<p>{escaped}</p>"));
        for text in [
            "*<b>*",
            "`<b>`",
            "```<b>```",
            "```\n<b>\n```",
            "> <b>",
            "- <b>",
            "1. <b>",
            "_*~<b>~*_",
            "https://x.org/<b>",
        ] {
            assert!(to_html(text).contains("&lt;b&gt;"), "{text}: {}", to_html(text));
        }
    }

    #[test]
    fn only_web_addresses_become_links_and_cannot_leave_their_quotes() {
        assert_eq!(
            to_html("see https://example.org/a_b_?q=1&r=2."),
            "<p>see <a href=\"https://example.org/a_b_?q=1&amp;r=2\" rel=\"noopener noreferrer\" target=\"_blank\">\
             https://example.org/a_b_?q=1&amp;r=2</a>.</p>"
        );
        assert!(!to_html("javascript:alert(1)").contains("href"));
        assert!(to_html("https://x.org/\"onclick=a").contains("href=\"https://x.org/\" rel"));
        assert!(!to_html("https://").contains("href"));
    }

    #[test]
    fn text_of_any_script_and_depth_is_rendered() {
        assert_eq!(to_html("*¿Qué?* 👋 _日本語_"), "<p><b>¿Qué?</b> 👋 <i>日本語</i></p>");
        assert_eq!(to_html(""), "");
        assert!(to_html(&"*_~".repeat(1_300)).starts_with("<p>"));
    }
}
