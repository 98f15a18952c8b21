//! What monitors and browsers see.

use axum::http::StatusCode;

use crate::setup::test_app::{SECURITY_HEADERS, TestApp, body_text};

#[tokio::test]
async fn a_healthy_server_says_so() {
    let test_app = TestApp::new().await;
    let healthy = test_app.get("/healthz").await;
    assert_eq!((healthy.status(), body_text(healthy).await.trim()), (StatusCode::OK, "ok"));
    let ready = test_app.get("/readyz").await;
    assert_eq!(ready.status(), StatusCode::OK);
    let document: serde_json::Value = serde_json::from_str(&body_text(ready).await).unwrap();
    assert_eq!((&document["database"], &document["cache"]), (&"ok".into(), &"memory".into()));
    assert_eq!(document["configured"], true);
    assert_eq!(document["queue"]["waiting"], 0);
}

#[tokio::test]
async fn every_response_bears_the_security_headers() {
    let test_app = TestApp::new().await;
    for path in ["/healthz", "/readyz", "/webhooks/twilio", "/nothing", "/webhooks/twilio/status"] {
        let answer = test_app.get(path).await;
        for header in SECURITY_HEADERS {
            assert!(answer.headers().contains_key(header), "{path} has no {header}");
        }
    }
}

#[tokio::test]
async fn browsers_are_held_to_https_only_where_the_public_url_is_https() {
    for (url, held) in [("https://bot.example.org", true), ("http://192.0.2.7:8080", false)] {
        let test_app = TestApp::with_settings(&[("MYNAH_PUBLIC_URL", url)]).await;
        let answer = test_app.get("/healthz").await;
        assert_eq!(answer.headers().contains_key("strict-transport-security"), held, "{url}");
    }
}
