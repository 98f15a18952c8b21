//! The lines that go to a model: without blank ones, beginning and ending with the contact.

use std::borrow::Cow;

use super::messages::{Message, Piece};
use super::sight::{self, Sight};
use super::{Image, Line};
use crate::fault::{Fault, FaultOwner};
use crate::model::Role;

/// The part of a conversation that is sent. Never empty; the first and the last line are by the contact.
pub(super) struct Window<'a>(Vec<Said<'a>>);

/// A line as it goes out.
struct Said<'a> {
    role: &'static str,
    text: Cow<'a, str>,
    images: &'a [Image],
}

const USER: &str = "user";

impl<'a> Window<'a> {
    /// The lines without blank ones (Anthropic refuses them) and without those before the contact's first.
    pub(super) fn of(lines: &'a [Line]) -> Result<Window<'a>, Fault> {
        let mut window = Window(
            lines.iter().filter(|line| !line.text.trim().is_empty() || !line.images.is_empty()).map(Said::of).collect(),
        );
        if window.0.last().is_none_or(|said| said.role != USER) {
            return Err(Fault::fail(
                FaultOwner::Message,
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

    /// As they are, with the images that the model is to see.
    pub(super) fn messages(&self, sight: Sight) -> Vec<Message<'a>> {
        let mut left = sight.most;
        let newest_first = self.0.iter().rev().map(|said| {
            let shown = said.images.len().min(left);
            left -= shown;
            said.message(shown, sight.instead)
        });
        let mut messages: Vec<Message<'a>> = newest_first.collect();
        messages.reverse();
        messages
    }

    /// With neighbours of one role made one message.
    pub(super) fn merged(&self, sight: Sight) -> Vec<Message<'a>> {
        let mut messages: Vec<Message<'a>> = Vec::with_capacity(self.0.len());
        for message in self.messages(sight) {
            match messages.last_mut() {
                Some(last) if last.role == message.role => {
                    message.pieces.into_iter().for_each(|piece| last.push(piece));
                }
                _ => messages.push(message),
            }
        }
        messages
    }

    /// How many characters they hold; an image, as many as stand for its tokens.
    pub(super) fn characters(&self) -> usize {
        let of = |said: &Said| said.text.chars().count() + said.images.iter().map(Image::tokens).sum::<usize>() * 4;
        self.0.iter().map(of).sum()
    }

    fn begin_with_user(&mut self, from: usize) {
        let leading = self.0[from..].iter().take_while(|said| said.role != USER).count();
        self.0.drain(..from + leading);
    }
}

impl<'a> Said<'a> {
    fn of(line: &'a Line) -> Said<'a> {
        let (role, text) = (voice(line.role), Cow::Borrowed(line.text.as_str()));
        let mut said = Said { role, text, images: &line.images };
        if role != USER {
            for _ in std::mem::take(&mut said.images) {
                sight::tell(said.text.to_mut(), sight::OURS);
            }
        }
        said
    }

    /// With the newest of its images shown, and each of the others told.
    fn message(&self, shown: usize, instead: &str) -> Message<'a> {
        let (told, shown) = self.images.split_at(self.images.len() - shown);
        let mut text = self.text.clone();
        for _ in told {
            sight::tell(text.to_mut(), instead);
        }
        let text = Some(text).filter(|text| !text.trim().is_empty()).map(Piece::Text);
        Message { role: self.role, pieces: text.into_iter().chain(shown.iter().map(Piece::Image)).collect() }
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
        said.iter().map(|(role, text)| Line::new(*role, *text)).collect()
    }

    fn words(message: &Message) -> String {
        let word = |piece: &Piece| match piece {
            Piece::Text(text) => text.to_string(),
            Piece::Image(image) => format!("<{}>", str::from_utf8(&image.bytes).unwrap()),
        };
        message.pieces.iter().map(word).collect::<Vec<_>>().join("")
    }

    fn showing(role: Role, text: &str, images: &[&'static str]) -> Line {
        let image = |name: &&'static str| Image {
            media_type: "image/png",
            bytes: bytes::Bytes::from_static(name.as_bytes()),
            width: 1,
            height: 1,
        };
        Line { images: images.iter().map(image).collect(), ..Line::new(role, text) }
    }

    #[test]
    fn images_stand_where_they_were_shown_and_no_blank_text_beside_them() {
        let lines = [
            showing(Role::User, "this", &["1"]),
            showing(Role::User, " ", &["2"]),
            showing(Role::User, "or that?", &[]),
            showing(Role::Operator, "", &["ours"]),
            showing(Role::User, "", &["3"]),
        ];
        let window = Window::of(&lines).unwrap();
        let ours = ("assistant", sight::OURS.to_owned());
        let as_they_are =
            [("user", "this<1>"), ("user", "<2>"), ("user", "or that?")].map(|(role, text)| (role, text.to_owned()));
        assert_eq!(shown(&window), [&as_they_are[..], &[ours.clone(), ("user", "<3>".into())]].concat());
        let merged: Vec<_> = window.merged(Sight::of(5)).iter().map(|message| (message.role, words(message))).collect();
        assert_eq!(merged, [("user", "this<1><2>or that?".into()), ours, ("user", "<3>".into())]);
    }

    #[test]
    fn words_stand_for_all_but_the_newest_images() {
        let lines = [
            showing(Role::User, "this", &["1"]),
            showing(Role::Assistant, "A cat.", &[]),
            showing(Role::User, "and?", &["2", "3"]),
        ];
        let window = Window::of(&lines).unwrap();
        for (sight, first, last) in [
            (Sight::of(3), "this<1>", "and?<2><3>"),
            (Sight::of(2), "this\n[an earlier image, not shown again]", "and?<2><3>"),
            (Sight::of(1), "this\n[an earlier image, not shown again]", "and?\n[an earlier image, not shown again]<3>"),
            (
                Sight::of(0),
                "this\n[image, which this model cannot see]",
                "and?\n[image, which this model cannot see]\n[image, which this model cannot see]",
            ),
        ] {
            let messages = window.messages(sight);
            assert_eq!((words(&messages[0]).as_str(), words(&messages[2]).as_str()), (first, last));
        }
    }

    fn shown(window: &Window) -> Vec<(&'static str, String)> {
        window.messages(Sight::of(5)).into_iter().map(|message| (message.role, words(&message))).collect()
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
        let merged = Window::of(&lines).unwrap().merged(Sight::of(5));
        let shown: Vec<_> = merged.iter().map(|message| (message.role, words(message))).collect();
        assert_eq!(shown, [("user", "a\n\nb".into()), ("assistant", "c\n\nd".into()), ("user", "e".into())]);
    }

    #[test]
    fn a_window_without_a_question_is_nothing_to_answer() {
        for lines in [lines(&[]), lines(&[(Role::User, " ")]), lines(&[(Role::User, "a"), (Role::Assistant, "b")])] {
            assert!(matches!(Window::of(&lines), Err(Fault::Fail { owner: FaultOwner::Message, .. })));
        }
    }
}
