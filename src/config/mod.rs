//! The configuration: one documented struct per concern.

mod ai;
mod twilio;

pub use ai::{AiConfig, ProviderConfig};
pub use twilio::{Sender, TwilioConfig};
