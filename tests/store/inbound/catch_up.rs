//! Messages whose webhook never came, found at the provider later.

use mynah::clock::Time;
use mynah::model::{Command, TurnId};
use mynah::store::{Admission, CatchUpProgress, MissedWebhook, ReceiveOutcome, SEND_WITHIN};

use crate::setup::fresh_store::{ANN, BEN, FreshStore, MERGE_WINDOW, OUR_NUMBER, START, answer, at, inbound, sid};

/// When the missed messages are found.
const FOUND_AT: i64 = 3_600_000;

/// A message that was said at one time and is found at another.
fn found_by_catch_up(command: Option<Command>) -> Admission {
    let missed = Some(MissedWebhook { found_at: at(FOUND_AT), is_too_old: false });
    Admission { command, missed_webhook: missed, ..Admission::default() }
}

fn found_too_late(command: Option<Command>) -> Admission {
    let missed = Some(MissedWebhook { found_at: at(FOUND_AT), is_too_old: true });
    Admission { command, missed_webhook: missed, ..Admission::default() }
}

async fn expect_new_turn(fresh: &FreshStore, from: &str, id: &str, said: Time, admission: Admission) -> TurnId {
    match fresh.contact_writes_with(from, id, said, admission).await {
        ReceiveOutcome::Queued(turn) => turn,
        other => panic!("{id}: {other:?}"),
    }
}

async fn expect_skipped(fresh: &FreshStore, from: &str, id: &str, said: Time, admission: Admission) -> String {
    match fresh.contact_writes_with(from, id, said, admission).await {
        ReceiveOutcome::Skipped(turn) => fresh.turn_error(turn),
        other => panic!("{id}: {other:?}"),
    }
}

pub async fn a_missed_message_keeps_its_original_time_and_is_due_from_when_it_was_found(fresh: &FreshStore) {
    let turn = expect_new_turn(fresh, ANN, "SM1", at(1_000), found_by_catch_up(None)).await;
    let times = "SELECT m.created_at, c.started_at, c.last_inbound_at, t.created_at, t.due_at
        FROM messages m JOIN conversations c ON c.id = m.conversation_id JOIN turns t ON t.id = m.turn_id";
    let (said, now) = (at(1_000).0, at(FOUND_AT).0);
    assert_eq!(fresh.rows(times), [format!("{said}|{said}|{said}|{now}|{}", (at(FOUND_AT) + MERGE_WINDOW).0)]);
    let claim = fresh.due_turn(at(FOUND_AT) + MERGE_WINDOW).await;
    assert_eq!((claim.turn, claim.deadline, claim.is_first_conversation), (turn, at(1_000) + SEND_WITHIN, true));
}

pub async fn missed_messages_of_one_contact_are_one_turn_in_their_original_order(fresh: &FreshStore) {
    // What came by webhook since, and what had come before the outage.
    fresh.contact_writes(ANN, "SM-before", START).await;
    let turn = fresh.contact_writes(ANN, "SM-since", at(FOUND_AT - 1_000)).await;
    let mut from_elsewhere = inbound(ANN, "SM2", at(5_000));
    from_elsewhere.reply_to = "whatsapp:US.1".into();
    fresh.receive(from_elsewhere, None, found_by_catch_up(None)).await.unwrap();
    // Dated to the second.
    for id in ["SM3", "SM4", "SM5"] {
        assert_eq!(expect_new_turn(fresh, ANN, id, at(9_000), found_by_catch_up(None)).await, turn, "{id}");
    }
    // Listed late.
    assert_eq!(expect_new_turn(fresh, ANN, "SM1", at(4_000), found_by_catch_up(None)).await, turn);
    let claim = fresh.due_turn(at(FOUND_AT) + MERGE_WINDOW).await;
    assert_eq!(claim.to, format!("whatsapp:{ANN}"), "the latest message tells where the answer goes");
    assert_eq!(claim.deadline, at(FOUND_AT - 1_000) + SEND_WITHIN);
    let window = fresh.window_lines(claim.conversation, turn, 20).await;
    let order = ["SM-before", "SM1", "SM2", "SM3", "SM4", "SM5", "SM-since"].map(|id| format!("user: {id}"));
    assert_eq!(window, order);
}

pub async fn a_missed_message_that_is_too_old_is_stored_and_not_answered(fresh: &FreshStore) {
    let why = expect_skipped(fresh, ANN, "SM1", at(1_000), found_too_late(None)).await;
    assert!(why.contains("MYNAH_CATCH_UP_WITHIN"), "{why}");
    // No text is sent because of it either.
    let mut refused = found_too_late(Some(Command::Reset));
    refused.sender = mynah::store::SenderStatus::Unknown;
    refused.refusal_text = Some("Not for you.".into());
    expect_skipped(fresh, BEN, "SM2", at(1_000), refused).await;
    fresh.assert_nothing_due(at(FOUND_AT * 10)).await;
    assert_eq!(fresh.rows("SELECT content FROM messages ORDER BY id"), ["SM1", "SM2"]);
    assert_eq!(fresh.rows("SELECT COUNT(*) FROM conversations WHERE ended_at IS NOT NULL"), ["0"]);
    // It is there for the model when they write again.
    let turn = fresh.contact_writes(ANN, "SM3", at(FOUND_AT)).await;
    let claim = fresh.due_turn(at(FOUND_AT) + MERGE_WINDOW).await;
    assert_eq!(fresh.window_lines(claim.conversation, turn, 20).await, ["user: SM1", "user: SM3"]);
}

pub async fn a_stop_that_was_missed_is_obeyed_however_old_it_is(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    expect_skipped(fresh, ANN, "SM1", at(2_000), found_too_late(Some(Command::OptOut))).await;
    assert_eq!(fresh.turn_state(claim.turn), "skipped", "what was being answered is given up");
    assert_eq!(
        fresh.contact_writes_with(ANN, "SM2", at(FOUND_AT), Admission::default()).await,
        ReceiveOutcome::Skipped(TurnId(3))
    );
    // One that is young enough is confirmed.
    let turn = expect_new_turn(fresh, BEN, "SM3", at(2_000), found_by_catch_up(Some(Command::OptOut))).await;
    assert_eq!(fresh.due_turn(at(FOUND_AT)).await.turn, turn);
    assert_eq!(fresh.rows("SELECT opted_out_at FROM contacts"), [at(2_000).0.to_string(), at(2_000).0.to_string()]);
}

pub async fn the_later_of_a_stop_and_a_start_counts_even_if_found_first(fresh: &FreshStore) {
    fresh.contact_sends_command(ANN, "SM2", at(9_000), Command::OptOut).await;
    let why = expect_skipped(fresh, ANN, "SM1", at(8_000), found_by_catch_up(Some(Command::OptIn))).await;
    assert!(why.contains("opted out since"), "{why}");
    assert_eq!(fresh.rows("SELECT opted_out_at FROM contacts"), [at(9_000).0.to_string()]);
    // The other way round.
    fresh.contact_sends_command(BEN, "SM4", at(9_000), Command::OptIn).await;
    let waiting = fresh.contact_writes(BEN, "SM5", at(9_500)).await;
    let why = expect_skipped(fresh, BEN, "SM3", at(8_000), found_by_catch_up(Some(Command::OptOut))).await;
    assert!(why.contains("opted in since"), "{why}");
    assert_eq!(fresh.turn_state(waiting), "open");
    // In their order they count as usual.
    expect_new_turn(fresh, BEN, "SM6", at(10_000), found_by_catch_up(Some(Command::OptOut))).await;
    expect_new_turn(fresh, BEN, "SM7", at(11_000), found_by_catch_up(Some(Command::OptIn))).await;
    assert_eq!(fresh.rows("SELECT COUNT(*) FROM contacts WHERE opted_out_at IS NULL"), ["1"]);
}

pub async fn the_later_of_two_missed_keywords_in_one_burst_counts(fresh: &FreshStore) {
    let turn = fresh.contact_sends_command(ANN, "SM2", at(9_000), Command::OptIn).await;
    expect_new_turn(fresh, ANN, "SM1", at(8_000), found_by_catch_up(Some(Command::Help))).await;
    assert_eq!(fresh.rows(&format!("SELECT command FROM turns WHERE id = {turn}")), ["opt_in"]);
    expect_new_turn(fresh, ANN, "SM3", at(9_500), found_by_catch_up(Some(Command::Help))).await;
    assert_eq!(fresh.rows(&format!("SELECT command FROM turns WHERE id = {turn}")), ["help"]);
}

pub async fn a_missed_message_waits_behind_the_turn_that_is_being_answered(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let turn = expect_new_turn(fresh, ANN, "SM1", at(5_000), found_by_catch_up(None)).await;
    fresh.assert_nothing_due(at(FOUND_AT * 2)).await;
    let (part, token) = fresh.answer_at(&claim, &["One."], at(FOUND_AT)).await;
    assert!(fresh.provider_accepts(part, token, "SM-out", at(FOUND_AT)).await);
    let next = fresh.due_turn(at(FOUND_AT) + MERGE_WINDOW).await;
    assert_eq!(next.turn, turn);
    assert!(
        fresh.reply(&next, answer("Two."), vec!["Two.".into()], at(FOUND_AT) + MERGE_WINDOW).await.unwrap().is_some()
    );
}

pub async fn the_catch_up_position_is_remembered_with_its_beginning(fresh: &FreshStore) {
    assert_eq!(fresh.catch_up_progress("twilio").await.unwrap(), None);
    fresh.record_caught_up("twilio", at(1_000)).await.unwrap();
    for (began_at, until) in [(at(1_000), at(9_000)), (at(1_000), at(5_000)), (START, START)] {
        fresh.record_caught_up("twilio", until).await.unwrap();
        let stands = CatchUpProgress { began_at, caught_up_at: until };
        assert_eq!(fresh.catch_up_progress("twilio").await.unwrap(), Some(stands), "also where a clock was set back");
    }
    assert_eq!(fresh.catch_up_progress("meta").await.unwrap(), None);
}

pub async fn messages_already_stored_are_recognized_by_id(fresh: &FreshStore) {
    fresh.contact_writes(ANN, "SM1", START).await;
    let ids = ["SM1", "SM2"].map(sid).to_vec();
    assert_eq!(
        fresh.stored_messages("twilio", ids.clone()).await.unwrap().into_iter().collect::<Vec<_>>(),
        [sid("SM1")]
    );
    assert!(fresh.stored_messages("meta", ids).await.unwrap().is_empty());
    assert_eq!(
        fresh.contact_writes_with(ANN, "SM1", START, found_by_catch_up(None)).await,
        ReceiveOutcome::Duplicate,
        "and found to be known once more"
    );
}

pub async fn our_addresses_of_an_account_are_those_that_contacts_wrote_to_through_it(fresh: &FreshStore) {
    let through = |account: &str| Admission { account: account.into(), ..Admission::default() };
    let ours = async |channel, account: &str| {
        let mut ours: Vec<_> = fresh.our_addresses(channel, account.into()).await.unwrap().into_iter().collect();
        ours.sort();
        ours
    };
    assert_eq!(ours("twilio", "AC1").await, [""; 0]);
    fresh.contact_writes_with(ANN, "SM1", START, through("AC1")).await;
    fresh.contact_writes_with(BEN, "SM2", START, through("AC1")).await;
    assert_eq!(ours("twilio", "AC1").await, [OUR_NUMBER]);
    assert_eq!((ours("twilio", "AC2").await, ours("meta", "AC1").await), (vec![], vec![]));
    // The number is moved to another account, in the middle of a conversation.
    fresh.contact_writes_with(ANN, "SM3", START, through("AC2")).await;
    assert_eq!(ours("twilio", "AC2").await, [OUR_NUMBER]);
    // And is known when all that was said there is deleted.
    let later = at(24 * 3_600_000);
    assert_eq!(fresh.expire_overdue_turns(later).await.unwrap(), 2);
    for conversation in fresh.conversations(None, 9).await.unwrap() {
        assert!(fresh.end_conversation(conversation.id, START).await.unwrap());
    }
    assert_eq!(fresh.delete_ended_conversations(later).await.unwrap(), 2);
    assert_eq!(ours("twilio", "AC1").await, [OUR_NUMBER]);
}
