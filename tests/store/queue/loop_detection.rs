//! Texts that a contact repeats.

use std::time::Duration;

use mynah::clock::Time;
use mynah::model::{Command, Inbound};
use mynah::store::{Admission, ReceiveOutcome, Reply, TurnClaim};

use crate::setup::fresh_store::{ANN, BEN, FreshStore, MERGE_WINDOW, OUR_NUMBER, START, answer, inbound, sid};

/// Another of our numbers.
const OTHER_NUMBER: &str = "whatsapp:+14155230000";

/// The contact says `text` to that number of ours, and the turn is claimed a merge window later.
async fn claim_message(
    fresh: &FreshStore,
    (from, ours): (&str, &str),
    text: &str,
    command: Option<Command>,
    when: Time,
) -> TurnClaim {
    let said = Inbound { text: text.into(), to: ours.into(), ..inbound(from, &format!("SM{}", when.0), when) };
    fresh.receive(said, None, Admission { command, ..Admission::default() }).await.unwrap();
    fresh.due_turn(when + MERGE_WINDOW).await
}

/// The same, and it is answered. The conversation ends with it.
async fn answer_and_end_conversation(
    fresh: &FreshStore,
    who: (&str, &str),
    text: &str,
    command: Option<Command>,
    when: Time,
) {
    let claim = claim_message(fresh, who, text, command, when).await;
    let reply = match command {
        Some(_) => Reply::OwnText { text: "Done.".into(), hand_over: None },
        None => answer("Hello!"),
    };
    let replied = fresh.reply(&claim, reply, vec!["Hello!".into()], when + MERGE_WINDOW).await.unwrap().unwrap();
    fresh
        .mark_part_sent(replied.part, replied.token, sid(&format!("out {}", when.0)), when + MERGE_WINDOW)
        .await
        .unwrap();
    fresh.end_conversation(claim.conversation, when + MERGE_WINDOW).await.unwrap();
}

pub async fn repeated_texts_are_counted_over_conversations(fresh: &FreshStore) {
    let ann = (ANN, OUR_NUMBER);
    let minute = |number: u32| START + Duration::from_secs(60) * number;
    answer_and_end_conversation(fresh, ann, "hi", None, minute(0)).await;
    answer_and_end_conversation(fresh, ann, "something else", None, minute(1)).await;
    answer_and_end_conversation(fresh, ann, "hi", None, minute(2)).await;
    answer_and_end_conversation(fresh, ann, " hi ", None, minute(3)).await;
    // What was asked of us, and what was not answered, is passed over.
    answer_and_end_conversation(fresh, ann, "/reset", Some(Command::Reset), minute(4)).await;
    let left = claim_message(fresh, ann, "never mind", None, minute(5)).await;
    assert!(fresh.leave_to_person(&left, None, "a machine".into(), minute(5)).await.unwrap());
    fresh.end_conversation(left.conversation, minute(5)).await.unwrap();
    // Others do not count, nor does what was said on another number.
    answer_and_end_conversation(fresh, (BEN, OUR_NUMBER), "hi", None, minute(6)).await;
    answer_and_end_conversation(fresh, (ANN, OTHER_NUMBER), "hi", None, minute(7)).await;
    // One conversation may hold several.
    let first = claim_message(fresh, ann, "hi", None, minute(8)).await;
    let (part, token) = fresh.answer_at(&first, &["Hello!"], minute(8) + MERGE_WINDOW).await;
    assert!(fresh.provider_accepts(part, token, "the last", minute(8) + MERGE_WINDOW).await);
    let claim = claim_message(fresh, ann, "hi", None, minute(9)).await;
    assert_eq!(claim.conversation, first.conversation);
    let repeats = async |text: &str, since, most| {
        fresh.count_repeats(&claim, claim.turn, text.to_owned(), since, most).await.unwrap()
    };
    assert_eq!(repeats("hi", START, 9).await, 3);
    assert_eq!(repeats("hi", START, 2).await, 2, "no more than it is asked for");
    assert_eq!(repeats("hi", minute(3), 9).await, 2, "nor from before that time");
    assert_eq!(repeats("something else", START, 9).await, 0);
    // That a conversation has ended meanwhile counts nothing twice.
    fresh.end_conversation(claim.conversation, minute(9)).await.unwrap();
    assert_eq!(repeats("hi", START, 9).await, 3);
    assert_eq!(
        fresh.count_repeats(&claim, first.turn, "hi".into(), START, 9).await.unwrap(),
        2,
        "before the turn before"
    );
}

pub async fn only_the_last_message_of_a_burst_and_only_answered_turns_count_as_repeats(fresh: &FreshStore) {
    let ann = (ANN, OUR_NUMBER);
    let minute = |number: u32| START + Duration::from_secs(60) * number;
    answer_and_end_conversation(fresh, ann, "hi", None, minute(0)).await;
    fresh.receive_plain(Inbound { text: "hello".into(), ..inbound(ANN, "SM-burst", minute(1)) }, None).await.unwrap();
    answer_and_end_conversation(fresh, ann, "hi", None, minute(1)).await;
    let left = claim_message(fresh, ann, "hi", None, minute(2)).await;
    assert!(fresh.leave_to_person(&left, None, "a machine".into(), minute(2)).await.unwrap());
    fresh.end_conversation(left.conversation, minute(2)).await.unwrap();
    // What is said by another way to an address that is the same is said to somebody else.
    let elsewhere = Inbound { channel: "parrot", text: "hi".into(), ..inbound(ANN, "SM-parrot", minute(3)) };
    fresh.receive_plain(elsewhere, None).await.unwrap();
    let other = fresh.due_turn(minute(3) + MERGE_WINDOW).await;
    fresh.answer_at(&other, &["Hello!"], minute(3) + MERGE_WINDOW).await;
    fresh.end_conversation(other.conversation, minute(3) + MERGE_WINDOW).await.unwrap();
    let claim = claim_message(fresh, ann, "hi", None, minute(4)).await;
    assert_eq!(fresh.count_repeats(&claim, claim.turn, "hi".into(), START, 9).await.unwrap(), 2);
    assert_eq!(fresh.count_repeats(&claim, claim.turn, "hello".into(), START, 9).await.unwrap(), 0);
}

pub async fn loop_detection_reads_at_most_256_turns(fresh: &FreshStore) {
    let ann = (ANN, OUR_NUMBER);
    let later = |number: u32| START + Duration::from_secs(60) * number;
    answer_and_end_conversation(fresh, ann, "hi", None, START).await;
    let first = claim_message(fresh, ann, "hi", None, later(1)).await;
    // What a person answers is passed over.
    assert!(fresh.take_over(first.conversation, None, "so".into(), None, later(1)).await.unwrap());
    let mut last = first.turn;
    for number in 2..=255 {
        let said = fresh.contact_writes_with(ANN, &format!("SM{number}"), later(number), Admission::default()).await;
        let ReceiveOutcome::Skipped(turn) = said else { panic!("{said:?}") };
        last = turn;
    }
    assert!(fresh.return_to_assistant(first.conversation).await.unwrap());
    let claim = claim_message(fresh, ann, "hi", None, later(256)).await;
    // One more read is for the end of the conversation.
    assert_eq!(fresh.count_repeats(&claim, last, "hi".into(), START, 9).await.unwrap(), 1);
    assert_eq!(fresh.count_repeats(&claim, claim.turn, "hi".into(), START, 9).await.unwrap(), 0);
    assert_eq!(fresh.count_answered(&claim, Time(0), 9).await.unwrap(), 0);
}

pub async fn how_often_a_contact_was_answered_is_counted_over_conversations(fresh: &FreshStore) {
    let ann = (ANN, OUR_NUMBER);
    let minute = |number: u32| START + Duration::from_secs(60) * number;
    answer_and_end_conversation(fresh, ann, "one", None, minute(0)).await;
    answer_and_end_conversation(fresh, ann, "two", None, minute(1)).await;
    // None of these counts.
    answer_and_end_conversation(fresh, ann, "/reset", Some(Command::Reset), minute(2)).await;
    let left = claim_message(fresh, ann, "never mind", None, minute(3)).await;
    assert!(fresh.leave_to_person(&left, None, "a machine".into(), minute(3)).await.unwrap());
    fresh.end_conversation(left.conversation, minute(3)).await.unwrap();
    answer_and_end_conversation(fresh, (BEN, OUR_NUMBER), "one", None, minute(4)).await;
    answer_and_end_conversation(fresh, (ANN, OTHER_NUMBER), "one", None, minute(5)).await;
    let first = claim_message(fresh, ann, "three", None, minute(6)).await;
    let (part, token) = fresh.answer_at(&first, &["Hello!"], minute(6) + MERGE_WINDOW).await;
    assert!(fresh.provider_accepts(part, token, "the last", minute(6) + MERGE_WINDOW).await);
    let claim = claim_message(fresh, ann, "four", None, minute(7)).await;
    let answered = async |since, most| fresh.count_answered(&claim, since, most).await.unwrap();
    let before = START - Duration::from_millis(1);
    assert_eq!((answered(before, 9).await, answered(before, 2).await), (3, 2));
    assert_eq!((answered(minute(0), 9).await, answered(minute(1), 9).await), (2, 1), "those that began later");
}
