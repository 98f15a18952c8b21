//! How often in a row a contact has said the same, over all their conversations on one of our numbers: a machine whose
//! words begin new conversations is one all the same.

use super::database::args;
use super::{Store, StoreError, TurnClaim};
use crate::clock::Time;
use crate::model::{ConversationId, TurnId};

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
const LOOKS: i64 = 32;

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
        let (conversation, contact) = (claim.conversation, claim.contact);
        let (channel, ours) = (claim.channel.clone(), claim.from.clone());
        self.read(move |tx| {
            let (mut same, mut looks) = (0, 0);
            let (mut conversation, mut before) = (conversation, turn);
            let mut earlier = None;
            while same < most && looks < LOOKS {
                looks += 1;
                let said = tx.one(SAID, args![&conversation, before], |row| {
                    let (turn, same) = (TurnId(row.int(0)?), row.text(1)?.trim() == text.trim());
                    Ok((turn, same, Time(row.int(2)?), row.int(3)? != 0))
                })?;
                match said {
                    Some((.., at, _)) if at < since => break,
                    Some((_, false, _, true)) => break,
                    Some((turn, _, _, answered)) => {
                        same += usize::from(answered);
                        before = turn;
                    }
                    None => {
                        if earlier.is_none() {
                            let of = args![contact, channel.as_str(), ours.as_str(), &conversation, LOOKS];
                            let ids = tx.all(EARLIER, of, |row| row.uuid(0).map(ConversationId))?;
                            earlier = Some(ids.into_iter());
                        }
                        let Some(next) = earlier.as_mut().and_then(Iterator::next) else { break };
                        (conversation, before) = (next, TurnId(i64::MAX));
                    }
                }
            }
            Ok(same)
        })
        .await
    }
}
