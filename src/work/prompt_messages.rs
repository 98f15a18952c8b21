//! Converts the context window into the messages of a prompt.

use crate::ai::PromptMessage;
use crate::media::Image;
use crate::model::Role;
use crate::store::WindowLine;
use crate::text;

/// The most of one message that the model reads, in characters. This is four times what a contact can write at once.
const MAX_LINE_CHARS: usize = 16_384;

/// What the model reads in place of a message with no readable text. The channel uses the same mark for a message
/// without text.
const EMPTY_MESSAGE_MARK: &str = "[empty message]";

/// Converts the context window into prompt messages without hidden characters. The prompt begins with a user message,
/// because an answer without its question confuses the model. Operator messages before it, such as a template, become
/// part of a user message, because the contact may be answering them.
pub(super) fn from_window(window: Vec<WindowLine>, pictures: Vec<Vec<Image>>) -> Vec<PromptMessage> {
    let first = window.iter().position(|line| line.role == Role::User).unwrap_or(window.len());
    let before: Vec<_> = window[..first].iter().filter(|line| line.role == Role::Operator).collect();
    let before = before.iter().map(|line| text::truncate(&text::sanitize(&line.content), MAX_LINE_CHARS).into_owned());
    let before =
        before.map(|said| format!("[written to the contact before this: {said}]")).collect::<Vec<_>>().join("\n");
    let before = (!before.is_empty()).then(|| PromptMessage::new(Role::User, before));
    let lines = window.into_iter().zip(pictures).skip(first).map(|(line, images)| {
        let text = text::sanitize(&line.content);
        // A message of which nothing is left still gets an answer.
        let empty = line.role == Role::User && text.trim().is_empty();
        let text = if empty { EMPTY_MESSAGE_MARK.into() } else { text::truncate(&text, MAX_LINE_CHARS).into_owned() };
        PromptMessage { images, ..PromptMessage::new(line.role, text) }
    });
    before.into_iter().chain(lines).collect()
}
