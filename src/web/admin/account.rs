//! The account that is signed in, and where else it is.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Extension, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::form::Form;
use super::frame::{Frame, Place};
use super::pages::{ErrorPage, render};
use super::session::SignedIn;
use super::times::ShownTime;
use crate::app::App;
use crate::store::TokenHash;

/// A session in the list.
struct Row {
    /// Names the session in a form; the token itself is known to its browser only.
    id: String,
    browser: String,
    address: String,
    began: ShownTime,
    seen: ShownTime,
    ends: ShownTime,
    is_this: bool,
}

#[derive(Template)]
#[template(path = "admin/account.html")]
struct AccountPage {
    frame: Frame,
    sessions: Vec<Row>,
}

#[derive(Deserialize)]
pub(super) struct Done {
    ended: Option<String>,
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    Extension(signed_in): Extension<SignedIn>,
    Query(done): Query<Done>,
) -> Response {
    let (own, now) = (&signed_in.session, app.clock.now());
    let mut sessions = match app.store.admin_sessions(own.account.clone(), now).await {
        Ok(sessions) => sessions,
        Err(error) => return ErrorPage::of_store(&error).into_response(),
    };
    sessions.sort_unstable_by_key(|session| std::cmp::Reverse(session.seen_at));
    let rows = sessions.into_iter().map(|session| Row {
        id: hex::encode(session.token),
        is_this: session.token == own.token,
        browser: browser_name(&session.browser),
        address: session.address,
        began: ShownTime::new(session.created_at, now),
        seen: ShownTime::new(session.seen_at, now),
        ends: ShownTime::new(session.expires_at, now),
    });
    let mut frame = Frame::new(&signed_in, Place::Account, "Account");
    frame.notice = done.ended.map(|_| "The session was ended.");
    render(StatusCode::OK, &AccountPage { frame, sessions: rows.collect() })
}

#[derive(Deserialize)]
pub(super) struct Ended {
    session: String,
}

pub(super) async fn end_session(
    State(app): State<Arc<App>>,
    Extension(signed_in): Extension<SignedIn>,
    Form(ended): Form<Ended>,
) -> Response {
    let mut token: TokenHash = [0; 32];
    if hex::decode_to_slice(&ended.session, &mut token).is_err() {
        return ErrorPage::not_found("session").into_response();
    }
    match app.store.end_admin_session(token, signed_in.session.account).await {
        Ok(_) => Redirect::to("/admin/account?ended=1").into_response(),
        Err(error) => ErrorPage::of_store(&error).into_response(),
    }
}

/// Returns the browser and the system in a word each, from what the browser says of itself.
fn browser_name(user_agent: &str) -> String {
    let first = |words: &[(&str, &'static str)]| {
        words.iter().find(|(part, _)| user_agent.contains(part)).map(|(_, name)| *name)
    };
    // Most browsers also name those before them.
    let browser = first(&[
        ("Firefox/", "Firefox"),
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ]);
    let system = first(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(name), None) | (None, Some(name)) => name.to_owned(),
        (None, None) => "an unknown browser".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_told_by_its_name_and_system() {
        for (user_agent, name) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
            (
                "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0",
                "Edge on Windows",
            ),
            ("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605 Safari/604.1", "Safari on iPhone"),
            ("", "an unknown browser"),
        ] {
            assert_eq!(browser_name(user_agent), name);
        }
    }
}
