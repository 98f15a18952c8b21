//! The messages that mynah sends to a model: no blank ones, and the first and the last are by the contact.

use std::borrow::Cow;

use super::messages::{Message, Piece};
use super::vision::{self, ImagePolicy};
use super::{Image, PromptMessage};
use crate::fault::{Fault, FaultOwner};
use crate::model::Role;

/// The part of a conversation that mynah sends. Never empty. The first and the last line are by the contact.
pub(super) struct Window<'a>(Vec<OutgoingLine<'a>>);

/// A line as mynah sends it.
struct OutgoingLine<'a> {
    role: &'static str,
    text: Cow<'a, str>,
    images: &'a [Image],
}

const USER: &str = "user";

impl<'a> Window<'a> {
    /// Takes the lines without the blank ones, which Anthropic refuses, and without those before the contact's first.
    pub(super) fn from_prompt(lines: &'a [PromptMessage]) -> Result<Window<'a>, Fault> {
        let mut window = Window(
            lines
                .iter()
                .filter(|line| !line.text.trim().is_empty() || !line.images.is_empty())
                .map(OutgoingLine::from_message)
                .collect(),
        );
        if window.0.last().is_none_or(|said| said.role != USER) {
            return Err(Fault::fail(
                FaultOwner::Message,
                "there is nothing to answer: the conversation does not end with a message by the contact",
            ));
        }
        window.drop_until_user(0);
        Ok(window)
    }

    /// Drops the older half. Returns false, and drops nothing, if there is only one line.
    pub(super) fn drop_older_half(&mut self) -> bool {
        let half = self.0.len() / 2;
        self.drop_until_user(half);
        half > 0
    }

    /// Returns one message for each line. `policy` decides which images are shown.
    pub(super) fn messages(&self, policy: ImagePolicy) -> Vec<Message<'a>> {
        let mut left = policy.max_images;
        let newest_first = self.0.iter().rev().map(|said| {
            let shown = said.images.len().min(left);
            left -= shown;
            said.message(shown, policy.placeholder)
        });
        let mut messages: Vec<Message<'a>> = newest_first.collect();
        messages.reverse();
        messages
    }

    /// Like [`messages`](Self::messages), but merges neighbors of the same role into one message.
    pub(super) fn messages_merged_by_role(&self, policy: ImagePolicy) -> Vec<Message<'a>> {
        let mut messages: Vec<Message<'a>> = Vec::with_capacity(self.0.len());
        for message in self.messages(policy) {
            match messages.last_mut() {
                Some(last) if last.role == message.role => {
                    message.pieces.into_iter().for_each(|piece| last.push(piece));
                }
                _ => messages.push(message),
            }
        }
        messages
    }

    /// Returns the number of characters. An image counts as four characters for each of its tokens.
    pub(super) fn characters(&self) -> usize {
        let of =
            |said: &OutgoingLine| said.text.chars().count() + said.images.iter().map(Image::tokens).sum::<usize>() * 4;
        self.0.iter().map(of).sum()
    }

    fn drop_until_user(&mut self, from: usize) {
        let leading = self.0[from..].iter().take_while(|said| said.role != USER).count();
        self.0.drain(..from + leading);
    }
}

impl<'a> OutgoingLine<'a> {
    fn from_message(line: &'a PromptMessage) -> OutgoingLine<'a> {
        let (role, text) = (wire_role(line.role), Cow::Borrowed(line.text.as_str()));
        let mut said = OutgoingLine { role, text, images: &line.images };
        if role != USER {
            for _ in std::mem::take(&mut said.images) {
                vision::append_placeholder(said.text.to_mut(), vision::SENT_IMAGE_PLACEHOLDER);
            }
        }
        said
    }

    /// Returns the line with its `shown` newest images, and the text `instead` in place of each of the others.
    fn message(&self, shown: usize, instead: &str) -> Message<'a> {
        let (omitted, shown) = self.images.split_at(self.images.len() - shown);
        let mut text = self.text.clone();
        for _ in omitted {
            vision::append_placeholder(text.to_mut(), instead);
        }
        let text = Some(text).filter(|text| !text.trim().is_empty()).map(Piece::Text);
        Message { role: self.role, pieces: text.into_iter().chain(shown.iter().map(Piece::Image)).collect() }
    }
}

/// Returns the role on the wire. An operator speaks for the business, as the assistant does.
fn wire_role(role: Role) -> &'static str {
    match role {
        Role::User => USER,
        Role::Assistant | Role::Operator => "assistant",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(said: &[(Role, &str)]) -> Vec<PromptMessage> {
        said.iter().map(|(role, text)| PromptMessage::new(*role, *text)).collect()
    }

    fn render(message: &Message) -> String {
        let word = |piece: &Piece| match piece {
            Piece::Text(text) => text.to_string(),
            Piece::Image(image) => format!("<{}>", str::from_utf8(&image.bytes).unwrap()),
        };
        message.pieces.iter().map(word).collect::<Vec<_>>().join("")
    }

    fn message_with_images(role: Role, text: &str, images: &[&'static str]) -> PromptMessage {
        let image = |name: &&'static str| Image {
            media_type: "image/png",
            bytes: bytes::Bytes::from_static(name.as_bytes()),
            width: 1,
            height: 1,
        };
        PromptMessage { images: images.iter().map(image).collect(), ..PromptMessage::new(role, text) }
    }

    #[test]
    fn images_stand_where_they_were_shown_and_no_blank_text_beside_them() {
        let lines = [
            message_with_images(Role::User, "this", &["1"]),
            message_with_images(Role::User, " ", &["2"]),
            message_with_images(Role::User, "or that?", &[]),
            message_with_images(Role::Operator, "", &["ours"]),
            message_with_images(Role::User, "", &["3"]),
        ];
        let window = Window::from_prompt(&lines).unwrap();
        let ours = ("assistant", vision::SENT_IMAGE_PLACEHOLDER.to_owned());
        let as_they_are =
            [("user", "this<1>"), ("user", "<2>"), ("user", "or that?")].map(|(role, text)| (role, text.to_owned()));
        assert_eq!(rendered_messages(&window), [&as_they_are[..], &[ours.clone(), ("user", "<3>".into())]].concat());
        let merged: Vec<_> = window
            .messages_merged_by_role(ImagePolicy::show_up_to(5))
            .iter()
            .map(|message| (message.role, render(message)))
            .collect();
        assert_eq!(merged, [("user", "this<1><2>or that?".into()), ours, ("user", "<3>".into())]);
    }

    #[test]
    fn words_stand_for_all_but_the_newest_images() {
        let lines = [
            message_with_images(Role::User, "this", &["1"]),
            message_with_images(Role::Assistant, "A cat.", &[]),
            message_with_images(Role::User, "and?", &["2", "3"]),
        ];
        let window = Window::from_prompt(&lines).unwrap();
        for (sight, first, last) in [
            (ImagePolicy::show_up_to(3), "this<1>", "and?<2><3>"),
            (ImagePolicy::show_up_to(2), "this\n[an earlier image, not shown again]", "and?<2><3>"),
            (
                ImagePolicy::show_up_to(1),
                "this\n[an earlier image, not shown again]",
                "and?\n[an earlier image, not shown again]<3>",
            ),
            (
                ImagePolicy::show_up_to(0),
                "this\n[image, which this model cannot see]",
                "and?\n[image, which this model cannot see]\n[image, which this model cannot see]",
            ),
        ] {
            let messages = window.messages(sight);
            assert_eq!((render(&messages[0]).as_str(), render(&messages[2]).as_str()), (first, last));
        }
    }

    fn rendered_messages(window: &Window) -> Vec<(&'static str, String)> {
        window
            .messages(ImagePolicy::show_up_to(5))
            .into_iter()
            .map(|message| (message.role, render(&message)))
            .collect()
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
        let window = Window::from_prompt(&lines).unwrap();
        assert_eq!(
            rendered_messages(&window),
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
        let mut window = Window::from_prompt(&lines).unwrap();
        assert!(window.drop_older_half());
        assert_eq!(rendered_messages(&window), [("user", "6".into())]);
        assert!(!window.drop_older_half());
        assert_eq!(rendered_messages(&window), [("user", "6".into())]);
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
        let merged = Window::from_prompt(&lines).unwrap().messages_merged_by_role(ImagePolicy::show_up_to(5));
        let shown: Vec<_> = merged.iter().map(|message| (message.role, render(message))).collect();
        assert_eq!(shown, [("user", "a\n\nb".into()), ("assistant", "c\n\nd".into()), ("user", "e".into())]);
    }

    #[test]
    fn a_window_without_a_question_is_nothing_to_answer() {
        for lines in [lines(&[]), lines(&[(Role::User, " ")]), lines(&[(Role::User, "a"), (Role::Assistant, "b")])] {
            assert!(matches!(Window::from_prompt(&lines), Err(Fault::Fail { owner: FaultOwner::Message, .. })));
        }
    }
}
