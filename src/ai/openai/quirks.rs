//! What mynah has learned about a model from the server's refusals: which parameters it refuses, and which order of
//! roles it needs. Kept as long as the process runs.

use crate::ai::messages::Message;
use crate::ai::prompt_window::Window;
use crate::ai::vision::{ImagePolicy, MAX_IMAGES};

/// Everything learned so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ModelQuirks {
    no_max_tokens: bool,
    no_max_completion_tokens: bool,
    no_temperature: bool,
    no_tools: bool,
    /// The chat template has no system role, or requires that the roles alternate (vLLM with Gemma or Mistral).
    pub(super) needs_alternating_roles: bool,
    /// The most images that the model takes.
    max_images: usize,
}

impl Default for ModelQuirks {
    fn default() -> ModelQuirks {
        ModelQuirks {
            no_max_tokens: false,
            no_max_completion_tokens: false,
            no_temperature: false,
            no_tools: false,
            needs_alternating_roles: false,
            max_images: MAX_IMAGES,
        }
    }
}

/// One quirk that an error reveals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quirk {
    /// The server refuses `max_tokens`.
    NoMaxTokens,
    /// The server refuses `max_completion_tokens`.
    NoMaxCompletionTokens,
    /// The server refuses `temperature`.
    NoTemperature,
    /// The model does not support tools, or its server was started without them.
    NoTools,
    /// There is no system role, or user and assistant must alternate.
    AlternatingRoles,
    /// The most images that the model takes; 0 if it has no vision.
    MaxImages(usize),
}

impl ModelQuirks {
    /// Records a quirk.
    pub(super) fn record(&mut self, lesson: Quirk) {
        match lesson {
            Quirk::NoMaxTokens => self.no_max_tokens = true,
            Quirk::NoMaxCompletionTokens => self.no_max_completion_tokens = true,
            Quirk::NoTemperature => self.no_temperature = true,
            Quirk::NoTools => self.no_tools = true,
            Quirk::AlternatingRoles => self.needs_alternating_roles = true,
            Quirk::MaxImages(most) => self.max_images = most,
        }
    }

    /// Returns `max_tokens` and `max_completion_tokens`: sets the one that the server is known to accept, the other if
    /// the server refused that one, and neither if it refused both. `newer` prefers `max_completion_tokens`.
    pub(super) fn token_cap_parameters(self, tokens: Option<u32>, newer: bool) -> (Option<u32>, Option<u32>) {
        match (newer, self.no_max_tokens, self.no_max_completion_tokens) {
            (true, _, false) | (false, true, false) => (None, tokens),
            (false, false, _) | (true, false, true) => (tokens, None),
            (_, true, true) => (None, None),
        }
    }

    /// Returns the temperature, unless the server refuses it.
    pub(super) fn temperature(self, configured: Option<f64>) -> Option<f64> {
        configured.filter(|_| !self.no_temperature)
    }

    /// Returns whether tools may be offered.
    pub(super) fn takes_tools(self) -> bool {
        !self.no_tools
    }

    /// Returns the policy for the images that the model takes.
    pub(super) fn image_policy(self) -> ImagePolicy {
        ImagePolicy::show_up_to(self.max_images)
    }

    /// Returns the messages in the form that the model accepts.
    pub(super) fn messages<'a>(self, system: &'a str, window: &Window<'a>, policy: ImagePolicy) -> Vec<Message<'a>> {
        if self.needs_alternating_roles {
            let mut messages = window.messages_merged_by_role(policy);
            if let Some(first) = messages.first_mut().filter(|_| !system.is_empty()) {
                first.prepend_text(system);
            }
            return messages;
        }
        let system = Some(system).filter(|system| !system.is_empty());
        let system = system.map(|text| Message::text("system", text));
        system.into_iter().chain(window.messages(policy)).collect()
    }
}
