//! The models that a server lists, and the report of a check.

use serde::Deserialize;

/// OpenAI's `ListModelsResponse` and Anthropic's list of `ModelInfo`: the fields that mynah reads.
#[derive(Debug, Deserialize)]
pub(super) struct ModelList {
    data: Vec<Model>,
}

#[derive(Debug, Deserialize)]
struct Model {
    id: String,
}

/// Whether the model is listed, and how many models are.
pub(super) type ListingResult = (bool, usize);

impl ModelList {
    /// Returns whether any model fits, and how many are listed.
    pub(super) fn find(&self, fits: impl Fn(&str) -> bool) -> ListingResult {
        (self.data.iter().any(|model| fits(&model.id)), self.data.len())
    }

    /// Returns the first model that can probably answer. Self-hosted servers also list embedding models, which have
    /// `embed` in their names.
    pub(super) fn first_chat_model(&self) -> Option<&str> {
        let mut ids = self.data.iter().map(|model| model.id.as_str()).filter(|id| !id.is_empty());
        ids.clone().find(|id| !id.to_ascii_lowercase().contains("embed")).or_else(|| ids.next())
    }
}

/// Returns the report of a check. A model that is not listed (an alias, or a server without a list) has already
/// answered a question.
pub(super) fn check_report(model: &str, host: &str, listed: Option<ListingResult>) -> String {
    match listed {
        Some((true, count)) => format!("{host} answers; {model} is one of the {count} models it lists"),
        Some((false, count)) => format!("{model} at {host} answers, though it is not among the {count} models listed"),
        None => format!("{model} at {host} answers; the server lists no models"),
    }
}
