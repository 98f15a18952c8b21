//! Who may open which route. The table of routes is the list of cases.

use axum::http::StatusCode;
use mynah::model::AdminRole;
use mynah::web::admin_routes;

use super::browser::{Browser, with_account};
use crate::setup::test_app::TestApp;

/// A path with something in the place of each part in braces.
fn some_path(path: &str) -> String {
    path.replace("{file}", "none.css").replace("{id}", "0123456789abcdef0123456789abcdef")
}

#[tokio::test]
async fn without_a_session_every_page_leads_to_the_login_and_no_form_does_anything() {
    let test_app = TestApp::new().await;
    with_account(&test_app, "owner", AdminRole::Owner).await;
    let browser = Browser::new(&test_app);
    let (mut pages, mut forms) = (0, 0);
    for route in admin_routes().into_iter().filter(|route| route.least.is_some()) {
        let path = some_path(route.path);
        if route.method == "GET" {
            let page = browser.get(&path).await;
            let next = url::form_urlencoded::byte_serialize(path.as_bytes()).collect::<String>();
            assert_eq!((page.status, page.location()), (StatusCode::SEE_OTHER, &*format!("/admin/login?next={next}")));
            pages += 1;
        } else {
            let page = browser.post(&path, &[]).await;
            assert_eq!(page.status, StatusCode::FORBIDDEN, "{path}");
            assert!(page.text.contains("You are signed out"), "{}", page.text);
            forms += 1;
        }
    }
    assert!(pages >= 4 && forms >= 2, "{pages} pages, {forms} forms");
    // A path that no route has tells nothing either.
    assert!(browser.get("/admin/nothing/of/the/kind").await.location().starts_with("/admin/login?next="));
}

#[tokio::test]
async fn each_role_opens_its_routes_and_none_above_it() {
    let test_app = TestApp::new().await;
    for role in AdminRole::ALL {
        let browser = Browser::signed_in(&test_app, role.as_str(), role).await;
        for route in admin_routes() {
            let Some(least) = route.least else { continue };
            // This one ends the session.
            if route.path == "/admin/logout" {
                continue;
            }
            let path = some_path(route.path);
            let page = match route.method {
                "GET" => browser.get(&path).await,
                _ => browser.submit("/admin/account", &path, &[("session", "00")]).await,
            };
            let refused = page.text.contains("Your account may not do this");
            assert_eq!(refused, role < least, "{} {path} as {role:?}: {}", route.method, page.status);
            assert_ne!(page.status, StatusCode::INTERNAL_SERVER_ERROR, "{path}");
        }
        let missing = browser.get("/admin/nothing").await;
        assert!(missing.status == StatusCode::NOT_FOUND && missing.text.contains("There is no page here"));
    }
}

#[tokio::test]
async fn a_form_of_another_site_or_without_the_sessions_token_changes_nothing() {
    let test_app = TestApp::new().await;
    let mut browser = Browser::signed_in(&test_app, "owner", AdminRole::Owner).await;
    let other = Browser::signed_in(&test_app, "eva", AdminRole::Owner).await;
    let theirs = other.get("/admin/account").await.form_token();
    let ours = browser.get("/admin/account").await.form_token();
    for token in ["", "0", &theirs] {
        let page = browser.post("/admin/logout", &[("form_token", token)]).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{token}");
        assert!(page.text.contains("not sent from a page of mynah"), "{}", page.text);
    }
    for site in ["cross-site", "same-site"] {
        browser.headers.insert("sec-fetch-site", site.to_owned());
        assert_eq!(browser.post("/admin/logout", &[("form_token", &ours)]).await.status, StatusCode::FORBIDDEN);
    }
    browser.headers.remove("sec-fetch-site");
    browser.headers.insert("origin", "https://evil.example".to_owned());
    assert_eq!(browser.post("/admin/logout", &[("form_token", &ours)]).await.status, StatusCode::FORBIDDEN);
    browser.headers.insert("origin", "https://bot.example.org".to_owned());
    assert_eq!(browser.get("/admin/account").await.status, StatusCode::OK, "still signed in");
    assert_eq!(browser.post("/admin/logout", &[("form_token", &ours)]).await.location(), "/admin/login");
}

#[tokio::test]
async fn an_admin_page_that_is_switched_off_is_not_there() {
    let test_app = TestApp::with_settings(&[("MYNAH_ADMIN", "false")]).await;
    with_account(&test_app, "owner", AdminRole::Owner).await;
    let browser = Browser::new(&test_app);
    for path in ["/", "/admin", "/admin/login", "/admin/set-up", "/admin/conversations", "/admin/x"] {
        let page = browser.get(path).await;
        assert_eq!((page.status, page.location()), (StatusCode::NOT_FOUND, ""), "{path}");
        assert!(!page.text.contains("mynah"), "{}", page.text);
    }
}
