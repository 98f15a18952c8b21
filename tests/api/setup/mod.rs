//! What all tests share: the app and its stand-ins, a second number, files to attach, the provider's list, what is
//! logged.

pub mod attachments;
pub mod captured_log;
pub mod message_list;
pub mod test_app;
pub mod two_numbers;
