//! The models that a server lists, and what a check makes of the list.

use serde::Deserialize;

/// OpenAI's `ListModelsResponse` and Anthropic's list of `ModelInfo`, as far as it is read.
#[derive(Debug, Deserialize)]
pub(super) struct ModelList {
    data: Vec<Model>,
}

#[derive(Debug, Deserialize)]
struct Model {
    id: String,
}

/// Whether the model is listed, and how many are.
pub(super) type ListingResult = (bool, usize);

impl ModelList {
    /// Whether any of them `fits`.
    pub(super) fn find(&self, fits: impl Fn(&str) -> bool) -> ListingResult {
        (self.data.iter().any(|model| fits(&model.id)), self.data.len())
    }

    /// The first one that may answer. Servers of one's own list models that only embed beside the others, and name them
    /// so.
    pub(super) fn first_chat_model(&self) -> Option<&str> {
        let mut ids = self.data.iter().map(|model| model.id.as_str()).filter(|id| !id.is_empty());
        ids.clone().find(|id| !id.to_ascii_lowercase().contains("embed")).or_else(|| ids.next())
    }
}

/// What a check says, once a model that is not listed (an alias, a server without a list) has answered a question.
pub(super) fn check_report(model: &str, host: &str, listed: Option<ListingResult>) -> String {
    match listed {
        Some((true, count)) => format!("{host} answers; {model} is one of the {count} models it lists"),
        Some((false, count)) => format!("{model} at {host} answers, though it is not among the {count} models listed"),
        None => format!("{model} at {host} answers; the server lists no models"),
    }
}
