//! What a server has taught about a model: which parameters it refuses and how it wants the roles. Kept as long as the
//! process runs.

use crate::ai::messages::Message;
use crate::ai::vision::{ImagePolicy, MAX_IMAGES};
use crate::ai::window::Window;

/// Everything learned, as of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ModelQuirks {
    no_max_tokens: bool,
    no_max_completion_tokens: bool,
    no_temperature: bool,
    no_tools: bool,
    /// The chat template knows no system role, or wants the roles to take turns (vLLM with Gemma or Mistral).
    pub(super) needs_alternating_roles: bool,
    /// How many images the model takes.
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

/// One thing to learn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quirk {
    /// `max_tokens` is refused.
    NoMaxTokens,
    /// `max_completion_tokens` is refused.
    NoMaxCompletionTokens,
    /// `temperature` is refused.
    NoTemperature,
    /// The model, or its server as it is run, knows no tools.
    NoTools,
    /// No system role, and user and assistant take turns.
    AlternatingRoles,
    /// The model takes so many images; 0 where it sees nothing.
    MaxImages(usize),
}

impl ModelQuirks {
    /// Takes the lesson to heart.
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

    /// `max_tokens` and `max_completion_tokens`: the one that the server is known for, else the other, else neither.
    pub(super) fn token_cap_parameters(self, tokens: Option<u32>, newer: bool) -> (Option<u32>, Option<u32>) {
        match (newer, self.no_max_tokens, self.no_max_completion_tokens) {
            (true, _, false) | (false, true, false) => (None, tokens),
            (false, false, _) | (true, false, true) => (tokens, None),
            (_, true, true) => (None, None),
        }
    }

    /// The temperature, unless it is refused.
    pub(super) fn temperature(self, configured: Option<f64>) -> Option<f64> {
        configured.filter(|_| !self.no_temperature)
    }

    /// Whether tools may be offered.
    pub(super) fn takes_tools(self) -> bool {
        !self.no_tools
    }

    /// What the model can see.
    pub(super) fn image_policy(self) -> ImagePolicy {
        ImagePolicy::show_up_to(self.max_images)
    }

    /// The messages in the form that the model takes.
    pub(super) fn messages<'a>(self, system: &'a str, window: &Window<'a>, sight: ImagePolicy) -> Vec<Message<'a>> {
        if self.needs_alternating_roles {
            let mut messages = window.messages_merged_by_role(sight);
            if let Some(first) = messages.first_mut().filter(|_| !system.is_empty()) {
                first.prepend_text(system);
            }
            return messages;
        }
        let system = Some(system).filter(|system| !system.is_empty());
        let system = system.map(|text| Message::text("system", text));
        system.into_iter().chain(window.messages(sight)).collect()
    }
}
