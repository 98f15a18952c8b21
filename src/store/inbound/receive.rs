//! Receives a message: stores it with its contact, its conversation, its turn and the log of its webhook, in one
//! transaction.
//!
//! What can be found out without the database is found out before and arrives as an [`Admission`]. What the database
//! knows (who opted out, who is blocked, who answers this conversation) is decided in the transaction (`decision`), so
//! that nothing can change in between. `turn_of_message` finds the turn that answers.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::admission::{Admission, MissedWebhook, ReceiveOutcome, Received};
use super::decision::Decision;
use super::message_transaction::{Conversation, InboundTransaction};
use super::webhook_log::WebhookRecord;
use super::{attachments, quoted, webhook_log};
use crate::clock::Time;
use crate::model::{Command, ConversationId, Inbound, MessageId, ProviderId, Role};
use crate::store::contacts::resolve;
use crate::store::contacts::resolve::Contact;
use crate::store::conversations::messages::{NewMessage, STORED_MESSAGE, insert_message};
use crate::store::database::{Store, StoreError, Tx, args};
use crate::store::operations::erased;
use crate::store::queue::built_in_request::BuiltInRequest;
use crate::store::queue::contact_notices::Notice;
use crate::store::queue::restored_work;

/// A template that was sent counts like a message from the contact, because the contact's answer to it belongs to the
/// conversation.
const OPEN_CONVERSATION: &str = "
    SELECT id, MAX(last_inbound_at, COALESCE(reopened_at, 0)), revision, mode, mode_until FROM conversations
    WHERE contact_id = ?1 AND channel = ?2 AND our_address = ?3 AND is_open = 1";

/// A message that catch-up finds late does not move the reply address back to that of an older message. The mode
/// `human` ends by itself at its set time. The account is written too, because a number may have been moved to another
/// account.
const CONTINUE: &str = "
    UPDATE conversations
    SET reply_to = CASE WHEN ?3 >= last_inbound_at THEN ?2 ELSE reply_to END,
        last_inbound_at = MAX(last_inbound_at, ?3), revision = revision + 1, account = ?4,
        mode = CASE WHEN mode_until <= ?3 THEN 'auto' ELSE mode END,
        mode_until = CASE WHEN mode_until <= ?3 THEN NULL ELSE mode_until END
    WHERE id = ?1";

/// Does not end a conversation in which a turn still waits for its answer: the answer belongs to it.
const END_IDLE: &str = "
    UPDATE conversations SET ended_at = ?2
    WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM turns t WHERE t.conversation_id = ?1
        AND t.live IS NOT NULL)";

const NEW_CONVERSATION: &str = "
    INSERT INTO conversations (id, contact_id, channel, our_address, reply_to, started_at, last_inbound_at, account)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7)";

const END_NOW: &str = "UPDATE conversations SET ended_at = ?2 WHERE id = ?1 AND ended_at IS NULL";

/// A contact who is not allowed is told so at most once in this time.
const REFUSAL_INTERVAL: Duration = Duration::from_secs(24 * 3600);

/// Counts one webhook that waits for its commit, until it is dropped.
struct UncommittedWebhook<'a>(&'a AtomicUsize);

impl<'a> UncommittedWebhook<'a> {
    fn count(counter: &'a AtomicUsize) -> UncommittedWebhook<'a> {
        counter.fetch_add(1, Ordering::Relaxed);
        UncommittedWebhook(counter)
    }
}

impl Drop for UncommittedWebhook<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Store {
    /// Stores an ordinary message from a contact; see [`Store::receive`].
    pub async fn receive_plain(
        &self,
        inbound: Inbound,
        record: Option<WebhookRecord>,
    ) -> Result<ReceiveOutcome, StoreError> {
        Ok(self.receive(inbound, record, Admission::default()).await?.outcome)
    }

    /// Returns which of these messages are stored already.
    pub async fn stored_messages(
        &self,
        channel: &'static str,
        ids: Vec<ProviderId>,
    ) -> Result<HashSet<ProviderId>, StoreError> {
        self.read(move |tx| {
            let mut known = HashSet::new();
            for id in &ids {
                if tx.fetch_optional(STORED_MESSAGE, args![channel, id.0.as_str()], |_| Ok(()))?.is_some() {
                    known.insert(id.clone());
                }
            }
            Ok(known)
        })
        .await
    }

    /// Stores a contact's message with the contact, the conversation, the turn that answers it (or that holds the
    /// reason why it is not answered), and the log of its webhook, all in one transaction. If the provider id is stored
    /// already, only the log changes.
    pub async fn receive(
        &self,
        inbound: Inbound,
        record: Option<WebhookRecord>,
        admission: Admission,
    ) -> Result<Received, StoreError> {
        let _waits = UncommittedWebhook::count(&self.uncommitted_webhooks);
        let (ids, options, erasure_key) = (self.ids.clone(), self.options, self.erasure_key.clone());
        // Serialized here and not in the transaction, for which every other write waits.
        let metadata = serde_json::to_string(&inbound.metadata).unwrap_or_else(|_| "{}".into());
        let missed = admission.missed_webhook.is_some();
        let work = move |tx: &mut dyn Tx| {
            let known =
                tx.fetch_optional(STORED_MESSAGE, args![inbound.channel, inbound.provider_id.0.as_str()], |row| {
                    row.uuid(0)
                })?;
            let erasure_key = erasure_key.as_ref();
            if let (None, Some(key)) = (known, erasure_key)
                && erased::is_erased(tx, key, &inbound, missed)?
            {
                if let Some(record) = &record {
                    webhook_log::insert(tx, &record.without_content(), None)?;
                }
                return Ok(Received::DUPLICATE);
            }
            let (message, received) = match known {
                Some(message) => (MessageId(message), Received::DUPLICATE),
                None => {
                    InboundTransaction { tx, ids: &ids, options, erasure_key, inbound: &inbound, admission: &admission }
                        .store_message(&metadata)?
                }
            };
            if let Some(record) = &record {
                webhook_log::insert(tx, record, Some(&message))?;
            }
            Ok(received)
        };
        // Nobody was told that a missed message is stored. If a power cut undoes it, the provider lists it again.
        if missed { self.write_unflushed(work).await } else { self.write(work).await }
    }
}

impl InboundTransaction<'_> {
    fn store_message(mut self, metadata: &str) -> Result<(MessageId, Received), StoreError> {
        let contact = resolve::resolve_contact(self.tx, self.inbound, &self.admission.account, self.erasure_key)?;
        let mut conversation = self.find_or_start_conversation(contact.id)?;
        let decision = self.decide(&contact, &conversation)?;
        // Attachments are not read if the sender is unknown, was told to slow down, opted out or is blocked, so that
        // such contacts cannot fill the disk.
        let read_attachments = match decision {
            Decision::Answer => true,
            Decision::Skip(_) => !contact.blocked && contact.opted_out.is_none(),
            Decision::RefuseUnknownSender | Decision::SlowDown(_) => false,
        };
        let fate = match (decision, self.admission.missed_webhook) {
            (
                Decision::Answer | Decision::RefuseUnknownSender | Decision::SlowDown(_),
                Some(MissedWebhook { is_too_old: true, .. }),
            ) => Decision::Skip("the webhook was missed, and the message is too old to answer (MYNAH_CATCH_UP_WITHIN)"),
            (fate, _) => fate,
        };
        let (turn, restarted) = match fate {
            Decision::Answer => {
                let (turn, restarted) = self.find_or_start_turn(&conversation)?;
                if self.admission.missed_webhook.is_some() {
                    let (sent_at, found_at) = (self.sent_at(), self.stored_at());
                    restored_work::mark_turn_of_missed(self.tx, turn, sent_at, found_at)?;
                }
                (turn, restarted)
            }
            Decision::RefuseUnknownSender => {
                (self.insert_skipped_turn(&conversation.id, "the contact is not allowed")?, false)
            }
            Decision::SlowDown(why) | Decision::Skip(why) => (self.insert_skipped_turn(&conversation.id, why)?, false),
        };
        let message = MessageId(self.new_message_id());
        let text_with_quote = quoted::text_with_quote(self.tx, self.inbound, contact.id)?;
        let new = NewMessage {
            role: Role::User,
            content: text_with_quote.as_deref().unwrap_or(&self.inbound.text),
            metadata,
            provider: Some((self.inbound.channel, &self.inbound.provider_id.0)),
            at: self.sent_at(),
            request: self.admission.request().map(BuiltInRequest::as_str),
        };
        insert_message(self.tx, &message, &conversation.id, turn, &new)?;
        attachments::insert(self.tx, &conversation.id, &message, &self.inbound.attachments, read_attachments)?;
        let accepted = match fate {
            Decision::Answer => {
                if self.admission.command == Some(Command::Reset) {
                    self.tx.execute(END_NOW, args![&conversation.id, self.stored_at()])?;
                }
                // A contact who opts out gets no notice.
                let opts_out = self.admission.command == Some(Command::OptOut);
                if let (Some(_), Some((text, every)), false) =
                    (self.admission.rate_wait, &self.admission.slow_down_notice, opts_out)
                {
                    self.send_notice(&contact, &mut conversation, text, *every)?;
                }
                ReceiveOutcome::Queued(turn)
            }
            Decision::RefuseUnknownSender => {
                if let Some(text) = &self.admission.refusal_text {
                    self.send_notice(&contact, &mut conversation, text, REFUSAL_INTERVAL)?;
                }
                ReceiveOutcome::Skipped(turn)
            }
            Decision::SlowDown(_) => {
                if let Some((text, every)) = &self.admission.slow_down_notice {
                    self.send_notice(&contact, &mut conversation, text, *every)?;
                }
                ReceiveOutcome::Skipped(turn)
            }
            Decision::Skip(_) => ReceiveOutcome::Skipped(turn),
        };
        // The cached history would get the text without the quotation, so it must be read again.
        let place = text_with_quote.is_none().then_some((conversation.id, conversation.revision));
        let counts = !contact.blocked;
        Ok((
            message,
            Received {
                outcome: accepted,
                conversation_revision: place,
                turn_restarted: restarted,
                counts_against_rate: counts,
            },
        ))
    }

    /// Returns the contact's open conversation on the number that they wrote to, or starts one.
    fn find_or_start_conversation(&mut self, contact: i64) -> Result<Conversation, StoreError> {
        let (channel, said, now) = (self.inbound.channel, self.sent_at(), self.stored_at());
        let (ours, reply_to) = (self.inbound.to.as_str(), resolve::reply_to(self.tx, self.inbound, contact)?);
        let reply_to = reply_to.as_str();
        let account = self.admission.account.as_str();
        let going = self.tx.fetch_optional(OPEN_CONVERSATION, args![contact, channel, ours], |row| {
            let over = row.int_or_null(4)?.is_some_and(|until| until <= said.0);
            let (human, last) = (row.text(3)? == "human" && !over, Time(row.int(1)?));
            let (id, revision) = (ConversationId(row.uuid(0)?), row.int(2)? + 1);
            Ok((Conversation { id, revision, human_mode: human, is_out_of_order: said < last }, last))
        })?;
        if let Some((conversation, last)) = going {
            let idle = last < said - self.options.conversation_ttl;
            if !(idle && self.tx.execute(END_IDLE, args![&conversation.id, now])? == 1) {
                self.tx.execute(CONTINUE, args![&conversation.id, reply_to, said, account])?;
                return Ok(conversation);
            }
        }
        let id = ConversationId(self.new_message_id());
        self.tx.execute(NEW_CONVERSATION, args![&id, contact, channel, ours, reply_to, said, account])?;
        Ok(Conversation { id, revision: 1, human_mode: false, is_out_of_order: false })
    }

    /// Sends the contact a notice once in a while, and not while an answer is on its way. Sends none to a contact who
    /// opted out.
    fn send_notice(
        &mut self,
        contact: &Contact,
        conversation: &mut Conversation,
        text: &str,
        every: Duration,
    ) -> Result<(), StoreError> {
        if contact.opted_out.is_some() {
            return Ok(());
        }
        let now = self.stored_at();
        let notice = Notice {
            contact: contact.id,
            conversation: &conversation.id,
            text,
            last_noticed_at: contact.noticed_at,
            min_interval: every,
        };
        if notice.send_if_due(self.tx, self.ids, now)? {
            conversation.revision += 1;
        }
        Ok(())
    }
}
