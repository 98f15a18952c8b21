//! What contacts send beside text, in the form in which a model takes it. No input or output: bytes in, bytes or words out.

mod image;

pub use self::image::Image;
