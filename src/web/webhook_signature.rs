//! Who speaks in a webhook: the account whose token signed it. It may speak of its own numbers alone, or whoever has a token
//! of one account could put words into the mouths of another's contacts.

use std::sync::Arc;

use crate::app::{App, Number};
use crate::channel::Channel;
use crate::clock::Time;
use crate::model::{Event, WebhookError, WebhookRequest};

/// A webhook that an account of ours signed.
pub(super) struct SignedWebhook<'a> {
    /// A number of the account.
    pub(super) number: &'a Number,
    /// Its channel.
    pub(super) channel: &'a Arc<dyn Channel>,
    /// What it tells, or why that is not to be understood.
    pub(super) events: Result<Vec<Event>, WebhookError>,
}

/// Finds out who signed it. `None` where nobody could have, because no number has an account.
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
            // Two accounts may have been given the same token.
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
        // The store knows which account a message of ours was sent by.
        Event::Status(_) => false,
    });
    if foreign {
        let why = format!("signed by the account of {}, about a number of another account", number.config.name);
        return Err(WebhookError::Forged(why));
    }
    Ok(())
}
