//! Compares what was sent with what arrived.

use std::fmt;

use super::report::ProbeReport;
use super::request::{ProbeRequest, decode};

/// One thing that arrived otherwise than it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::diagnosis) enum Change {
    /// The method, such as POST.
    Method(String),
    /// The path: what was sent, what arrived.
    Path(String, String),
    /// The query: what was sent, what arrived.
    Query(String, String),
    /// The fields of the body, which the signature covers: what was sent, what arrived.
    Body(String, String),
    /// The content type that arrived.
    ContentType(String),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, sent, arrived) = match self {
            Change::Method(arrived) => ("the method", "POST", arrived.as_str()),
            Change::Path(sent, arrived) => ("the path", sent.as_str(), arrived.as_str()),
            Change::Query(sent, arrived) => ("the query", sent.as_str(), arrived.as_str()),
            Change::Body(sent, arrived) => ("the body", sent.as_str(), arrived.as_str()),
            Change::ContentType(arrived) => ("the content type", "a form", arrived.as_str()),
        };
        write!(f, "{what}: {sent} arrived as {arrived}")
    }
}

/// Returns what arrived otherwise than it was sent, as far as the signature covers it. Another encoding of the same
/// fields of the body, or a body that is no longer in chunks, is no change: the provider signs the decoded fields.
pub(in crate::diagnosis) fn changes(sent: &ProbeRequest, arrived: &ProbeReport) -> Vec<Change> {
    let mut changes = Vec::new();
    if arrived.method != "POST" {
        changes.push(Change::Method(arrived.method.clone()));
    }
    let (sent_path, sent_query) = split_target(sent.target);
    let (path, query) = split_target(&arrived.target);
    if path != sent_path {
        let (sent, arrived) = differing_items('/', sent_path, path);
        changes.push(Change::Path(sent, arrived));
    }
    if query != sent_query {
        let written = |query: Option<&str>| query.map_or_else(|| "none".to_owned(), |query| format!("?{query}"));
        let (sent, arrived) = match (sent_query, query) {
            (Some(sent), Some(arrived)) => differing_items('&', sent, arrived),
            (sent, arrived) => (written(sent), written(arrived)),
        };
        changes.push(Change::Query(sent, arrived));
    }
    let is_form = arrived.content_type.as_deref().is_some_and(|kind| {
        kind.to_ascii_lowercase().split(';').next().map(str::trim) == Some("application/x-www-form-urlencoded")
    });
    if !is_form {
        changes.push(Change::ContentType(arrived.content_type.clone().unwrap_or_else(|| "none".to_owned())));
    }
    let body = arrived.body();
    if decode(&body) != sent.fields() {
        let text = if body.is_empty() { "nothing".to_owned() } else { String::from_utf8_lossy(&body).into_owned() };
        changes.push(Change::Body(format!("{} bytes", sent.body.len()), text.chars().take(200).collect()));
    }
    changes
}

fn split_target(target: &str) -> (&str, Option<&str>) {
    target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)))
}

/// Returns the items that differ, or everything if items are missing or added.
fn differing_items(separator: char, sent: &str, arrived: &str) -> (String, String) {
    let (sent_items, items): (Vec<_>, Vec<_>) = (sent.split(separator).collect(), arrived.split(separator).collect());
    if sent_items.len() != items.len() {
        return (sent.to_owned(), arrived.to_owned());
    }
    let (sent, arrived): (Vec<_>, Vec<_>) =
        sent_items.into_iter().zip(items).filter(|(sent, arrived)| sent != arrived).unzip();
    let separator = separator.to_string();
    (sent.join(&separator), arrived.join(&separator))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The report of a probe that arrived like this.
    fn arrived(target: &str, body: &str) -> ProbeReport {
        let content_type = Some("application/x-www-form-urlencoded; charset=UTF-8".to_owned());
        ProbeReport {
            method: "POST".to_owned(),
            target: target.to_owned(),
            content_type,
            ..ProbeReport::of_this_process(false)
        }
        .with_body(body.as_bytes())
    }

    fn described(sent: &ProbeRequest, target: &str, body: &str) -> Vec<String> {
        changes(sent, &arrived(target, body)).iter().map(Change::to_string).collect()
    }

    #[test]
    fn what_arrives_as_it_was_sent_is_no_change_and_neither_is_another_encoding_of_the_body() {
        for sent in [ProbeRequest::MESSAGE, ProbeRequest::STATUS, ProbeRequest::QUERY, ProbeRequest::PATH] {
            assert_eq!(described(&sent, sent.target, sent.body), [""; 0]);
            let encoded = sent.body.replace("%c2%bf", "%C2%BF").replace('~', "%7E");
            assert_eq!(described(&sent, sent.target, &encoded), [""; 0]);
        }
    }

    #[test]
    fn lighttpds_rewriting_is_named_item_by_item() {
        let sent = ProbeRequest::QUERY;
        let target = "/webhooks/twilio?a=~&b=~&c=A&d=%C3%A9&e=%7Bx%7D&f=p+q&g=%20&h=";
        assert_eq!(
            described(&sent, target, sent.body),
            ["the query: b=%7E&c=%41&d=%c3%a9&e={x} arrived as b=~&c=A&d=%C3%A9&e=%7Bx%7D"]
        );
        let sent = ProbeRequest::QUESTION_MARK;
        assert_eq!(described(&sent, "/webhooks/twilio", sent.body), ["the query: ? arrived as none"]);
    }

    #[test]
    fn another_path_body_method_and_content_type_are_named() {
        let sent = ProbeRequest::MESSAGE;
        let path = described(&sent, "/bot/webhooks/twilio", sent.body);
        assert_eq!(path, ["the path: /webhooks/twilio arrived as /bot/webhooks/twilio"]);
        let sent_path = ProbeRequest::PATH;
        assert_eq!(
            described(&sent_path, "/webhooks/twilio/probe/~/~/A/%c3%a9/end", sent.body),
            [
                "the path: /webhooks/twilio/probe/~/%7E/%41/%c3%a9//end arrived as /webhooks/twilio/probe/~/~/A/%c3%a9/end"
            ]
        );
        let body = described(&sent, sent.target, "");
        assert_eq!(body, [format!("the body: {} bytes arrived as nothing", sent.body.len())]);
        let other = ProbeReport { method: "GET".into(), content_type: None, ..arrived(sent.target, sent.body) };
        let other: Vec<_> = changes(&sent, &other).iter().map(Change::to_string).collect();
        assert_eq!(other, ["the method: POST arrived as GET", "the content type: a form arrived as none"]);
    }
}
