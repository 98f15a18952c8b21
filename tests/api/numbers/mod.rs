//! Several numbers in one app: each with its own account, model, texts and list of messages.

mod message_lists;
mod own_account;
mod own_texts;
mod routing;
mod separate_numbers;
