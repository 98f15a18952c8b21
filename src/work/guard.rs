//! What a model wrote, made fit for a contact: nothing hidden in it, no foreign links, nothing that was told in confidence.

use std::collections::HashSet;

use secrecy::ExposeSecret;
use tracing::error;

use crate::app::App;
use crate::config::{NumberConfig, ProviderConfig};
use crate::store::TurnClaim;
use crate::text::{self, Credentials};

/// So many letters of the instructions in a row, word for word, are repeated and not said anew.
const PIECE: usize = 30;

/// An answer with fewer letters of the instructions is no leak of them: a policy that stands there is there to be told.
const LEAK: usize = 500;

/// The shortest of our own credentials that is looked for.
const OWN: usize = 6;

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
    let own = &app.number_of(claim).config;
    let markdown = text::clean(markdown);
    let system = &own.system_prompt;
    if leaks(&markdown, system) || leaks(&text::whatsapp(&markdown), system) {
        tell(app, claim, "the model repeated its instructions; the contact was not sent that").await;
        let declined = own.texts.declined.clone();
        return Fit { sent: declined.clone(), said: declined };
    }
    let secrets = secrets(app, own);
    // Before the conversion, which drops markers that a password may hold, and after it, which joins what they parted.
    let bare = secrets.redact(&markdown, REMOVED);
    let written = text::whatsapp(bare.as_deref().unwrap_or(&markdown));
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
    if let Err(error) = app.store.alert("leak", claim.conversation.to_string(), what.to_owned(), now).await {
        error!(%error, "an alert could not be recorded");
    }
}

/// Whether at least half of the instructions stand in the text, whatever became of blanks and case.
fn leaks(text: &str, system: &str) -> bool {
    let plain = |text: &str| -> Vec<char> {
        text.chars().filter(|char| char.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let (text, system) = (plain(text), plain(system));
    if text.len() < LEAK || system.len() < LEAK {
        return false;
    }
    let said: HashSet<&[char]> = text.windows(PIECE).collect();
    let (mut repeated, mut reach) = (0, 0);
    for (at, piece) in system.windows(PIECE).enumerate() {
        if said.contains(piece) {
            repeated += at + PIECE - reach.max(at);
            reach = at + PIECE;
        }
    }
    repeated >= LEAK && repeated * 2 >= system.len()
}

/// Our own credentials, those of every number, and those in the number's instructions.
fn secrets(app: &App, own: &NumberConfig) -> Credentials {
    let mut secrets = Credentials::of(&own.system_prompt);
    let numbers = app.numbers.iter().map(|number| &number.config);
    let twilio = numbers.clone().flat_map(|number| &number.twilio);
    let tokens = twilio.clone().flat_map(|twilio| &twilio.auth_tokens);
    let keys = twilio.flat_map(|twilio| &twilio.api_key).map(|(_, secret)| secret);
    let models = numbers.flat_map(|number| number.ai.iter().chain(&number.fallbacks));
    let models = models.filter_map(|ai| match &ai.provider {
        ProviderConfig::OpenAi { api_key, .. } => api_key.as_ref(),
        ProviderConfig::Anthropic { api_key, .. } => Some(api_key),
        ProviderConfig::Offline { .. } => None,
    });
    let ears = app.config.media.transcription.iter().flat_map(|transcription| &transcription.api_key);
    let own = tokens
        .chain(keys)
        .chain(models)
        .chain(ears)
        .chain(&app.config.people.pairing_code)
        .map(ExposeSecret::expose_secret);
    own.filter(|secret| secret.len() >= OWN).for_each(|secret| secrets.add(secret));
    secrets
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Instructions of some length, with a policy of 600 letters that customers may read.
    fn instructions() -> (String, String) {
        let policy: String =
            (1..=16).map(|n| format!("Return {n}: bring it back within {n} days, and we pay. ")).collect();
        let manners: String = (1..=30).map(|n| format!("Rule {n}: be brief, and invent no price of {n} €. ")).collect();
        (format!("You answer for a shop. {policy}{manners}"), policy)
    }

    #[test]
    fn half_of_the_instructions_is_a_leak_and_their_policy_is_none() {
        let (system, policy) = instructions();
        let letters = |text: &str| text.chars().filter(|char| char.is_alphanumeric()).count();
        assert!(letters(&policy) > LEAK && letters(&policy) * 2 < letters(&system));
        assert!(!leaks(&format!("Our policy:\n{policy}"), &system));
        assert!(leaks(&format!("Sure! {}", system.to_uppercase().replace(' ', "\n")), &system));
        let half: String = system.chars().skip(system.chars().count() * 45 / 100).collect();
        assert!(leaks(&half, &system));
        assert!(!leaks(&"We open at seven. ".repeat(100), &system));
    }

    /// Half of eight hundred letters are too few for a leak.
    #[test]
    fn half_of_instructions_that_are_not_long_may_be_told() {
        let system: String = (10..39).map(|n| format!("Return {n}: within {n} days, and we pay. ")).collect();
        let letters = |text: &str| text.chars().filter(|char| char.is_alphanumeric()).count();
        assert!((LEAK..LEAK * 2).contains(&letters(&system)), "{}", letters(&system));
        let half: String = system.chars().take(system.chars().count() * 55 / 100).collect();
        assert!(letters(&half) * 2 > letters(&system) && letters(&half) < LEAK);
        let answer = format!("{half}{}", "We open at seven. ".repeat(20));
        assert!(!leaks(&answer, &system));
    }

    #[test]
    fn short_instructions_may_be_told() {
        let system = "You answer for the Blue Door Bakery. We open at seven and close at two, and never on Mondays.";
        assert!(!leaks(&format!("{system} ").repeat(9), system));
    }
}
