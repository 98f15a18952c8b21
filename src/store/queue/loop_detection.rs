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
const PREVIOUS_TURN: &str = "
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
const MAX_QUERIES: i64 = 256;

impl Store {
    /// In how many turns in a row before `turn` the claim's contact said `text`, beginning with the latest, in this
    /// conversation and in earlier ones on the same number: at most `most`, and none from before `since`. Turns that nothing
    /// was said to, and those that asked for something of ours, are passed over.
    pub async fn count_repeats(
        &self,
        claim: &TurnClaim,
        turn: TurnId,
        text: String,
        since: Time,
        most: usize,
    ) -> Result<usize, StoreError> {
        let earlier = EarlierTurns::of(claim, turn);
        self.read(move |tx| {
            let (mut earlier, mut repeat_count) = (earlier.clone(), 0);
            while repeat_count < most
                && let Some(turn) = earlier.next(tx)?
                && turn.at >= since
            {
                match turn.last_text.trim() == text.trim() {
                    true => repeat_count += usize::from(turn.answered),
                    false if turn.answered => break,
                    false => {}
                }
            }
            Ok(repeat_count)
        })
        .await
    }

    /// How many turns of the claim's contact that began after `since` were answered, before this one, in this conversation and in earlier
    /// ones on the same number: at most `most`. Those that asked for something of ours do not count.
    pub async fn count_answered(&self, claim: &TurnClaim, since: Time, most: usize) -> Result<usize, StoreError> {
        let earlier = EarlierTurns::of(claim, claim.turn);
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
struct EarlierTurn {
    last_text: String,
    at: Time,
    /// By us, and not in return for a word.
    answered: bool,
}

/// The turns of a contact on one of our numbers, the latest first, through their conversations.
#[derive(Clone)]
struct EarlierTurns {
    contact: i64,
    channel: String,
    our_address: String,
    conversation: ConversationId,
    before_turn: TurnId,
    conversations: Option<std::vec::IntoIter<ConversationId>>,
    queries: i64,
}

impl EarlierTurns {
    /// Those before `turn`, of the contact and number of that claim.
    fn of(claim: &TurnClaim, turn: TurnId) -> EarlierTurns {
        EarlierTurns {
            contact: claim.contact,
            channel: claim.channel.clone(),
            our_address: claim.from.clone(),
            conversation: claim.conversation,
            before_turn: turn,
            conversations: None,
            queries: 0,
        }
    }

    /// The one before; `None` where there is none, or enough have been looked at.
    fn next(&mut self, tx: &mut dyn Tx) -> Result<Option<EarlierTurn>, StoreError> {
        while self.queries < MAX_QUERIES {
            self.queries += 1;
            let found = tx.fetch_optional(PREVIOUS_TURN, args![&self.conversation, self.before_turn], |row| {
                let turn = EarlierTurn {
                    last_text: row.text(1)?.to_owned(),
                    at: Time(row.int(2)?),
                    answered: row.int(3)? != 0,
                };
                Ok((TurnId(row.int(0)?), turn))
            })?;
            if let Some((id, turn)) = found {
                self.before_turn = id;
                return Ok(Some(turn));
            }
            if self.conversations.is_none() {
                let of = args![
                    self.contact,
                    self.channel.as_str(),
                    self.our_address.as_str(),
                    &self.conversation,
                    MAX_QUERIES
                ];
                let ids = tx.fetch_all(EARLIER, of, |row| row.uuid(0).map(ConversationId))?;
                self.conversations = Some(ids.into_iter());
            }
            let Some(next) = self.conversations.as_mut().and_then(Iterator::next) else { return Ok(None) };
            (self.conversation, self.before_turn) = (next, TurnId(i64::MAX));
        }
        Ok(None)
    }
}
