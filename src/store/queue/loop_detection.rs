//! Counts for the loop guard: how many turns of a contact were answered, and in how many turns in a row the contact
//! said the same. Both count over all conversations of the contact on one of our numbers, because a bot's messages may
//! start new conversations.

use super::turns::TurnClaim;
use crate::clock::Time;
use crate::model::{ConversationId, TurnId};
use crate::store::database::{Store, StoreError, Tx, args};

/// The contact's last message in the latest turn before the given one.
const PREVIOUS_TURN: &str = "
    SELECT m.turn_id, m.content, t.created_at, t.command IS NULL AND t.state IN ('sending', 'done', 'dead')
    FROM messages m JOIN turns t ON t.id = m.turn_id
    WHERE m.conversation_id = ?1 AND m.turn_id < ?2 AND m.role = 'user'
    ORDER BY m.turn_id DESC, m.id DESC LIMIT 1";

/// The index over a contact's conversations holds their ids in order, so this query needs no index of its own.
const EARLIER: &str = "
    SELECT id FROM conversations
    WHERE contact_id = ?1 AND channel = ?2 AND our_address = ?3 AND is_open IS NULL AND id < ?4
    ORDER BY id DESC LIMIT ?5";

/// The most queries for a turn, and the most earlier conversations.
const MAX_QUERIES: i64 = 256;

impl Store {
    /// Counts the turns in a row before `turn` in which the claim's contact said `text`. Starts with the latest, and
    /// covers this conversation and earlier ones on the same number. Counts at most `most` turns, and none from before
    /// `since`. Turns that were not answered, and turns with a built-in request, neither count nor end the row.
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

    /// Counts the turns of the claim's contact before this one that began after `since` and were answered, in this
    /// conversation and in earlier ones on the same number. Counts at most `most` turns. Turns with a built-in request
    /// do not count.
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

/// A turn, and the contact's last message in it.
struct EarlierTurn {
    last_text: String,
    at: Time,
    /// Whether mynah answered the turn, other than to a built-in request.
    answered: bool,
}

/// The turns of a contact on one of our numbers, latest first, across conversations.
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
    /// Starts before `turn`, with the contact and the number of the claim.
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

    /// Returns the turn before, or `None` if there is none or enough queries were made.
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
