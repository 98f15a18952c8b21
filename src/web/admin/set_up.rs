//! The first page of all: whoever has the code from the log sets the first password.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::{FromRequest, Query, Request, State};
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use secrecy::SecretString;
use serde::Deserialize;
use tracing::info;

use super::assets::asset_path;
use super::form::Form;
use super::pages::{ErrorPage, render};
use super::session;
use super::transport::Transport;
use crate::administration::OWNER;
use crate::app::App;
use crate::model::{AdminRole, Rate};
use crate::password;

/// How often a code may be tried, by everybody together.
const CODE_RATE: Rate =
    Rate { max_calls: NonZeroU32::new(10).expect("ten is not zero"), period: Duration::from_secs(15 * 60) };

#[derive(Template)]
#[template(path = "admin/set_up.html")]
struct SetUpPage {
    code: String,
    problem: Option<String>,
    is_safe: bool,
}

impl SetUpPage {
    fn asset(&self, name: &str) -> String {
        asset_path(name)
    }
}

#[derive(Deserialize)]
pub(super) struct Given {
    #[serde(default)]
    code: String,
}

#[derive(Deserialize)]
struct FirstPassword {
    #[serde(default)]
    code: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    again: String,
}

pub(super) async fn show(State(app): State<Arc<App>>, Query(given): Query<Given>, request: Request) -> Response {
    let (head, _) = request.into_parts();
    match app.store.has_admin_accounts().await {
        Ok(false) => {}
        Ok(true) => return Redirect::to("/admin/login").into_response(),
        Err(error) => return ErrorPage::of_store(&error).into_response(),
    }
    let is_safe = Transport::of(&head, &app.config.server) != Transport::Plain;
    let status = if is_safe { StatusCode::OK } else { StatusCode::FORBIDDEN };
    render(status, &SetUpPage { code: given.code, problem: None, is_safe })
}

pub(super) async fn set_password(State(app): State<Arc<App>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let form = Form::<FirstPassword>::from_request(Request::from_parts(head.clone(), body), &()).await;
    let FirstPassword { code, password, again } = match form {
        Ok(Form(fields)) => fields,
        Err(refusal) => return refusal,
    };
    let is_safe = Transport::of(&head, &app.config.server) != Transport::Plain;
    let refused = |status, problem: &str| {
        render(status, &SetUpPage { code: code.clone(), problem: Some(problem.to_owned()), is_safe })
    };
    if !is_safe {
        return refused(StatusCode::FORBIDDEN, "This page takes no password over plain http.");
    }
    match app.store.has_admin_accounts().await {
        Ok(false) => {}
        Ok(true) => return Redirect::to("/admin/login").into_response(),
        Err(error) => return ErrorPage::of_store(&error).into_response(),
    }
    if app.refusal_cache.take_from_rate("set-up code", CODE_RATE).await.is_err() {
        return refused(StatusCode::TOO_MANY_REQUESTS, "Too many wrong codes. Try again in a quarter of an hour.");
    }
    if !app.setup_code.opens(&code, app.clock.now()) {
        let problem = "This code is not right, or it is older than half an hour. Restart mynah for a new one.";
        return refused(StatusCode::UNAUTHORIZED, problem);
    }
    app.refusal_cache.return_to_rate("set-up code", CODE_RATE).await;
    if password != again {
        return refused(StatusCode::UNPROCESSABLE_ENTITY, "The two passwords differ.");
    }
    let hashed = tokio::task::spawn_blocking(move || password::hash(&SecretString::from(password))).await;
    let hash = match hashed {
        Ok(Ok(hash)) => hash,
        Ok(Err(why)) => {
            return refused(
                StatusCode::UNPROCESSABLE_ENTITY,
                &format!("{why}. Choose a longer one, such as four words."),
            );
        }
        Err(panic) => {
            return ErrorPage::internal(StatusCode::INTERNAL_SERVER_ERROR, &panic.to_string()).into_response();
        }
    };
    if let Err(error) = app.store.put_admin_account(OWNER, hash, AdminRole::Owner, app.clock.now()).await {
        return ErrorPage::of_store(&error).into_response();
    }
    app.setup_code.use_up();
    info!(account = OWNER, "the password of the admin page was set");
    match session::begin(&app, &head, OWNER.to_owned(), false).await {
        Ok(cookie) => (AppendHeaders([(SET_COOKIE, cookie)]), Redirect::to("/admin")).into_response(),
        Err(error) => error.into_response(),
    }
}
