//! Steps that the tests of operators' files and of templates share.

use mynah::model::{ContentSid, ConversationId, Template, TurnId, Variables};
use mynah::store::{BuiltInRequest, OperatorMessageOutcome, Reply, TurnClaim};

use crate::setup::fresh_store::{ANN, FreshStore, at};

/// 23 hours, in milliseconds.
pub(super) const TWENTY_THREE_HOURS: i64 = 23 * 3_600_000;

/// A contact wrote and was answered; the conversation.
pub(super) async fn answered_conversation(fresh: &FreshStore) -> ConversationId {
    let claim = fresh.claimed_turn(ANN).await;
    let (part, token) = fresh.answer(&claim, &["Hello."]).await;
    assert!(fresh.provider_accepts(part, token, "SM-first", at(1_000)).await);
    claim.conversation
}

pub(super) fn template() -> Template {
    Template {
        sid: ContentSid::parse("HX00000000000000000000000000000001").unwrap(),
        variables: Variables::new([("1".to_owned(), "Ana".to_owned())]).unwrap(),
    }
}

pub(super) async fn send_template(fresh: &FreshStore, id: ConversationId, now: i64) -> (ConversationId, TurnId) {
    match fresh.send_template(id, template(), at(now)).await.unwrap() {
        (id, OperatorMessageOutcome::Queued(turn)) => (id, turn),
        other => panic!("{other:?}"),
    }
}

/// The turn's messages go out as they are, the first at once.
pub(super) async fn begin_sending(fresh: &FreshStore, claim: &TurnClaim, now: i64) -> mynah::store::StoredReply {
    assert_eq!(claim.request, Some(BuiltInRequest::Operator));
    let drafts = fresh.turn_drafts(claim).await.unwrap();
    fresh.reply_unless_human(claim, Reply::Operator, drafts, None, at(now)).await.unwrap().unwrap()
}

pub(super) async fn conversation_lines(fresh: &FreshStore, id: ConversationId) -> Vec<String> {
    let (_, said) = fresh.conversation(id, 10).await.unwrap().unwrap();
    said.iter().map(|said| format!("{}: {}", said.role.as_str(), said.content)).collect()
}
