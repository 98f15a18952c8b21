//! What a proxy in front reports about a request: accepted from trusted proxies only, and never for a signature.

use axum::http::StatusCode;
use mynah::channel::twilio;
use mynah::http::{AllowedTargets, client};
use mynah::web;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::setup::test_app::{ANA, PUBLIC_URL, TOKEN, TestApp, encode_form};

const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(60);

/// A test app behind a real socket; returns its address.
async fn serve_on_socket(test_app: &TestApp) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/webhooks/twilio", listener.local_addr().unwrap());
    let headers = web::SecurityHeaders::from_config(&test_app.app.config.server);
    tokio::spawn(web::serve(listener, test_app.routes(), headers, CancellationToken::new()));
    address
}

/// The status of the last of so many forged requests, which according to a proxy came from this client.
async fn post_forgeries(address: &str, of: &str, times: usize) -> u16 {
    let client = client(TIMEOUT, TIMEOUT, AllowedTargets::Any);
    let mut status = 0;
    for _ in 0..times {
        let answer = client.post(address).header("x-forwarded-for", of).body("Body=x").send().await.unwrap();
        status = answer.status().as_u16();
    }
    status
}

#[tokio::test]
async fn a_flood_of_forgeries_counts_against_the_client_that_a_trusted_proxy_names() {
    let test_app = TestApp::with_settings(&[("MYNAH_TRUSTED_PROXIES", "127.0.0.1")]).await;
    let address = serve_on_socket(&test_app).await;
    assert_eq!(post_forgeries(&address, "198.51.100.1", 60).await, 403);
    assert_eq!(post_forgeries(&address, "198.51.100.1", 1).await, 429);
    assert_eq!(post_forgeries(&address, "198.51.100.2", 1).await, 403, "another client has a rate of its own");
    assert_eq!(
        post_forgeries(&address, "198.51.100.9, 198.51.100.1", 1).await,
        429,
        "what a client claims stands before"
    );
}

#[tokio::test]
async fn nobody_else_is_believed_about_the_client() {
    let test_app = TestApp::with_settings(&[("MYNAH_TRUSTED_PROXIES", "192.0.2.7")]).await;
    let address = serve_on_socket(&test_app).await;
    assert_eq!(post_forgeries(&address, "198.51.100.1", 60).await, 403);
    assert_eq!(post_forgeries(&address, "198.51.100.2", 1).await, 429, "all came from one address");
}

#[tokio::test]
async fn no_proxy_is_believed_about_the_address_that_was_signed() {
    let test_app = TestApp::with_settings(&[("MYNAH_TRUSTED_PROXIES", "127.0.0.1")]).await;
    let address = serve_on_socket(&test_app).await;
    let params = test_app.message_params(ANA, "hello");
    let client = client(TIMEOUT, TIMEOUT, AllowedTargets::Any);
    for (signed, status) in [("https://evil.example", StatusCode::FORBIDDEN), (PUBLIC_URL, StatusCode::OK)] {
        let signature = twilio::sign(&format!("{signed}/webhooks/twilio"), &params, TOKEN);
        let answer = client
            .post(&address)
            .header("host", "evil.example")
            .header("x-forwarded-host", "evil.example")
            .header("x-forwarded-proto", "https")
            .header("forwarded", "host=evil.example;proto=https")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("x-twilio-signature", signature)
            .body(encode_form(&params))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), status, "{signed}");
    }
}
