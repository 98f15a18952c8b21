//! Whether a page of ours sent a form.

use axum::http::HeaderMap;
use axum::http::header::{HOST, HeaderName, ORIGIN};

/// Returns whether a page of ours sent the form. Browsers name the origin of a form in `Sec-Fetch-Site`, older ones in
/// `Origin`. A client that sends neither is not a browser, which sends cookies along without being asked.
pub fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    match headers.get(ORIGIN).map(|origin| origin.to_str().unwrap_or_default()) {
        None => true,
        Some(origin) => origin.split_once("://").is_some_and(|(_, host)| Some(host) == text(HOST)),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_form_of_another_site_is_told_from_ours() {
        for (headers, ours) in [
            (&[("sec-fetch-site", "same-origin")][..], true),
            (&[("sec-fetch-site", "none")], true),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "cross-site"), ("origin", "https://bot.example.org")], false),
            (&[("origin", "https://bot.example.org"), ("host", "bot.example.org")], true),
            (&[("origin", "https://evil.example"), ("host", "bot.example.org")], false),
            (&[("origin", "null"), ("host", "bot.example.org")], false),
            (&[("host", "bot.example.org")], true),
        ] {
            let map: HeaderMap = headers
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect();
            assert_eq!(is_same_origin(&map), ours, "{headers:?}");
        }
    }
}
