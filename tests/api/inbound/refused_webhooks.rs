//! Bad input: refused clearly, and nothing is stored that should not be.

use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::setup::captured_log::CapturedLog;
use crate::setup::test_app::{ANA, PUBLIC_URL, TOKEN, TestApp, body_text, encode_form, form_params};

const MESSAGES: &str = "SELECT COUNT(*) FROM messages";
const LOGGED: &str = "SELECT COUNT(*) FROM webhook_log";

#[tokio::test]
async fn an_unsigned_or_forged_webhook_is_refused_and_nothing_is_stored() {
    let test_app = TestApp::new().await;
    let params = test_app.message_params(ANA, "hello");
    let forged = mynah::channel::twilio::sign(&format!("{PUBLIC_URL}/webhooks/twilio"), &params, "another token");
    let elsewhere = mynah::channel::twilio::sign("https://bot.example.com/webhooks/twilio", &params, TOKEN);
    for signature in [None, Some("c2lnbmVk"), Some(""), Some(forged.as_str()), Some(elsewhere.as_str())] {
        for path in ["/webhooks/twilio", "/webhooks/twilio/status"] {
            let answer = test_app.post_form(path, encode_form(&params).into(), signature).await;
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{signature:?}");
        }
    }
    assert_eq!((test_app.query_integer(MESSAGES), test_app.query_integer(LOGGED)), (0, 0));
    assert_eq!(test_app.drain().await, 0);
}

#[tokio::test]
async fn a_flood_of_forgeries_is_turned_away_without_flooding_the_log_and_holds_up_no_good_one() {
    let log = CapturedLog::start();
    let test_app = TestApp::new().await;
    let params = test_app.message_params(ANA, "hello");
    for number in 0..200 {
        let signature = if number % 2 == 0 { None } else { Some("AAAAAAAAAAAAAAAAAAAAAAAAAAA=") };
        let answer = test_app.post_form("/webhooks/twilio", encode_form(&params).into(), signature).await;
        if number < 60 {
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{number}");
        } else {
            assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS, "{number}");
            assert_eq!(answer.headers()["retry-after"], "1");
        }
    }
    assert_eq!(log.count_lines("WARN", "webhook"), 61);
    assert_eq!(test_app.deliver_webhook(&params).await, StatusCode::OK);
    test_app.advance(1);
    let answer = test_app.post_form("/webhooks/twilio", encode_form(&params).into(), None).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn without_a_public_url_every_webhook_is_refused() {
    let test_app = TestApp::with_settings(&[("MYNAH_PUBLIC_URL", "")]).await;
    let params = test_app.message_params(ANA, "hello");
    assert_eq!(test_app.deliver_webhook(&params).await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_signed_webhook_that_makes_no_sense_is_refused_with_a_reason_and_logged() {
    let test_app = TestApp::new().await;
    let whole = test_app.message_params(ANA, "hello");
    let without = |name: &str| whole.iter().filter(|(key, _)| key != name).cloned().collect::<Vec<_>>();
    let with = |name: &str, value: &str| {
        let mut params = without(name);
        params.extend(form_params(&[(name, value)]));
        params
    };
    let many = whole.iter().cloned().chain((0..200).map(|n| (format!("Extra{n}"), "x".into()))).collect::<Vec<_>>();
    for (params, named) in [
        (without("MessageSid"), "MessageSid"),
        (without("From"), "From"),
        (with("From", "whatsapp:somebody"), "From"),
        (with("Body", "a\0b"), "Body"),
        (many, "200"),
    ] {
        let answer = test_app.post_signed("/webhooks/twilio", &params).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        let reason = body_text(answer).await;
        assert!(reason.contains(named), "{reason}");
    }
    assert_eq!((test_app.query_integer(MESSAGES), test_app.query_integer(LOGGED)), (0, 5));
    assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM webhook_log WHERE status = 400 AND error <> ''"), 5);
}

#[tokio::test]
async fn a_signed_body_that_is_not_utf_8_is_malformed_and_not_forged() {
    let test_app = TestApp::new().await;
    // The bytes as they stand decode to FF; signed over those bytes by an HMAC of the URL and `BodyÿMessageSidSM1`.
    let body = b"Body=%FF&MessageSid=SM1".to_vec();
    let signature = {
        use base64::Engine;
        use hmac::{Hmac, KeyInit, Mac};
        let mut mac = Hmac::<sha1::Sha1>::new_from_slice(TOKEN.as_bytes()).unwrap();
        mac.update(format!("{PUBLIC_URL}/webhooks/twilio").as_bytes());
        mac.update(b"Body\xffMessageSidSM1");
        base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes())
    };
    let answer = test_app.post_form("/webhooks/twilio", body.into(), Some(&signature)).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_body_over_64_kib_is_refused_with_or_without_a_declared_length() {
    let test_app = TestApp::new().await;
    let large = vec![b'a'; 64 * 1024 + 1];
    let response = test_app.post_form("/webhooks/twilio", large.clone().into(), Some("x")).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let chunks =
        tokio_stream::iter(large.chunks(1000).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect::<Vec<_>>());
    let untold = test_app.post_form("/webhooks/twilio", Body::from_stream(chunks), Some("x")).await;
    assert_eq!(untold.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let exact = test_app.post_form("/webhooks/twilio", vec![b'a'; 64 * 1024].into(), Some("x")).await;
    assert_eq!(exact.status(), StatusCode::FORBIDDEN, "small enough to be looked at");
}

#[tokio::test]
async fn odd_texts_are_stored_to_the_letter() {
    let test_app = TestApp::new().await;
    let long: String = "é👩\u{200d}👩\u{200d}👧 ".chars().cycle().take(4096).collect();
    for text in ["👋🏽 ¿Qué tal?", "مرحبا \u{202e}abc", "a\u{200b}b\u{200d}c\u{feff}", "a+b & c=d %41", &long]
    {
        test_app.contact_writes(ANA, text).await;
        let stored: i64 = {
            let connection = rusqlite::Connection::open(test_app.folder.path().join("mynah.db")).unwrap();
            connection.query_row("SELECT COUNT(*) FROM messages WHERE content = ?1", [text], |row| row.get(0)).unwrap()
        };
        assert_eq!(stored, 1, "{}", text.chars().take(20).collect::<String>());
    }
}

#[tokio::test]
async fn wrong_methods_and_unknown_paths_get_405_and_404() {
    let test_app = TestApp::new().await;
    assert_eq!(test_app.get("/webhooks/twilio").await.status(), StatusCode::OK);
    assert_eq!(test_app.get("/webhooks/twilio/status").await.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(test_app.get("/nothing").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn each_address_that_floods_is_logged_once_a_minute() {
    let log = CapturedLog::start();
    let test_app = TestApp::with_settings(&[("MYNAH_TRUSTED_PROXIES", "127.0.0.1")]).await;
    let body = encode_form(&test_app.message_params(ANA, "hello"));
    let (listener, stop) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), CancellationToken::new());
    let address = listener.local_addr().unwrap();
    let headers = mynah::web::SecurityHeaders::from_config(&test_app.app.config.server);
    let server = tokio::spawn(mynah::web::serve(listener, test_app.routes(), headers, stop.clone()));
    let minute = Duration::from_secs(60);
    let client = mynah::http::client(minute, minute, mynah::http::AllowedTargets::Any);
    let flood = async |from: &str| {
        for _ in 0..70 {
            let forged = client
                .post(format!("http://{address}/webhooks/twilio"))
                .header("content-type", "application/x-www-form-urlencoded")
                .header("x-forwarded-for", from)
                .body(body.clone());
            forged.send().await.unwrap();
        }
    };
    let logged_count = |from: &str| {
        let line = format!("too many forged webhooks from one address client={from}");
        log.count_lines("WARN", &line)
    };
    flood("198.51.100.1").await;
    flood("198.51.100.2").await;
    flood("2001:db8::7").await;
    flood("198.51.100.1").await;
    assert_eq!(["198.51.100.1", "198.51.100.2", "2001:db8::/64"].map(logged_count), [1, 1, 1]);
    test_app.advance(61);
    flood("198.51.100.2").await;
    assert_eq!(["198.51.100.1", "198.51.100.2"].map(logged_count), [1, 2]);
    stop.cancel();
    server.await.unwrap();
}
