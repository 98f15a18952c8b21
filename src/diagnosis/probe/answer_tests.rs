use std::time::Duration;

use axum::body::to_bytes;
use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::app::App;
use crate::clock::{ManualClock, Time};
use crate::config::{Config, Sources};
use crate::diagnosis::probe::ProbeRequest;

const PUBLIC_URL: &str = "https://bot.example.org";
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

struct Installation {
    _folder: TempDir,
    app: App,
    clock: ManualClock,
}

/// A mynah with a database and an identity of its own, and with this token.
async fn installation(token: &str) -> Installation {
    let folder = tempfile::tempdir().unwrap();
    let env = [
        ("MYNAH_DATA_DIR", folder.path().to_str().unwrap()),
        ("MYNAH_PUBLIC_URL", PUBLIC_URL),
        ("TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000001"),
        ("TWILIO_AUTH_TOKEN", token),
        ("TWILIO_WHATSAPP_FROM", "+14155550001"),
    ];
    let env = env.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
    let config = Config::load(Sources { env, ..Sources::default() }).unwrap();
    let clock = ManualClock::new(Time(1_793_527_200_000));
    let app = App::build(config, Arc::new(clock.clone())).await.unwrap();
    Installation { _folder: folder, app, clock }
}

impl Installation {
    fn key(&self) -> &crate::app::ProbeKey {
        self.app.probe_key.as_ref().unwrap()
    }

    fn pass(&self) -> Pass {
        Pass::issue(self.key(), self.app.clock.now())
    }

    /// Answers a request like this; `None` if it is taken for no probe.
    async fn answer(&self, request: Request) -> Option<(StatusCode, Vec<u8>)> {
        let response = answer_probe(&self.app, request, false).await.ok()?;
        let status = response.status();
        Some((status, to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()))
    }
}

/// A probe of messages with this pass, signed with this token, that arrives at this path and query.
fn probe(pass: &str, token: &str, target: &str) -> Request {
    let sent = ProbeRequest::MESSAGE;
    let signature = crate::channel::twilio::sign(&format!("{PUBLIC_URL}{}", sent.target), &sent.fields(), token);
    let request = Request::post(target).header(HEADER, pass).header("x-twilio-signature", signature);
    request.header("content-type", "application/x-www-form-urlencoded").body(Body::from(sent.body)).unwrap()
}

#[tokio::test]
async fn a_probe_is_answered_with_what_arrived_whatever_its_address_and_signature() {
    let ours = installation(TOKEN).await;
    for (target, token, refused) in [
        ("/webhooks/twilio", TOKEN, false),
        ("/bot/webhooks/twilio", TOKEN, true),
        ("/", TOKEN, true),
        ("/webhooks/twilio", "another token", true),
    ] {
        let pass = ours.pass();
        let (status, body) = ours.answer(probe(&pass.header, token, target)).await.unwrap();
        let report = ProbeReport::open(&body, ours.key(), &pass.nonce).unwrap();
        assert_eq!((status, report.target.as_str()), (StatusCode::OK, target));
        assert_eq!(report.signature_error.is_some(), refused, "{report:?}");
        assert_eq!(report.body(), ProbeRequest::MESSAGE.body.as_bytes());
        assert_eq!(report.public_url.as_deref(), Some(PUBLIC_URL));
    }
}

#[tokio::test]
async fn without_a_pass_of_this_installation_nothing_is_told() {
    let (ours, theirs) = (installation(TOKEN).await, installation(TOKEN).await);
    let good = ours.pass().header;
    let (until, mac) = good.split_once('.').unwrap().1.split_once('.').unwrap();
    let later = format!("00.{}.{mac}", until.parse::<i64>().unwrap() + 1);
    let foreign = theirs.pass().header;
    for pass in ["", "x", "..", later.as_str(), foreign.as_str(), &good[..good.len() - 1]] {
        for (target, token) in [("/webhooks/twilio", "another token"), ("/healthz", TOKEN), ("/", "another token")] {
            let request = probe(pass, token, target);
            let answer = answer_probe(&ours.app, request, false).await;
            let request = answer.expect_err("it is taken for no probe");
            let body = to_bytes(request.into_body(), 1 << 20).await.unwrap();
            assert_eq!(body, ProbeRequest::MESSAGE.body.as_bytes(), "the request goes on unchanged");
        }
    }
}

#[tokio::test]
async fn a_pass_expires() {
    let ours = installation(TOKEN).await;
    let pass = ours.pass();
    ours.clock.advance(Duration::from_secs(15 * 60) - Duration::from_millis(1));
    assert!(ours.answer(probe(&pass.header, "another token", "/webhooks/twilio")).await.is_some());
    ours.clock.advance(Duration::from_millis(1));
    assert!(ours.answer(probe(&pass.header, "another token", "/webhooks/twilio")).await.is_none());
}

#[tokio::test]
async fn whoever_signs_as_the_provider_learns_only_which_installation_answers() {
    let (ours, theirs) = (installation(TOKEN).await, installation(TOKEN).await);
    let pass = theirs.pass();
    let (status, body) = ours.answer(probe(&pass.header, TOKEN, "/webhooks/twilio")).await.unwrap();
    let told: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, told), (StatusCode::CONFLICT, json!({ "mynah_installation": ours.key().installation() })));
    assert!(ProbeReport::open(&body, theirs.key(), &pass.nonce).is_none());
}

#[tokio::test]
async fn a_report_holds_for_its_own_probe_and_from_its_own_installation() {
    let (ours, theirs) = (installation(TOKEN).await, installation(TOKEN).await);
    let (first, second) = (ours.pass(), ours.pass());
    let (_, body) = ours.answer(probe(&first.header, TOKEN, "/webhooks/twilio")).await.unwrap();
    assert!(ProbeReport::open(&body, ours.key(), &first.nonce).is_some());
    assert!(ProbeReport::open(&body, ours.key(), &second.nonce).is_none(), "a proxy may have kept an older answer");
    assert!(ProbeReport::open(&body, theirs.key(), &first.nonce).is_none());
    let forged = String::from_utf8(body).unwrap().replace("/webhooks/twilio", "/webhooks/twilia");
    assert!(ProbeReport::open(forged.as_bytes(), ours.key(), &first.nonce).is_none());
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_it_is_read_whole() {
    let ours = installation(TOKEN).await;
    let request = Request::post("/webhooks/twilio").header(HEADER, ours.pass().header);
    let request = request.body(Body::from(vec![b'x'; BODY_LIMIT + 1])).unwrap();
    assert_eq!(ours.answer(request).await.unwrap().0, StatusCode::BAD_REQUEST);
}
