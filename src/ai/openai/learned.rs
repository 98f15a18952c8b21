//! What a server has taught about a model: which parameters it refuses and how it wants the roles. Kept as long as the
//! process runs.

use crate::ai::messages::Message;
use crate::ai::sight::{MOST_IMAGES, Sight};
use crate::ai::window::Window;

/// Everything learned, as of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Learned {
    no_max_tokens: bool,
    no_max_completion_tokens: bool,
    no_temperature: bool,
    no_tools: bool,
    /// The chat template knows no system role, or wants the roles to take turns (vLLM with Gemma or Mistral).
    pub(super) merges: bool,
    /// How many images the model takes.
    most_images: usize,
}

impl Default for Learned {
    fn default() -> Learned {
        Learned {
            no_max_tokens: false,
            no_max_completion_tokens: false,
            no_temperature: false,
            no_tools: false,
            merges: false,
            most_images: MOST_IMAGES,
        }
    }
}

/// One thing to learn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lesson {
    /// `max_tokens` is refused.
    NoMaxTokens,
    /// `max_completion_tokens` is refused.
    NoMaxCompletionTokens,
    /// `temperature` is refused.
    NoTemperature,
    /// The model, or its server as it is run, knows no tools.
    NoTools,
    /// No system role, and user and assistant take turns.
    Merge,
    /// The model takes so many images; 0 where it sees nothing.
    MostImages(usize),
}

impl Learned {
    /// Takes the lesson to heart.
    pub(super) fn learn(&mut self, lesson: Lesson) {
        match lesson {
            Lesson::NoMaxTokens => self.no_max_tokens = true,
            Lesson::NoMaxCompletionTokens => self.no_max_completion_tokens = true,
            Lesson::NoTemperature => self.no_temperature = true,
            Lesson::NoTools => self.no_tools = true,
            Lesson::Merge => self.merges = true,
            Lesson::MostImages(most) => self.most_images = most,
        }
    }

    /// `max_tokens` and `max_completion_tokens`: the one that the server is known for, else the other, else neither.
    pub(super) fn cap(self, tokens: Option<u32>, newer: bool) -> (Option<u32>, Option<u32>) {
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
    pub(super) fn sight(self) -> Sight {
        Sight::of(self.most_images)
    }

    /// The messages in the form that the model takes.
    pub(super) fn messages<'a>(self, system: &'a str, window: &Window<'a>, sight: Sight) -> Vec<Message<'a>> {
        if self.merges {
            let mut messages = window.merged(sight);
            if let Some(first) = messages.first_mut().filter(|_| !system.is_empty()) {
                first.precede(system);
            }
            return messages;
        }
        let system = Some(system).filter(|system| !system.is_empty());
        let system = system.map(|text| Message::plain("system", text));
        system.into_iter().chain(window.messages(sight)).collect()
    }
}
