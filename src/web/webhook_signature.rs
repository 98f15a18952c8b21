//! Finds the account that signed a webhook. A webhook may be only about numbers of that account. Otherwise anybody with
//! a token of one account could forge messages from another account's contacts.

use std::sync::Arc;

use crate::app::{App, Number};
use crate::channel::Channel;
use crate::clock::Time;
use crate::model::{Event, WebhookError, WebhookRequest};

/// A webhook that one of our accounts signed.
pub(super) struct SignedWebhook<'a> {
    /// A number of that account.
    pub(super) number: &'a Number,
    /// The channel of that number.
    pub(super) channel: &'a Arc<dyn Channel>,
    /// The events of the webhook, or why it cannot be parsed.
    pub(super) events: Result<Vec<Event>, WebhookError>,
}

/// Finds the account that signed a webhook. Returns `None` if no number has an account, so that nobody can sign.
pub(super) fn verify<'a>(
    app: &'a App,
    delivery: &WebhookRequest,
    now: Time,
) -> Option<Result<SignedWebhook<'a>, WebhookError>> {
    let mut forged = None;
    let mut malformed: Option<SignedWebhook<'a>> = None;
    for number in &app.numbers {
        let Some(channel) = &number.channel else { continue };
        if let Err(refusal) = channel.verify(delivery) {
            forged.get_or_insert(refusal);
            continue;
        }
        let signed = SignedWebhook { number, channel, events: channel.parse_events(delivery, now) };
        match &signed.events {
            Ok(events) => return Some(check_own_numbers_only(app, number, events).map(|()| signed)),
            // Two accounts may have the same token, so another number's channel may still parse it.
            Err(_) => drop(malformed.get_or_insert(signed)),
        }
    }
    match (malformed, forged) {
        (Some(signed), _) => Some(Ok(signed)),
        (None, forged) => forged.map(Err),
    }
}

fn check_own_numbers_only(app: &App, number: &Number, events: &[Event]) -> Result<(), WebhookError> {
    let foreign = events.iter().any(|event| match event {
        Event::Message(inbound) => app.number_directory.belongs_to_other_account(number.account(), &inbound.to),
        // The store checks this, because it knows which account sent the message.
        Event::Status(_) => false,
    });
    if foreign {
        let why = format!("signed by the account of {}, about a number of another account", number.config.name);
        return Err(WebhookError::Forged(why));
    }
    Ok(())
}
