//! The output filter over the model's answers: it removes hidden characters, links that are not allowed, and
//! confidential text.

use tracing::error;

use crate::app::App;
use crate::store::TurnClaim;
use crate::text;

/// What replaces confidential text.
const REDACTION_MARK: &str = "[removed]";

/// A filtered answer, in the form that is sent and in the form that is stored.
pub(super) struct FilteredAnswer {
    /// In WhatsApp's markup. Empty if there was no text.
    pub(super) sent_text: String,
    /// For the transcript and the model: the Markdown, or if something was removed, the text that the contact read.
    pub(super) history_text: String,
}

/// Filters an answer. Neither form contains anything that the contact must not read.
pub(super) async fn filter_answer(app: &App, claim: &TurnClaim, markdown: &str) -> FilteredAnswer {
    let number = app.number_of(claim);
    let (own, secrets) = (&number.config, &number.confidential.secrets);
    let markdown = text::sanitize(markdown);
    let whatsapp_text = text::to_whatsapp(&markdown);
    let instructions = &number.confidential.instructions;
    if instructions.is_repeated_in(&markdown) || instructions.is_repeated_in(&whatsapp_text) {
        alert_leak(app, claim, "the model repeated its instructions; the answer was not sent").await;
        let declined = own.texts.declined.clone();
        return FilteredAnswer { sent_text: declined.clone(), history_text: declined };
    }
    // Redact before the conversion, which drops markers that a password may contain, and after it, because the
    // conversion joins text that markers separated.
    let redacted_markdown = secrets.redact(&markdown, REDACTION_MARK);
    let written = redacted_markdown.as_deref().map_or(whatsapp_text, text::to_whatsapp);
    // Sanitize again, because the conversion decodes entities such as `&#x202e;`.
    let written = text::sanitize(&written).trim().to_owned();
    let redacted_text = secrets.redact(&written, REDACTION_MARK);
    let redacted = redacted_markdown.is_some() || redacted_text.is_some();
    if redacted {
        alert_leak(app, claim, "the model's answer contained confidential text; it was removed").await;
    }
    let plain = redacted_text.unwrap_or(written);
    let sent = text::replace_links(&plain, &own.links, &own.texts.link);
    // The Markdown may spell the removed text in other ways, so it is not kept.
    let said = if redacted || sent != plain { sent.clone().into_owned() } else { markdown.into_owned() };
    FilteredAnswer { sent_text: sent.into_owned(), history_text: said }
}

async fn alert_leak(app: &App, claim: &TurnClaim, what: &str) {
    error!("{what}");
    let now = app.clock.now();
    if let Err(error) = app.store.record_alert("leak", claim.conversation.to_string(), what.to_owned(), now).await {
        error!(%error, "cannot store an alert");
    }
}
