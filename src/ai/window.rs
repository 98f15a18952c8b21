//! The lines that go to a model: without blank ones, beginning and ending with the contact.

use std::borrow::Cow;

use serde::Serialize;

use super::Line;
use crate::fault::{Fault, Whose};
use crate::model::Role;

/// The part of a conversation that is sent. Never empty; the first and the last line are by the contact.
pub(super) struct Window<'a>(Vec<(&'static str, &'a str)>);

/// One message as both protocols write it.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Message<'a> {
    /// `system`, `user` or `assistant`.
    pub(super) role: &'static str,
    /// What was said.
    pub(super) content: Cow<'a, str>,
}

const USER: &str = "user";

impl<'a> Window<'a> {
    /// The lines without blank ones (Anthropic refuses them) and without those before the contact's first.
    pub(super) fn of(lines: &'a [Line]) -> Result<Window<'a>, Fault> {
        let mut window = Window(
            lines
                .iter()
                .filter(|line| !line.text.trim().is_empty())
                .map(|line| (voice(line.role), line.text.as_str()))
                .collect(),
        );
        if window.0.last().is_none_or(|(role, _)| *role != USER) {
            return Err(Fault::fail(
                Whose::Message,
                "there is nothing to answer: the last line holds no words by the contact",
            ));
        }
        window.begin_with_user(0);
        Ok(window)
    }

    /// Drops the older half. False where a single line is left already.
    pub(super) fn halve(&mut self) -> bool {
        let half = self.0.len() / 2;
        self.begin_with_user(half);
        half > 0
    }

    /// As they are.
    pub(super) fn messages(&self) -> impl Iterator<Item = Message<'a>> {
        self.0.iter().map(|&(role, text)| Message { role, content: Cow::Borrowed(text) })
    }

    /// With neighbours of one role made one message.
    pub(super) fn merged(&self) -> Vec<Message<'a>> {
        let mut messages: Vec<Message<'a>> = Vec::with_capacity(self.0.len());
        for message in self.messages() {
            match messages.last_mut() {
                Some(last) if last.role == message.role => {
                    let content = last.content.to_mut();
                    content.push_str("\n\n");
                    content.push_str(&message.content);
                }
                _ => messages.push(message),
            }
        }
        messages
    }

    /// How many characters they hold.
    pub(super) fn characters(&self) -> usize {
        self.0.iter().map(|(_, text)| text.chars().count()).sum()
    }

    fn begin_with_user(&mut self, from: usize) {
        let leading = self.0[from..].iter().take_while(|(role, _)| *role != USER).count();
        self.0.drain(..from + leading);
    }
}

/// A person of the business speaks for the business, as the model does.
fn voice(role: Role) -> &'static str {
    match role {
        Role::User => USER,
        Role::Assistant | Role::Operator => "assistant",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(said: &[(Role, &str)]) -> Vec<Line> {
        said.iter().map(|(role, text)| Line { role: *role, text: (*text).into() }).collect()
    }

    fn shown(window: &Window) -> Vec<(&'static str, String)> {
        window.messages().map(|message| (message.role, message.content.into_owned())).collect()
    }

    #[test]
    fn a_window_begins_with_the_contact_and_has_no_blank_lines() {
        let lines = lines(&[
            (Role::Operator, "We are back."),
            (Role::User, " "),
            (Role::User, "Hello"),
            (Role::Operator, "Hi, Ann here"),
            (Role::User, "Open?"),
        ]);
        let window = Window::of(&lines).unwrap();
        assert_eq!(
            shown(&window),
            [("user", "Hello".into()), ("assistant", "Hi, Ann here".into()), ("user", "Open?".into())]
        );
        assert_eq!(window.characters(), 22);
    }

    #[test]
    fn halving_keeps_the_last_line_and_begins_with_the_contact() {
        let lines = lines(&[
            (Role::User, "1"),
            (Role::Assistant, "2"),
            (Role::User, "3"),
            (Role::Assistant, "4"),
            (Role::Assistant, "5"),
            (Role::User, "6"),
        ]);
        let mut window = Window::of(&lines).unwrap();
        assert!(window.halve());
        assert_eq!(shown(&window), [("user", "6".into())]);
        assert!(!window.halve());
        assert_eq!(shown(&window), [("user", "6".into())]);
    }

    #[test]
    fn neighbours_of_one_role_become_one_message() {
        let lines = lines(&[
            (Role::User, "a"),
            (Role::User, "b"),
            (Role::Assistant, "c"),
            (Role::Operator, "d"),
            (Role::User, "e"),
        ]);
        let merged = Window::of(&lines).unwrap().merged();
        let shown: Vec<_> = merged.iter().map(|message| (message.role, message.content.as_ref())).collect();
        assert_eq!(shown, [("user", "a\n\nb"), ("assistant", "c\n\nd"), ("user", "e")]);
    }

    #[test]
    fn a_window_without_a_question_is_nothing_to_answer() {
        for lines in [lines(&[]), lines(&[(Role::User, " ")]), lines(&[(Role::User, "a"), (Role::Assistant, "b")])] {
            assert!(matches!(Window::of(&lines), Err(Fault::Fail { whose: Whose::Message, .. })));
        }
    }
}
