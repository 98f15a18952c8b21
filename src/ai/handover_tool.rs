//! The one tool that mynah offers to a model: handing the conversation over to a person.

use serde_json::{Value, json};

/// The tool's name, in both protocols.
pub(super) const NAME: &str = "hand_over";

/// Tells the model when to call the tool.
pub(super) const DESCRIPTION: &str = "Hand the conversation over to a person of the business. Call it when the customer \
    asks for a person, complains seriously, or needs something that you cannot do. The customer is told by the system.";

/// The reason that is used if the model gives none.
const DEFAULT_REASON: &str = "the model asked for a person";

/// The longest reason, in characters. The operator reads it.
const MAX_REASON_CHARS: usize = 500;

/// Returns the JSON Schema of the tool's arguments.
pub(super) fn parameters() -> Value {
    json!({
        "type": "object",
        "properties": { "reason": { "type": "string", "description": "Why, in one sentence, for the person who takes over" } },
        "required": ["reason"],
        "additionalProperties": false
    })
}

/// Estimates how many tokens the tool's definition takes in a request.
pub(super) fn definition_tokens() -> usize {
    [NAME, DESCRIPTION, &parameters().to_string()].into_iter().map(crate::text::estimate_tokens).sum()
}

/// Returns the reason in a call's arguments, or the default reason if they are malformed.
pub(super) fn parse_reason(arguments: &Value) -> String {
    // OpenAI's protocol carries the arguments as a string of JSON.
    let parsed = arguments.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let reason = parsed.as_ref().unwrap_or(arguments).get("reason").and_then(Value::as_str).map(str::trim);
    let reason = reason.filter(|reason| !reason.is_empty()).unwrap_or(DEFAULT_REASON);
    crate::text::truncate(&crate::text::sanitize(reason), MAX_REASON_CHARS).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_read_however_it_is_given() {
        assert_eq!(parse_reason(&json!({ "reason": " A refund. " })), "A refund.");
        assert_eq!(parse_reason(&json!("{\"reason\": \"A refund.\"}")), "A refund.");
        for none in [json!(null), json!("not json"), json!({}), json!({ "reason": 5 }), json!("{\"reason\": \"\"}")] {
            assert_eq!(parse_reason(&none), DEFAULT_REASON, "{none}");
        }
        assert_eq!(parse_reason(&json!({ "reason": "x".repeat(9_000) })).chars().count(), MAX_REASON_CHARS);
    }
}
