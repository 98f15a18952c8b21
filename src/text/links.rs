//! Filters the links in a model's answer by the owner's policy.

use std::borrow::Cow;
use std::ops::Range;

use linkify::{Link, LinkFinder, LinkKind};
use url::Url;

/// The links that mynah may send to a contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkPolicy {
    /// All links.
    Allow,
    /// Only links to these hosts and their subdomains. The hosts are in lower case. An empty list allows no links.
    Only(Vec<String>),
}

/// WhatsApp's markers, except the one for code.
const EMPHASIS_MARKERS: [char; 3] = ['_', '*', '~'];

/// Replaces each link that the policy does not allow by `instead`. Everything that WhatsApp turns into a link counts:
/// URLs with a scheme, and bare names such as `example.org/offer`. Email addresses stay.
#[must_use]
pub fn replace_links<'a>(text: &'a str, policy: &LinkPolicy, instead: &str) -> Cow<'a, str> {
    let LinkPolicy::Only(hosts) = policy else { return Cow::Borrowed(text) };
    let mut finder = LinkFinder::new();
    finder.url_must_have_scheme(false);
    let passes = |link: &Link| *link.kind() == LinkKind::Email || is_allowed(link.as_str(), hosts);
    let (allowed_links, foreign_links): (Vec<_>, Vec<_>) = finder.links(text).partition(passes);
    // WhatsApp makes a link of a name between its markers. The finder takes the markers for part of the name and finds
    // no link.
    let bare = blank_out_markers(text);
    let within = |link: &Link| allowed_links.iter().any(|own| own.start() <= link.start() && link.end() <= own.end());
    let hidden = finder.links(&bare).filter(|link| !passes(link) && !within(link));
    // The finder also misses names that end in another script or contain characters that host names cannot have.
    let seen = |at: usize| allowed_links.iter().chain(&foreign_links).any(|link| link.start() <= at && at < link.end());
    let unseen: Vec<_> =
        links_with_scheme(&bare).filter(|link| !seen(link.start) && !is_allowed(&bare[link.clone()], hosts)).collect();
    let mut foreign: Vec<_> = foreign_links
        .into_iter()
        .chain(hidden)
        .map(|link| {
            // A marker at the end belongs to the text around the link.
            link.start()..link.start() + link.as_str().trim_end_matches(EMPHASIS_MARKERS).len()
        })
        .chain(unseen)
        .collect();
    foreign.sort_by_key(|link| link.start);
    let mut kept = String::new();
    let mut from = 0;
    for link in foreign {
        if link.start >= from {
            kept.push_str(&text[from..link.start]);
            kept.push_str(instead);
        }
        from = from.max(link.end);
    }
    if from == 0 {
        return Cow::Borrowed(text);
    }
    kept.push_str(&text[from..]);
    Cow::Owned(kept)
}

/// Returns the ranges of words from `http://` or `https://` to their end, without trailing punctuation.
fn links_with_scheme(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.match_indices("://").filter_map(|(at, _)| {
        let scheme = ["https", "http"].into_iter().find(|scheme| {
            let start = at.checked_sub(scheme.len());
            start.and_then(|start| text.get(start..at)).is_some_and(|word| word.eq_ignore_ascii_case(scheme))
        })?;
        let start = at - scheme.len();
        let word = text[start..].split(|char: char| char.is_whitespace() || "<>\"()[]{}`".contains(char)).next()?;
        let word = word.trim_end_matches(|char: char| char.is_ascii_punctuation() && char != '/');
        (word.len() > scheme.len() + 3).then(|| start..start + word.len())
    })
}

/// Replaces each marker at the edge of a word by a space, so that all positions stay the same.
fn blank_out_markers(text: &str) -> String {
    let mut bare = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(EMPHASIS_MARKERS) {
        let markers = rest[at..].chars().take_while(|char| EMPHASIS_MARKERS.contains(char)).count();
        let before = rest[..at].chars().next_back();
        let after = rest[at + markers..].chars().next();
        let inside = before.is_some_and(char::is_alphanumeric) && after.is_some_and(char::is_alphanumeric);
        bare.push_str(&rest[..at]);
        bare.push_str(&if inside { rest[at..at + markers].to_owned() } else { " ".repeat(markers) });
        rest = &rest[at + markers..];
    }
    bare + rest
}

fn is_allowed(link: &str, hosts: &[String]) -> bool {
    let url = if link.contains("://") { Url::parse(link) } else { Url::parse(&format!("https://{link}")) };
    let Ok(url) = url else { return false };
    // Text before an @ looks like the host but is not.
    let disguised = !url.username().is_empty() || url.password().is_some();
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    !disguised
        && matches!(url.scheme(), "http" | "https")
        && hosts.iter().any(|own| host == own || host.strip_suffix(own.as_str()).is_some_and(|sub| sub.ends_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter_links(text: &str) -> String {
        let policy = LinkPolicy::Only(vec!["bakery.example".to_owned()]);
        replace_links(text, &policy, "[link removed]").into_owned()
    }

    #[test]
    fn links_to_ones_own_hosts_stay() {
        for text in [
            "See https://bakery.example/menu?x=1, or www.bakery.example.",
            "bakery.example/menu",
            "*bakery.example* and _https://bakery.example/_v1.pdf_ and ~www.bakery.example~",
            "https://bakery.example/menu_v1.pdf and 2 * 3 * 4, snake_case.",
            "Write to hello@elsewhere.example, _hello@elsewhere.example_ or hello_@elsewhere.example.",
            "Links begin with http:// or https://.",
            "https://bakery.example.:443/menu",
            "Menu:https://bakery.example|Bread",
            "3.5 kg at 10.30, e.g. today.",
        ] {
            assert_eq!(filter_links(text), text);
        }
    }

    #[test]
    fn foreign_links_are_replaced_however_they_are_written() {
        for (text, clear) in [
            ("Pay at https://evil.example/pay.", "Pay at [link removed]."),
            ("(http://evil.example)", "([link removed])"),
            ("evil.example/x and bakery.example", "[link removed] and bakery.example"),
            ("https://bakery.example@evil.example/", "[link removed]"),
            ("https://evil.example@bakery.example/ https://:evil@bakery.example/", "[link removed] [link removed]"),
            ("https://bakery.example.evil.example/", "[link removed]"),
            ("https://notbakery.example/", "[link removed]"),
            ("ftp://bakery.example/", "[link removed]"),
            ("HTTPS://EVIL.EXAMPLE", "[link removed]"),
            (
                "_evil.example_ and *evil.example*, ~evil.example~",
                "_[link removed]_ and *[link removed]*, ~[link removed]~",
            ),
            ("*_www.evil.example/x_*!", "*_[link removed]_*!"),
            ("_https://evil.example_ _see evil.example_", "_[link removed]_ _see [link removed]_"),
            ("See https://пример.рф/pay! Or (HTTP://evil_host.example/).", "See [link removed]! Or ([link removed])."),
            ("_bakery.example_ ~evil.example", "_bakery.example_ ~[link removed]"),
            ("https://evil.example/_x.example_ here", "[link removed]_ here"),
            ("<https://пример.рф>und https://пример_а.рф/", "<[link removed]>und [link removed]"),
        ] {
            assert_eq!(filter_links(text), clear, "{text}");
        }
    }

    #[test]
    fn a_policy_that_allows_all_reads_nothing() {
        assert!(matches!(replace_links("https://evil.example", &LinkPolicy::Allow, ""), Cow::Borrowed(_)));
        assert_eq!(replace_links("a https://b.example c", &LinkPolicy::Only(Vec::new()), "-"), "a - c");
    }
}
