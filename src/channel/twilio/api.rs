//! Calls to Twilio's REST API, and the judgement of what a failed one means.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use super::errors::{self, ErrorClass};
use crate::config::TwilioConfig;
use crate::fault::{Fault, FaultOwner, RetryOutlook};
use crate::http::{self, AllowedTargets, BodyError};

const DEFAULT_BASE_URL: &str = "https://api.twilio.com";

/// The whole of a call; connecting may take 10 s of it.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);

/// A file of 16 MB over a slow line.
const FILE_TIMEOUT: Duration = Duration::from_secs(60);

/// No answer makes us wait longer than this.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// For an answer that bids us wait until a date: no clock here to compare it with.
const RETRY_AFTER_FOR_DATES: Duration = Duration::from_secs(30);

/// What a file is that Twilio does not find any more.
const FILE_GONE: &str = "the file is gone at Twilio: it was deleted there (HTTP 404)";

/// Twilio does not know the credentials.
const UNKNOWN_CREDENTIALS_CODE: i64 = 20003;

/// The account at Twilio, with a pool of connections. Holds the credentials; has no `Debug`.
pub(super) struct Api {
    pub(super) client: Client,
    /// Without a trailing slash; a page's `next_page_uri` is relative to it.
    pub(super) base_url: String,
    /// The Messages resource of our account.
    pub(super) messages_url: String,
    /// Our account's SID.
    account_sid: String,
    /// Our account, before what is in it.
    pub(super) account_url: String,
    /// The typing indicators.
    pub(super) typing_url: String,
    /// For where Twilio keeps media, which is not told who we are.
    pub(super) storage_client: Client,
    /// What may open the account: the API key alone, or each auth token.
    credentials: Vec<HeaderValue>,
    /// Which of them Twilio took last.
    accepted_credential: AtomicUsize,
    /// How long a file may take to come.
    pub(super) file_timeout: Duration,
}

/// Whether a call may be repeated freely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SideEffect {
    /// A repeat does no harm.
    None,
    /// A repeat sends a second message: there is no idempotency key for it.
    CreatesMessage,
}

/// A JSON answer of Twilio's that names an error.
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
        // A stand-in keeps its media where it likes, Twilio in the world.
        let own = config.api_base_url.as_ref().and_then(Url::host_str).is_some_and(|host| !is_twilio(host));
        let storage_client = http::client(
            FILE_TIMEOUT,
            CALL_TIMEOUT,
            if own { AllowedTargets::Any } else { AllowedTargets::PublicHttps },
        );
        let own = config.api_base_url.as_ref().map(|url| url.as_str().trim_end_matches('/'));
        let base_url = own.unwrap_or(DEFAULT_BASE_URL).to_owned();
        Api {
            messages_url: format!("{base_url}/2010-04-01/Accounts/{}/Messages.json", config.account_sid),
            account_sid: config.account_sid.clone(),
            account_url: format!("{base_url}/2010-04-01/Accounts/{}", config.account_sid),
            typing_url: format!("{}/v2/Indicators/Typing.json", messaging_base_url(&base_url)),
            credentials: credentials(config),
            accepted_credential: AtomicUsize::new(0),
            file_timeout: FILE_TIMEOUT,
            client,
            storage_client,
            base_url,
        }
    }

    /// What a file's own address at Twilio answers, a redirect as a rule. Its body is not read yet. The account and the host
    /// are known to be right by then, so what Twilio does not find there was deleted, by hand or after the time that the
    /// account keeps files.
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

    /// Makes the call; the body of a success, of at most `limit` bytes.
    ///
    /// Once tokens are rotated, the one that was set first may be the one that is gone. A call that Twilio did not let in
    /// had no effect, so it is made again with the next token, and the one that is taken comes first from then on.
    pub(super) async fn call(
        &self,
        request: RequestBuilder,
        effect: SideEffect,
        limit: usize,
    ) -> Result<Vec<u8>, Fault> {
        let count = self.credentials.len();
        let first = self.accepted_credential.load(Ordering::Relaxed);
        let mut fault =
            Fault::fail(FaultOwner::Operator, "no credentials for Twilio: set TWILIO_AUTH_TOKEN, or an API key");
        for at in (first..first + count).map(|at| at % count) {
            let request = request.try_clone().expect("its body is in memory");
            match call_with_credential(request, &self.credentials[at], effect, limit).await {
                Ok(body) => {
                    if self.accepted_credential.swap(at, Ordering::Relaxed) != at {
                        let account = &self.account_sid;
                        tracing::warn!(
                            account,
                            "Twilio takes the account's other auth token now: set it as the first (TWILIO_AUTH_TOKEN, or \
                             twilio_auth_token in the file of the account's number)"
                        );
                    }
                    return Ok(body);
                }
                Err(CallFailure::Unauthorized(why)) => fault = why,
                Err(CallFailure::Other(why)) => return Err(why),
            }
        }
        Err(fault)
    }
}

/// Where the typing indicators are: Twilio has them at a host of their own, in each region (`api.dublin.ie1.twilio.com`,
/// `messaging.dublin.ie1.twilio.com`); a stand-in answers for both.
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

/// Whether a host is one of Twilio's own.
pub(super) fn is_twilio(host: &str) -> bool {
    host == "twilio.com" || host.ends_with(".twilio.com")
}

/// Why a call did not succeed.
enum CallFailure {
    /// Twilio does not know the credentials.
    Unauthorized(Fault),
    Other(Fault),
}

async fn call_with_credential(
    request: RequestBuilder,
    authorization: &HeaderValue,
    effect: SideEffect,
    limit: usize,
) -> Result<Vec<u8>, CallFailure> {
    let sent = request.header(AUTHORIZATION, authorization).send().await;
    let response = sent.map_err(|error| CallFailure::Other(fault_without_response(error, effect)))?;
    let status = response.status().as_u16();
    let after = retry_after(response.headers());
    let body = http::read_body(response, limit).await;
    if (200..300).contains(&status) {
        let lost =
            |error| maybe_done_fault(effect, format!("Twilio's answer was lost ({})", describe_body_error(error)));
        return body.map_err(|error| CallFailure::Other(lost(error)));
    }
    let code = body.ok().and_then(|body| serde_json::from_slice::<ErrorBody>(&body).ok()).and_then(|body| body.code);
    let fault = fault_from_response(status, code, after, effect);
    let let_in = status >= 500 || (status != 401 && code != Some(UNKNOWN_CREDENTIALS_CODE));
    Err(if let_in { CallFailure::Other(fault) } else { CallFailure::Unauthorized(fault) })
}

/// The API key where there is one, else the account's SID with each of its tokens (Twilio, "API requests").
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

/// A call that got no answer.
///
/// `is_connect` is true of failures to resolve, connect or shake hands (hyper-util, `Client::connect_to`), all before
/// the request is handed to a connection: nothing was sent. A pooled connection that turns out closed is no failure at
/// all while the request still waits in its queue: hyper hands the request back (`TrySendError::message`) and hyper-util
/// puts it on another connection (`TrySendError::Retryable`, only where the connection was reused). Once hyper has taken
/// it from the queue to write it, it is not handed back and not repeated; neither does reqwest, whose own retries are
/// for HTTP/2. What is left, time-outs included, may have reached Twilio.
fn fault_without_response(error: reqwest::Error, effect: SideEffect) -> Fault {
    if error.is_builder() {
        let why =
            format!("the call to Twilio cannot be made: check TWILIO_API_BASE_URL ({})", http::describe_error(error));
        Fault::fail(FaultOwner::Operator, why)
    } else if error.is_connect() {
        Fault::retry(format!("Twilio cannot be reached ({})", http::describe_error(error)))
    } else {
        maybe_done_fault(effect, format!("Twilio did not answer ({})", http::describe_error(error)))
    }
}

/// A call that was answered, but not by a success. Pure, so that every line of it is tested.
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
    // Not processed, so safe to repeat (Twilio, error 20429); but a daily limit is told by a 429 too.
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
        // Not an answer of Twilio's own: what stands between may have let the call through.
        (None, ..=399 | 408) => maybe_done_fault(effect, why),
        (None, _) => Fault::fail(FaultOwner::Message, why),
    }
}

fn describe_status(status: u16) -> &'static str {
    match status {
        ..=399 => "the answer is not one of Twilio's: check TWILIO_API_BASE_URL",
        401 | 403 => {
            "Twilio does not accept the credentials: check TWILIO_ACCOUNT_SID with TWILIO_AUTH_TOKEN, or the API key"
        }
        404 => "Twilio does not know this address: check TWILIO_ACCOUNT_SID and TWILIO_API_BASE_URL",
        408 => "Twilio waited too long for the call",
        429 => "Twilio takes no more calls at the moment",
        500.. => "Twilio had an internal error",
        _ => "Twilio refused the call",
    }
}

/// It may have taken effect, which matters only where that creates something.
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
        // Its own words would name the URL, and with it the contact.
        BodyError::Broken(error) => http::describe_error(error),
        BodyError::TooLarge(_) => error.to_string(),
    }
}

#[cfg(test)]
#[path = "api_tests.rs"]
mod tests;
