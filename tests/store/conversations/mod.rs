//! A conversation: the messages that the model sees, who answers it, our number that it belongs to, and its short id.

pub mod operator;
pub mod pause;
pub mod several_numbers;
pub mod short_ids;
pub mod window;
