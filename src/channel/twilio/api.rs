//! Calls to Twilio's REST API, and the classification of failed calls.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use super::errors::{self, ErrorClass};
use crate::channel::SendError;
use crate::clock::Time;
use crate::config::TwilioConfig;
use crate::fault::{Fault, FaultOwner, RetryOutlook};
use crate::http::{self, AllowedTargets, BodyError};

const DEFAULT_BASE_URL: &str = "https://api.twilio.com";

/// The timeout of a whole call, including up to 10 s for connecting.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);

/// Enough for a file of 16 MB over a slow connection.
const FILE_TIMEOUT: Duration = Duration::from_secs(60);

/// The longest wait that a response can ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// The wait if a `Retry-After` header holds a date: this code has no clock to compare it with.
const RETRY_AFTER_FOR_DATES: Duration = Duration::from_secs(30);

/// The error for a file that Twilio no longer finds.
const FILE_GONE: &str = "the file is gone at Twilio: it was deleted there (HTTP 404)";

/// Twilio's error code for credentials that it does not know.
const UNKNOWN_CREDENTIALS_CODE: i64 = 20003;

/// The account at Twilio, with a pool of connections. Holds the credentials; has no `Debug`.
pub(super) struct Api {
    pub(super) client: Client,
    /// The API's URL without a trailing slash. A page's `next_page_uri` is relative to it.
    pub(super) base_url: String,
    /// The Messages resource of our account.
    pub(super) messages_url: String,
    /// Our account's SID.
    account_sid: String,
    /// The URL of our account, which is the prefix of the URLs of its resources.
    pub(super) account_url: String,
    /// The URL of the typing indicators.
    pub(super) typing_url: String,
    /// The URL of the account's WhatsApp senders.
    pub(super) senders_url: String,
    /// The client for the storage where Twilio keeps media. It sends no credentials.
    pub(super) storage_client: Client,
    /// The `Authorization` values for the account: only the API key, or each auth token.
    credentials: Vec<HeaderValue>,
    /// The index of the credential that Twilio accepted last.
    accepted_credential: AtomicUsize,
    /// The timeout for downloading a file.
    pub(super) file_timeout: Duration,
}

/// Whether it is safe to repeat a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SideEffect {
    /// Repeating the call is harmless.
    None,
    /// Repeating the call sends a second message, because Twilio has no idempotency key for it.
    CreatesMessage,
}

/// The JSON body of a Twilio error response.
#[derive(Deserialize)]
struct ErrorBody {
    code: Option<i64>,
}

impl Api {
    pub(super) fn new(config: &TwilioConfig) -> Api {
        let reach = if config.api_base_url.is_some() { AllowedTargets::Any } else { AllowedTargets::PublicHttps };
        Api::with_client(config, http::client(CALL_TIMEOUT, CALL_TIMEOUT, reach))
    }

    pub(super) fn with_client(config: &TwilioConfig, client: Client) -> Api {
        // A replacement server for Twilio may keep its media anywhere. Twilio keeps its media on public hosts.
        let own = config.api_base_url.as_ref().and_then(Url::host_str).is_some_and(|host| !is_twilio(host));
        let storage_client = http::client(
            FILE_TIMEOUT,
            CALL_TIMEOUT,
            if own { AllowedTargets::Any } else { AllowedTargets::PublicHttps },
        );
        let own = config.api_base_url.as_ref().map(|url| url.as_str().trim_end_matches('/'));
        let base_url = own.unwrap_or(DEFAULT_BASE_URL).to_owned();
        let messaging_base_url = messaging_base_url(&base_url);
        Api {
            messages_url: format!("{base_url}/2010-04-01/Accounts/{}/Messages.json", config.account_sid),
            account_sid: config.account_sid.clone(),
            account_url: format!("{base_url}/2010-04-01/Accounts/{}", config.account_sid),
            typing_url: format!("{messaging_base_url}/v2/Indicators/Typing.json"),
            senders_url: format!("{messaging_base_url}/v2/Channels/Senders"),
            credentials: credentials(config),
            accepted_credential: AtomicUsize::new(0),
            file_timeout: FILE_TIMEOUT,
            client,
            storage_client,
            base_url,
        }
    }

    /// Requests a file's own URL at Twilio and returns the response, usually a redirect, without reading its body. The
    /// caller has already checked the account and the host. If Twilio does not find the file, it was therefore deleted,
    /// by hand or at the end of the account's retention time.
    pub(super) async fn open_file(&self, url: Url) -> Result<Response, Fault> {
        let count = self.credentials.len();
        let first = self.accepted_credential.load(Ordering::Relaxed);
        let mut refusal = None;
        for at in (first..first + count).map(|at| at % count) {
            let request =
                self.client.get(url.clone()).timeout(self.file_timeout).header(AUTHORIZATION, &self.credentials[at]);
            let response = request.send().await.map_err(|error| fault_without_response(error, SideEffect::None))?;
            match response.status().as_u16() {
                200..400 => return Ok(response),
                404 => return Err(Fault::fail(FaultOwner::Message, FILE_GONE)),
                status => {
                    refusal =
                        Some(fault_from_response(status, None, retry_after(response.headers()), SideEffect::None));
                }
            }
            if response.status().as_u16() != 401 {
                break;
            }
        }
        Err(refusal.unwrap_or_else(|| Fault::fail(FaultOwner::Operator, "no credentials for Twilio")))
    }

    /// Makes the call and returns the body of a success, of at most `limit` bytes.
    ///
    /// After a token rotation, the token that is configured first may no longer be valid. A call whose credentials
    /// Twilio rejects has no effect, so it is repeated with the next token. Later calls start with the token that
    /// Twilio accepted.
    pub(super) async fn call(
        &self,
        request: RequestBuilder,
        effect: SideEffect,
        limit: usize,
    ) -> Result<Vec<u8>, Fault> {
        Ok(self.call_for_answer(request, effect, limit).await?.body)
    }

    /// Like [`Api::call`], but also returns the time of Twilio's answer.
    pub(super) async fn call_for_answer(
        &self,
        request: RequestBuilder,
        effect: SideEffect,
        limit: usize,
    ) -> Result<Answer, Fault> {
        self.call_for_answer_or_code(request, effect, limit).await.map_err(|error| error.fault)
    }

    /// Like [`Api::call_for_answer`], but the error also holds Twilio's code.
    pub(super) async fn call_for_answer_or_code(
        &self,
        request: RequestBuilder,
        effect: SideEffect,
        limit: usize,
    ) -> Result<Answer, SendError> {
        let count = self.credentials.len();
        let first = self.accepted_credential.load(Ordering::Relaxed);
        let missing = "no credentials for Twilio: set TWILIO_AUTH_TOKEN, or an API key";
        let mut refusal = SendError::from(Fault::fail(FaultOwner::Operator, missing));
        for at in (first..first + count).map(|at| at % count) {
            let request = request.try_clone().expect("the request body is in memory");
            match call_with_credential(request, &self.credentials[at], effect, limit).await {
                Ok(answer) => {
                    if self.accepted_credential.swap(at, Ordering::Relaxed) != at {
                        let account = &self.account_sid;
                        tracing::warn!(
                            account,
                            "Twilio now accepts the account's other auth token: configure it as the first one \
                             (TWILIO_AUTH_TOKEN, or twilio_auth_token in the file of the account's number)"
                        );
                    }
                    return Ok(answer);
                }
                Err(CallFailure::Unauthorized(why)) => refusal = why,
                Err(CallFailure::Other(why)) => return Err(why),
            }
        }
        Err(refusal)
    }
}

/// A successful answer of Twilio's.
pub(super) struct Answer {
    pub(super) body: Vec<u8>,
    /// Twilio's clock, cut to seconds.
    pub(super) date: Option<Time>,
}

/// Returns the base URL of the messaging API, which has the typing indicators and the senders. Twilio serves it on a
/// separate host in each region (`messaging.dublin.ie1.twilio.com` beside `api.dublin.ie1.twilio.com`). A replacement server for Twilio serves both
/// APIs.
fn messaging_base_url(base: &str) -> String {
    let region = |host: &str| {
        let rest = host.strip_prefix("api.")?;
        is_twilio(rest).then(|| format!("messaging.{rest}"))
    };
    let moved = Url::parse(base).ok().and_then(|mut url| {
        let host = region(url.host_str()?)?;
        url.set_host(Some(&host)).ok()?;
        Some(url.as_str().trim_end_matches('/').to_owned())
    });
    moved.unwrap_or_else(|| base.to_owned())
}

/// Returns whether a host is one of Twilio's own.
pub(super) fn is_twilio(host: &str) -> bool {
    host == "twilio.com" || host.ends_with(".twilio.com")
}

/// Why a call failed.
enum CallFailure {
    /// Twilio rejected the credentials.
    Unauthorized(SendError),
    Other(SendError),
}

async fn call_with_credential(
    request: RequestBuilder,
    authorization: &HeaderValue,
    effect: SideEffect,
    limit: usize,
) -> Result<Answer, CallFailure> {
    let sent = request.header(AUTHORIZATION, authorization).send().await;
    let response = sent.map_err(|error| CallFailure::Other(fault_without_response(error, effect).into()))?;
    let status = response.status().as_u16();
    let after = retry_after(response.headers());
    let date = response.headers().get(DATE).and_then(|date| http::parse_date(date.to_str().ok()?));
    let body = http::read_body(response, limit).await;
    if (200..300).contains(&status) {
        let lost =
            |error| maybe_done_fault(effect, format!("Twilio's response was lost ({})", describe_body_error(error)));
        let body = body.map_err(|error| CallFailure::Other(lost(error).into()))?;
        return Ok(Answer { body, date });
    }
    let code = body.ok().and_then(|body| serde_json::from_slice::<ErrorBody>(&body).ok()).and_then(|body| body.code);
    let error = SendError { fault: fault_from_response(status, code, after, effect), code };
    let let_in = status >= 500 || (status != 401 && code != Some(UNKNOWN_CREDENTIALS_CODE));
    Err(if let_in { CallFailure::Other(error) } else { CallFailure::Unauthorized(error) })
}

/// Returns the API key if there is one, otherwise the account's SID with each of its tokens (Twilio, "API requests").
fn credentials(config: &TwilioConfig) -> Vec<HeaderValue> {
    match &config.api_key {
        Some((sid, secret)) => vec![basic_auth(sid, secret)],
        None => config.auth_tokens.iter().map(|token| basic_auth(&config.account_sid, token)).collect(),
    }
}

fn basic_auth(user: &str, password: &SecretString) -> HeaderValue {
    let basic = STANDARD.encode(format!("{user}:{}", password.expose_secret()));
    let mut value = HeaderValue::try_from(format!("Basic {basic}")).expect("Base64 is visible ASCII");
    value.set_sensitive(true);
    value
}

/// Classifies a call that got no response.
///
/// `is_connect` is true for failures to resolve, connect or complete the TLS handshake (hyper-util,
/// `Client::connect_to`). All of them happen before the request is handed to a connection, so nothing was sent. A
/// pooled connection that turns out to be closed is not a failure while the request still waits in its queue: hyper
/// hands the request back (`TrySendError::message`) and hyper-util puts it on another connection
/// (`TrySendError::Retryable`, only if the connection was reused). Once hyper has taken the request from the queue to
/// write it, hyper does not hand it back and hyper-util does not repeat it. Neither does reqwest, whose own retries are
/// for HTTP/2. Every other failure, timeouts included, may have reached Twilio.
fn fault_without_response(error: reqwest::Error, effect: SideEffect) -> Fault {
    if error.is_builder() {
        let why = format!("mynah cannot call Twilio: check TWILIO_API_BASE_URL ({})", http::describe_error(error));
        Fault::fail(FaultOwner::Operator, why)
    } else if error.is_connect() {
        Fault::retry(format!("mynah cannot reach Twilio ({})", http::describe_error(error)))
    } else {
        maybe_done_fault(effect, format!("Twilio did not answer ({})", http::describe_error(error)))
    }
}

/// Classifies a call whose response is not a success. Pure, so that tests cover every line.
pub(super) fn fault_from_response(
    status: u16,
    code: Option<i64>,
    after: Option<Duration>,
    effect: SideEffect,
) -> Fault {
    let known = code.and_then(errors::look_up);
    let why = match (known, code) {
        (Some(known), _) => format!("{} (Twilio {})", known.sentence, known.code),
        (None, Some(code)) => {
            format!("Twilio refused the call: {} (Twilio {code})", errors::docs_reference(code))
        }
        (None, None) => format!("{} (Twilio HTTP {status})", describe_status(status)),
    };
    // Twilio did not process the call, so it is safe to repeat (Twilio, error 20429). But a daily limit is a 429 too.
    if code == Some(20429) || (status == 429 && known.is_none()) {
        return Fault::Retry { retry_after: after, why, outlook: RetryOutlook::Overload };
    }
    match (status, after) {
        (503, Some(_)) => return Fault::Retry { retry_after: after, why, outlook: RetryOutlook::Overload },
        (500.., _) => return maybe_done_fault(effect, why),
        _ => {}
    }
    let longer = |wait: Duration| after.map_or(wait, |after| after.max(wait));
    match (known.map(|known| known.class), status) {
        (Some(ErrorClass::Retry), _) => Fault::Retry { retry_after: after, why, outlook: RetryOutlook::Likely },
        (Some(ErrorClass::RetryAfter(wait)), _) => {
            Fault::Retry { retry_after: Some(longer(wait)), why, outlook: RetryOutlook::Likely }
        }
        (Some(ErrorClass::RetryFewTimes(attempts, wait)), _) => {
            let after = Some(longer(wait)).filter(|wait| !wait.is_zero());
            Fault::Retry { retry_after: after, why, outlook: RetryOutlook::Unlikely { attempts } }
        }
        (Some(ErrorClass::AccountLimit(wait)), _) => {
            Fault::Retry { retry_after: Some(longer(wait)), why, outlook: RetryOutlook::NeedsOperator }
        }
        (Some(ErrorClass::Unknown), _) => maybe_done_fault(effect, why),
        (Some(ErrorClass::TooLong), _) => Fault::TooLong { why },
        (Some(ErrorClass::Contact), _) => Fault::fail(FaultOwner::Contact, why),
        (Some(ErrorClass::Operator | ErrorClass::Policy), _) | (None, 401 | 403 | 404) => {
            Fault::fail(FaultOwner::Operator, why)
        }
        (Some(ErrorClass::Message), _) => Fault::fail(FaultOwner::Message, why),
        // Not Twilio's own response: a proxy in between may have let the call through.
        (None, ..=399 | 408) => maybe_done_fault(effect, why),
        (None, _) => Fault::fail(FaultOwner::Message, why),
    }
}

fn describe_status(status: u16) -> &'static str {
    match status {
        ..=399 => "the response is not one of Twilio's: check TWILIO_API_BASE_URL",
        401 | 403 => {
            "Twilio does not accept the credentials: check TWILIO_ACCOUNT_SID with TWILIO_AUTH_TOKEN, or the API key"
        }
        404 => "Twilio does not know this address: check TWILIO_ACCOUNT_SID and TWILIO_API_BASE_URL",
        408 => "Twilio timed out waiting for the call",
        429 => "Twilio accepts no more calls at the moment",
        500.. => "Twilio had an internal error",
        _ => "Twilio refused the call",
    }
}

/// Returns the fault of a call that may have taken effect, which matters only if the call creates a message.
pub(super) fn maybe_done_fault(effect: SideEffect, why: String) -> Fault {
    match effect {
        SideEffect::None => Fault::retry(why),
        SideEffect::CreatesMessage => Fault::unknown(why),
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    Some(value.parse().map_or(RETRY_AFTER_FOR_DATES, Duration::from_secs).min(MAX_RETRY_AFTER))
}

fn describe_body_error(error: BodyError) -> String {
    match error {
        // The error's own text would contain the URL, and with it the contact.
        BodyError::Broken(error) => http::describe_error(error),
        BodyError::TooLarge(_) => error.to_string(),
    }
}

#[cfg(test)]
#[path = "api_tests.rs"]
mod tests;
