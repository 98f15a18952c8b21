//! What an operator does about a conversation.

use mynah::model::{Command, ConversationId, Role};
use mynah::store::{Admission, BuiltInRequest, HandOver, OperatorMessageOutcome, ReceiveOutcome, Reply, TurnClaim};

use crate::setup::fresh_store::{ANN, BEN, FreshStore, START, answer, at, sid};

const PERSON_ANSWERS: &str = "a person answers this conversation";

/// A contact wrote and was answered; the conversation.
async fn answered_conversation(fresh: &FreshStore, from: &str) -> ConversationId {
    let claim = fresh.claimed_turn(from).await;
    let (part, token) = fresh.answer(&claim, &["Hello."]).await;
    assert!(fresh.provider_accepts(part, token, &format!("SM-to-{from}"), at(1_000)).await);
    claim.conversation
}

async fn say(
    fresh: &FreshStore,
    id: ConversationId,
    text: &str,
    until: Option<i64>,
    now: i64,
) -> OperatorMessageOutcome {
    fresh.send_operator_message(id, text.into(), until.map(at), at(now)).await.unwrap()
}

/// An operator's turn is posted as it was written.
async fn post_operator_turn(fresh: &FreshStore, claim: &TurnClaim, text: &str, now: i64) {
    assert_eq!(claim.request, Some(BuiltInRequest::Operator));
    let replied = fresh.reply(claim, Reply::Operator, vec![text.into()], at(now)).await.unwrap().unwrap();
    fresh.mark_part_sent(replied.part, replied.token, sid(&format!("SM-op-{now}")), at(now)).await.unwrap();
    assert_eq!(fresh.turn_state(claim.turn), "done");
}

async fn is_human(fresh: &FreshStore, id: ConversationId) -> bool {
    fresh.conversation(id, 0).await.unwrap().unwrap().0.human_mode
}

async fn assert_left_to_person(fresh: &FreshStore, from: &str, id: &str, when: i64) {
    let ReceiveOutcome::Skipped(turn) = fresh.contact_writes_with(from, id, at(when), Admission::default()).await
    else {
        panic!("{id} is answered")
    };
    assert_eq!(fresh.turn_error(turn), PERSON_ANSWERS);
}

pub async fn an_operators_message_is_sent_without_a_model_and_pauses_the_assistant(fresh: &FreshStore) {
    let id = answered_conversation(fresh, ANN).await;
    let OperatorMessageOutcome::Queued(turn) = say(fresh, id, "I am Eva.", None, 2_000).await else {
        panic!("not queued")
    };
    assert!(is_human(fresh, id).await);
    let claims = fresh.claim(at(2_000), 0, 10).await.unwrap();
    assert_eq!(claims.turns.len(), 1, "no model is needed");
    assert_eq!(claims.turns[0].turn, turn);
    post_operator_turn(fresh, &claims.turns[0], "I am Eva.", 2_000).await;
    let (_, said) = fresh.conversation(id, 10).await.unwrap().unwrap();
    let said: Vec<_> = said.iter().map(|said| (said.role, said.content.as_str())).collect();
    let first = format!("SM-first-of-{ANN}");
    assert_eq!(said, [(Role::User, first.as_str()), (Role::Assistant, "Hello."), (Role::Operator, "I am Eva.")]);
    assert_left_to_person(fresh, ANN, "SM2", 3_000).await;
    fresh.assert_nothing_due(at(100_000)).await;
}

pub async fn an_operators_message_raises_the_revision(fresh: &FreshStore) {
    let revision = || -> i64 { fresh.rows("SELECT revision FROM conversations")[0].parse().unwrap() };
    let id = answered_conversation(fresh, ANN).await;
    say(fresh, id, "One.", None, 2_000).await;
    let first = revision();
    let claim = fresh.due_turn(at(2_000)).await;
    assert_eq!(claim.revision, first, "a claim sees what it is to send");
    let spoken = fresh.send_operator_message(id, "Two.".into(), None, at(2_000)).await.unwrap();
    assert!(spoken != OperatorMessageOutcome::Queued(claim.turn) && revision() > first);
}

pub async fn the_assistant_returns_so_long_after_the_operators_last_message(fresh: &FreshStore) {
    let id = answered_conversation(fresh, ANN).await;
    let tell = Some("A person will come.".into());
    assert!(fresh.take_over(id, Some(at(10_000)), "so".into(), tell, at(2_000)).await.unwrap());
    let notice = fresh.due_turn(at(2_000)).await;
    post_operator_turn(fresh, &notice, "A person will come.", 2_000).await;
    say(fresh, id, "I am Eva.", Some(16_000), 8_000).await;
    post_operator_turn(fresh, &fresh.due_turn(at(8_000)).await, "I am Eva.", 8_000).await;
    assert_left_to_person(fresh, ANN, "SM2", 15_999).await;
    let row = fresh.conversation(id, 0).await.unwrap().unwrap().0;
    assert!(row.clone().as_of(at(15_999)).human_mode, "a person answers until then");
    let over = row.as_of(at(16_000));
    assert!(!over.human_mode && over.human_until.is_none(), "and not from then on, before the next message as well");
    let turn = fresh.contact_writes(ANN, "SM3", at(16_000)).await;
    assert_eq!(fresh.due_turn(at(17_000)).await.turn, turn);
    assert!(!is_human(fresh, id).await, "and it stays");
}

pub async fn a_message_that_is_found_late_does_not_end_a_takeover(fresh: &FreshStore) {
    let id = answered_conversation(fresh, ANN).await;
    assert!(fresh.take_over(id, Some(at(10_000)), "so".into(), None, at(2_000)).await.unwrap());
    assert_left_to_person(fresh, ANN, "SM2", 5_000).await;
    assert!(is_human(fresh, id).await);
}

pub async fn a_takeover_leaves_waiting_turns_to_the_person(fresh: &FreshStore) {
    let running = fresh.claimed_turn(ANN).await;
    let waiting = fresh.contact_writes(ANN, "SM2", at(2_000)).await;
    assert!(fresh.take_over(running.conversation, None, "so".into(), None, at(2_000)).await.unwrap());
    for turn in [running.turn, waiting] {
        assert_eq!((fresh.turn_state(turn).as_str(), fresh.turn_error(turn).as_str()), ("skipped", PERSON_ANSWERS));
    }
    let late = Reply::OwnText { text: "Late.".into(), hand_over: None };
    assert_eq!(fresh.reply(&running, late, vec!["Late.".into()], at(3_000)).await.unwrap(), None);
    assert_left_to_person(fresh, ANN, "SM3", 3_000).await;
    // Turns that wait for a retry are skipped, too.
    let failed = fresh.claimed_turn(BEN).await;
    assert!(fresh.retry_turn(&failed, at(5_000), "503".into()).await.unwrap());
    assert!(fresh.take_over(failed.conversation, None, "so".into(), None, at(4_000)).await.unwrap());
    assert_eq!(
        (fresh.turn_state(failed.turn).as_str(), fresh.turn_error(failed.turn).as_str()),
        ("skipped", PERSON_ANSWERS)
    );
    assert!(fresh.return_to_assistant(running.conversation).await.unwrap());
    assert!(!is_human(fresh, running.conversation).await);
}

pub async fn a_contact_is_notified_of_a_takeover_if_anything_may_be_sent(fresh: &FreshStore) {
    let id = answered_conversation(fresh, ANN).await;
    let tell = || Some("A person will come.".to_owned());
    assert!(fresh.take_over(id, None, "so".into(), tell(), at(2_000)).await.unwrap());
    post_operator_turn(fresh, &fresh.due_turn(at(2_000)).await, "A person will come.", 2_000).await;
    // Nobody says that it was an operator who said so.
    let said = fresh.conversation(id, 1).await.unwrap().unwrap().1.remove(0);
    assert_eq!((said.role, said.content.as_str()), (Role::Assistant, "A person will come."));
    let other = answered_conversation(fresh, BEN).await;
    let late = 23 * 3_600_000;
    assert!(fresh.take_over(other, None, "so".into(), tell(), at(late)).await.unwrap());
    assert!(is_human(fresh, other).await);
    fresh.assert_nothing_due(at(late)).await;
}

pub async fn a_reply_that_hands_over_takes_effect_with_it_and_calls_the_owner(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let waiting = fresh.contact_writes(ANN, "SM2", at(1_500)).await;
    let hand_over = Some(HandOver { until: Some(at(9_000)), why: "asked for one".into(), contact_notice: None });
    let words = Reply::OwnText { text: "A person will come.".into(), hand_over };
    fresh.reply(&claim, words, vec!["A person will come.".into()], at(2_000)).await.unwrap().unwrap();
    assert_eq!((fresh.turn_state(claim.turn).as_str(), fresh.turn_state(waiting).as_str()), ("sending", "skipped"));
    let row = fresh.conversation(claim.conversation, 0).await.unwrap().unwrap().0;
    assert_eq!((row.human_mode, row.human_until), (true, Some(at(9_000))));
    let alerts = fresh.alerts(10).await.unwrap();
    assert_eq!((alerts.len(), alerts[0].cause.as_str()), (1, "hand_over"));
    assert_eq!(alerts[0].subject, claim.conversation.to_string());
    assert!(alerts[0].message.contains("asked for one"), "{alerts:?}");
}

pub async fn a_hand_over_in_a_conversation_that_was_ended_meanwhile_tells_the_owner_alone(fresh: &FreshStore) {
    let hand_over = || {
        Some(HandOver { until: None, why: "wants a refund".into(), contact_notice: Some("A person will come.".into()) })
    };
    let said = |text: &str| match answer(text) {
        Reply::Answer { text, model, usage, cost, .. } => {
            Reply::Answer { text, model, usage, cost, hand_over: hand_over() }
        }
        other => other,
    };
    for (from, text, ended) in [(ANN, "", false), (BEN, "I see.", true), ("+15550000003", "", true)] {
        let turn = fresh.contact_writes(from, &format!("SM-of-{from}"), at(1_000)).await;
        let claim = fresh.due_turn(at(2_000)).await;
        assert_eq!(claim.turn, turn);
        if ended {
            let reset =
                fresh.contact_sends_command(from, &format!("SM-reset-of-{from}"), at(2_000), Command::Reset).await;
            assert_ne!(reset, turn);
        }
        let parts = Some(text.to_owned()).filter(|text| !text.is_empty()).into_iter().collect();
        let replied = fresh.reply(&claim, said(text), parts, at(2_000)).await.unwrap();
        let posted = fresh.rows(&format!("SELECT body FROM parts WHERE turn_id = {turn} ORDER BY number"));
        let window = fresh.window_lines(claim.conversation, turn, 1).await;
        let row = fresh.conversation(claim.conversation, 0).await.unwrap().unwrap().0;
        assert_eq!(row.human_mode, !ended);
        match (text, ended) {
            (_, false) => {
                assert_eq!(
                    (posted, window),
                    (vec!["A person will come.".to_owned()], vec!["assistant: A person will come.".to_owned()])
                );
            }
            ("", true) => {
                assert_eq!((replied.is_none(), posted.len()), (true, 0));
                assert_eq!(fresh.turn_state(turn), "skipped");
                assert_eq!(fresh.due_turn(at(3_000)).await.request, Some(BuiltInRequest::Command(Command::Reset)));
            }
            _ => assert_eq!((posted, window), (vec!["I see.".to_owned()], vec!["assistant: I see.".to_owned()])),
        }
        let subject = claim.conversation.to_string();
        let alert = fresh.alerts(10).await.unwrap().into_iter().find(|alert| alert.subject == subject).unwrap();
        assert!(alert.cause == "hand_over" && alert.message.contains("wants a refund"), "{alert:?}");
    }
}

pub async fn an_operators_message_waits_for_the_answer_being_sent_and_is_sent_once(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let (part, token) = fresh.answer(&claim, &["Hello."]).await;
    let OperatorMessageOutcome::Queued(turn) = say(fresh, claim.conversation, "One.", None, 2_000).await else {
        panic!("not queued")
    };
    assert_eq!(
        say(fresh, claim.conversation, "Two.", None, 2_100).await,
        OperatorMessageOutcome::Queued(turn),
        "one turn for both"
    );
    assert_eq!(fresh.rows(&format!("SELECT due_at FROM turns WHERE id = {turn}")), ["-"], "nobody need look at it");
    fresh.assert_nothing_due(at(100_000)).await;
    assert!(fresh.provider_accepts(part, token, "SMout", at(3_000)).await);
    assert_eq!(fresh.due_turn(at(3_000)).await.turn, turn);
    assert_eq!(fresh.turn_state(claim.turn), "done", "what was on its way stays");
}

/// An operator's message waits for an answer that is on its way; what is to be sent after that.
async fn operator_message_behind_answer(
    fresh: &FreshStore,
    from: &str,
) -> (ConversationId, mynah::model::PartRef, i64, mynah::model::TurnId) {
    let claim = fresh.claimed_turn(from).await;
    let (part, token) = fresh.answer(&claim, &["Hello."]).await;
    let OperatorMessageOutcome::Queued(turn) = say(fresh, claim.conversation, "I am Eva.", None, 2_000).await else {
        panic!("not queued")
    };
    (claim.conversation, part, token, turn)
}

pub async fn a_keyword_that_joins_an_operators_turn_is_answered_after_it(fresh: &FreshStore) {
    for (word, from) in [(Command::Reset, ANN), (Command::OptIn, BEN)] {
        let (id, part, token, turn) = operator_message_behind_answer(fresh, from).await;
        assert_eq!(fresh.contact_sends_command(from, &format!("SM-word-of-{from}"), at(2_100), word).await, turn);
        assert!(fresh.provider_accepts(part, token, &format!("SM-to-{from}"), at(3_000)).await);
        let claim = fresh.due_turn(at(3_000)).await;
        assert_eq!((claim.turn, fresh.window_lines(id, turn, 1).await), (turn, vec!["operator: I am Eva.".to_owned()]));
        post_operator_turn(fresh, &claim, "I am Eva.", 3_000 + turn.0).await;
        let next = fresh.due_turn(at(5_000)).await;
        assert_eq!((next.conversation, next.request), (id, Some(BuiltInRequest::Command(word))));
        let (part, token) = fresh.answer_at(&next, &["Done."], at(5_000)).await;
        assert!(fresh.provider_accepts(part, token, &format!("SM-done-{from}"), at(5_000)).await);
    }
}

pub async fn a_keyword_that_waits_when_an_operator_writes_is_answered_after_them(fresh: &FreshStore) {
    for (words, next, from) in [
        (&[Command::Help][..], Some(Command::Help), ANN),
        (&[Command::Human, Command::OptIn], Some(Command::OptIn), BEN),
        (&[Command::Human], None, "+15550000003"),
    ] {
        let id = answered_conversation(fresh, from).await;
        let mut turn = None;
        for (number, word) in words.iter().enumerate() {
            turn =
                Some(fresh.contact_sends_command(from, &format!("SM-word-{number}-of-{from}"), at(2_000), *word).await);
        }
        assert_eq!(say(fresh, id, "I am Eva.", None, 2_000).await, OperatorMessageOutcome::Queued(turn.unwrap()));
        post_operator_turn(fresh, &fresh.due_turn(at(2_000)).await, "I am Eva.", 2_000 + turn.unwrap().0).await;
        match next {
            Some(word) => {
                let claim = fresh.due_turn(at(5_000)).await;
                assert_eq!((claim.conversation, claim.request), (id, Some(BuiltInRequest::Command(word))));
                let (part, token) = fresh.answer_at(&claim, &["Done."], at(5_000)).await;
                assert!(fresh.provider_accepts(part, token, &format!("SM-done-{from}"), at(5_000)).await);
            }
            None => fresh.assert_nothing_due(at(100_000)).await,
        }
    }
}

pub async fn a_request_for_a_person_in_an_ended_conversation_promises_none(fresh: &FreshStore) {
    let turn = fresh.contact_sends_command(ANN, "SM1", START, Command::Human).await;
    let claim = fresh.due_turn(START).await;
    let reset = fresh.contact_sends_command(ANN, "SM2", at(100), Command::Reset).await;
    let hand_over = Some(HandOver { until: None, why: "the contact asked for one".into(), contact_notice: None });
    let words = Reply::OwnText { text: "A person will come.".into(), hand_over };
    let replied = fresh.reply(&claim, words, vec!["A person will come.".into()], at(200)).await.unwrap();
    assert_eq!((replied, fresh.turn_state(turn).as_str(), fresh.count("parts")), (None, "skipped", 0));
    assert_eq!(fresh.alerts(9).await.unwrap().len(), 1, "the owner hears of it all the same");
    assert_eq!(fresh.due_turn(at(1_100)).await.turn, reset);
}

pub async fn a_question_that_joins_an_operators_turn_is_answered_after_it(fresh: &FreshStore) {
    let (id, part, token, turn) = operator_message_behind_answer(fresh, ANN).await;
    assert!(fresh.return_to_assistant(id).await.unwrap());
    assert_eq!(fresh.contact_writes(ANN, "SM-question", at(2_100)).await, turn);
    assert!(fresh.provider_accepts(part, token, "SMout", at(3_000)).await);
    post_operator_turn(fresh, &fresh.due_turn(at(3_000)).await, "I am Eva.", 3_000).await;
    let next = fresh.due_turn(at(4_000)).await;
    assert_eq!(next.request, None);
    assert_eq!(fresh.window_lines(id, next.turn, 2).await.last().unwrap(), "user: SM-question");
    // A message does not join a turn that is about to be sent, either.
    let Some(replied) = fresh.reply(&next, answer("Yes."), vec!["Yes.".into()], at(4_000)).await.unwrap() else {
        panic!()
    };
    assert!(fresh.provider_accepts(replied.part, replied.token, "SMyes", at(4_000)).await);
    say(fresh, id, "Eva again.", None, 5_000).await;
    let claim = fresh.due_turn(at(5_000)).await;
    assert!(fresh.return_to_assistant(id).await.unwrap());
    let restart = Admission { restart_running_turn: true, ..Admission::default() };
    let ReceiveOutcome::Queued(last) = fresh.contact_writes_with(ANN, "SM-last", at(5_100), restart).await else {
        panic!("not answered")
    };
    assert_ne!(last, claim.turn);
    post_operator_turn(fresh, &claim, "Eva again.", 5_200).await;
    assert_eq!(fresh.due_turn(at(7_000)).await.turn, last);
}

pub async fn a_question_that_an_operator_answers_meanwhile_is_left_to_the_operator(fresh: &FreshStore) {
    let (id, part, token, turn) = operator_message_behind_answer(fresh, ANN).await;
    assert!(fresh.return_to_assistant(id).await.unwrap());
    fresh.contact_writes(ANN, "SM-question", at(2_100)).await;
    assert_eq!(say(fresh, id, "Yes, we do.", None, 2_200).await, OperatorMessageOutcome::Queued(turn));
    assert!(fresh.provider_accepts(part, token, "SMout", at(3_000)).await);
    let claim = fresh.due_turn(at(3_000)).await;
    assert_eq!(fresh.window_lines(id, turn, 2).await, ["operator: I am Eva.", "operator: Yes, we do."]);
    post_operator_turn(fresh, &claim, "I am Eva. Yes, we do.", 3_000).await;
    fresh.assert_nothing_due(at(100_000)).await;
    assert_eq!(
        fresh.rows("SELECT state, error FROM turns ORDER BY id DESC LIMIT 1"),
        [format!("skipped|{PERSON_ANSWERS}")]
    );
}

pub async fn an_operator_cannot_write_where_nothing_may_be_sent(fresh: &FreshStore) {
    let id = answered_conversation(fresh, ANN).await;
    let last = 23 * 3_600_000;
    assert_eq!(say(fresh, id, "Hello?", None, last).await, OperatorMessageOutcome::TooLate);
    assert!(!is_human(fresh, id).await, "and nobody has taken over");
    assert!(matches!(say(fresh, id, "Hello?", None, last - 1).await, OperatorMessageOutcome::Queued(_)));
    let nowhere = ConversationId(uuid::Uuid::nil());
    assert_eq!(say(fresh, nowhere, "Hello?", None, 2_000).await, OperatorMessageOutcome::NoConversation);
    let other = answered_conversation(fresh, BEN).await;
    assert!(fresh.end_conversation(other, at(3_000)).await.unwrap());
    let before = fresh.all_rows();
    assert_eq!(say(fresh, other, "Hello?", None, 4_000).await, OperatorMessageOutcome::NoConversation);
    assert!(!fresh.take_over(other, None, "so".into(), Some("A person.".into()), at(4_000)).await.unwrap());
    assert!(!fresh.take_over(other, None, "so".into(), None, at(4_000)).await.unwrap());
    assert!(!fresh.return_to_assistant(other).await.unwrap());
    assert!(!fresh.end_conversation(other, at(4_000)).await.unwrap());
    assert_eq!(fresh.all_rows(), before);
}

pub async fn an_ended_conversation_is_followed_by_a_new_one_that_the_assistant_answers(fresh: &FreshStore) {
    let id = answered_conversation(fresh, ANN).await;
    assert!(fresh.take_over(id, None, "so".into(), None, at(2_000)).await.unwrap());
    assert!(fresh.end_conversation(id, at(3_000)).await.unwrap());
    let turn = fresh.contact_writes(ANN, "SM2", at(4_000)).await;
    let claim = fresh.due_turn(at(5_000)).await;
    assert!(claim.turn == turn && claim.conversation != id);
    assert_eq!(fresh.window_lines(claim.conversation, turn, 10).await, ["user: SM2"]);
}

pub async fn conversations_are_listed_newest_first_and_page_by_page(fresh: &FreshStore) {
    let mut ids = Vec::new();
    for number in 0..5 {
        fresh
            .contact_writes(
                &format!("+1555000000{number}"),
                &format!("SM{number}"),
                START + std::time::Duration::from_millis(number),
            )
            .await;
        ids.insert(0, fresh.conversations(None, 1).await.unwrap()[0].id);
    }
    let listed = |rows: Vec<mynah::store::ConversationRow>| rows.into_iter().map(|row| row.id).collect::<Vec<_>>();
    assert_eq!(listed(fresh.conversations(None, 100).await.unwrap()), ids);
    assert_eq!(listed(fresh.conversations(None, 2).await.unwrap()), ids[..2]);
    assert_eq!(listed(fresh.conversations(Some(ids[1]), 2).await.unwrap()), ids[2..4]);
    let row = fresh.conversation(ids[4], 0).await.unwrap().unwrap().0;
    assert_eq!((row.reply_to.as_str(), row.name.as_deref()), ("whatsapp:+15550000000", Some("Ann")));
    assert_eq!((row.human_mode, row.ended_at, row.started_at, row.blocked), (false, None, START, false));
    assert_eq!(fresh.conversation(ConversationId(uuid::Uuid::nil()), 9).await.unwrap(), None);
}

pub async fn a_turn_that_is_answered_again_is_left_to_the_person_who_has_taken_over(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    assert!(fresh.retry_turn(&claim, at(1_500), "503".into()).await.unwrap());
    assert!(fresh.discard(claim.turn, at(1_500)).await.unwrap());
    assert!(fresh.take_over(claim.conversation, None, "so".into(), None, at(2_000)).await.unwrap());
    assert!(fresh.is_requeued(claim.turn, at(3_000)).await);
    fresh.assert_nothing_due(at(3_000)).await;
    assert_eq!(
        (fresh.turn_state(claim.turn).as_str(), fresh.turn_error(claim.turn).as_str()),
        ("skipped", PERSON_ANSWERS)
    );
}

pub async fn a_takeover_notice_keeps_its_text_when_it_is_sent_again(fresh: &FreshStore) {
    let id = answered_conversation(fresh, ANN).await;
    assert!(fresh.take_over(id, None, "so".into(), Some("A person will come.".into()), at(2_000)).await.unwrap());
    let notice = fresh.due_turn(at(2_000)).await;
    assert!(fresh.retry_turn(&notice, at(3_000), "503".into()).await.unwrap());
    assert!(fresh.discard(notice.turn, at(2_500)).await.unwrap());
    assert!(fresh.is_requeued(notice.turn, at(3_000)).await);
    assert_eq!(fresh.window_lines(id, notice.turn, 1).await, ["assistant: A person will come."]);
    post_operator_turn(fresh, &fresh.due_turn(at(3_000)).await, "A person will come.", 3_000).await;
}

pub async fn the_owners_alert_counts_each_takeover_once(fresh: &FreshStore) {
    let alerts = || fresh.rows("SELECT cause, subject, count, message FROM alerts ORDER BY subject");
    let id = answered_conversation(fresh, ANN).await;
    say(fresh, id, "One.", Some(9_000), 2_000).await;
    say(fresh, id, "Two.", Some(9_000), 3_000).await;
    let alert_row = |count: u32, why: &str| format!("hand_over|{id}|{count}|a person answers: {why}");
    assert_eq!(alerts(), [alert_row(1, "an operator wrote")]);
    // The assistant has returned meanwhile.
    let tell = Some("A person will come.".to_owned());
    assert!(fresh.take_over(id, None, "an operator took over".into(), tell.clone(), at(9_000)).await.unwrap());
    assert_eq!(alerts(), [alert_row(2, "an operator took over")]);
    // Also if nothing may be sent to the contact any more.
    assert!(fresh.return_to_assistant(id).await.unwrap());
    let late = at(23 * 3_600_000);
    assert!(fresh.take_over(id, None, "an operator took over".into(), tell, late).await.unwrap());
    assert_eq!(alerts(), [alert_row(3, "an operator took over")]);
}
