//! The messages of a request, in the form that both protocols share.

use std::borrow::Cow;

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::Image;

/// One message.
#[derive(Debug, PartialEq)]
pub(super) struct Message<'a> {
    /// `system`, `user` or `assistant`.
    pub(super) role: &'static str,
    /// The texts and images, in order. Never empty, and never two texts in a row.
    pub(super) pieces: Vec<Piece<'a>>,
}

/// A piece of a message.
#[derive(Debug, PartialEq)]
pub(super) enum Piece<'a> {
    /// A text, never blank.
    Text(Cow<'a, str>),
    /// An image.
    Image(&'a Image),
}

impl<'a> Message<'a> {
    /// Returns a message that holds only text.
    pub(super) fn text(role: &'static str, text: &'a str) -> Message<'a> {
        Message { role, pieces: vec![Piece::Text(Cow::Borrowed(text))] }
    }

    /// Returns the number of images in the message.
    pub(super) fn image_count(&self) -> usize {
        self.pieces.iter().filter(|piece| matches!(piece, Piece::Image(_))).count()
    }

    pub(super) fn push(&mut self, piece: Piece<'a>) {
        match (self.pieces.last_mut(), piece) {
            (Some(Piece::Text(last)), Piece::Text(text)) => {
                let last = last.to_mut();
                last.push_str("\n\n");
                last.push_str(&text);
            }
            (_, piece) => self.pieces.push(piece),
        }
    }

    /// Inserts `text` before the other pieces.
    pub(super) fn prepend_text(&mut self, text: &'a str) {
        let pieces = std::mem::replace(&mut self.pieces, vec![Piece::Text(Cow::Borrowed(text))]);
        pieces.into_iter().for_each(|piece| self.push(piece));
    }
}

/// A message as both protocols write it. Without images, the content is a plain string, because many servers accept
/// nothing else.
#[derive(Serialize)]
struct WireMessage<'a> {
    role: &'static str,
    content: Content<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Plain(&'a str),
    Parts(Vec<Value>),
}

/// Serializes messages. `image` turns an image into the protocol's JSON.
pub(super) fn serialize_messages<S: Serializer>(
    messages: &[Message<'_>],
    image: fn(&Image) -> Value,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(messages.iter().map(|message| WireMessage {
        role: message.role,
        content: match &message.pieces[..] {
            [Piece::Text(text)] => Content::Plain(text),
            pieces => Content::Parts(pieces.iter().map(|piece| content_part(piece, image)).collect()),
        },
    }))
}

fn content_part(piece: &Piece<'_>, image: fn(&Image) -> Value) -> Value {
    match piece {
        Piece::Text(text) => json!({ "type": "text", "text": text }),
        Piece::Image(shown) => image(shown),
    }
}
