//! Receives a message: decides who wrote it, whether it is answered, and in which turn.
//!
//! What can be found out without the database is found out before and arrives as an [`Admission`]. What the database
//! knows (who opted out, who is blocked, who answers this conversation) is decided here, in the transaction that stores
//! the message, so that nothing can change in between.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::admission::{Admission, MissedWebhook, ReceiveOutcome, Received, SenderStatus};
use super::catch_up::superseded_reason;
use super::webhook_log::WebhookRecord;
use super::{attachments, quoted, webhook_log};
use crate::clock::Time;
use crate::model::{Attachment, Command, ConversationId, Inbound, MessageId, ProviderId, Role, TurnId};
use crate::store::contacts::opt_out::cancel_pending;
use crate::store::contacts::resolve;
use crate::store::contacts::resolve::Contact;
use crate::store::conversations::messages::{NewMessage, insert_message};
use crate::store::database::ids::IdGenerator;
use crate::store::database::{Store, StoreError, StoreOptions, Tx, args};
use crate::store::queue::backlog_limit::is_backlog_full;
use crate::store::queue::built_in_request::BuiltInRequest;
use crate::store::queue::contact_notices::Notice;

const STORED_MESSAGE: &str =
    "SELECT id FROM messages WHERE channel = ?1 AND provider_id = ?2 AND provider_id IS NOT NULL";

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

/// At most two turns: the open one and the active one.
const LIVE_TURNS: &str = "
    SELECT id, state, created_at, command FROM turns
    WHERE conversation_id = ?1 AND live IS NOT NULL";

const NEW_TURN: &str = "
    INSERT INTO turns (conversation_id, state, live, created_at, due_at, not_before, command)
    VALUES (?1, 'open', 1, ?2, ?3, ?4, ?5)";

/// A turn with a command does not wait for the end of the merge window, but it does wait for the contact's rate limit
/// like any other turn.
const SET_COMMAND: &str = "
    UPDATE turns SET command = ?2,
        due_at = CASE WHEN due_at IS NULL THEN NULL ELSE MIN(due_at, MAX(?3, COALESCE(not_before, 0))) END
    WHERE id = ?1";

/// More pictures may follow, even after the turn before has ended. A turn with a command does not wait for them.
const WAIT_FOR_MORE: &str = "
    UPDATE turns SET
        not_before = CASE WHEN due_at IS NULL THEN MAX(COALESCE(not_before, 0), MIN(?2, created_at + ?3)) ELSE not_before END,
        due_at = CASE WHEN due_at IS NULL THEN NULL ELSE MAX(due_at, MIN(?2, created_at + ?3)) END
    WHERE id = ?1 AND command IS NULL";

const SKIPPED_TURN: &str = "
    INSERT INTO turns (conversation_id, state, created_at, finished_at, error) VALUES (?1, 'skipped', ?2, ?2, ?3)";

/// The attempt does not count, because the turn was given up only so that the model reads more. An operator's turn is
/// not sent to a model, so it is not restarted.
const RESTART: &str = "
    UPDATE turns SET state = 'retry', due_at = ?2, attempts = attempts - 1, token = NULL
    WHERE id = ?1 AND state = 'running' AND COALESCE(command, '') <> 'operator'";

const OPT_OUT: &str = "UPDATE contacts SET opted_out_at = ?2 WHERE id = ?1";

const OPT_IN: &str = "UPDATE contacts SET opted_out_at = NULL WHERE id = ?1";

const ADMIT: &str = "UPDATE contacts SET admitted_at = ?2 WHERE id = ?1";

/// An older turn is not restarted for one more message, so that a contact who never stops writing gets an answer too.
const RESTART_MAX_AGE: Duration = Duration::from_secs(30);

/// An album arrives as one message for each picture, one after the other as they are uploaded. After each picture,
/// mynah waits this long for the next.
const ALBUM_GAP: Duration = Duration::from_secs(3);

/// The longest that mynah waits for all pictures of an album, in milliseconds.
const ALBUM_MAX_MILLIS: i64 = 15_000;

/// A contact who is not allowed is told so at most once in this time.
const REFUSAL_INTERVAL: Duration = Duration::from_secs(24 * 3600);

struct Conversation {
    id: ConversationId,
    revision: i64,
    human_mode: bool,
    /// Whether the conversation holds newer messages than this one, which was missed.
    is_out_of_order: bool,
}

enum Decision {
    Answer,
    /// Do not answer; tell the contact that the assistant is not for them.
    RefuseUnknownSender,
    /// Do not answer; tell the contact to slow down.
    SlowDown(&'static str),
    Skip(&'static str),
}

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
        reception: Admission,
    ) -> Result<Received, StoreError> {
        let _waits = UncommittedWebhook::count(&self.uncommitted_webhooks);
        let (ids, options) = (self.ids.clone(), self.options);
        // Serialized here and not in the transaction, for which every other write waits.
        let metadata = serde_json::to_string(&inbound.metadata).unwrap_or_else(|_| "{}".into());
        let missed = reception.missed_webhook.is_some();
        let work = move |tx: &mut dyn Tx| {
            let known =
                tx.fetch_optional(STORED_MESSAGE, args![inbound.channel, inbound.provider_id.0.as_str()], |row| {
                    row.uuid(0)
                })?;
            let (message, received) = match known {
                Some(message) => (MessageId(message), Received::DUPLICATE),
                None => InboundTransaction { tx, ids: &ids, options, inbound: &inbound, reception: &reception }
                    .store_message(&metadata)?,
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

/// The transaction that stores one message.
struct InboundTransaction<'a> {
    tx: &'a mut dyn Tx,
    ids: &'a IdGenerator,
    options: StoreOptions,
    inbound: &'a Inbound,
    reception: &'a Admission,
}

impl InboundTransaction<'_> {
    /// When the message was sent. This orders what the contact said, and WhatsApp's 24 hours start here.
    fn sent_at(&self) -> Time {
        self.inbound.received_at
    }

    /// When the message is stored, which is later for a missed message. What mynah does about the message counts from
    /// here.
    fn stored_at(&self) -> Time {
        self.reception.missed_webhook.map_or(self.sent_at(), |missed| missed.found_at)
    }

    /// Returns a new id, made from the time at which the message was sent.
    fn new_message_id(&self) -> uuid::Uuid {
        if self.reception.missed_webhook.is_some() {
            self.ids.backdated_id(self.sent_at())
        } else {
            self.ids.next(self.sent_at())
        }
    }

    fn store_message(mut self, metadata: &str) -> Result<(MessageId, Received), StoreError> {
        let contact = resolve::resolve_contact(self.tx, self.inbound, &self.reception.account)?;
        let mut conversation = self.find_or_start_conversation(contact.id)?;
        let decision = self.decide(&contact, &conversation)?;
        // Attachments are not read if the sender is unknown, was told to slow down, opted out or is blocked, so that
        // such contacts cannot fill the disk.
        let read_attachments = match decision {
            Decision::Answer => true,
            Decision::Skip(_) => !contact.blocked && contact.opted_out.is_none(),
            Decision::RefuseUnknownSender | Decision::SlowDown(_) => false,
        };
        let fate = match (decision, self.reception.missed_webhook) {
            (
                Decision::Answer | Decision::RefuseUnknownSender | Decision::SlowDown(_),
                Some(MissedWebhook { is_too_old: true, .. }),
            ) => Decision::Skip("the webhook was missed, and the message is too old to answer (MYNAH_CATCH_UP_WITHIN)"),
            (fate, _) => fate,
        };
        let (turn, restarted) = match fate {
            Decision::Answer => self.find_or_start_turn(&conversation)?,
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
            request: self.reception.request().map(BuiltInRequest::as_str),
        };
        insert_message(self.tx, &message, &conversation.id, turn, &new)?;
        attachments::insert(self.tx, &conversation.id, &message, &self.inbound.attachments, read_attachments)?;
        let accepted = match fate {
            Decision::Answer => {
                if self.reception.command == Some(Command::Reset) {
                    self.tx.execute(END_NOW, args![&conversation.id, self.stored_at()])?;
                }
                // A contact who opts out gets no notice.
                let opts_out = self.reception.command == Some(Command::OptOut);
                if let (Some(_), Some((text, every)), false) =
                    (self.reception.rate_wait, &self.reception.slow_down_notice, opts_out)
                {
                    self.send_notice(&contact, &mut conversation, text, *every)?;
                }
                ReceiveOutcome::Queued(turn)
            }
            Decision::RefuseUnknownSender => {
                if let Some(text) = &self.reception.refusal_text {
                    self.send_notice(&contact, &mut conversation, text, REFUSAL_INTERVAL)?;
                }
                ReceiveOutcome::Skipped(turn)
            }
            Decision::SlowDown(_) => {
                if let Some((text, every)) = &self.reception.slow_down_notice {
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
        let account = self.reception.account.as_str();
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

    /// Decides whether the message is answered, and writes what it changes for the contact.
    fn decide(&mut self, contact: &Contact, conversation: &Conversation) -> Result<Decision, StoreError> {
        let (said, now) = (self.sent_at(), self.stored_at());
        if let (Some(_), Some(command)) = (self.reception.missed_webhook, self.reception.command)
            && let Some(why) = superseded_reason(self.tx, command, said, contact.id, contact.opted_out)?
        {
            return Ok(Decision::Skip(why));
        }
        if contact.blocked {
            // A blocked contact's STOP or START counts from the day on which they are unblocked. Until then nothing is
            // sent, so nothing is confirmed.
            match self.reception.command {
                Some(Command::OptOut) => self.tx.execute(OPT_OUT, args![contact.id, said])?,
                Some(Command::OptIn) => self.tx.execute(OPT_IN, args![contact.id])?,
                _ => 0,
            };
            return Ok(Decision::Skip("the contact is blocked"));
        }
        let mut sender_status = self.reception.sender;
        if sender_status == SenderStatus::Unknown && !contact.admitted && self.is_allowed_sender(contact.id)? {
            sender_status = SenderStatus::Allowed;
        }
        match sender_status {
            SenderStatus::HasPairingCode if !contact.admitted => {
                self.tx.execute(ADMIT, args![contact.id, now])?;
                return Ok(Decision::Answer);
            }
            // Anybody may opt out, or opt in again, without having been admitted. Everything else is refused.
            SenderStatus::Unknown if !contact.admitted => match self.reception.command {
                Some(Command::OptOut) => {}
                Some(Command::OptIn) if contact.opted_out.is_some() => {}
                _ => return Ok(Decision::RefuseUnknownSender),
            },
            _ => {}
        }
        match self.reception.command {
            Some(Command::OptIn) => {
                self.tx.execute(OPT_IN, args![contact.id])?;
                return Ok(Decision::Answer);
            }
            _ if contact.opted_out.is_some() => return Ok(Decision::Skip("the contact opted out")),
            Some(Command::OptOut) => {
                self.tx.execute(OPT_OUT, args![contact.id, said])?;
                cancel_pending(self.tx, contact.id, "the contact opted out", now)?;
                return Ok(Decision::Answer);
            }
            // Each reset starts a conversation, so a flood of resets would be a flood of answers.
            Some(Command::Reset) if self.reception.rate_wait.is_some() => {
                return Ok(Decision::SlowDown("the contact is over the rate limit"));
            }
            Some(Command::Reset) if is_backlog_full(self.tx, contact.id)? => {
                return Ok(Decision::SlowDown("the contact is at the backlog limit: too many turns still wait"));
            }
            Some(Command::Reset) => return Ok(Decision::Answer),
            _ => {}
        }
        Ok(if conversation.human_mode {
            Decision::Skip("a person answers this conversation")
        } else {
            Decision::Answer
        })
    }

    /// Returns whether an address of the sender that the message does not carry is on the allowlist.
    fn is_allowed_sender(&mut self, contact: i64) -> Result<bool, StoreError> {
        let allowed = &self.reception.allowed_senders;
        Ok(!allowed.is_empty()
            && resolve::addresses(self.tx, contact)?.iter().any(|held| allowed.contains(&held.address)))
    }

    /// Returns the turn that answers the message, and whether this restarted work that had begun on it. The open turn
    /// takes everything that is said until it is claimed. A new turn waits while another one is active.
    fn find_or_start_turn(&mut self, conversation: &Conversation) -> Result<(TurnId, bool), StoreError> {
        let (now, overtaken, conversation) = (self.stored_at(), conversation.is_out_of_order, &conversation.id);
        let word = self.reception.request();
        let command = word.map(BuiltInRequest::as_str);
        let live = self.tx.fetch_all(LIVE_TURNS, args![conversation], |row| {
            let before = row.text_or_null(3)?.and_then(BuiltInRequest::parse);
            Ok((TurnId(row.int(0)?), row.text(1)?.to_owned(), Time(row.int(2)?), before))
        })?;
        let album = self.inbound.attachments.iter().any(Attachment::can_be_in_album);
        if let Some((turn, _, _, before)) = live.iter().find(|(_, state, ..)| state == "open") {
            if let Some(word) = word {
                let word = match before {
                    Some(later) if overtaken => later.merged_with_earlier(Some(word)),
                    before => word.merged_with_earlier(*before),
                };
                self.tx.execute(SET_COMMAND, args![*turn, word.as_str(), now])?;
            } else if album {
                self.tx.execute(WAIT_FOR_MORE, args![*turn, now + ALBUM_GAP, ALBUM_MAX_MILLIS])?;
            }
            return Ok((*turn, false));
        }
        let merge = if album { self.options.merge_window.max(ALBUM_GAP) } else { self.options.merge_window };
        let soon = now + merge;
        if let [(turn, state, created_at, _)] = live.as_slice()
            && state == "running"
            && self.reception.restart_running_turn
            && command.is_none()
            && *created_at > now - RESTART_MAX_AGE
            && self.tx.execute(RESTART, args![*turn, soon])? == 1
        {
            return Ok((*turn, true));
        }
        // The one confirmation after STOP does not wait for anything.
        let opts_out = self.reception.command == Some(Command::OptOut);
        let not_before = self.reception.rate_wait.filter(|_| !opts_out).map(|wait| now + wait);
        let soon = if command.is_some() { now } else { soon };
        let due = not_before.map_or(soon, |at| at.max(soon));
        let due = live.is_empty().then_some(due);
        // The turn becomes due when the active one has ended, which may be before the rest of an album has arrived.
        let not_before = if due.is_none() && album { not_before.max(Some(now + ALBUM_GAP)) } else { not_before };
        Ok((TurnId(self.tx.insert(NEW_TURN, args![conversation, now, due, not_before, command])?), false))
    }

    fn insert_skipped_turn(&mut self, conversation: &ConversationId, why: &str) -> Result<TurnId, StoreError> {
        Ok(TurnId(self.tx.insert(SKIPPED_TURN, args![conversation, self.stored_at(), why])?))
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
