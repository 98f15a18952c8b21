//! Messages that the provider accepted and did not deliver, as text and as JSON.

use serde_json::{Value, json};

use super::table_columns::one_line;
use crate::channel::twilio;
use crate::store::Undelivered;

/// Returns a line for each message, with the reason and what to do.
pub(super) fn lines(undelivered: &[Undelivered]) -> impl Iterator<Item = String> {
    undelivered.iter().map(|part| {
        let why = match (part.code, &part.provider_error) {
            (Some(code), _) => format!("{} ({code})", explain_code(code)),
            (None, Some(said)) => one_line(said),
            (None, None) => "the provider gave no reason".to_owned(),
        };
        format!("message {} was not delivered: {why}", part.message)
    })
}

/// Returns the same facts as JSON.
pub(super) fn to_json(undelivered: &[Undelivered]) -> Value {
    let facts = |part: &Undelivered| {
        json!({
            "message": part.message,
            "code": part.code,
            "why": part.code.map(explain_code),
            "provider_said": part.provider_error,
        })
    };
    undelivered.iter().map(facts).collect()
}

/// Explains an error code. All channels are Twilio's today.
fn explain_code(code: i64) -> String {
    twilio::explain_code(code).sentence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_undelivered_message_is_shown_with_its_remedy() {
        let part =
            |message, code, said: Option<&str>| Undelivered { message, code, provider_error: said.map(str::to_owned) };
        let parts = [
            part(1, Some(63016), Some("Failed")),
            part(2, None, Some("odd\nwords")),
            part(3, None, None),
            part(4, Some(1), None),
        ];
        let lines: Vec<_> = lines(&parts).collect();
        assert_eq!(
            lines,
            [
                "message 1 was not delivered: the contact last wrote more than 24 hours ago, so WhatsApp accepts no \
                 free text: they must write again first, or you send a template with `mynah conversations template` \
                 (63016)",
                "message 2 was not delivered: odd words",
                "message 3 was not delivered: the provider gave no reason",
                "message 4 was not delivered: see https://www.twilio.com/docs/api/errors/1 (1)",
            ]
        );
        let first = &to_json(&parts)[0];
        assert_eq!(
            (&first["message"], &first["code"], &first["provider_said"]),
            (&json!(1), &json!(63016), &json!("Failed"))
        );
        assert!(first["why"].as_str().unwrap().ends_with("`mynah conversations template`"), "{first}");
        assert_eq!(to_json(&parts)[2], json!({ "message": 3, "code": null, "why": null, "provider_said": null }));
    }
}
