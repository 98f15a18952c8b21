//! Who is signed in: the cookie, the session behind it, and what the account may do.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::pages::ErrorPage;
use super::transport::Transport;
use crate::app::{App, LiveApp};
use crate::model::AdminRole;
use crate::store::{AdminSession, NewSession, REMEMBERED_LIMIT, StoreError, TokenHash};
use crate::web::client_address;

/// The longest name of a browser that is kept.
const MAX_BROWSER_CHARS: usize = 200;

/// A request of somebody who is signed in. A route gets one only if the account may use it.
#[derive(Clone, Debug)]
pub(super) struct SignedIn {
    pub(super) session: AdminSession,
    /// Proves that a form was made for this session.
    pub(super) form_token: String,
    pub(super) transport: Transport,
}

impl SignedIn {
    pub(super) fn may(&self, role: AdminRole) -> bool {
        self.session.role >= role
    }
}

/// What a route demands: the least role.
#[derive(Clone)]
pub(super) struct Demand {
    pub(super) live: LiveApp,
    pub(super) least: AdminRole,
}

/// Lets a request pass if somebody is signed in who may use the route, and puts [`SignedIn`] into it.
pub(super) async fn demand_role(State(demand): State<Demand>, request: Request, next: Next) -> Response {
    let app = demand.live.current();
    let (mut head, body) = request.into_parts();
    let signed_in = match signed_in(&app, &head).await {
        Ok(Some(signed_in)) => signed_in,
        Ok(None) => return ask_to_sign_in(&head),
        Err(error) => return ErrorPage::of_store(&error).into_response(),
    };
    if !signed_in.may(demand.least) {
        return ErrorPage::forbidden(demand.least).into_response();
    }
    head.extensions.insert(signed_in);
    next.run(Request::from_parts(head, body)).await
}

/// Sends a browser to the login, and from there back to the page. What a form would have changed is not done.
fn ask_to_sign_in(head: &Parts) -> Response {
    if head.method != Method::GET {
        return ErrorPage::signed_out().into_response();
    }
    let wanted = head.uri.path_and_query().map_or("/admin", |path| path.as_str());
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("next", wanted);
    Redirect::to(&format!("/admin/login?{}", query.finish())).into_response()
}

/// Returns who is signed in.
pub(super) async fn signed_in(app: &App, head: &Parts) -> Result<Option<SignedIn>, StoreError> {
    let transport = Transport::of(head, &app.config.server);
    let Some(token) = token_in_cookie(head, transport.cookie_name()) else { return Ok(None) };
    let session = app.store.admin_session(token_hash(&token), app.clock.now()).await?;
    Ok(session.map(|session| SignedIn { session, form_token: form_token(&token), transport }))
}

/// Begins a session and returns the cookie for it. A session that the browser had before is ended.
pub(super) async fn begin(
    app: &Arc<App>,
    head: &Parts,
    account: String,
    remember: bool,
) -> Result<HeaderValue, SessionError> {
    let transport = Transport::of(head, &app.config.server);
    if let Some(before) = signed_in(app, head).await? {
        app.store.end_admin_session(before.session.token, before.session.account).await?;
    }
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| SessionError::Random(error.to_string()))?;
    let token = hex::encode(bytes);
    let browser = head.headers.get(header::USER_AGENT).and_then(|name| name.to_str().ok()).unwrap_or_default();
    let client = client_address::client_of(head, &app.config.server.trusted_proxies);
    let session = NewSession {
        token: token_hash(&token),
        account,
        remembered: remember,
        address: client.map(|address| address.to_string()).unwrap_or_default(),
        browser: browser.chars().take(MAX_BROWSER_CHARS).collect(),
    };
    app.store.start_admin_session(session, app.clock.now()).await?;
    // Without an age, the cookie goes when the browser is closed.
    let age = if remember { format!("; Max-Age={}", REMEMBERED_LIMIT.as_secs()) } else { String::new() };
    let cookie = format!("{}={token}{}{age}", transport.cookie_name(), transport.cookie_attributes());
    HeaderValue::try_from(cookie).map_err(|error| SessionError::Random(error.to_string()))
}

/// Returns a cookie that removes the session's.
pub(super) fn removing_cookie(transport: Transport) -> String {
    format!("{}={}; Max-Age=0", transport.cookie_name(), transport.cookie_attributes())
}

/// Why no session began.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    #[error("the system returned no random bytes: {0}")]
    Random(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IntoResponse for SessionError {
    fn into_response(self) -> Response {
        ErrorPage::internal(StatusCode::SERVICE_UNAVAILABLE, &self.to_string()).into_response()
    }
}

fn token_in_cookie(head: &Parts, name: &str) -> Option<String> {
    let cookies = head.headers.get_all(header::COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
    let pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let token = pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next()?;
    (token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| token.to_owned())
}

fn token_hash(token: &str) -> TokenHash {
    Sha256::digest(token).into()
}

/// A page of another site knows neither the cookie nor this.
fn form_token(token: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(token.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(b"forms of the admin page");
    hex::encode(&mac.finalize().into_bytes()[..16])
}
