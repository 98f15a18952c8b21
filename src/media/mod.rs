//! What contacts send beside text, in the form in which a model takes it. No input or output: bytes in, bytes or words out.
//!
//! What a file is, its content says (`kind`), not its name or what the sender calls it. Everything here stops at a limit,
//! whatever a file claims of itself; but what a file makes of a library no limit here can bound, so it runs in a process of its
//! own (`reader`).

mod charset;
pub mod document;
mod image;
mod image_header;
mod kind;
mod office;
mod pdf;
mod sendable;
mod text_collector;
mod unreadable;
pub mod vcard;
mod xml;

pub use self::image::Image;
pub use self::kind::{FileKind, sniff};
pub use self::sendable::sendable_media_type;
pub use self::unreadable::Unreadable;
