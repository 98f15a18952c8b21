//! What contacts attach: attachments that wait to be read, and the results of reading them.

use crate::clock::Time;
use crate::model::{Attachment, ConversationId, FileHash, Media, MessageId, ProviderId, TurnId};
use crate::store::database::{Row, Store, StoreError, Tx, args};
use crate::store::operations::files;
use crate::store::queue::turns::TurnClaim;

const NEW: &str = "
    INSERT INTO attachments (conversation_id, message_id, number, state, url, media_type, mark)
    VALUES (?1, ?2, ?3, 'waiting', ?4, ?5, ?6)";

const INSERT_UNREADABLE: &str = "
    INSERT INTO attachments (conversation_id, message_id, number, state, url, media_type, mark, error)
    VALUES (?1, ?2, ?3, 'unreadable', ?4, ?5, ?6, 'not fetched: mynah does not answer this message')";

/// The attachments of a turn, in the order in which they came.
const OF_TURN: &str = "
    SELECT a.message_id, a.number, a.url, a.media_type, a.mark, a.state
    FROM messages m JOIN attachments a ON a.conversation_id = m.conversation_id AND a.message_id = m.id
    WHERE m.conversation_id = ?1 AND m.turn_id = ?2 AND m.role = 'user'
    ORDER BY m.id, a.number";

const CONTENT: &str = "SELECT content FROM messages WHERE conversation_id = ?1 AND turn_id = ?2 AND id = ?3";

const SET_CONTENT: &str = "UPDATE messages SET content = ?4 WHERE conversation_id = ?1 AND turn_id = ?2 AND id = ?3";

const RECORD_READ: &str = "
    UPDATE attachments SET state = ?4, hash = ?5, shown = ?6, size = ?7, error = ?8, media_type = COALESCE(?9, media_type)
    WHERE conversation_id = ?1 AND message_id = ?2 AND number = ?3 AND state = 'waiting'";

const IS_CLAIM_CURRENT: &str = "SELECT 1 FROM turns WHERE id = ?1 AND token = ?2 AND state = 'running'";

const BUMP_REVISION: &str = "UPDATE conversations SET revision = revision + 1 WHERE id = ?1";

const REVISION: &str = "SELECT revision FROM conversations WHERE id = ?1";

/// The latest pictures up to a turn, latest first.
const PICTURES: &str = "
    SELECT m.provider_id, a.shown
    FROM messages m JOIN attachments a ON a.conversation_id = m.conversation_id AND a.message_id = m.id
    WHERE m.conversation_id = ?1 AND m.turn_id BETWEEN ?2 AND ?3 AND a.shown IS NOT NULL
    ORDER BY m.turn_id DESC, m.id DESC, a.number DESC LIMIT ?4";

/// Something that a contact attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAttachment {
    /// The message that the attachment came with.
    pub message: MessageId,
    /// Its number in the message, from 0.
    pub number: i64,
    /// Where to fetch it, and what is known about it.
    pub attachment: Attachment,
    /// Whether it has not been read yet.
    pub waiting: bool,
    /// Whether it could not be read.
    pub unreadable: bool,
}

/// The result of reading an attachment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachmentOutcome {
    /// The message that the attachment came with.
    pub message: MessageId,
    /// Its number in the message.
    pub number: i64,
    /// The text that replaces the placeholder in the message.
    pub text: String,
    /// The file as it came, if it was fetched.
    pub file: Option<Media>,
    /// The file that the model sees.
    pub model_image: Option<Media>,
    /// Why it could not be read, for the operator.
    pub error: Option<String>,
}

/// A picture that the model sees with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelPicture {
    /// The provider's id of the message that the picture came with.
    pub provider_id: ProviderId,
    /// The hash of the file.
    pub image: FileHash,
}

impl Store {
    /// Returns the attachments of a claimed turn, in order.
    pub async fn turn_attachments(&self, claim: &TurnClaim) -> Result<Vec<StoredAttachment>, StoreError> {
        let (conversation, turn) = (claim.conversation, claim.turn);
        self.read(move |tx| tx.fetch_all(OF_TURN, args![&conversation, turn], attachment_from_row)).await
    }

    /// Records the results of reading the attachments of a claimed turn, and writes their texts into the messages.
    /// Returns the conversation's new revision, or `None` if the claim was stale.
    pub async fn record_attachments(
        &self,
        claim: &TurnClaim,
        outcomes: Vec<AttachmentOutcome>,
        now: Time,
    ) -> Result<Option<i64>, StoreError> {
        let (turn, token, conversation) = (claim.turn, claim.token, claim.conversation);
        self.write(move |tx| {
            if tx.fetch_optional(IS_CLAIM_CURRENT, args![turn, token], |_| Ok(()))?.is_none() {
                return Ok(None);
            }
            record_outcomes(tx, (&conversation, turn), &outcomes, now)?;
            tx.execute(BUMP_REVISION, args![&conversation])?;
            tx.fetch_optional(REVISION, args![&conversation], |row| row.int(0))
        })
        .await
    }

    /// Returns the latest pictures that the model sees of the turns from `first` to `last`, oldest first, at most
    /// `most`.
    pub async fn pictures(
        &self,
        conversation: ConversationId,
        (first, last): (TurnId, TurnId),
        most: i64,
    ) -> Result<Vec<ModelPicture>, StoreError> {
        self.read(move |tx| {
            let found = tx.fetch_all(PICTURES, args![&conversation, first, last, most], |row| {
                let provider_id = row.text_or_null(0)?.map(|id| ProviderId(id.to_owned()));
                Ok(provider_id.zip(row.text_or_null(1)?.and_then(FileHash::parse)))
            })?;
            let mut found: Vec<_> = found
                .into_iter()
                .flatten()
                .map(|(provider_id, shown)| ModelPicture { provider_id, image: shown })
                .collect();
            found.reverse();
            Ok(found)
        })
        .await
    }
}

pub(in crate::store) fn insert(
    tx: &mut dyn Tx,
    conversation: &ConversationId,
    message: &MessageId,
    attachments: &[Attachment],
    will_be_read: bool,
) -> Result<(), StoreError> {
    let new = if will_be_read { NEW } else { INSERT_UNREADABLE };
    for (number, attachment) in (0_i64..).zip(attachments) {
        let Attachment { url, media_type, placeholder: mark } = attachment;
        tx.execute(new, args![conversation, message, number, url.as_str(), media_type.as_str(), mark.as_str()])?;
    }
    Ok(())
}

/// Records the results for the attachments that wait in a turn.
pub(in crate::store) fn record_outcomes(
    tx: &mut dyn Tx,
    (conversation, turn): (&ConversationId, TurnId),
    outcomes: &[AttachmentOutcome],
    now: Time,
) -> Result<(), StoreError> {
    let mut waiting = tx.fetch_all(OF_TURN, args![conversation, turn], attachment_from_row)?;
    waiting.retain(|one| one.waiting);
    for of_message in waiting.chunk_by(|one, next| one.message == next.message) {
        record_message_outcomes(tx, (conversation, turn), of_message, outcomes, now)?;
    }
    Ok(())
}

/// Records the results for one message's attachments, and replaces their placeholders with the texts.
fn record_message_outcomes(
    tx: &mut dyn Tx,
    (conversation, turn): (&ConversationId, TurnId),
    attached: &[StoredAttachment],
    outcomes: &[AttachmentOutcome],
    now: Time,
) -> Result<(), StoreError> {
    let Some(message) = attached.first().map(|one| one.message) else { return Ok(()) };
    let mut words = Vec::with_capacity(attached.len());
    for one in attached {
        let outcome = outcomes.iter().find(|outcome| (outcome.message, outcome.number) == (message, one.number));
        if let Some(outcome) = outcome {
            record_outcome(tx, conversation, outcome, now)?;
        }
        words.push((one.attachment.placeholder.as_str(), outcome.map(|outcome| outcome.text.as_str())));
    }
    let of = args![conversation, turn, &message];
    let Some(content) = tx.fetch_optional(CONTENT, of, |row| row.text(0).map(str::to_owned))? else { return Ok(()) };
    let content = replace_placeholders(&content, &words);
    tx.execute(SET_CONTENT, args![conversation, turn, &message, content.as_str()])?;
    Ok(())
}

fn record_outcome(
    tx: &mut dyn Tx,
    conversation: &ConversationId,
    outcome: &AttachmentOutcome,
    now: Time,
) -> Result<(), StoreError> {
    let state = if outcome.error.is_some() { "unreadable" } else { "read" };
    let file = outcome.file.as_ref();
    let hash = file.map(|file| file.hash.to_string());
    let size = file.map(|file| i64::try_from(file.size).unwrap_or(i64::MAX));
    let media_type = file.map(|file| file.media_type.as_str());
    let shown = outcome.model_image.as_ref().map(|shown| shown.hash.to_string());
    let (hash, shown, error) = (hash.as_deref(), shown.as_deref(), outcome.error.as_deref());
    let set = args![conversation, &outcome.message, outcome.number, state, hash, shown, size, error, media_type];
    tx.execute(RECORD_READ, set)?;
    for file in [&outcome.file, &outcome.model_image].into_iter().flatten() {
        files::add_file(tx, conversation, file, now)?;
    }
    Ok(())
}

/// Returns the message with the texts in place of their placeholders. Each placeholder stands on a line of its own
/// after what the contact wrote, in order. So the search starts at the end, and finds all placeholders before the first
/// is replaced, because a text may contain a placeholder. It accepts whole lines only, because locations,
/// advertisements and quotes come after the placeholders and may contain one too. Texts without a place are added at
/// the end.
fn replace_placeholders(content: &str, words: &[(&str, Option<&str>)]) -> String {
    let mut end = content.len();
    let mut places = Vec::with_capacity(words.len());
    for (mark, _) in words.iter().rev() {
        let whole_line = |(at, _): &(usize, &str)| {
            let (before, behind) = (&content[..*at], &content[at + mark.len()..]);
            (before.is_empty() || before.ends_with('\n')) && (behind.is_empty() || behind.starts_with('\n'))
        };
        let at = content[..end].rmatch_indices(mark).find(whole_line).map(|(at, _)| at);
        end = at.unwrap_or(end);
        places.push(at);
    }
    places.reverse();
    let (mut text, mut copied_to, mut unplaced) = (String::new(), 0, String::new());
    for ((mark, words), at) in words.iter().zip(places) {
        match (words, at) {
            (Some(words), Some(at)) => {
                text.push_str(&content[copied_to..at]);
                text.push_str(words);
                copied_to = at + mark.len();
            }
            (Some(words), None) => {
                unplaced.push('\n');
                unplaced.push_str(words);
            }
            (None, _) => {}
        }
    }
    [&text, &content[copied_to..], &unplaced].concat()
}

fn attachment_from_row(row: &dyn Row) -> Result<StoredAttachment, StoreError> {
    let state = row.text(5)?;
    Ok(StoredAttachment {
        message: MessageId(row.uuid(0)?),
        number: row.int(1)?,
        attachment: Attachment {
            url: row.text(2)?.to_owned(),
            media_type: row.text(3)?.to_owned(),
            placeholder: row.text(4)?.to_owned(),
        },
        waiting: state == "waiting",
        unreadable: state == "unreadable",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_take_the_places_of_their_marks_or_come_last() {
        for (content, words, expected) in [
            ("[image]", [("[image]", Some("[seen]"))].as_slice(), "[seen]"),
            (
                "a [image]\n[image]\n[location: [image]]",
                &[("[image]", Some("[seen]"))],
                "a [image]\n[seen]\n[location: [image]]",
            ),
            ("[image]\n[image]", &[("[image]", None), ("[image]", Some("[seen]"))], "[image]\n[seen]"),
            ("[image]\n[image]", &[("[image]", Some("[seen]")), ("[image]", None)], "[seen]\n[image]"),
            ("see [image]", &[("[image]", Some("[seen]"))], "see [image]\n[seen]"),
        ] {
            assert_eq!(replace_placeholders(content, words), expected);
        }
    }
}
