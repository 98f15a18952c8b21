//! Language models: one file per protocol, all behind [`Provider`].
//!
//! To add a provider: a file, an implementation of [`Provider`], one arm in [`connect`].

use async_trait::async_trait;

use crate::fault::Fault;
use crate::model::{Role, Usage};

/// Something that answers.
#[async_trait]
pub trait Provider: Send + Sync {
    /// For logs and records: provider and model, such as `openai gpt-5-mini`.
    fn name(&self) -> &str;

    /// One answer. May be called by many tasks at once.
    async fn complete(&self, prompt: &Prompt) -> Result<Completion, Fault>;

    /// Tries address, key and model; a sentence on what works.
    async fn check(&self) -> Result<String, Fault>;
}

/// What the model is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// The owner's instructions.
    pub system: String,
    /// The window of the history, oldest first; the first and the last are by the user.
    pub lines: Vec<Line>,
}

/// One message of the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Who said it.
    pub role: Role,
    /// What was said.
    pub text: String,
}

/// What the model answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The answer in Markdown, never empty.
    pub text: String,
    /// How it ended.
    pub finish: Finish,
    /// What it took.
    pub usage: Usage,
    /// The model that answered, as the provider names it.
    pub model: String,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// By itself.
    Stop,
    /// At the limit of tokens; the text is cut off.
    Length,
    /// The model or its filter declined; the text says so, if it says anything.
    Refusal,
}
