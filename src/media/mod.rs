//! Converts the files that contacts send to a form that a model accepts. This module does no input or output: it takes
//! bytes and returns bytes or text.
//!
//! A file's content decides its kind (`file_kind`), not its name or the type that the sender gives. Everything here has
//! limits, whatever a file claims about itself. But no limit here can control what a file makes a library do, so this
//! code runs in its own process (`file_reader`).

mod charset;
pub mod document;
mod file_kind;
mod image;
mod image_header;
mod office;
mod pdf;
mod sendable;
mod text_collector;
mod unreadable;
pub mod vcard;
mod xml;

pub use self::file_kind::{FileKind, sniff};
pub use self::image::Image;
pub use self::sendable::sendable_media_type;
pub use self::unreadable::Unreadable;
