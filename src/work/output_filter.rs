//! What a model wrote, made fit for a contact: nothing hidden in it, no foreign links, nothing that was told in confidence.

use tracing::error;

use crate::app::App;
use crate::store::TurnClaim;
use crate::text;

/// What stands in place of a secret.
const REDACTION_MARK: &str = "[removed]";

/// An answer as it is sent and as it is remembered.
pub(super) struct FilteredAnswer {
    /// In WhatsApp's markup; empty where there was no text.
    pub(super) sent_text: String,
    /// For the transcript and for the model: the Markdown, or where something was taken out, what the contact read instead.
    pub(super) history_text: String,
}

/// Nothing that a contact may not read is left in either form.
pub(super) async fn filter_answer(app: &App, claim: &TurnClaim, markdown: &str) -> FilteredAnswer {
    let number = app.number_of(claim);
    let (own, secrets) = (&number.config, &number.confidential.secrets);
    let markdown = text::sanitize(markdown);
    let whatsapp_text = text::to_whatsapp(&markdown);
    let instructions = &number.confidential.instructions;
    if instructions.is_repeated_in(&markdown) || instructions.is_repeated_in(&whatsapp_text) {
        alert_leak(app, claim, "the model repeated its instructions; the contact was not sent that").await;
        let declined = own.texts.declined.clone();
        return FilteredAnswer { sent_text: declined.clone(), history_text: declined };
    }
    // Before the conversion, which drops markers that a password may hold, and after it, which joins what they parted.
    let redacted_markdown = secrets.redact(&markdown, REDACTION_MARK);
    let written = redacted_markdown.as_deref().map_or(whatsapp_text, text::to_whatsapp);
    // Again, since the conversion makes characters of entities such as `&#x202e;`.
    let written = text::sanitize(&written).trim().to_owned();
    let redacted_text = secrets.redact(&written, REDACTION_MARK);
    let redacted = redacted_markdown.is_some() || redacted_text.is_some();
    if redacted {
        alert_leak(app, claim, "the model's answer held a key or a password; it was taken out").await;
    }
    let plain = redacted_text.unwrap_or(written);
    let sent = text::replace_links(&plain, &own.links, &own.texts.link);
    // Markdown could spell what was taken out in ways of its own, so none of it is kept then.
    let said = if redacted || sent != plain { sent.clone().into_owned() } else { markdown.into_owned() };
    FilteredAnswer { sent_text: sent.into_owned(), history_text: said }
}

async fn alert_leak(app: &App, claim: &TurnClaim, what: &str) {
    error!(turn = claim.turn.0, what);
    let now = app.clock.now();
    if let Err(error) = app.store.record_alert("leak", claim.conversation.to_string(), what.to_owned(), now).await {
        error!(%error, "an alert could not be recorded");
    }
}
