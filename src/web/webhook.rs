//! Webhooks. Each is verified, parsed and committed, and only then acknowledged.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serializer;
use tracing::field::Empty;
use tracing::{Instrument, Span, error, error_span, info, warn};

use super::BODY_LIMIT;
use super::client_address;
use super::webhook_signature::{self, SignedWebhook};
use crate::app::App;
use crate::channel::{Channel, ErrorExplanation};
use crate::clock::Time;
use crate::fault::FaultOwner;
use crate::metrics::{RejectCause, WebhookKind};
use crate::model::{DeliveryStatus, Event, Rate, StatusUpdate, WebhookError, WebhookRequest};
use crate::store::{ReceiveOutcome, Received, StatusOutcome, StoreError, WebhookRecord};

/// How long a request body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// How many seconds the caller of a webhook that could not be stored should wait before it retries.
const RETRY_AFTER_SECONDS: &str = "10";

/// How many forged webhooks of one client are refused and logged one by one. Further ones are refused without a log
/// line.
const REFUSAL_RATE: Rate =
    Rate { max_calls: NonZeroU32::new(60).expect("sixty is not zero"), period: Duration::from_secs(60) };

/// How often the log mentions that a client exceeds [`REFUSAL_RATE`].
const REFUSAL_LOG_RATE: Rate = Rate { max_calls: NonZeroU32::MIN, period: Duration::from_secs(60) };

/// Headers whose value is a secret, or is derived from one.
const REDACTED_HEADERS: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "x-twilio-signature"];

/// Handles a message or a status callback from Twilio.
pub(super) async fn twilio(State(app): State<Arc<App>>, request: Request) -> Response {
    let span = error_span!("webhook", channel = "twilio", number = Empty, turn = Empty, conversation = Empty);
    receive(app, request).instrument(span).await
}

async fn receive(app: Arc<App>, request: Request) -> Response {
    let began = Instant::now();
    let now = app.clock.now();
    let (head, body) = request.into_parts();
    let body = match read_body(&head.headers, body).await {
        Ok(body) => body,
        Err((cause, refused)) => {
            app.metrics.webhooks.record_reject(cause);
            return refused;
        }
    };
    let path_and_query = head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let delivery = WebhookRequest { path_and_query, headers, body };
    let Some(signed) = webhook_signature::verify(&app, &delivery, now) else {
        app.metrics.webhooks.record_reject(RejectCause::NotConfigured);
        warn!("a webhook was refused: Twilio is not configured (TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN)");
        return (StatusCode::FORBIDDEN, "Twilio is not configured here\n").into_response();
    };
    match signed {
        Ok(signed) => store_events(&app, signed, &delivery, began, now).await,
        Err(refusal) => refuse_unsigned(&app, &head, &refusal).await,
    }
}

/// Refuses a webhook that Twilio did not sign. Only such webhooks count against a client's rate. Everybody with a
/// Twilio account shares the addresses that Twilio calls from, so forged webhooks must not delay signed ones.
async fn refuse_unsigned(app: &App, head: &Parts, refusal: &WebhookError) -> Response {
    let client = client_address::client_of(head, &app.config.server.trusted_proxies);
    let rate_limit_key = client.map(client_address::rate_limit_key);
    let key = rate_limit_key.as_deref().unwrap_or("unknown");
    match app.refusal_cache.take_from_rate(&format!("refused {key}"), REFUSAL_RATE).await {
        Ok(()) => {
            app.metrics.webhooks.record_reject(RejectCause::Signature);
            warn!(client = client.map(tracing::field::display), why = %refusal, "a webhook was refused");
            (StatusCode::FORBIDDEN, "the signature is missing or wrong\n").into_response()
        }
        Err(wait) => {
            app.metrics.webhooks.record_reject(RejectCause::RateLimit);
            // Logged at most once per period, so that a flood of forged webhooks does not flood the log. Counted per
            // client, so that one client does not hide another.
            if app.refusal_cache.take_from_rate(&format!("told {key}"), REFUSAL_LOG_RATE).await.is_ok() {
                warn!(
                    client = rate_limit_key.as_ref().map(tracing::field::display),
                    "too many forged webhooks from one address"
                );
            }
            let after = wait.as_secs().max(1).to_string();
            (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, after)], "too many requests without a valid signature\n")
                .into_response()
        }
    }
}

async fn store_events(
    app: &App,
    signed: SignedWebhook<'_>,
    delivery: &WebhookRequest,
    began: Instant,
    now: Time,
) -> Response {
    let SignedWebhook { number, channel, events } = signed;
    let span = Span::current();
    let channel = channel.as_ref();
    let events = match events {
        Ok(events) => events,
        Err(refusal) => {
            let reason = match refusal {
                WebhookError::Malformed(reason) | WebhookError::Forged(reason) => reason,
            };
            app.metrics.webhooks.record_reject(RejectCause::Malformed);
            warn!(why = reason, "cannot parse a signed webhook");
            let record = webhook_record(channel.name(), delivery, StatusCode::BAD_REQUEST, Some(&reason), began, now);
            if let Err(error) = app.store.log_webhook(record).await {
                warn!(%error, "cannot store a webhook in the webhook log");
            }
            return (StatusCode::BAD_REQUEST, format!("{reason}\n")).into_response();
        }
    };
    let account = number.account();
    let kind = if matches!(events[..], [Event::Status(_)]) { WebhookKind::Status } else { WebhookKind::Message };
    for event in events {
        let our_address = match &event {
            Event::Message(inbound) => &inbound.to,
            Event::Status(update) => &update.from,
        };
        if let Some(number) = app.name_if_several(app.number(account, our_address)) {
            span.record("number", number);
        }
        let record = webhook_record(channel.name(), delivery, StatusCode::OK, None, began, now);
        let stored = match event {
            Event::Message(inbound) => {
                let received = app.receive(account, *inbound, Some(record)).await;
                if let Ok(received) = &received {
                    log_received(&span, received);
                }
                received.map(drop)
            }
            Event::Status(update) => {
                if let Some(part) = update.reference {
                    span.record("turn", part.turn.0);
                }
                // With several accounts, each may report only on messages that it sent itself.
                let reporting_account = app.number_directory.has_several().then(|| account.to_owned());
                let stored = app.store.apply_status_from(reporting_account, update.clone(), Some(record), now).await;
                if let (Some(status), Ok(StatusOutcome::Recorded | StatusOutcome::NextIsScheduled)) =
                    (update.status, &stored)
                {
                    app.metrics.deliveries.record(status.as_str(), update.error_code);
                }
                match &stored {
                    Ok(StatusOutcome::NotOurs) => {
                        app.metrics.webhooks.record_reject(RejectCause::NotOurs);
                        info!(id = %update.provider_id, "refused a status callback about a message that is not ours");
                        return (StatusCode::FORBIDDEN, "this message is not ours\n").into_response();
                    }
                    Ok(StatusOutcome::PartGone) => {
                        let part = update.reference.map(tracing::field::display);
                        info!(part, id = %update.provider_id, "ignored a status callback about a deleted message");
                    }
                    Ok(StatusOutcome::NothingNew) => {}
                    Ok(StatusOutcome::NextIsScheduled) => {
                        app.wake.notify_one();
                        report_failed_delivery(app, account, channel, &update, now).await;
                    }
                    // Reported even if it could not be stored, because the provider may not repeat it.
                    Ok(StatusOutcome::Recorded) | Err(_) => {
                        report_failed_delivery(app, account, channel, &update, now).await;
                    }
                }
                stored.map(drop)
            }
        };
        if let Err(error) = stored {
            app.metrics.webhooks.record_reject(RejectCause::Database);
            return unavailable(&error);
        }
    }
    crate::failpoint::hit("before-200");
    app.metrics.webhooks.record_ack(kind, began.elapsed());
    // Twilio logs an empty response without XML as an error (11200), so the response always contains the element.
    ([(CONTENT_TYPE, "text/xml")], "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response/>").into_response()
}

fn log_received(span: &Span, received: &Received) {
    if let Some((conversation, _)) = received.conversation_revision {
        span.record("conversation", tracing::field::display(conversation));
    }
    match received.outcome {
        ReceiveOutcome::Queued(turn) => {
            span.record("turn", turn.0);
            info!("a message was accepted");
        }
        ReceiveOutcome::Skipped(turn) => {
            span.record("turn", turn.0);
            info!("a message was stored and is not answered");
        }
        ReceiveOutcome::Duplicate => {}
    }
}

/// Logs a message that the provider accepted and did not deliver, with what can be done about it. If only the operator
/// can fix the cause, this also raises an alert, one for each code and number.
async fn report_failed_delivery(app: &App, account: &str, channel: &dyn Channel, update: &StatusUpdate, now: Time) {
    if update.status != Some(DeliveryStatus::Failed) {
        return;
    }
    let part = update.reference.map(|part| part.to_string());
    // The part is absent if the callback does not prove which part it is about. The id is always known.
    let (part, id) = (part.as_deref(), &update.provider_id);
    let Some(code) = update.error_code else {
        return warn!(part, %id, "a message was not delivered; the provider gave no reason");
    };
    let ErrorExplanation { sentence, owner: whose } = channel.explain_error(code);
    if whose == FaultOwner::Operator {
        let number = app.name_if_several(app.number(account, &update.from));
        error!(part, %id, code, why = sentence, "a message was not delivered; the operator must act");
        let message = format!("a message was not delivered: {sentence}");
        let subject = number.map_or(code.to_string(), |name| format!("{code} on {name}"));
        if let Err(error) = app.store.record_alert("delivery", subject, message, now).await {
            warn!(%error, "cannot store an alert");
        }
    } else {
        warn!(part, %id, code, why = sentence, "a message was not delivered");
    }
}

fn unavailable(error: &StoreError) -> Response {
    warn!(%error, "cannot store a webhook");
    (
        StatusCode::SERVICE_UNAVAILABLE,
        [(RETRY_AFTER, RETRY_AFTER_SECONDS)],
        "the webhook could not be stored; try again\n",
    )
        .into_response()
}

/// Reads the body. The error is the response if the body is too large, incomplete or late.
async fn read_body(headers: &HeaderMap, body: Body) -> Result<Bytes, (RejectCause, Response)> {
    let too_large = || {
        let text = format!("the body is larger than {BODY_LIMIT} bytes\n");
        (RejectCause::TooLarge, (StatusCode::PAYLOAD_TOO_LARGE, text).into_response())
    };
    let declared_length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared_length.is_some_and(|length| length > BODY_LIMIT as u64) {
        return Err(too_large());
    }
    match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, BODY_LIMIT).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => {
            let refused = (StatusCode::BAD_REQUEST, "the body is incomplete\n").into_response();
            Err((RejectCause::Incomplete, refused))
        }
        Err(_) => {
            let refused = (StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time\n").into_response();
            Err((RejectCause::Timeout, refused))
        }
    }
}

/// Builds the log record of a webhook, without signatures, credentials and our own MACs.
fn webhook_record(
    channel: &'static str,
    delivery: &WebhookRequest,
    status: StatusCode,
    error: Option<&str>,
    began: Instant,
    now: Time,
) -> WebhookRecord {
    let headers = delivery.headers.iter().map(|(name, value)| {
        let secret = REDACTED_HEADERS.contains(&name.as_str());
        (name, if secret { "[redacted]" } else { value.as_str() })
    });
    WebhookRecord {
        channel,
        received_at: now,
        path: redact_mac(&delivery.path_and_query),
        headers: json_object(headers),
        body: String::from_utf8_lossy(&delivery.body).into_owned(),
        status: status.as_u16(),
        began,
        error: error.map(str::to_owned),
    }
}

/// Formats a JSON object with these members.
fn json_object<'a>(members: impl Iterator<Item = (&'a String, &'a str)>) -> String {
    let mut text = Vec::with_capacity(1024);
    let written = serde_json::Serializer::new(&mut text).collect_map(members);
    written.expect("writing strings to memory does not fail");
    String::from_utf8(text).expect("JSON is UTF-8")
}

/// Redacts our MAC (`m`) in the query of a status callback.
fn redact_mac(path_and_query: &str) -> String {
    let Some((path, query)) = path_and_query.split_once('?') else { return path_and_query.to_owned() };
    let kept: Vec<_> =
        query.split('&').map(|pair| if pair.starts_with("m=") { "m=[redacted]" } else { pair }).collect();
    format!("{path}?{}", kept.join("&"))
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use tempfile::TempDir;

    use super::*;
    use crate::cache::MemoryCache;
    use crate::clock::ManualClock;
    use crate::config::{Config, Sources};
    use crate::web::client_address::Peer;

    async fn app() -> (TempDir, App) {
        let folder = tempfile::tempdir().unwrap();
        let env = [("MYNAH_DATA_DIR".to_owned(), folder.path().into())].into();
        let config =
            Config::load(Sources { env, ..Sources::default() }).unwrap_or_else(|problems| panic!("{problems}"));
        let app = App::build(config, Arc::new(ManualClock::new(Time(1_793_527_200_000)))).await.unwrap();
        (folder, app)
    }

    /// Returns the status code that a forged webhook from this address gets.
    async fn refused_status(app: &App, from: IpAddr) -> StatusCode {
        let (mut head, ()) = axum::http::Request::post("/webhooks/twilio").body(()).unwrap().into_parts();
        head.extensions.insert(Peer(from));
        refuse_unsigned(app, &head, &WebhookError::Forged("no signature".into())).await.status()
    }

    #[tokio::test]
    async fn a_client_with_a_network_of_its_own_cannot_go_round_the_limit() {
        let (_folder, app) = app().await;
        for (network, other) in [("2001:db8:0:1::", "2001:db8:0:2::"), ("::ffff:198.51.100.", "::ffff:203.0.113.")] {
            let of = |network: &str, number: u32| format!("{network}{number}").parse::<IpAddr>().unwrap();
            let one = |number| of(network, if network.ends_with(':') { number } else { 7 });
            for number in 0..60 {
                assert_eq!(refused_status(&app, one(number)).await, StatusCode::FORBIDDEN, "{network} {number}");
            }
            assert_eq!(refused_status(&app, one(60)).await, StatusCode::TOO_MANY_REQUESTS, "{network}");
            assert_eq!(refused_status(&app, of(other, 1)).await, StatusCode::FORBIDDEN, "{other}");
        }
        let plain = "198.51.100.7".parse().unwrap();
        assert_eq!(refused_status(&app, plain).await, StatusCode::TOO_MANY_REQUESTS, "the same over IPv4");
    }

    #[tokio::test]
    async fn refused_clients_however_many_push_out_no_contacts_rate() {
        let (_folder, app) = app().await;
        let rate = Rate { max_calls: NonZeroU32::MIN, period: Duration::from_secs(60) };
        assert_eq!(app.cache.take_from_rate("messages +12025550101", rate).await, Ok(()));
        for number in 0..=u32::try_from(MemoryCache::MAX_CALLERS).unwrap() {
            assert_eq!(refused_status(&app, Ipv4Addr::from_bits(number).into()).await, StatusCode::FORBIDDEN);
        }
        assert!(app.cache.take_from_rate("messages +12025550101", rate).await.is_err());
    }

    #[test]
    fn the_log_holds_no_signature_and_no_proof() {
        let delivery = WebhookRequest {
            path_and_query: "/webhooks/twilio/status?p=1.1&m=c0ffee".into(),
            headers: vec![("x-twilio-signature".into(), "c2lnbmVk".into()), ("host".into(), "a.example".into())],
            body: Bytes::from_static(b"MessageSid=SM1"),
        };
        let record = webhook_record("twilio", &delivery, StatusCode::OK, None, Instant::now(), Time(0));
        let all = format!("{record:?}");
        assert!(!all.contains("c0ffee") && !all.contains("c2lnbmVk"), "{all}");
        assert!(all.contains("p=1.1") && all.contains("a.example"), "{all}");
    }
}
