//! The domain types: plain data, parsed at the edge and trusted inside. No input or output.
//!
//! To add a type, add a file with a `parse` if it comes from outside, and a `Debug` that masks what is private.

mod address;
mod admin;
mod budget;
mod content_sid;
mod conversation;
mod event;
mod file_hash;
mod identity;
mod keyword;
mod media;
mod message;
mod part;
mod person_query;
mod phone;
mod phone_validity;
mod rate;
mod template;
mod turn;

pub use address::{Address, AddressError, AddressInputError, Bsuid};
pub use admin::AdminRole;
pub use budget::{Budget, Budgets, Charge, Price};
pub use content_sid::ContentSid;
pub use conversation::{ConversationId, ShortId};
pub use event::{Attachment, Event, Inbound, QUOTE_PLACEHOLDER, StatusUpdate, WebhookError, WebhookRequest};
pub use file_hash::FileHash;
pub use identity::Identity;
pub use keyword::{Command, Keywords};
pub use media::Media;
pub use message::{MessageId, Role};
pub use part::{DeliveryStatus, Outgoing, PartRef, PartState, ProviderId, SentMessage};
pub use person_query::{NameMatch, PersonQuery};
pub use phone::{Phone, PhoneError};
pub use phone_validity::NumberingError;
pub use rate::Rate;
pub use template::{Template, Variables, VariablesError};
pub use turn::{TurnId, TurnState, Usage};
