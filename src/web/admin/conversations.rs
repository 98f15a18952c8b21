//! The list of conversations, and one conversation as on a phone.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Extension, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::frame::{Frame, Place};
use super::pages::{ErrorPage, render};
use super::session::SignedIn;
use super::times::ShownTime;
use crate::app::App;
use crate::clock::Time;
use crate::model::{Address, ConversationId, Role, ShortId};
use crate::store::{ConversationRow, TranscriptLine, Undelivered};

/// Conversations on a page.
const PAGE_ROWS: i64 = 50;

/// Messages of a conversation on its page.
const PAGE_MESSAGES: i64 = 200;

/// A conversation in the list.
struct Row {
    id: String,
    name: String,
    address: String,
    last: ShownTime,
    /// What is unusual about it, in a word.
    marks: Vec<&'static str>,
}

impl Row {
    fn new(row: ConversationRow, now: Time) -> Row {
        let row = row.as_of(now);
        let address = shown_address(&row.reply_to);
        let marks = [
            (row.human_mode, "with a person"),
            (row.blocked, "blocked"),
            (row.opted_out, "opted out"),
            (row.ended_at.is_some(), "ended"),
        ];
        Row {
            id: row.id.to_string(),
            name: row.name.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| address.clone()),
            address,
            last: ShownTime::new(row.last_inbound_at, now),
            marks: marks.into_iter().filter(|(is, _)| *is).map(|(_, mark)| mark).collect(),
        }
    }
}

#[derive(Template)]
#[template(path = "admin/conversations.html")]
struct ConversationsPage {
    frame: Frame,
    rows: Vec<Row>,
    /// The id before which the next page begins.
    next: Option<String>,
    is_first_page: bool,
}

#[derive(Deserialize)]
pub(super) struct PageKey {
    before: Option<String>,
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(signed_in): Extension<SignedIn>,
    Query(PageKey { before }): Query<PageKey>,
) -> Response {
    let before = match before.map(|before| full_id(&before)) {
        Some(None) => return ErrorPage::not_found("page").into_response(),
        before => before.flatten(),
    };
    // One more shows whether there is a next page.
    let mut found = match app.store.conversations(before, PAGE_ROWS + 1).await {
        Ok(found) => found,
        Err(error) => return ErrorPage::of_store(&error).into_response(),
    };
    let has_more = i64::try_from(found.len()).is_ok_and(|count| count > PAGE_ROWS);
    if has_more {
        found.pop();
    }
    let next = found.last().filter(|_| has_more).map(|row| row.id.to_string());
    let now = app.clock.now();
    let page = ConversationsPage {
        frame: Frame::new(&signed_in, Place::Conversations, "Conversations"),
        rows: found.into_iter().map(|row| Row::new(row, now)).collect(),
        next,
        is_first_page: before.is_none(),
    };
    render(StatusCode::OK, &page)
}

/// A message of a transcript.
struct Bubble {
    /// `contact`, `assistant` or `operator`.
    by: &'static str,
    text: String,
    at: ShownTime,
    turn: i64,
    attachments: Vec<String>,
    /// Why there is no answer, or why it did not arrive.
    problems: Vec<String>,
}

impl Bubble {
    fn new(line: TranscriptLine, app: &App, shows_problem: bool, now: Time) -> Bubble {
        let by = match line.role {
            Role::User => "contact",
            Role::Assistant => "assistant",
            Role::Operator => "operator",
        };
        let failed = ["dead", "expired", "skipped"].contains(&line.turn_state.as_str());
        let mut problems = Vec::new();
        if shows_problem {
            let why = line.turn_error.as_deref().filter(|_| failed);
            problems.extend(why.map(|why| format!("Not answered: {why}")));
            problems.extend(line.undelivered.iter().map(|part| undelivered_text(app, part)));
        }
        Bubble {
            by,
            text: line.content,
            at: ShownTime::new(line.at, now),
            turn: line.turn.0,
            attachments: line.attachments.iter().map(|file| format!("{} ({})", file.media_type, file.state)).collect(),
            problems,
        }
    }
}

fn undelivered_text(app: &App, part: &Undelivered) -> String {
    let explained = part.code.and_then(|code| Some(app.channels().next()?.explain_error(code).sentence));
    let why = explained.or_else(|| part.provider_error.clone()).unwrap_or_else(|| "no reason was given".to_owned());
    format!("Message {} of this answer was not delivered: {why}", part.message)
}

#[derive(Template)]
#[template(path = "admin/conversation.html")]
struct ConversationPage {
    frame: Frame,
    row: Row,
    bubbles: Vec<Bubble>,
    is_cut: bool,
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    Extension(signed_in): Extension<SignedIn>,
    Path(id): Path<String>,
) -> Response {
    let Some(id) = full_id(&id) else {
        return ErrorPage::not_found("conversation").into_response();
    };
    let (row, lines) = match app.store.conversation(id, PAGE_MESSAGES).await {
        Ok(Some(found)) => found,
        Ok(None) => return ErrorPage::not_found("conversation").into_response(),
        Err(error) => return ErrorPage::of_store(&error).into_response(),
    };
    let now = app.clock.now();
    let is_cut = i64::try_from(lines.len()).is_ok_and(|count| count >= PAGE_MESSAGES);
    // A turn's problem stands under its last message.
    let last_of_turn: Vec<bool> =
        (0..lines.len()).map(|at| lines.get(at + 1).is_none_or(|next| next.turn != lines[at].turn)).collect();
    let bubbles = lines.into_iter().zip(last_of_turn).map(|(line, last)| Bubble::new(line, &app, last, now)).collect();
    let row = Row::new(row, now);
    let frame = Frame::new(&signed_in, Place::Conversations, row.name.clone());
    render(StatusCode::OK, &ConversationPage { frame, row, bubbles, is_cut })
}

/// Shows `whatsapp:+15551234567` as people write it.
fn shown_address(reply_to: &str) -> String {
    let plain = reply_to.strip_prefix("whatsapp:").unwrap_or(reply_to);
    Address::parse(plain).map_or_else(|_| plain.to_owned(), |address| address.as_str().to_owned())
}

fn full_id(text: &str) -> Option<ConversationId> {
    ShortId::parse(text)?.full_id()
}
