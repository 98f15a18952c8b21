//! Signing in and out.

use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use askama::Template;
use axum::extract::{FromRequest, Query, Request, State};
use axum::http::StatusCode;
use axum::http::header::{HeaderValue, RETRY_AFTER, SET_COOKIE};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use secrecy::SecretString;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tracing::{info, warn};

use super::assets::asset_path;
use super::form::Form;
use super::pages::{ErrorPage, render};
use super::session::{self, SignedIn};
use super::transport::Transport;
use crate::app::App;
use crate::model::Rate;
use crate::password;
use crate::web::client_address;

/// How often somebody may try a wrong password, for one account and from one address.
const FAILURE_RATE: Rate =
    Rate { max_calls: NonZeroU32::new(5).expect("five is not zero"), period: Duration::from_secs(15 * 60) };

/// Each check takes 19 MiB, and a flood of them must not take the memory of a small machine.
static PASSWORD_CHECKS: Semaphore = Semaphore::const_new(2);

/// Checked for an account that does not exist, so that the time does not tell which ones do.
static NOBODYS_HASH: LazyLock<String> =
    LazyLock::new(|| password::hash(&SecretString::from("a password that is nobody's")).unwrap_or_default());

#[derive(Template)]
#[template(path = "admin/login.html")]
struct LoginPage {
    name: String,
    next: String,
    problem: Option<String>,
    /// Whether passwords can be sent without being read on the way.
    is_safe: bool,
}

impl LoginPage {
    fn asset(&self, name: &str) -> String {
        asset_path(name)
    }
}

#[derive(Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
struct Credentials {
    #[serde(default)]
    name: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    next: String,
    #[serde(default)]
    remember: Option<String>,
}

pub(super) async fn show(State(app): State<Arc<App>>, Query(wanted): Query<Wanted>, request: Request) -> Response {
    let (head, _) = request.into_parts();
    match session::signed_in(&app, &head).await {
        Ok(Some(_)) => return Redirect::to(own_path(&wanted.next)).into_response(),
        Ok(None) => {}
        Err(error) => return ErrorPage::of_store(&error).into_response(),
    }
    match app.store.has_admin_accounts().await {
        Ok(true) => {}
        Ok(false) => return Redirect::to("/admin/set-up").into_response(),
        Err(error) => return ErrorPage::of_store(&error).into_response(),
    }
    let is_safe = Transport::of(&head, &app.config.server) != Transport::Plain;
    let page = LoginPage { name: "owner".to_owned(), next: wanted.next, problem: None, is_safe };
    render(if is_safe { StatusCode::OK } else { StatusCode::FORBIDDEN }, &page)
}

pub(super) async fn sign_in(State(app): State<Arc<App>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let form = Form::<Credentials>::from_request(Request::from_parts(head.clone(), body), &()).await;
    let Credentials { name, password, next, remember } = match form {
        Ok(Form(fields)) => fields,
        Err(refusal) => return refusal,
    };
    let is_safe = Transport::of(&head, &app.config.server) != Transport::Plain;
    let refused = |status, problem: String, name: String, next: String| {
        render(status, &LoginPage { name, next, problem: Some(problem), is_safe })
    };
    if !is_safe {
        return refused(StatusCode::FORBIDDEN, "This page takes no password over plain http.".to_owned(), name, next);
    }
    let client = client_address::client_of(&head, &app.config.server.trusted_proxies);
    let from = client.map_or_else(|| "unknown".to_owned(), client_address::rate_limit_key);
    // Counted before the password is checked, so that many tries at once are counted, too.
    let keys = [format!("sign in from {from}"), format!("sign in as {}", name.to_lowercase())];
    for (taken, key) in keys.iter().enumerate() {
        if let Err(wait) = app.refusal_cache.take_from_rate(key, FAILURE_RATE).await {
            for key in &keys[..taken] {
                app.refusal_cache.return_to_rate(key, FAILURE_RATE).await;
            }
            warn!(client = from, "too many wrong passwords for the admin page");
            let minutes = wait.as_secs().div_ceil(60).max(1);
            let problem = format!("Too many wrong passwords. Try again in {minutes} min.");
            let after = [(RETRY_AFTER, wait.as_secs().max(1).to_string())];
            return (after, refused(StatusCode::TOO_MANY_REQUESTS, problem, name, next)).into_response();
        }
    }
    let known = match app.store.admin_password_hash(name.clone()).await {
        Ok(known) => known,
        Err(error) => return ErrorPage::of_store(&error).into_response(),
    };
    if !is_password(known, password).await {
        info!(client = from, "a wrong password for the admin page");
        let problem = "The name or the password is wrong.".to_owned();
        return refused(StatusCode::UNAUTHORIZED, problem, name, next);
    }
    for key in &keys {
        app.refusal_cache.return_to_rate(key, FAILURE_RATE).await;
    }
    info!(account = name, client = from, "signed in to the admin page");
    match session::begin(&app, &head, name, remember.is_some()).await {
        Ok(cookie) => (AppendHeaders([(SET_COOKIE, cookie)]), Redirect::to(own_path(&next))).into_response(),
        Err(error) => error.into_response(),
    }
}

/// Checks a password, for an account that does not exist at the same cost.
async fn is_password(known: Option<String>, password: String) -> bool {
    let Ok(_slot) = PASSWORD_CHECKS.acquire().await else { return false };
    let checked = tokio::task::spawn_blocking(move || {
        let password = SecretString::from(password);
        let fits = password::verify(&password, known.as_deref().unwrap_or(&NOBODYS_HASH));
        fits && known.is_some()
    });
    checked.await.unwrap_or(false)
}

pub(super) async fn sign_out(State(app): State<Arc<App>>, request: Request) -> Response {
    let Some(signed_in) = request.extensions().get::<SignedIn>().cloned() else {
        return Redirect::to("/admin/login").into_response();
    };
    if let Err(refusal) = Form::<serde::de::IgnoredAny>::from_request(request, &()).await {
        return refusal;
    }
    let SignedIn { session, transport, .. } = signed_in;
    if let Err(error) = app.store.end_admin_session(session.token, session.account).await {
        return ErrorPage::of_store(&error).into_response();
    }
    let cookie = HeaderValue::try_from(session::removing_cookie(transport));
    let cookie = cookie.map(|cookie| AppendHeaders([(SET_COOKIE, cookie)]));
    (cookie.unwrap_or(AppendHeaders([(SET_COOKIE, HeaderValue::from_static(""))])), Redirect::to("/admin/login"))
        .into_response()
}

/// Returns a page of ours to go on to. An address elsewhere is not followed.
pub(super) fn own_path(next: &str) -> &str {
    let is_own = next == "/admin" || next.starts_with("/admin/") || next.starts_with("/admin?");
    let plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_own && plain { next } else { "/admin/conversations" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_another_host_after_signing_in() {
        assert_eq!(own_path("/admin/conversations/1?x=2"), "/admin/conversations/1?x=2");
        for other in
            ["", "//evil.example", "https://evil.example", "/administrator", "/admin\\evil", "/admin/\r\nx", "/"]
        {
            assert_eq!(own_path(other), "/admin/conversations", "{other:?}");
        }
    }
}
