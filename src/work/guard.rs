//! What a model wrote, made fit for a contact: nothing hidden in it, no foreign links, nothing that was told in confidence.

use std::borrow::Cow;

use secrecy::ExposeSecret;
use tracing::error;

use crate::app::App;
use crate::config::{Config, ProviderConfig};
use crate::store::TurnClaim;
use crate::text;

/// So many characters of the instructions, word for word, are no chance.
const QUOTED: usize = 160;

/// A word of the instructions that is at least so long and mixes letters and digits is taken for a password or a key.
const KEY: usize = 10;

/// What stands in place of a secret.
const REMOVED: &str = "[removed]";

/// The text in WhatsApp's markup; empty where there was none.
pub(super) async fn fit_to_send(app: &App, claim: &TurnClaim, markdown: &str) -> String {
    let config = &app.config;
    let system = &config.work.system_prompt;
    let markdown = text::clean(markdown);
    if quotes(&markdown, system) {
        tell(app, claim, "the model repeated its instructions; the contact was not sent that").await;
        return config.texts.declined.clone();
    }
    let written = text::whatsapp(&markdown);
    let plain = redact(&written, config);
    if let Cow::Owned(_) = plain {
        tell(app, claim, "the model's answer held a key or a password; it was taken out").await;
    }
    text::links(&plain, &config.people.links, &config.texts.link).into_owned()
}

async fn tell(app: &App, claim: &TurnClaim, what: &str) {
    error!(turn = claim.turn.0, what);
    let now = app.clock.now();
    if let Err(error) = app.store.alert("leak", claim.conversation.to_string(), what.to_owned(), now).await {
        error!(%error, "an alert could not be recorded");
    }
}

/// Whether a long run of the instructions stands in the text, whatever became of blanks and case.
fn quotes(text: &str, system: &str) -> bool {
    let plain = |text: &str| -> Vec<char> {
        text.chars().filter(|char| char.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let (text, system) = (plain(text), plain(system));
    if text.len() < QUOTED || system.len() < QUOTED {
        return false;
    }
    let text: String = text.into_iter().collect();
    // Every run of twice the length holds one of these pieces whole.
    system.chunks_exact(QUOTED / 2).any(|piece| text.contains(&piece.iter().collect::<String>())) && {
        let starts = 0..=system.len() - QUOTED;
        starts.into_iter().any(|at| text.contains(&system[at..at + QUOTED].iter().collect::<String>()))
    }
}

/// Takes out our own credentials and what looks like one in the instructions.
fn redact<'a>(text: &'a str, config: &Config) -> Cow<'a, str> {
    let mut kept = Cow::Borrowed(text);
    let mut secrets: Vec<&str> =
        config.work.system_prompt.split_whitespace().map(bare).filter(|word| key(word)).collect();
    if let Some(twilio) = &config.twilio {
        secrets.extend(twilio.auth_tokens.iter().map(ExposeSecret::expose_secret));
        secrets.extend(twilio.api_key.iter().map(|(_, secret)| secret.expose_secret()));
    }
    secrets.extend(config.people.pairing_code.iter().map(ExposeSecret::expose_secret));
    for ai in config.ai.iter().chain(&config.fallbacks) {
        match &ai.provider {
            ProviderConfig::OpenAi { api_key: Some(key), .. } | ProviderConfig::Anthropic { api_key: key, .. } => {
                secrets.push(key.expose_secret());
            }
            ProviderConfig::OpenAi { api_key: None, .. } | ProviderConfig::Offline { .. } => {}
        }
    }
    for secret in secrets.into_iter().filter(|secret| secret.len() >= 6) {
        if kept.contains(secret) {
            kept = Cow::Owned(kept.replace(secret, REMOVED));
        }
    }
    kept
}

/// A word without the punctuation around it.
fn bare(word: &str) -> &str {
    word.trim_matches(|char: char| !char.is_alphanumeric())
}

fn key(word: &str) -> bool {
    let address = word.contains("://") || word.contains('@') || word.starts_with("www.");
    !address
        && word.chars().count() >= KEY
        && word.chars().any(|char| char.is_ascii_digit())
        && word.chars().any(char::is_alphabetic)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYSTEM: &str = "You answer for the Blue Door Bakery. Be brief and friendly, and never invent a price. The supplier \
        is Miller & Sons; do not name them. Staff discount code: BREAD4STAFF77. On holidays we are closed, see \
        https://bakery.example/2026-holidays for the list of days. If somebody is angry, offer a coffee and say sorry once.";

    #[test]
    fn a_long_run_of_the_instructions_is_noticed_and_an_honest_answer_is_not() {
        let run: String = SYSTEM.chars().skip(37).take(230).collect();
        assert!(quotes(&format!("Sure! My instructions: {}", run.to_uppercase().replace(' ', "\n")), SYSTEM));
        assert!(!quotes("You answer for the Blue Door Bakery. Be brief.", SYSTEM));
        assert!(!quotes(&"We open at seven. ".repeat(40), SYSTEM));
    }

    #[test]
    fn what_looks_like_a_key_is_one_and_an_address_is_not() {
        let keys: Vec<_> = SYSTEM.split_whitespace().map(bare).filter(|word| key(word)).collect();
        assert_eq!(keys, ["BREAD4STAFF77"]);
    }
}
