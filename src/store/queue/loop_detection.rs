//! How often a contact was answered, and in how many turns in a row they said the same, over all their conversations on one
//! of our numbers: a machine whose words begin new conversations is one all the same.

use super::turns::TurnClaim;
use crate::clock::Time;
use crate::model::{ConversationId, TurnId};
use crate::store::database::Store;
use crate::store::database::StoreError;
use crate::store::database::Tx;
use crate::store::database::args;

/// What the contact said last in the latest turn before that one.
const SAID: &str = "
    SELECT m.turn_id, m.content, t.created_at, t.command IS NULL AND t.state IN ('sending', 'done', 'dead')
    FROM messages m JOIN turns t ON t.id = m.turn_id
    WHERE m.conversation_id = ?1 AND m.turn_id < ?2 AND m.role = 'user'
    ORDER BY m.turn_id DESC, m.id DESC LIMIT 1";

/// The index over a contact's conversations holds their ids in order, so none is written for this.
const EARLIER: &str = "
    SELECT id FROM conversations
    WHERE contact_id = ?1 AND channel = ?2 AND our_address = ?3 AND is_open IS NULL AND id < ?4
    ORDER BY id DESC LIMIT ?5";

/// Turns that are looked at, and earlier conversations, at the most.
const LOOKS: i64 = 256;

impl Store {
    /// In how many turns in a row before `turn` the claim's contact said `text`, beginning with the latest, in this
    /// conversation and in earlier ones on the same number: at most `most`, and none from before `since`. Turns that nothing
    /// was said to, and those that asked for something of ours, are passed over.
    pub async fn repeats(
        &self,
        claim: &TurnClaim,
        turn: TurnId,
        text: String,
        since: Time,
        most: usize,
    ) -> Result<usize, StoreError> {
        let earlier = Earlier::of(claim, turn);
        self.read(move |tx| {
            let (mut earlier, mut same) = (earlier.clone(), 0);
            while same < most
                && let Some(turn) = earlier.next(tx)?
                && turn.at >= since
            {
                match turn.said.trim() == text.trim() {
                    true => same += usize::from(turn.answered),
                    false if turn.answered => break,
                    false => {}
                }
            }
            Ok(same)
        })
        .await
    }

    /// How many turns of the claim's contact that began after `since` were answered, before this one, in this conversation and in earlier
    /// ones on the same number: at most `most`. Those that asked for something of ours do not count.
    pub async fn answered_since(&self, claim: &TurnClaim, since: Time, most: usize) -> Result<usize, StoreError> {
        let earlier = Earlier::of(claim, claim.turn);
        self.read(move |tx| {
            let (mut earlier, mut answered) = (earlier.clone(), 0);
            while answered < most
                && let Some(turn) = earlier.next(tx)?
                && turn.at > since
            {
                answered += usize::from(turn.answered);
            }
            Ok(answered)
        })
        .await
    }
}

/// A turn, and what the contact said last in it.
struct Turn {
    said: String,
    at: Time,
    /// By us, and not in return for a word.
    answered: bool,
}

/// The turns of a contact on one of our numbers, the latest first, through their conversations.
#[derive(Clone)]
struct Earlier {
    contact: i64,
    channel: String,
    ours: String,
    conversation: ConversationId,
    before: TurnId,
    conversations: Option<std::vec::IntoIter<ConversationId>>,
    looks: i64,
}

impl Earlier {
    /// Those before `turn`, of the contact and number of that claim.
    fn of(claim: &TurnClaim, turn: TurnId) -> Earlier {
        Earlier {
            contact: claim.contact,
            channel: claim.channel.clone(),
            ours: claim.from.clone(),
            conversation: claim.conversation,
            before: turn,
            conversations: None,
            looks: 0,
        }
    }

    /// The one before; `None` where there is none, or enough have been looked at.
    fn next(&mut self, tx: &mut dyn Tx) -> Result<Option<Turn>, StoreError> {
        while self.looks < LOOKS {
            self.looks += 1;
            let found = tx.one(SAID, args![&self.conversation, self.before], |row| {
                let turn = Turn { said: row.text(1)?.to_owned(), at: Time(row.int(2)?), answered: row.int(3)? != 0 };
                Ok((TurnId(row.int(0)?), turn))
            })?;
            if let Some((id, turn)) = found {
                self.before = id;
                return Ok(Some(turn));
            }
            if self.conversations.is_none() {
                let of = args![self.contact, self.channel.as_str(), self.ours.as_str(), &self.conversation, LOOKS];
                let ids = tx.all(EARLIER, of, |row| row.uuid(0).map(ConversationId))?;
                self.conversations = Some(ids.into_iter());
            }
            let Some(next) = self.conversations.as_mut().and_then(Iterator::next) else { return Ok(None) };
            (self.conversation, self.before) = (next, TurnId(i64::MAX));
        }
        Ok(None)
    }
}
