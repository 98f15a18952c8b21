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

use crate::app::LiveApp;
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
#[derive(Clone)]
pub struct SecurityHeaders {
    https: Https,
    plain: Arc<HeaderSet>,
    with_hsts: Arc<HeaderSet>,
}

/// Whether the public URL is https. HSTS is included if it is: TLS ends at the proxy in front.
#[derive(Clone)]
enum Https {
    Fixed(bool),
    /// As the current configuration says.
    Current(LiveApp),
}

/// One set of headers.
struct HeaderSet {
    all: Vec<(HeaderName, HeaderValue)>,
    head_lines: String,
}

impl SecurityHeaders {
    /// Builds the headers for this configuration.
    pub fn from_config(config: &ServerConfig) -> SecurityHeaders {
        SecurityHeaders::new(Https::Fixed(is_https(config)))
    }

    /// Builds headers that follow the current configuration.
    pub fn of_current(app: LiveApp) -> SecurityHeaders {
        SecurityHeaders::new(Https::Current(app))
    }

    fn new(https: Https) -> SecurityHeaders {
        let built = |https: bool| Arc::new(HeaderSet::new(https));
        SecurityHeaders { https, plain: built(false), with_hsts: built(true) }
    }

    /// Returns the headers as lines of an HTTP head, for responses that no route creates.
    pub(super) fn as_head_lines(&self) -> &str {
        &self.current().head_lines
    }

    fn current(&self) -> &HeaderSet {
        let https = match &self.https {
            Https::Fixed(https) => *https,
            Https::Current(app) => is_https(&app.current().config.server),
        };
        if https { &self.with_hsts } else { &self.plain }
    }
}

fn is_https(config: &ServerConfig) -> bool {
    config.public_url.as_ref().is_some_and(|url| url.scheme() == "https")
}

impl HeaderSet {
    fn new(https: bool) -> HeaderSet {
        let all: Vec<_> = BASE_HEADERS.into_iter().chain(https.then_some(HSTS)).collect();
        let line =
            |(name, value): &(HeaderName, HeaderValue)| format!("{name}: {}\r\n", value.to_str().unwrap_or_default());
        let head_lines = all.iter().map(line).collect();
        HeaderSet { all, head_lines }
    }
}

pub(super) async fn add_security_headers(
    State(headers): State<SecurityHeaders>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in &headers.current().all {
        response.headers_mut().entry(name).or_insert_with(|| value.clone());
    }
    response
}
