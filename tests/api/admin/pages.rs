//! What the pages show, and what they never run.

use axum::http::StatusCode;
use mynah::model::AdminRole;

use super::browser::Browser;
use crate::setup::test_app::{ANA, TestApp};

/// What a contact, a model or a provider may say to have a page run it.
const MARKUP: [&str; 5] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "</textarea><svg onload=alert(1)>",
    "javascript:alert(1)",
    "{{ frame.form_token }}",
];

#[tokio::test]
async fn conversations_are_listed_newest_first_and_page_by_page() {
    let test_app = TestApp::new().await;
    test_app.model_answers("Hello!").await;
    let browser = Browser::signed_in(&test_app, "owner", AdminRole::Viewer).await;
    let empty = browser.get("/admin/conversations").await;
    assert!(empty.text.contains("No conversations yet"), "{}", empty.text);
    for number in 0..60 {
        test_app.contact_writes(&format!("whatsapp:+1202555{number:04}"), "hello").await;
        test_app.advance(1);
    }
    let first = browser.get("/admin/conversations").await;
    assert_eq!(first.text.matches("class=\"row\"").count(), 50);
    let at = |text: &str| first.text.find(text).unwrap_or(usize::MAX);
    assert!(at("+12025550059") < at("+12025550010") && at("+12025550009") == usize::MAX, "newest first");
    let (_, after) = first.text.split_once("?before=").unwrap();
    let second = browser.get(&format!("/admin/conversations?before={}", after.split('"').next().unwrap())).await;
    assert_eq!(second.text.matches("class=\"row\"").count(), 10);
    assert!(
        second.text.contains("+12025550000")
            && second.text.contains(">Newest</a>")
            && !second.text.contains(">Older</a>")
    );
    assert_eq!(browser.get("/admin/conversations?before=nonsense").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_conversation_is_shown_with_who_said_what_and_why_there_is_no_answer() {
    let test_app = TestApp::new().await;
    test_app.model_answers("Hello!").await;
    test_app.contact_writes(ANA, "what does it cost?").await;
    test_app.drain().await;
    test_app.contact_writes(ANA, "STOP").await;
    test_app.drain().await;
    test_app.contact_writes(ANA, "one more thing").await;
    let browser = Browser::signed_in(&test_app, "owner", AdminRole::Viewer).await;
    let id = test_app.latest_conversation();
    let page = browser.get(&format!("/admin/conversations/{id}")).await;
    assert_eq!(page.status, StatusCode::OK);
    for part in [
        "what does it cost?",
        "Hello!",
        "by-contact",
        "by-assistant",
        "opted out",
        "Not answered: the contact opted out",
    ] {
        assert!(page.text.contains(part), "{part:?} is missing in {}", page.text);
    }
    for missing in ["0123456789abcdef0123456789abcdef", "x", "%00"] {
        assert_eq!(
            browser.get(&format!("/admin/conversations/{missing}")).await.status,
            StatusCode::NOT_FOUND,
            "{missing}"
        );
    }
}

#[tokio::test]
async fn nothing_that_somebody_wrote_is_run_by_a_page() {
    for text in MARKUP {
        let test_app = TestApp::new().await;
        test_app.model_answers(text).await;
        let mut params = test_app.message_params(ANA, text);
        for (name, value) in &mut params {
            if name == "ProfileName" {
                *value = text.to_owned();
            }
        }
        test_app.deliver_webhook(&params).await;
        test_app.drain().await;
        let browser = Browser::signed_in(&test_app, "owner", AdminRole::Owner).await;
        let id = test_app.latest_conversation();
        for path in ["/admin/conversations".to_owned(), format!("/admin/conversations/{id}")] {
            let page = browser.get(&path).await;
            assert_eq!(page.status, StatusCode::OK);
            for active in ["<script>alert", "<img src=x", "<svg onload", "href=\"javascript:"] {
                assert!(!page.text.contains(active), "{path}: {text} became {active}");
            }
            assert!(!text.contains('{') || page.text.contains("frame.form_token"), "shown as it was written");
        }
    }
}

#[tokio::test]
async fn pages_load_nothing_from_elsewhere_and_are_not_kept_while_assets_are() {
    let test_app = TestApp::new().await;
    let browser = Browser::signed_in(&test_app, "owner", AdminRole::Owner).await;
    for path in ["/admin/conversations", "/admin/account", "/admin/nothing"] {
        let page = browser.get(path).await;
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(page.headers["cache-control"], "no-store");
        assert!(!page.text.contains(" style=") && !page.text.contains("<script>") && !page.text.contains("http://"));
        let assets = page.text.split("/admin/assets/").skip(1);
        let assets: Vec<_> = assets.map(|rest| rest.split(['"', '#']).next().unwrap().to_owned()).collect();
        assert!(assets.len() >= 3, "{assets:?}");
        for asset in assets {
            let file = Browser::new(&test_app).get(&format!("/admin/assets/{asset}")).await;
            assert_eq!(file.status, StatusCode::OK, "{asset}");
            assert_eq!(file.headers["cache-control"], "public, max-age=31536000, immutable");
        }
    }
    assert_eq!(browser.get("/admin/assets/000000000000-admin.css").await.status, StatusCode::NOT_FOUND);
}
