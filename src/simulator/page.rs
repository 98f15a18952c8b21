//! The phone as a web page. It works with forms and reloads. If scripts are enabled, a script updates it in place.

#[cfg(test)]
mod tests;

use std::convert::Infallible;

use askama::Template;
use axum::Router;
use axum::extract::{Form, Path, Query, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use rust_embed::RustEmbed;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tower::ServiceBuilder;
use tower_http::set_header::SetResponseHeaderLayer;

use super::view::{self, PhoneView};
use super::{Simulator, lock};
use crate::form_origin::is_same_origin;

/// The maximum length of a message, in characters: WhatsApp's own limit for what a person writes.
const MAX_TEXT_CHARS: usize = 4_096;

/// Everything is loaded from this origin; nothing is inline.
const CONTENT_SECURITY: &str =
    "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; frame-ancestors 'self'";

#[derive(RustEmbed)]
#[folder = "assets/"]
#[include = "*.css"]
#[include = "*.js"]
#[include = "*.svg"]
#[exclude = "admin/*"]
#[exclude = "example/*"]
struct Assets;

pub(super) fn router(simulator: Simulator) -> Router {
    let header =
        |name: HeaderName, value| SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value));
    let headers = ServiceBuilder::new()
        .layer(header(CONTENT_SECURITY_POLICY, CONTENT_SECURITY))
        .layer(header(X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(header(REFERRER_POLICY, "same-origin"))
        .layer(header(CACHE_CONTROL, "no-store"));
    Router::new()
        .route("/", get(show_phone))
        .route("/send", post(send_message))
        .route("/events", get(stream_events))
        .route("/assets/{file}", get(serve_asset))
        .layer(headers)
        .with_state(simulator)
}

async fn show_phone(State(simulator): State<Simulator>) -> Response {
    simulator.render_phone_page(StatusCode::OK, "", None)
}

#[derive(Deserialize)]
struct Draft {
    #[serde(default)]
    text: String,
}

async fn send_message(State(simulator): State<Simulator>, headers: HeaderMap, Form(draft): Form<Draft>) -> Response {
    if !is_same_origin(&headers) {
        return (StatusCode::FORBIDDEN, "This form was sent from another site. Open the phone page and write there.\n")
            .into_response();
    }
    // Forms send line breaks as CR LF.
    let text = draft.text.replace("\r\n", "\n");
    let text = text.trim();
    if text.is_empty() {
        return Redirect::to("/").into_response();
    }
    let length = text.chars().count();
    if length > MAX_TEXT_CHARS {
        let why = format!(
            "This message has {length} characters; WhatsApp's limit is {MAX_TEXT_CHARS}. Shorten it and send it again."
        );
        return simulator.render_phone_page(StatusCode::UNPROCESSABLE_ENTITY, text, Some(why));
    }
    let (from, profile) = (simulator.inner.config.page.contact.clone(), simulator.inner.config.page.profile.clone());
    let sid = simulator.add_inbound(&from, text);
    // Use a separate task, so that the message is not lost if the browser disconnects.
    let (call, text) = (simulator.clone(), text.to_owned());
    let task = simulator.inner.tasks.spawn(async move { call.call_webhook(&from, &profile, &text, sid).await });
    if let Ok(Err(unanswered)) = task.await {
        tracing::warn!(why = unanswered.why, "the webhook did not answer for the phone's message");
    }
    Redirect::to("/").into_response()
}

impl Simulator {
    fn render_phone_page(&self, status: StatusCode, draft: &str, problem: Option<String>) -> Response {
        let page = &self.inner.config.page;
        let news = lock(&self.inner.phones).update_since(&page.contact, 0);
        let now = self.now();
        let bubbles = news.bubbles.iter().map(view::render_bubble).collect::<Result<_, _>>();
        let html = bubbles.and_then(|bubbles| {
            PhoneView {
                title: &page.title,
                initials: view::initials(&page.title),
                responder: &page.responder,
                number: &self.inner.config.our_number,
                contact: &page.contact,
                suggestions: if news.bubbles.is_empty() { &page.suggestions } else { &[] },
                bubbles,
                typing: news.typing_until.is_some_and(|until| until > now),
                waiting: view::awaits_answer(&news.bubbles, now),
                seen: format!("{}-{}", self.inner.run_id, news.latest),
                draft,
                problem,
            }
            .render()
        });
        match html {
            Ok(html) => (status, Html(html)).into_response(),
            Err(error) => {
                tracing::error!(%error, "mynah could not render the phone page");
                let body = "The page could not be rendered. See mynah's log for the reason.\n";
                (StatusCode::INTERNAL_SERVER_ERROR, body).into_response()
            }
        }
    }

    /// Parses the last change that a viewer has seen. Returns `None` if it belongs to another run of this process.
    fn parse_seen(&self, id: &str) -> Option<u64> {
        let (run, change) = id.rsplit_once('-')?;
        change.parse().ok().filter(|_| run == self.inner.run_id)
    }

    /// Returns the changes since `seen` as events, and moves `seen` forward.
    fn unseen_events(&self, seen: &mut u64) -> Vec<Event> {
        let news = lock(&self.inner.phones).update_since(&self.inner.config.page.contact, *seen);
        *seen = news.latest;
        let id = format!("{}-{}", self.inner.run_id, news.latest);
        let mut events = Vec::with_capacity(news.bubbles.len() + 1);
        for bubble in &news.bubbles {
            if let Ok(html) = view::render_bubble(bubble) {
                let data = json!({ "sid": bubble.sid, "html": html });
                events.push(Event::default().event("bubble").data(data.to_string()));
            }
        }
        let left = news.typing_until.map_or(0, |until| until.since(self.now()).as_millis());
        events.push(Event::default().event("typing").id(&id).data(left.to_string()));
        events
    }
}

#[derive(Deserialize)]
struct EventsQuery {
    #[serde(default)]
    after: String,
}

/// Sends server-sent events: `bubble` (a new or changed one, `{sid, html}`), `typing` (milliseconds left, 0 for none)
/// and `reload` (the page belongs to an earlier run).
async fn stream_events(
    State(simulator): State<Simulator>,
    Query(query): Query<EventsQuery>,
    headers: HeaderMap,
) -> Response {
    // Subscribe before the first read, so that no change is missed.
    let mut changes = simulator.subscribe();
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).unwrap_or(&query.after);
    let seen = simulator.parse_seen(last);
    let (sender, receiver) = mpsc::channel::<Result<Event, Infallible>>(16);
    tokio::spawn(async move {
        let Some(mut seen) = seen else {
            let _ = sender.send(Ok(Event::default().event("reload").data("now"))).await;
            return;
        };
        loop {
            for event in simulator.unseen_events(&mut seen) {
                if sender.send(Ok(event)).await.is_err() {
                    return;
                }
            }
            loop {
                let change = tokio::select! {
                    change = changes.recv() => change,
                    () = sender.closed() => return,
                    () = simulator.inner.shutdown.cancelled() => return,
                };
                match change {
                    Ok(change) if change.phone() != simulator.inner.config.page.contact => {}
                    // A receiver that lags reads the phone itself, so it misses nothing.
                    Ok(_) | Err(RecvError::Lagged(_)) => break,
                    Err(RecvError::Closed) => return,
                }
            }
        }
    });
    Sse::new(ReceiverStream::new(receiver)).keep_alive(KeepAlive::default()).into_response()
}

async fn serve_asset(Path(file): Path<String>, headers: HeaderMap) -> Response {
    // Files in folders are not part of the page.
    let Some(asset) = Some(file).filter(|file| !file.contains('/')).and_then(|file| Assets::get(&file)) else {
        return (StatusCode::NOT_FOUND, "This file does not exist.\n").into_response();
    };
    let tag = format!("\"{}\"", hex::encode(&asset.metadata.sha256_hash()[..12]));
    // The browser revalidates each time and gets a 304 while the file is unchanged.
    let cached = [(CACHE_CONTROL, "no-cache"), (ETAG, tag.as_str())];
    if headers.get(IF_NONE_MATCH).is_some_and(|known| known == tag.as_str()) {
        return (StatusCode::NOT_MODIFIED, cached).into_response();
    }
    (cached, [(CONTENT_TYPE, asset.metadata.mimetype())], asset.data.into_owned()).into_response()
}
