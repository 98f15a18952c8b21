//! `mynah check` behind real proxies: what each of them changes, and that the remedy helps.

use serde_json::Value;

use super::check::{reached_at, run_check, sound_environment, with_outcome};
use crate::setup::packaged_proxy::PackagedProxy;
use crate::setup::test_environment::TestEnvironment;

/// The findings that are not `ok`, but for the server, which does not run.
async fn troubles(environment: &TestEnvironment, public_url: &str) -> Vec<Value> {
    let (_, findings) = run_check(&reached_at(environment, public_url)).await;
    assert!(!with_outcome(&findings, "ok").is_empty(), "{findings:#?}");
    findings.into_iter().filter(|finding| finding["outcome"] != "ok" && finding["check"] != "server").collect()
}

async fn troubles_behind(environment: &TestEnvironment, proxy: &PackagedProxy) -> Vec<Value> {
    troubles(environment, &format!("http://127.0.0.1:{}", proxy.port)).await
}

/// The only finding, with these words in what was found and in the remedy.
fn assert_only(troubles: &[Value], (check, outcome): (&str, &str), found: &[&str], remedy: &str) {
    let [only] = troubles else { panic!("not exactly one finding: {troubles:#?}") };
    assert_eq!((&only["check"], &only["outcome"]), (&check.into(), &outcome.into()), "{only:#}");
    let text = only["found"].as_str().expect("a text");
    assert!(found.iter().all(|words| text.contains(words)), "{only:#}");
    assert!(only["remedy"].as_str().expect("a text").contains(remedy), "{only:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_as_in_the_readme_changes_nothing() {
    let environment = sound_environment().await;
    let server = format!(
        "listen 127.0.0.1:PORT; location / {{ proxy_pass http://127.0.0.1:{}; proxy_set_header Host $host; \
         proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme; }}",
        environment.settings.port
    );
    let proxy = PackagedProxy::nginx(&server).await;
    assert_eq!(troubles_behind(&environment, &proxy).await, [Value::Null; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_with_a_slash_behind_its_upstream_is_told_from_one_without() {
    let environment = sound_environment().await;
    let server = format!(
        "listen 127.0.0.1:PORT; location / {{ proxy_pass http://127.0.0.1:{}/; \
         proxy_set_header X-Forwarded-For $remote_addr; }}",
        environment.settings.port
    );
    let proxy = PackagedProxy::nginx(&server).await;
    let found =
        ["nginx", "the path: ", "%7E", "arrived as /webhooks/twilio/probe/~/~/A/", "the query: ? arrived as none"];
    let remedy = format!("`proxy_pass http://127.0.0.1:{};` without a path or slash", environment.settings.port);
    assert_only(&troubles_behind(&environment, &proxy).await, ("proxy", "warning"), &found, &remedy);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_in_its_smallest_configuration_lets_anybody_write_their_address() {
    let environment = sound_environment().await;
    let port = environment.settings.port;
    let server = format!("listen 127.0.0.1:PORT; location / {{ proxy_pass http://127.0.0.1:{port}; }}");
    let proxy = PackagedProxy::nginx(&server).await;
    let found = ["nginx", "X-Forwarded-For that a caller writes"];
    let remedy = "proxy_set_header X-Forwarded-For $remote_addr;";
    assert_only(&troubles_behind(&environment, &proxy).await, ("proxy", "warning"), &found, remedy);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lighttpd_rewrites_the_query_until_the_remedy_is_applied() {
    let environment = sound_environment().await;
    let port = environment.settings.port;
    let proxy = PackagedProxy::lighttpd(port, "").await;
    let remedy = "server.http-parseopts = (\"url-normalize\" => \"disable\")";
    let found = ["lighttpd", "b=%7E&c=%41&d=%c3%a9&e={x} arrived as b=~&c=A&d=%C3%A9&e=%7Bx%7D"];
    assert_only(&troubles_behind(&environment, &proxy).await, ("proxy", "warning"), &found, remedy);
    let proxy = PackagedProxy::lighttpd(port, remedy).await;
    assert_eq!(troubles_behind(&environment, &proxy).await, [Value::Null; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_no_authority_issued_is_refused_as_twilio_does() {
    let environment = sound_environment().await;
    let location = format!("proxy_pass http://127.0.0.1:{};", environment.settings.port);
    for constraints in ["CA:TRUE", "CA:FALSE"] {
        let proxy = PackagedProxy::nginx_with_own_certificate(&location, constraints).await;
        let troubles = troubles(&environment, &format!("https://localhost:{}", proxy.port)).await;
        let found = ["does not accept the certificate of localhost", "self-signed"];
        assert_only(&troubles, ("round trip", "failed"), &found, "a certificate of a public authority for localhost");
    }
}
