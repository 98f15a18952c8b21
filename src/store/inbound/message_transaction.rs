//! The transaction that stores one inbound message: what every step of it needs.

use super::admission::Admission;
use crate::clock::Time;
use crate::model::{ConversationId, Inbound};
use crate::store::database::ids::IdGenerator;
use crate::store::database::{ErasureKey, StoreOptions, Tx};

/// The conversation that the message belongs to.
pub(in crate::store) struct Conversation {
    pub(in crate::store) id: ConversationId,
    pub(in crate::store) revision: i64,
    pub(in crate::store) human_mode: bool,
    /// Whether the conversation holds newer messages than this one, which was missed.
    pub(in crate::store) is_out_of_order: bool,
}

/// The transaction that stores one message.
pub(in crate::store) struct InboundTransaction<'a> {
    pub(in crate::store) tx: &'a mut dyn Tx,
    pub(in crate::store) ids: &'a IdGenerator,
    pub(in crate::store) options: StoreOptions,
    pub(in crate::store) erasure_key: Option<&'a ErasureKey>,
    pub(in crate::store) inbound: &'a Inbound,
    pub(in crate::store) admission: &'a Admission,
}

impl InboundTransaction<'_> {
    /// When the message was sent. This orders what the contact said, and WhatsApp's 24 hours start here.
    pub(in crate::store) fn sent_at(&self) -> Time {
        self.inbound.received_at
    }

    /// When the message is stored, which is later for a missed message. What mynah does about the message counts from
    /// here.
    pub(in crate::store) fn stored_at(&self) -> Time {
        self.admission.missed_webhook.map_or(self.sent_at(), |missed| missed.found_at)
    }

    /// Returns a new id, made from the time at which the message was sent.
    pub(in crate::store) fn new_message_id(&self) -> uuid::Uuid {
        if self.admission.missed_webhook.is_some() {
            self.ids.backdated_id(self.sent_at())
        } else {
            self.ids.next(self.sent_at())
        }
    }
}
