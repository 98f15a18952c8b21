//! The HTTP client for a model's server. Each exchange returns the response, or a fault that says whether to retry.
//!
//! A model call that fails halfway can be retried safely: it changes nothing but the bill.

use std::future::Future;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::multipart::Form;
use reqwest::{Client, Response};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use url::Url;

use super::{Error, Meter};
use crate::config::AiSettingNames;
use crate::fault::{Fault, FaultOwner, RetryOutlook};
use crate::http::{self, AllowedTargets, BodyError};

/// The largest response body that mynah reads, in bytes.
const MAX_BODY_BYTES: usize = 4 << 20;
/// The longest quotation of a server's error message, in characters.
const MAX_QUOTE_CHARS: usize = 300;
/// The longest wait that mynah accepts from a server.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Calls one server with one key.
pub(super) struct ApiClient {
    client: Client,
    headers: HeaderMap,
    key: Option<SecretString>,
    timeout: Duration,
    setting_names: AiSettingNames,
}

/// A response, with any status.
pub(super) struct ApiResponse {
    /// The HTTP status.
    pub(super) status: u16,
    /// How long the server asks to wait.
    pub(super) retry_after: Option<Duration>,
    /// The server's request id.
    pub(super) request_id: Option<String>,
    /// Whether the body is a web page.
    pub(super) is_html: bool,
    /// The body as received.
    pub(super) body: Vec<u8>,
}

impl ApiClient {
    /// Creates a client whose calls time out after `timeout`. Errors name the settings in `setting_names`. A blank key
    /// counts as no key.
    pub(super) fn new(
        timeout: Duration,
        key: Option<&SecretString>,
        setting_names: AiSettingNames,
        reach: AllowedTargets,
    ) -> ApiClient {
        let key = key.map(|key| key.expose_secret().trim()).filter(|key| !key.is_empty());
        // Answers are not streamed: the first byte comes when the model has finished (and, with Ollama, after it has
        // loaded the model). So the wait for the first byte may take the whole timeout.
        ApiClient {
            client: http::client(timeout, timeout, reach),
            headers: HeaderMap::new(),
            key: key.map(SecretString::from),
            timeout,
            setting_names,
        }
    }

    /// Returns the names of the model's settings.
    pub(super) fn setting_names(&self) -> AiSettingNames {
        self.setting_names
    }

    /// Returns whether there is a key.
    pub(super) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Sends the key, if there is one, in this header with each call, after `scheme`.
    pub(super) fn set_key_header(&mut self, name: &'static str, scheme: &str) -> Result<(), Error> {
        if let Some(key) = &self.key {
            let text = format!("{scheme}{}", key.expose_secret());
            let mut value = HeaderValue::from_str(&text).map_err(|_| Error::BadKey(self.setting_names.api_key))?;
            value.set_sensitive(true);
            self.headers.insert(HeaderName::from_static(name), value);
        }
        Ok(())
    }

    /// Sends this header with each call.
    pub(super) fn set_header(&mut self, name: &'static str, value: &'static str) {
        self.headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }

    /// Posts JSON. The caller reads the usage from the response and records it.
    pub(super) async fn post<T: Serialize + Sync>(
        &self,
        url: &Url,
        body: &T,
        meter: &Meter,
    ) -> Result<ApiResponse, Fault> {
        meter.record_sent();
        let sent = self.client.post(url.clone()).json(body).headers(self.headers.clone()).send().await;
        if sent.as_ref().is_err_and(|error| error.is_connect() || error.is_builder()) {
            // The server has not received the request.
            meter.record_refused();
        }
        self.receive(sent).await
    }

    /// Posts a form with a file.
    pub(super) async fn post_form(&self, url: &Url, form: Form) -> Result<ApiResponse, Fault> {
        self.receive(self.client.post(url.clone()).multipart(form).headers(self.headers.clone()).send().await).await
    }

    /// Sends a GET request.
    pub(super) async fn get(&self, url: &Url) -> Result<ApiResponse, Fault> {
        self.receive(self.client.get(url.clone()).headers(self.headers.clone()).send().await).await
    }

    /// Runs `work`, which may be several exchanges, and ends it after the timeout of one call.
    pub(super) async fn with_timeout<T>(&self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        match tokio::time::timeout(self.timeout, work).await {
            Ok(result) => result,
            Err(_) => Err(self.timeout_fault()),
        }
    }

    async fn receive(&self, sent: Result<Response, reqwest::Error>) -> Result<ApiResponse, Fault> {
        let response = sent.map_err(|error| self.transport_fault(error))?;
        let headers = response.headers();
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let (status, retry_after) = (response.status().as_u16(), retry_after(headers));
        let request_id = text("x-request-id").or_else(|| text("request-id")).map(|id| to_single_line(id, 100));
        let page = text("content-type").is_some_and(|kind| kind.starts_with("text/html"));
        let body = http::read_body(response, MAX_BODY_BYTES).await.map_err(|error| match error {
            BodyError::TooLarge(_) => {
                Fault::fail(FaultOwner::Message, format!("the model's server answered {status}: {error}"))
            }
            BodyError::Broken(error) => self.transport_fault(error),
        })?;
        Ok(ApiResponse { status, retry_after, request_id, is_html: page, body })
    }

    fn timeout_fault(&self) -> Fault {
        let limit = self.timeout.as_secs_f64();
        let why = format!("the model's server gave no answer within {limit} s (MYNAH_AI_TIMEOUT)");
        Fault::Retry { retry_after: None, why, outlook: RetryOutlook::Timeout }
    }

    fn transport_fault(&self, error: reqwest::Error) -> Fault {
        if error.is_timeout() && !error.is_connect() {
            self.timeout_fault()
        } else if error.is_builder() {
            Fault::fail(
                FaultOwner::Operator,
                format!("mynah cannot call the model's server: {}", http::describe_error(error)),
            )
        } else {
            Fault::retry(format!("the call to the model's server failed: {}", http::describe_error(error)))
        }
    }

    /// Returns a description for operators: the status, the server's message without our key, and its request id.
    pub(super) fn describe_error(&self, reply: &ApiResponse, message: &str) -> String {
        let mut description = format!("the model's server answered {}", reply.status);
        // Some servers repeat the key that they refuse.
        let message = match &self.key {
            Some(key) if message.contains(key.expose_secret()) => &message.replace(key.expose_secret(), "[key]"),
            _ => message,
        };
        if !message.trim().is_empty() {
            description.push_str(": ");
            description.push_str(&to_single_line(message, MAX_QUOTE_CHARS));
        }
        if let Some(id) = &reply.request_id {
            description.push_str("; request id ");
            description.push_str(id);
        }
        description
    }
}

impl ApiResponse {
    /// Returns whether the server refused the request before it did any work. Such a call costs nothing.
    pub(super) fn is_client_error(&self) -> bool {
        (400..500).contains(&self.status)
    }

    /// Returns the body if it is plain text, for servers and proxies that do not answer in JSON. Otherwise empty.
    pub(super) fn plain_text(&self) -> &str {
        let text = str::from_utf8(&self.body).unwrap_or_default().trim();
        if self.is_html || text.starts_with(['<', '{', '[']) { "" } else { text }
    }
}

/// Returns `base` followed by `path`, with one slash between them. `known` lists endings that the owner may have
/// already written; the first one that matches is removed from `base`.
pub(super) fn join_url(base: &Url, known: &[&str], path: &str) -> Url {
    let root = base.path().trim_end_matches('/');
    let root = known.iter().find_map(|known| root.strip_suffix(known)).unwrap_or(root).trim_end_matches('/');
    let mut url = base.clone();
    url.set_path(&format!("{root}{path}"));
    url
}

/// Returns the text as one line of at most `limit` characters, plus an ellipsis if it was longer.
fn to_single_line(text: &str, limit: usize) -> String {
    let mut line: String =
        text.trim().chars().take(limit).map(|char| if char.is_control() { ' ' } else { char }).collect();
    if text.trim().chars().nth(limit).is_some() {
        line.push('…');
    }
    line
}

/// Returns the wait that a server asks for: `retry-after-ms` (OpenAI), or else `Retry-After` in seconds or as a date
/// (RFC 9110). A date is compared with the server's own `Date`, so neither clock has to be right.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let number = |name: &str| text(name).and_then(|text| text.parse::<f64>().ok());
    let wait = if let Some(millis) = number("retry-after-ms") {
        Duration::try_from_secs_f64(millis / 1000.0).ok()
    } else if let Some(seconds) = number("retry-after") {
        Duration::try_from_secs_f64(seconds).ok()
    } else {
        let date = |name: &str| jiff::fmt::rfc2822::parse(text(name)?).ok();
        let (until, now) = (date("retry-after")?, date("date")?);
        Some(Duration::from_secs(
            u64::try_from(until.timestamp().as_second() - now.timestamp().as_second()).unwrap_or(0),
        ))
    };
    wait.map(|wait| wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_wait_is_read_in_each_of_its_forms() {
        for (pairs, millis) in [
            (headers(&[("retry-after", "20")]), Some(20_000)),
            (headers(&[("retry-after", "0.5")]), Some(500)),
            (headers(&[("retry-after", "2"), ("retry-after-ms", "1500")]), Some(1_500)),
            (
                headers(&[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"), ("date", "Wed, 21 Oct 2015 07:27:15 GMT")]),
                Some(45_000),
            ),
            (
                headers(&[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"), ("date", "Wed, 21 Oct 2015 07:29:00 GMT")]),
                Some(0),
            ),
            (headers(&[("retry-after", "99999999")]), Some(86_400_000)),
            (headers(&[("retry-after", "-3")]), None),
            (headers(&[("retry-after", "soon")]), None),
            (headers(&[]), None),
        ] {
            assert_eq!(retry_after(&pairs).map(|wait| wait.as_millis()), millis, "{pairs:?}");
        }
    }

    #[test]
    fn addresses_are_joined_without_doubling() {
        for (base, joined) in [
            ("https://api.openai.com/v1", "https://api.openai.com/v1/chat/completions"),
            ("https://api.openai.com/v1/", "https://api.openai.com/v1/chat/completions"),
            ("http://localhost:11434/v1//", "http://localhost:11434/v1/chat/completions"),
            ("https://openrouter.ai/api/v1/chat/completions", "https://openrouter.ai/api/v1/chat/completions"),
            ("https://a.example/x?api-version=1", "https://a.example/x/chat/completions?api-version=1"),
        ] {
            let base = Url::parse(base).unwrap();
            assert_eq!(join_url(&base, &["/chat/completions"], "/chat/completions").as_str(), joined);
        }
        for base in
            ["https://api.anthropic.com", "https://api.anthropic.com/v1/", "https://api.anthropic.com/v1/messages"]
        {
            let base = Url::parse(base).unwrap();
            assert_eq!(
                join_url(&base, &["/v1/messages", "/v1"], "/v1/messages").as_str(),
                "https://api.anthropic.com/v1/messages"
            );
        }
    }

    fn caller(key: &str) -> ApiClient {
        ApiClient::new(
            Duration::from_secs(1),
            Some(&SecretString::from(key)),
            AiSettingNames::OPENAI,
            AllowedTargets::Any,
        )
    }

    #[test]
    fn a_key_is_sent_hidden_and_never_quoted() {
        let mut caller = caller(" sk-very-secret\n");
        caller.set_key_header("authorization", "Bearer ").unwrap();
        assert_eq!(caller.headers["authorization"], "Bearer sk-very-secret");
        assert!(caller.headers["authorization"].is_sensitive());
        let reply = ApiResponse {
            status: 401,
            retry_after: None,
            request_id: Some("req_7".into()),
            is_html: false,
            body: Vec::new(),
        };
        assert_eq!(
            caller.describe_error(&reply, "wrong key:\nsk-very-secret"),
            "the model's server answered 401: wrong key: [key]; request id req_7"
        );
    }

    #[test]
    fn a_key_with_a_line_break_is_an_error_that_names_its_setting() {
        let mut caller = caller("sk-one\nsk-two");
        let error = caller.set_key_header("authorization", "Bearer ").unwrap_err().to_string();
        assert!(error.starts_with("OPENAI_API_KEY contains characters") && !error.contains("sk-"), "{error}");
    }
}
