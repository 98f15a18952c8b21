//! Decides, in the transaction that stores a message, whether it is answered.

use super::admission::SenderStatus;
use super::catch_up::superseded_reason;
use super::message_transaction::{Conversation, InboundTransaction};
use crate::model::Command;
use crate::store::contacts::opt_out::cancel_pending;
use crate::store::contacts::resolve::{self, Contact};
use crate::store::database::{StoreError, args};
use crate::store::operations::erased;
use crate::store::queue::backlog_limit::is_backlog_full;

const OPT_OUT: &str = "UPDATE contacts SET opted_out_at = ?2 WHERE id = ?1";

const OPT_IN: &str = "UPDATE contacts SET opted_out_at = NULL WHERE id = ?1";

const ADMIT: &str = "UPDATE contacts SET admitted_at = ?2 WHERE id = ?1";

/// What becomes of a message.
pub(in crate::store) enum Decision {
    Answer,
    /// Do not answer; tell the contact that the assistant is not for them.
    RefuseUnknownSender,
    /// Do not answer; tell the contact to slow down.
    SlowDown(&'static str),
    Skip(&'static str),
}

impl InboundTransaction<'_> {
    /// Decides whether the message is answered, and writes what it changes for the contact.
    pub(in crate::store) fn decide(
        &mut self,
        contact: &Contact,
        conversation: &Conversation,
    ) -> Result<Decision, StoreError> {
        let (said, now) = (self.sent_at(), self.stored_at());
        if let (Some(_), Some(command)) = (self.admission.missed_webhook, self.admission.command)
            && let Some(why) = superseded_reason(self.tx, command, said, contact.id, contact.opted_out)?
        {
            return Ok(Decision::Skip(why));
        }
        if contact.blocked {
            // A blocked contact's STOP or START counts from the day on which they are unblocked. Until then nothing is
            // sent, so nothing is confirmed.
            match self.admission.command {
                Some(Command::OptOut) => self.tx.execute(OPT_OUT, args![contact.id, said])?,
                Some(Command::OptIn) => self.opt_in(contact.id)?,
                _ => 0,
            };
            return Ok(Decision::Skip("the contact is blocked"));
        }
        let mut sender_status = self.admission.sender;
        if sender_status == SenderStatus::Unknown && !contact.admitted && self.is_allowed_sender(contact.id)? {
            sender_status = SenderStatus::Allowed;
        }
        match sender_status {
            SenderStatus::HasPairingCode if !contact.admitted => {
                self.tx.execute(ADMIT, args![contact.id, now])?;
                return Ok(Decision::Answer);
            }
            // Anybody may opt out, or opt in again, without having been admitted. Everything else is refused.
            SenderStatus::Unknown if !contact.admitted => match self.admission.command {
                Some(Command::OptOut) => {}
                Some(Command::OptIn) if contact.opted_out.is_some() => {}
                _ => return Ok(Decision::RefuseUnknownSender),
            },
            _ => {}
        }
        match self.admission.command {
            Some(Command::OptIn) => {
                self.opt_in(contact.id)?;
                return Ok(Decision::Answer);
            }
            _ if contact.opted_out.is_some() => return Ok(Decision::Skip("the contact opted out")),
            Some(Command::OptOut) => {
                self.tx.execute(OPT_OUT, args![contact.id, said])?;
                cancel_pending(self.tx, contact.id, "the contact opted out", now)?;
                return Ok(Decision::Answer);
            }
            // Each reset starts a conversation, so a flood of resets would be a flood of answers.
            Some(Command::Reset) if self.admission.rate_wait.is_some() => {
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

    /// Records that the contact wants messages again. Returns how many rows of contacts changed.
    fn opt_in(&mut self, contact: i64) -> Result<u64, StoreError> {
        if let Some(key) = self.erasure_key {
            let held = resolve::addresses(self.tx, contact)?;
            erased::clear_opt_out(self.tx, key, held.iter().map(|held| &held.address))?;
        }
        self.tx.execute(OPT_IN, args![contact])
    }

    /// Returns whether an address of the sender that the message does not carry is on the allowlist.
    fn is_allowed_sender(&mut self, contact: i64) -> Result<bool, StoreError> {
        let allowed = &self.admission.allowed_senders;
        Ok(!allowed.is_empty()
            && resolve::addresses(self.tx, contact)?.iter().any(|held| allowed.contains(&held.address)))
    }
}
