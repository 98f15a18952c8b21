//! What a model wrote, made fit for a contact: nothing hidden in it, no foreign links, nothing that was told in confidence.

use tracing::error;

use crate::app::App;
use crate::store::TurnClaim;
use crate::text;

/// What stands in place of a secret.
const REMOVED: &str = "[removed]";

/// An answer as it is sent and as it is remembered.
pub(super) struct Fit {
    /// In WhatsApp's markup; empty where there was no text.
    pub(super) sent: String,
    /// For the transcript and for the model: the Markdown, or where something was taken out, what the contact read instead.
    pub(super) said: String,
}

/// Nothing that a contact may not read is left in either form.
pub(super) async fn fit_to_send(app: &App, claim: &TurnClaim, markdown: &str) -> Fit {
    let number = app.number_of(claim);
    let (own, secrets) = (&number.config, &number.confidence.secrets);
    let markdown = text::clean(markdown);
    let written = text::whatsapp(&markdown);
    let instructions = &number.confidence.instructions;
    if instructions.is_repeated_in(&markdown) || instructions.is_repeated_in(&written) {
        tell(app, claim, "the model repeated its instructions; the contact was not sent that").await;
        let declined = own.texts.declined.clone();
        return Fit { sent: declined.clone(), said: declined };
    }
    // Before the conversion, which drops markers that a password may hold, and after it, which joins what they parted.
    let bare = secrets.redact(&markdown, REMOVED);
    let written = bare.as_deref().map_or(written, text::whatsapp);
    // Again, since the conversion makes characters of entities such as `&#x202e;`.
    let written = text::clean(&written).trim().to_owned();
    let plain = secrets.redact(&written, REMOVED);
    let redacted = bare.is_some() || plain.is_some();
    if redacted {
        tell(app, claim, "the model's answer held a key or a password; it was taken out").await;
    }
    let plain = plain.unwrap_or(written);
    let sent = text::links(&plain, &own.links, &own.texts.link);
    // Markdown could spell what was taken out in ways of its own, so none of it is kept then.
    let said = if redacted || sent != plain { sent.clone().into_owned() } else { markdown.into_owned() };
    Fit { sent: sent.into_owned(), said }
}

async fn tell(app: &App, claim: &TurnClaim, what: &str) {
    error!(turn = claim.turn.0, what);
    let now = app.clock.now();
    if let Err(error) = app.store.record_alert("leak", claim.conversation.to_string(), what.to_owned(), now).await {
        error!(%error, "an alert could not be recorded");
    }
}
