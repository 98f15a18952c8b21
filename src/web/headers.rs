//! Adds security headers to every response, including errors. A page may set its own values.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::middleware::Next;
use axum::response::Response;

use crate::config::ServerConfig;

const DENY_ALL_PERMISSIONS: &str = "accelerometer=(), camera=(), geolocation=(), microphone=(), payment=(), usb=()";

// `same-origin`, because `no-referrer` makes browsers send `Origin: null` with forms.
const BASE_HEADERS: [(HeaderName, HeaderValue); 8] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("permissions-policy"), HeaderValue::from_static(DENY_ALL_PERMISSIONS)),
];

/// One year, as the preload lists require. Subdomains are left to the owner.
const HSTS: (HeaderName, HeaderValue) = (STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));

/// The security headers of every response.
#[derive(Clone, Debug)]
pub struct SecurityHeaders {
    all: Arc<[(HeaderName, HeaderValue)]>,
    head_lines: Arc<str>,
}

impl SecurityHeaders {
    /// Builds the headers. HSTS is included if the public URL is https: TLS ends at the proxy in front.
    pub fn from_config(config: &ServerConfig) -> SecurityHeaders {
        let https = config.public_url.as_ref().is_some_and(|url| url.scheme() == "https");
        let all: Arc<[_]> = BASE_HEADERS.into_iter().chain(https.then_some(HSTS)).collect();
        let line =
            |(name, value): &(HeaderName, HeaderValue)| format!("{name}: {}\r\n", value.to_str().unwrap_or_default());
        let head_lines = all.iter().map(line).collect::<String>().into();
        SecurityHeaders { all, head_lines }
    }

    /// Returns the headers as lines of an HTTP head, for responses that no route creates.
    pub(super) fn as_head_lines(&self) -> &str {
        &self.head_lines
    }
}

pub(super) async fn add_security_headers(
    State(headers): State<SecurityHeaders>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in &*headers.all {
        response.headers_mut().entry(name).or_insert_with(|| value.clone());
    }
    response
}
