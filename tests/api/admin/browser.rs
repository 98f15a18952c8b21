//! A browser on the admin page: keeps its cookie, and sends forms as browsers do.

use std::collections::BTreeMap;
use std::sync::Mutex;

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use mynah::model::AdminRole;
use mynah::password;
use secrecy::SecretString;
use tower::ServiceExt;

use crate::setup::test_app::{TestApp, body_text};

pub const PASSWORD: &str = "correct horse battery";

/// A browser that has opened the page by https.
pub struct Browser<'a> {
    test_app: &'a TestApp,
    cookie: Mutex<Option<String>>,
    /// Headers of each request; `host` and `sec-fetch-site` among them.
    pub headers: BTreeMap<&'static str, String>,
}

/// What a browser got.
pub struct Page {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Page {
    pub fn location(&self) -> &str {
        self.headers.get("location").map(|to| to.to_str().expect("it is text")).unwrap_or_default()
    }

    /// The token that the forms of the page carry.
    pub fn form_token(&self) -> String {
        let (_, after) = self.text.split_once("name=\"form_token\" value=\"").expect("the page has a form");
        after.split('"').next().expect("it ends").to_owned()
    }
}

impl<'a> Browser<'a> {
    pub fn new(test_app: &'a TestApp) -> Browser<'a> {
        let headers =
            [("host", "bot.example.org"), ("sec-fetch-site", "same-origin"), ("user-agent", "Firefox/140.0 Linux")];
        let headers = headers.map(|(name, value)| (name, value.to_owned())).into();
        Browser { test_app, cookie: Mutex::default(), headers }
    }

    /// A browser of somebody who is signed in.
    pub async fn signed_in(test_app: &'a TestApp, name: &str, role: AdminRole) -> Browser<'a> {
        with_account(test_app, name, role).await;
        let browser = Browser::new(test_app);
        let page = browser.post("/admin/login", &[("name", name), ("password", PASSWORD)]).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
        browser
    }

    pub fn cookie(&self) -> Option<String> {
        self.cookie.lock().expect("no panic under this lock").clone()
    }

    pub async fn get(&self, path: &str) -> Page {
        self.send(Method::GET, path, Body::empty()).await
    }

    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.send(Method::POST, path, body.into()).await
    }

    /// Sends a form with the token of the page that it stands on.
    pub async fn submit(&self, on: &str, path: &str, fields: &[(&str, &str)]) -> Page {
        let token = self.get(on).await.form_token();
        self.post(path, &[fields, &[("form_token", token.as_str())]].concat()).await
    }

    async fn send(&self, method: Method, path: &str, body: Body) -> Page {
        let mut request = Request::builder().method(method).uri(path);
        request = request.header("content-type", "application/x-www-form-urlencoded");
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        if let Some(cookie) = self.cookie() {
            request = request.header("cookie", cookie);
        }
        let request = request.body(body).expect("a request");
        let response = self.test_app.routes().oneshot(request).await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        if let Some(set) = headers.get("set-cookie") {
            let set = set.to_str().expect("it is text");
            let pair = set.split(';').next().expect("it begins").to_owned();
            *self.cookie.lock().expect("no panic under this lock") = (!set.contains("Max-Age=0")).then_some(pair);
        }
        Page { status, headers, text: body_text(response).await }
    }
}

/// An account with the password of the tests.
pub async fn with_account(test_app: &TestApp, name: &str, role: AdminRole) {
    let hash = password::hash(&SecretString::from(PASSWORD)).expect("it is long enough");
    let now = mynah::clock::Clock::now(&test_app.clock);
    test_app.app.store.put_admin_account(name, hash, role, now).await.expect("it is stored");
}
