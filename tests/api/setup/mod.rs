//! What all tests share: the app with its stand-ins, a second number, files to attach, the captured log.

pub mod attachments;
pub mod message_list;
pub mod test_app;
pub mod two_numbers;
