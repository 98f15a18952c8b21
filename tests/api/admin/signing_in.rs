//! Signing in and out, wrong passwords, the first password, sessions.

use std::time::Duration;

use axum::http::StatusCode;
use mynah::clock::Clock;
use mynah::model::AdminRole;
use mynah::store::{IDLE_LIMIT, SESSION_LIMIT};

use super::browser::{Browser, PASSWORD, with_account};
use crate::setup::test_app::TestApp;

#[tokio::test]
async fn the_password_opens_the_page_that_was_wanted_with_a_cookie_for_this_host_only() {
    let test_app = TestApp::new().await;
    with_account(&test_app, "owner", AdminRole::Owner).await;
    let browser = Browser::new(&test_app);
    assert_eq!(browser.get("/").await.location(), "/admin");
    let login = browser.get("/admin/login?next=%2Fadmin%2Faccount").await;
    assert_eq!(login.status, StatusCode::OK);
    assert!(login.text.contains("name=\"next\" value=\"/admin/account\""), "{}", login.text);
    let fields = [("name", "owner"), ("password", PASSWORD), ("next", "/admin/account")];
    let page = browser.post("/admin/login", &fields).await;
    assert_eq!((page.status, page.location()), (StatusCode::SEE_OTHER, "/admin/account"));
    let cookie = page.headers["set-cookie"].to_str().unwrap();
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    assert!(pair.starts_with("__Host-mynah=") && pair.len() == 13 + 64, "{cookie}");
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Lax; Secure");
    let account = browser.get("/admin/account").await;
    assert!(account.status == StatusCode::OK && account.text.contains("Firefox on Linux"), "{}", account.text);
    assert_eq!(browser.get("/admin/login").await.location(), "/admin/conversations", "already signed in");
    // The token is stored nowhere.
    let token = pair.split_once('=').unwrap().1;
    assert_eq!(
        test_app.query_integer(&format!("SELECT COUNT(*) FROM admin_sessions WHERE token_hash = x'{token}'")),
        0
    );
}

#[tokio::test]
async fn signing_out_ends_the_session_for_good() {
    let test_app = TestApp::new().await;
    let browser = Browser::signed_in(&test_app, "owner", AdminRole::Owner).await;
    let mut stolen = Browser::new(&test_app);
    stolen.headers.insert("cookie", browser.cookie().unwrap());
    assert_eq!(stolen.get("/admin/account").await.status, StatusCode::OK);
    let page = browser.submit("/admin/account", "/admin/logout", &[]).await;
    assert_eq!(page.location(), "/admin/login");
    assert!(page.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(browser.cookie(), None);
    assert!(stolen.get("/admin/account").await.location().starts_with("/admin/login"));
}

#[tokio::test]
async fn a_session_ends_by_itself_and_a_remembered_device_stays() {
    let test_app = TestApp::new().await;
    let browser = Browser::signed_in(&test_app, "owner", AdminRole::Owner).await;
    let device = Browser::new(&test_app);
    let fields = [("name", "owner"), ("password", PASSWORD), ("remember", "1")];
    let page = device.post("/admin/login", &fields).await;
    assert!(page.headers["set-cookie"].to_str().unwrap().contains("; Max-Age=2592000"));
    test_app.clock.advance(IDLE_LIMIT);
    assert!(browser.get("/admin/account").await.location().starts_with("/admin/login"));
    test_app.clock.advance(SESSION_LIMIT);
    assert_eq!(device.get("/admin/account").await.status, StatusCode::OK);
    test_app.clock.advance(Duration::from_secs(30 * 86_400));
    assert!(device.get("/admin/account").await.location().starts_with("/admin/login"));
}

#[tokio::test]
async fn signing_in_again_ends_the_session_before() {
    let test_app = TestApp::new().await;
    let browser = Browser::signed_in(&test_app, "owner", AdminRole::Owner).await;
    let before = browser.cookie();
    browser.post("/admin/login", &[("name", "owner"), ("password", PASSWORD)]).await;
    assert_ne!(browser.cookie(), before);
    let sessions = test_app.app.store.admin_sessions("owner", test_app.clock.now()).await.unwrap();
    assert_eq!(sessions.len(), 1);
}

#[tokio::test]
async fn a_session_elsewhere_is_listed_and_can_be_ended() {
    let test_app = TestApp::new().await;
    let here = Browser::signed_in(&test_app, "owner", AdminRole::Owner).await;
    let mut there = Browser::new(&test_app);
    there.headers.insert("user-agent", "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0) Safari/604.1".to_owned());
    there.post("/admin/login", &[("name", "owner"), ("password", PASSWORD)]).await;
    let page = here.get("/admin/account").await;
    assert!(page.text.contains("Safari on iPhone"), "{}", page.text);
    let (_, after) = page.text.split_once("name=\"session\" value=\"").unwrap();
    let id = &after[..64];
    let done = here.submit("/admin/account", "/admin/account/end-session", &[("session", id)]).await;
    let shown = here.get(done.location()).await;
    assert!(shown.text.contains("The session was ended.") && !shown.text.contains("iPhone"), "{}", shown.text);
    assert!(there.get("/admin/account").await.location().starts_with("/admin/login"));
    assert_eq!(here.get("/admin/account").await.status, StatusCode::OK);
}

#[tokio::test]
async fn five_wrong_passwords_lock_the_account_and_the_address_for_a_while() {
    let test_app = TestApp::new().await;
    with_account(&test_app, "owner", AdminRole::Owner).await;
    with_account(&test_app, "eva", AdminRole::Operator).await;
    let browser_at = |address: &str| {
        let mut browser = Browser::new(&test_app);
        browser.headers.insert("x-forwarded-for", address.to_owned());
        browser.headers.insert("x-forwarded-proto", "https".to_owned());
        browser
    };
    let attacker = browser_at("203.0.113.1");
    // A right password in between counts as none.
    assert_eq!(
        attacker.post("/admin/login", &[("name", "eva"), ("password", PASSWORD)]).await.status,
        StatusCode::SEE_OTHER
    );
    for try_number in 0..5 {
        let page = attacker.post("/admin/login", &[("name", "owner"), ("password", "a guess")]).await;
        assert_eq!(page.status, StatusCode::UNAUTHORIZED, "{try_number}");
        assert!(page.text.contains("The name or the password is wrong."), "{}", page.text);
        assert!(!page.text.contains("a guess"));
    }
    let locked = attacker.post("/admin/login", &[("name", "owner"), ("password", PASSWORD)]).await;
    assert_eq!(locked.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(locked.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() <= 900);
    assert!(locked.text.contains("Too many wrong passwords. Try again in"), "{}", locked.text);
    test_app.advance(900);
    assert_eq!(
        attacker.post("/admin/login", &[("name", "owner"), ("password", PASSWORD)]).await.status,
        StatusCode::SEE_OTHER
    );
}

#[tokio::test]
async fn an_account_that_is_not_there_looks_like_a_wrong_password() {
    let test_app = TestApp::new().await;
    with_account(&test_app, "owner", AdminRole::Owner).await;
    let browser = Browser::new(&test_app);
    let wrong = browser.post("/admin/login", &[("name", "owner"), ("password", "a guess")]).await;
    let missing = browser.post("/admin/login", &[("name", "nobody"), ("password", "a guess")]).await;
    assert_eq!((wrong.status, wrong.text.replace("owner", "")), (missing.status, missing.text.replace("nobody", "")));
    let markup = browser.post("/admin/login", &[("name", "\"><script>alert(1)</script>"), ("password", "x")]).await;
    assert!(!markup.text.contains("<script>alert"), "{}", markup.text);
}

#[tokio::test]
async fn no_password_is_taken_by_plain_http_over_a_network() {
    let test_app = TestApp::new().await;
    with_account(&test_app, "owner", AdminRole::Owner).await;
    let mut browser = Browser::new(&test_app);
    browser.headers.insert("host", "192.0.2.1:8080".to_owned());
    let page = browser.get("/admin/login").await;
    assert!(page.status == StatusCode::FORBIDDEN && page.text.contains("ssh -L 8080"), "{}", page.text);
    let page = browser.post("/admin/login", &[("name", "owner"), ("password", PASSWORD)]).await;
    assert!(page.status == StatusCode::FORBIDDEN && !page.headers.contains_key("set-cookie"));
    // On the machine itself it may.
    browser.headers.insert("host", "localhost:8080".to_owned());
    let page = browser.post("/admin/login", &[("name", "owner"), ("password", PASSWORD)]).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    let cookie = page.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("mynah=") && !cookie.contains("Secure"), "{cookie}");
}

#[tokio::test]
async fn the_code_from_the_log_opens_the_page_for_the_first_password_once() {
    let test_app = TestApp::new().await;
    let code = test_app.app.setup_code.issue(test_app.clock.now()).unwrap();
    let browser = Browser::new(&test_app);
    assert_eq!(browser.get("/admin/login").await.location(), "/admin/set-up");
    let page = browser.get(&format!("/admin/set-up?code={code}")).await;
    assert!(page.status == StatusCode::OK && page.text.contains(&code));
    let set = async |code: &str, password: &str, again: &str| {
        browser.post("/admin/set-up", &[("code", code), ("password", password), ("again", again)]).await
    };
    let wrong = set("aaaa-bbbb-cccc-dddd", PASSWORD, PASSWORD).await;
    assert!(wrong.status == StatusCode::UNAUTHORIZED && wrong.text.contains("This code is not right"));
    let differ = set(&code, PASSWORD, "another one").await;
    assert!(differ.status == StatusCode::UNPROCESSABLE_ENTITY && differ.text.contains("The two passwords differ."));
    let short = set(&code, "short", "short").await;
    assert!(short.text.contains("fewer than 10 characters. Choose a longer one"), "{}", short.text);
    let done = set(&code, PASSWORD, PASSWORD).await;
    assert_eq!((done.status, done.location()), (StatusCode::SEE_OTHER, "/admin"));
    assert_eq!(browser.get("/admin/conversations").await.status, StatusCode::OK, "signed in");
    // Nobody sets it again.
    let other = Browser::new(&test_app);
    assert_eq!(other.get(&format!("/admin/set-up?code={code}")).await.location(), "/admin/login");
    let again = other
        .post("/admin/set-up", &[("code", &code), ("password", "a new password"), ("again", "a new password")])
        .await;
    assert_eq!(again.location(), "/admin/login");
}

#[tokio::test]
async fn codes_are_not_guessed_and_not_used_late() {
    let test_app = TestApp::new().await;
    let code = test_app.app.setup_code.issue(test_app.clock.now()).unwrap();
    let browser = Browser::new(&test_app);
    let fields = |code| [("code", code), ("password", PASSWORD), ("again", PASSWORD)];
    for _ in 0..10 {
        assert_eq!(browser.post("/admin/set-up", &fields("a-guess")).await.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(browser.post("/admin/set-up", &fields(&code)).await.status, StatusCode::TOO_MANY_REQUESTS);
    test_app.advance(1_800);
    let late = browser.post("/admin/set-up", &fields(&code)).await;
    assert_eq!(late.status, StatusCode::UNAUTHORIZED);
    assert!(!test_app.app.store.has_admin_accounts().await.unwrap());
}
