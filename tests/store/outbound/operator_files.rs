//! Files that an operator sends.

use mynah::model::{ConversationId, FileHash, Media, TurnId};
use mynah::store::{Draft, LookupOutcome, OperatorMessageOutcome, PartSplitOutcome};

use super::operator_steps::{
    TWENTY_THREE_HOURS, answered_conversation, begin_sending, conversation_lines, send_template,
};
use crate::setup::fresh_store::{ANN, FreshStore, at, sid};

const PICTURE: &str = "image/jpeg";
const DOCUMENT: &str = "application/pdf";

fn file(number: u8, media_type: &str) -> Media {
    Media { hash: FileHash::new([number; 32]), media_type: media_type.into(), name: "menu.x".into(), size: 3 }
}

async fn send_file(fresh: &FreshStore, id: ConversationId, text: &str, file: Media, now: i64) -> TurnId {
    match fresh.send_operator_file(id, text.into(), file, None, at(now)).await.unwrap() {
        OperatorMessageOutcome::Queued(turn) => turn,
        other => panic!("{other:?}"),
    }
}

pub async fn a_file_is_sent_with_its_caption_and_stands_in_the_history(fresh: &FreshStore) {
    let id = answered_conversation(fresh).await;
    let turn = send_file(fresh, id, "Our menu", file(1, PICTURE), 2_000).await;
    let claim = fresh.due_turn(at(2_000)).await;
    let hash = Some(FileHash::new([1; 32]));
    let drafts = fresh.turn_drafts(&claim).await.unwrap();
    assert_eq!(drafts, [Draft { text: "Our menu".into(), file: hash, ..Draft::default() }]);
    let replied = begin_sending(fresh, &claim, 2_000).await;
    assert_eq!(replied.draft.file, hash);
    assert_eq!(fresh.file_of_part(replied.part).await.unwrap(), Some(file(1, PICTURE)));
    // Posted again, it still has its file.
    assert!(fresh.retry_part(replied.part, replied.token, at(3_000), "503".into()).await.unwrap());
    let again = fresh.due_part(at(3_000)).await;
    assert_eq!((again.file, again.outgoing.text.as_str()), (hash, "Our menu"));
    // If its outcome is unknown, it is looked up as a message with a file.
    assert!(fresh.mark_part_unknown(replied.part, again.token, at(4_000), "lost".into()).await.unwrap());
    assert!(fresh.due_lookup(at(4_000)).await.has_file);
    assert_eq!(
        fresh.settle_lookup(replied.part, vec![sid("MM1")], false, at(4_000)).await.unwrap(),
        LookupOutcome::Found
    );
    assert_eq!(fresh.turn_state(turn), "done");
    assert_eq!(conversation_lines(fresh, id).await[2..], ["operator: Our menu\n[sent an image: menu.x]"]);
    assert!(fresh.conversation(id, 0).await.unwrap().unwrap().0.human_mode, "a person answers from now on");
}

/// Twilio drops a text beside a document.
pub async fn the_text_with_a_document_is_sent_before_it(fresh: &FreshStore) {
    let id = answered_conversation(fresh).await;
    send_file(fresh, id, "Our menu", file(1, DOCUMENT), 2_000).await;
    send_file(fresh, id, "", file(2, PICTURE), 2_000).await;
    let claim = fresh.due_turn(at(2_000)).await;
    let with = |number: u8| Draft { file: Some(FileHash::new([number; 32])), ..Draft::default() };
    assert_eq!(fresh.turn_drafts(&claim).await.unwrap(), [Draft::from("Our menu".to_owned()), with(1), with(2)]);
    let first = begin_sending(fresh, &claim, 2_000).await;
    assert!(fresh.provider_hands_on(first.part, first.token, "SM1", at(2_000)).await);
    assert_eq!(fresh.due_part(at(2_000)).await.file, with(1).file);
    let said = ["operator: Our menu", "operator: [sent a document: menu.x]", "operator: [sent an image: menu.x]"];
    assert_eq!(conversation_lines(fresh, id).await[2..], said);
}

pub async fn a_file_is_in_use_until_each_conversation_with_it_is_deleted(fresh: &FreshStore) {
    let id = answered_conversation(fresh).await;
    let (ours, nobodys) = (FileHash::new([1; 32]), FileHash::new([2; 32]));
    let unowned = async || fresh.unused_files(vec![ours, nobodys]).await.unwrap();
    assert_eq!(unowned().await, [ours, nobodys]);
    send_file(fresh, id, "", file(1, PICTURE), 2_000).await;
    send_file(fresh, id, "", Media { name: "b.x".into(), ..file(1, PICTURE) }, 2_000).await;
    assert_eq!(fresh.rows("SELECT name, created_at FROM files"), [format!("b.x|{}", at(2_000).0)]);
    fresh.end_conversation(id, at(3_000)).await.unwrap();
    fresh.contact_writes(ANN, "SM2", at(4_000)).await;
    let other = fresh.conversations(None, 1).await.unwrap()[0].id;
    send_file(fresh, other, "", file(1, PICTURE), 5_000).await;
    assert_eq!((fresh.count("files"), unowned().await), (2, vec![nobodys]));
    fresh.execute_sql("UPDATE turns SET state = 'done', live = NULL, due_at = NULL");
    assert_eq!(fresh.delete_ended_conversations(at(3_001)).await.unwrap(), 1);
    assert_eq!((fresh.count("files"), unowned().await), (1, vec![nobodys]));
    fresh.end_conversation(other, at(6_000)).await.unwrap();
    assert_eq!(fresh.delete_ended_conversations(at(6_001)).await.unwrap(), 1);
    assert_eq!(unowned().await, [ours, nobodys]);
}

pub async fn no_file_is_sent_where_nothing_may_be_sent(fresh: &FreshStore) {
    let id = answered_conversation(fresh).await;
    let spoken =
        async |now| fresh.send_operator_file(id, String::new(), file(1, PICTURE), None, at(now)).await.unwrap();
    assert_eq!(spoken(TWENTY_THREE_HOURS).await, OperatorMessageOutcome::TooLate);
    fresh.execute_sql("UPDATE contacts SET opted_out_at = 1");
    assert_eq!(spoken(2_000).await, OperatorMessageOutcome::OptedOutOrBlocked);
    fresh.end_conversation(id, at(2_000)).await.unwrap();
    assert_eq!(spoken(2_000).await, OperatorMessageOutcome::NoConversation);
    assert_eq!((fresh.count("files"), fresh.count("messages")), (0, 2));
}

pub async fn splitting_a_part_keeps_the_files_and_templates_of_the_parts_behind_it(fresh: &FreshStore) {
    let id = answered_conversation(fresh).await;
    send_file(fresh, id, "One. Two.", file(1, DOCUMENT), 2_000).await;
    let (_, turn) = send_template(fresh, id, 2_000).await;
    let claim = fresh.due_turn(at(2_000)).await;
    let first = begin_sending(fresh, &claim, 2_000).await;
    let halves = ("One.".into(), "Two.".into());
    let halved = fresh.split_part(first.part, first.token, halves, "21617".into(), at(2_000)).await.unwrap();
    assert_eq!(halved, PartSplitOutcome::Split);
    let mut seen = Vec::new();
    for number in 1..=4 {
        let part = fresh.due_part(at(2_000)).await;
        seen.push((part.outgoing.text, part.file.is_some(), part.outgoing.template.is_some()));
        assert!(fresh.provider_hands_on(part.outgoing.reference, part.token, &format!("SM{number}"), at(2_000)).await);
    }
    let text = |text: &str| (text.to_owned(), false, false);
    assert_eq!(seen, [text("One."), text("Two."), (String::new(), true, false), (String::new(), false, true)]);
    assert_eq!(fresh.turn_state(turn), "done");
}

pub async fn messages_beyond_the_parts_of_one_turn_are_sent_by_the_next(fresh: &FreshStore) {
    let id = answered_conversation(fresh).await;
    // A long text may take five of the fifteen parts of a turn, a file one. Emoji are longer than they look.
    let first = send_file(fresh, id, "", file(0, DOCUMENT), 2_000).await;
    for number in 1..9 {
        assert_eq!(send_file(fresh, id, "", file(number, DOCUMENT), 2_000).await, first);
    }
    let long = "🍞".repeat(900);
    for text in ["Short.", &long, "Last."] {
        assert_eq!(
            fresh.send_operator_message(id, text.into(), None, at(2_100)).await.unwrap(),
            OperatorMessageOutcome::Queued(first)
        );
    }
    let mut sizes = Vec::new();
    for (turn, began) in [(first, 2_300), (TurnId(first.0 + 1), 200_000)] {
        let claim = fresh.due_turn(at(began)).await;
        assert_eq!(claim.turn, turn);
        sizes.push(fresh.turn_drafts(&claim).await.unwrap().len());
        let replied = begin_sending(fresh, &claim, began).await;
        let (mut part, mut token) = (replied.part, replied.token);
        for number in 1.. {
            assert!(fresh.provider_accepts(part, token, &format!("SM-{turn}-{number}"), at(began)).await);
            if number == *sizes.last().unwrap() {
                break;
            }
            let next = fresh.due_part(at(began + 5_000)).await;
            (part, token) = (next.outgoing.reference, next.token);
        }
    }
    assert_eq!(sizes, [11, 1], "nine files, a short text and a long one; the rest later");
    fresh.assert_nothing_due(at(300_000)).await;
}
