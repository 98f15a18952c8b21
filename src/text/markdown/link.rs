//! Links: finds bare links and unused definitions, and formats targets.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashSet;
use std::ops::Range;

use pulldown_cmark::{Event, LinkType, Tag};

const SCHEMES: [&str; 2] = ["http://", "https://"];

/// Returns the bare links in a source, in order.
pub(super) fn bare_links(source: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(colon) = source[from..].find("://").map(|at| from + at) {
        from = colon + 3;
        let scheme = SCHEMES.iter().find(|scheme| source[..from].ends_with(**scheme));
        if let Some(scheme) = scheme {
            let end = link_end(source, from);
            found.push(from - scheme.len()..end);
            from = end;
        }
    }
    found
}

/// Returns the definitions that no link refers to, last first.
pub(super) fn unused_definitions(source: &str) -> Vec<Range<usize>> {
    let first = super::parser(source);
    let mut found: Vec<_> = first
        .reference_definitions()
        .iter()
        .map(|(_, definition)| (definition.dest.to_string(), definition.span.clone()))
        .collect();
    if found.is_empty() {
        return Vec::new();
    }
    let used: HashSet<String> = first
        .filter_map(|event| match event {
            Event::Start(Tag::Link { link_type, dest_url, .. } | Tag::Image { link_type, dest_url, .. })
                if matches!(link_type, LinkType::Reference | LinkType::Collapsed | LinkType::Shortcut) =>
            {
                Some(dest_url.into_string())
            }
            _ => None,
        })
        .collect();
    found.retain(|(target, _)| !used.contains(target));
    found.sort_by_key(|(_, span)| Reverse(span.start));
    found.into_iter().map(|(_, span)| span).collect()
}

/// Returns the end of the link that is read from `from`: at whitespace, a quotation mark, or a bracket that it did not
/// open.
fn link_end(source: &str, from: usize) -> usize {
    let mut open = 0;
    for (at, sign) in source[from..].char_indices() {
        match sign {
            '(' => open += 1,
            ')' if open == 0 => return from + at,
            ')' => open -= 1,
            '<' | '>' | '"' | '`' | '|' | ']' => return from + at,
            _ if sign.is_whitespace() => return from + at,
            _ => {}
        }
    }
    source.len()
}

/// Returns whether the last word of a text is, or ends in, a bare link.
pub(super) fn ends_with_link(text: &str) -> bool {
    let word = text.rsplit(char::is_whitespace).next().unwrap_or_default();
    SCHEMES.iter().any(|scheme| word.contains(scheme)) && !word.ends_with([')', '`', '>', '"'])
}

/// Returns a target as it is shown. WhatsApp turns email addresses and phone numbers into links by itself, so they are
/// shown without their scheme.
pub(super) fn display_target(target: &str) -> Cow<'_, str> {
    let target = target.trim();
    if let Some(number) = strip_scheme(target, "tel:") {
        return Cow::Borrowed(number);
    }
    if let Some(mail) = strip_scheme(target, "mailto:") {
        return Cow::Borrowed(mail.split_once('?').map_or(mail, |(address, _)| address));
    }
    if target.contains(char::is_whitespace) {
        return Cow::Owned(target.replace(char::is_whitespace, "%20"));
    }
    Cow::Borrowed(target)
}

/// Returns whether a label equals its target, except for the scheme or a slash at the end.
pub(super) fn label_is_target(label: &str, target: &str) -> bool {
    let bare = |text: &str| -> String {
        let text = ["http://", "https://", "mailto:", "tel:"]
            .iter()
            .find_map(|scheme| strip_scheme(text, scheme))
            .unwrap_or(text);
        text.strip_suffix('/').unwrap_or(text).to_lowercase()
    };
    // Compare only a label that can be equal, so that a long one is not copied in vain.
    label.len() <= target.len() + 10 && bare(label.trim()) == bare(target.trim())
}

/// Returns whether a label is its target's phone number, perhaps written with spaces or parentheses.
pub(super) fn label_is_phone_number(label: &str, target: &str) -> bool {
    let digits = |text: &str| {
        text.chars().filter(|sign| !matches!(sign, ' ' | '(' | ')' | '-' | '.' | '/' | '\u{a0}')).collect::<String>()
    };
    strip_scheme(target.trim(), "tel:").is_some_and(|number| digits(label) == digits(number))
}

fn strip_scheme<'a>(target: &'a str, scheme: &str) -> Option<&'a str> {
    let head = target.get(..scheme.len())?;
    head.eq_ignore_ascii_case(scheme).then(|| &target[scheme.len()..])
}
