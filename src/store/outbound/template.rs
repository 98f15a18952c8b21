//! Templates that an operator sends. A template may be sent when free text may not, and WhatsApp's window opens again
//! once the contact answers it.

use super::drafts::OperatorMetadata;
use super::operator_messages::{OperatorMessageOutcome, OutboundMessage, queue_operator_turn};
use crate::clock::Time;
use crate::model::{ConversationId, Role, Template};
use crate::store::conversations::listing;
use crate::store::database::{Store, StoreError, args};
use crate::store::queue::limits::SEND_WITHIN;

/// The open conversation with the same contact on the same number, be it this one or a later one.
const OPEN_CONVERSATION: &str = "
    SELECT o.id FROM conversations c JOIN conversations o
        ON o.contact_id = c.contact_id AND o.channel = c.channel AND o.our_address = c.our_address AND o.is_open = 1
    WHERE c.id = ?1";

/// Starts a conversation with the reply address of the one in which the contact last wrote on this number.
const INSERT_CONVERSATION: &str = "
    INSERT INTO conversations (id, contact_id, channel, account, our_address, reply_to, started_at, last_inbound_at)
    SELECT ?2, l.contact_id, l.channel, l.account, l.our_address, l.reply_to, ?3, l.last_inbound_at
    FROM conversations c JOIN conversations l
        ON l.contact_id = c.contact_id AND l.channel = c.channel AND l.our_address = c.our_address
    WHERE c.id = ?1 AND NOT EXISTS (SELECT 1 FROM conversations n
        WHERE n.contact_id = l.contact_id AND n.channel = l.channel AND n.our_address = l.our_address
        AND (n.last_inbound_at, n.id) > (l.last_inbound_at, l.id))";

/// Keeps the conversation from ending as idle before the contact could answer.
const SET_REOPENED_AT: &str = "UPDATE conversations SET reopened_at = ?2, revision = revision + 1 WHERE id = ?1";

const SET_EXPIRES_AT: &str = "UPDATE turns SET expires_at = ?2 WHERE id = ?1";

impl Store {
    /// Queues a template for the contact of the conversation, and returns the conversation that it goes to: the open
    /// one with the contact on that number, or else a new one. Who answers there does not change. The template is sent
    /// within 23 hours or not at all.
    pub async fn send_template(
        &self,
        id: ConversationId,
        template: Template,
        now: Time,
    ) -> Result<(ConversationId, OperatorMessageOutcome), StoreError> {
        let ids = self.ids.clone();
        self.write(move |tx| {
            let Some(known) = listing::find(tx, &id)? else { return Ok((id, OperatorMessageOutcome::NoConversation)) };
            if known.blocked || known.opted_out {
                return Ok((id, OperatorMessageOutcome::OptedOutOrBlocked));
            }
            let going = tx.fetch_optional(OPEN_CONVERSATION, args![&id], |row| row.uuid(0).map(ConversationId))?;
            let going = match going {
                Some(going) => going,
                None => {
                    let new = ConversationId(ids.next(now));
                    tx.execute(INSERT_CONVERSATION, args![&id, &new, now])?;
                    new
                }
            };
            let metadata = OperatorMetadata::template(&template).json();
            let line = OutboundMessage { content: &format!("[sent the template {template}]"), metadata: &metadata };
            let turn = queue_operator_turn(tx, &ids, &going, Role::Operator, &[line], now)?;
            tx.execute(SET_EXPIRES_AT, args![turn, now + SEND_WITHIN])?;
            tx.execute(SET_REOPENED_AT, args![&going, now])?;
            Ok((going, OperatorMessageOutcome::Queued(turn)))
        })
        .await
    }
}
