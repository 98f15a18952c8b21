//! Contacts who opted out or are blocked: nothing is sent to them.

use mynah::model::{Address, Command};
use mynah::store::{
    Admission, LookupOutcome, OperatorMessageOutcome, Reachability, ReceiveOutcome, Reply, SenderStatus, TurnClaim,
};

use crate::setup::fresh_store::{ANN, BEN, FreshStore, OUR_NUMBER, START, at, sid};

const OPTED_OUT: &str = "the contact opted out";
const BLOCKED: &str = "the contact is blocked";

fn phone(text: &str) -> Address {
    Address::parse(text).unwrap()
}

/// Sends a text of ours in answer to a keyword.
async fn send_confirmation(fresh: &FreshStore, claim: &TurnClaim, now: i64) {
    let words = Reply::OwnText { text: "Done.".into(), hand_over: None };
    let replied = fresh.reply(claim, words, vec!["Done.".into()], at(now)).await.unwrap().expect("a claim that holds");
    assert!(fresh.provider_accepts(replied.part, replied.token, &format!("SM-{}", claim.turn), at(now)).await);
    assert_eq!(fresh.turn_state(claim.turn), "done");
}

/// It is stored and not answered, for that reason.
async fn assert_skipped(fresh: &FreshStore, from: &str, id: &str, when: i64, why: &str) {
    let admission = Admission::default();
    let ReceiveOutcome::Skipped(turn) = fresh.contact_writes_with(from, id, at(when), admission).await else {
        panic!("{id} is answered")
    };
    assert_eq!((fresh.turn_state(turn).as_str(), fresh.turn_error(turn).as_str()), ("skipped", why));
}

pub async fn after_a_stop_nothing_is_sent_but_one_confirmation_until_a_start(fresh: &FreshStore) {
    let stop = fresh.contact_sends_command(ANN, "SM1", START, Command::OptOut).await;
    let claim = fresh.due_turn(START).await;
    assert_eq!(claim.turn, stop, "at once, without the merge window");
    send_confirmation(fresh, &claim, 0).await;
    assert_skipped(fresh, ANN, "SM2", 1, OPTED_OUT).await;
    let again = Admission { command: Some(Command::OptOut), ..Admission::default() };
    assert!(
        matches!(fresh.contact_writes_with(ANN, "SM3", at(2), again).await, ReceiveOutcome::Skipped(_)),
        "one confirmation"
    );
    let help = Admission { command: Some(Command::Help), ..Admission::default() };
    assert!(matches!(fresh.contact_writes_with(ANN, "SM4", at(3), help).await, ReceiveOutcome::Skipped(_)));
    assert_eq!(
        fresh.send_operator_message(claim.conversation, "Hello?".into(), None, at(4)).await.unwrap(),
        OperatorMessageOutcome::OptedOutOrBlocked
    );
    assert!(fresh.conversations(None, 1).await.unwrap()[0].opted_out);
    fresh.assert_nothing_due(at(100_000)).await;
    assert_eq!(fresh.rows("SELECT COUNT(*) FROM messages WHERE role = 'user'"), ["4"], "all of it is stored");
    // Other contacts are not affected.
    let other = fresh.contact_writes(BEN, "SM5", at(100_000)).await;
    assert_eq!(fresh.due_turn(at(101_000)).await.turn, other);

    fresh.contact_sends_command(ANN, "SM6", at(102_000), Command::OptIn).await;
    send_confirmation(fresh, &fresh.due_turn(at(102_000)).await, 102_000).await;
    let turn = fresh.contact_writes(ANN, "SM7", at(103_000)).await;
    assert_eq!(fresh.due_turn(at(104_000)).await.turn, turn);
    assert!(!fresh.conversations(None, 5).await.unwrap().iter().any(|row| row.opted_out));
}

pub async fn a_stop_ends_what_is_being_answered_and_what_waits(fresh: &FreshStore) {
    let running = fresh.claimed_turn(ANN).await;
    let waiting = fresh.contact_writes(ANN, "SM2", at(2_000)).await;
    let stop = fresh.contact_sends_command(ANN, "SM3", at(3_000), Command::OptOut).await;
    for turn in [running.turn, waiting] {
        assert_eq!((fresh.turn_state(turn).as_str(), fresh.turn_error(turn).as_str()), ("skipped", OPTED_OUT));
    }
    let late = Reply::OwnText { text: "Late.".into(), hand_over: None };
    assert_eq!(fresh.reply(&running, late, vec!["Late.".into()], at(3_000)).await.unwrap(), None);
    let claim = fresh.due_turn(at(3_000)).await;
    assert_eq!(claim.turn, stop);
    send_confirmation(fresh, &claim, 3_000).await;
    fresh.assert_nothing_due(at(100_000)).await;
}

pub async fn a_stop_holds_back_what_is_still_to_be_posted(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let (part, token) = fresh.answer(&claim, &["One.", "Two.", "Three."]).await;
    assert!(fresh.provider_accepts(part, token, "SM1", at(1_000)).await);
    let stop = fresh.contact_sends_command(ANN, "SM2", at(2_000), Command::OptOut).await;
    assert_eq!(fresh.part_states(claim.turn), "sent failed failed");
    assert_eq!((fresh.turn_state(claim.turn).as_str(), fresh.turn_error(claim.turn).as_str()), ("skipped", OPTED_OUT));
    let confirmed = fresh.due_turn(at(2_000)).await;
    assert_eq!(confirmed.turn, stop);
    send_confirmation(fresh, &confirmed, 2_000).await;
    fresh.assert_nothing_due(at(100_000)).await;
}

pub async fn parts_in_flight_at_a_stop_are_settled_and_not_posted_again(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let (part, token) = fresh.answer(&claim, &["One.", "Two."]).await;
    let stop = fresh.contact_sends_command(ANN, "SM2", at(2_000), Command::OptOut).await;
    assert_eq!(
        (fresh.part_states(claim.turn).as_str(), fresh.turn_state(claim.turn).as_str()),
        ("sending failed", "sending")
    );
    fresh.assert_nothing_due(at(2_000)).await;
    // Nothing was created, so without the block it would be posted again.
    assert!(fresh.retry_part(part, token, at(3_000), "429".into()).await.unwrap());
    fresh.assert_nothing_due(at(3_000)).await;
    assert_eq!(fresh.part_states(claim.turn), "failed failed");
    assert_eq!(fresh.turn_state(claim.turn), "skipped");
    let confirmed = fresh.due_turn(at(3_000)).await;
    assert_eq!(confirmed.turn, stop);
    send_confirmation(fresh, &confirmed, 3_000).await;
}

pub async fn at_a_stop_unknown_parts_are_looked_up_and_the_rest_held_back(fresh: &FreshStore) {
    let (claim, part) = fresh.unknown_part(ANN, &["One.", "Two."]).await;
    let stop = fresh.contact_sends_command(ANN, "SM2", at(2_000), Command::OptOut).await;
    let standing = || (fresh.part_states(claim.turn), fresh.turn_state(claim.turn));
    assert_eq!(standing(), ("unknown failed".into(), "sending".into()));
    assert_eq!(fresh.due_lookup(at(3_000)).await.part, part);
    assert_eq!(fresh.settle_lookup(part, vec![sid("SM1")], false, at(3_100)).await.unwrap(), LookupOutcome::Found);
    assert_eq!(standing(), ("sent failed".into(), "dead".into()), "not all of it was sent");
    assert_eq!(fresh.turn_error(claim.turn), OPTED_OUT);
    let confirmed = fresh.due_turn(at(3_100)).await;
    assert_eq!(confirmed.turn, stop);
    send_confirmation(fresh, &confirmed, 3_100).await;
}

pub async fn the_confirmation_of_a_stop_is_posted_again_if_nothing_was_created(fresh: &FreshStore) {
    fresh.contact_sends_command(ANN, "SM1", START, Command::OptOut).await;
    let claim = fresh.due_turn(START).await;
    let (part, token) = fresh.answer_at(&claim, &["Stopped."], START).await;
    assert!(fresh.retry_part(part, token, at(1_000), "429".into()).await.unwrap());
    let again = fresh.due_part(at(1_000)).await;
    assert_eq!((again.outgoing.reference, again.outgoing.text.as_str()), (part, "Stopped."));
    assert!(fresh.provider_accepts(part, again.token, "SM-again", at(1_000)).await);
    assert_eq!(fresh.turn_state(claim.turn), "done");
}

pub async fn a_stop_or_block_of_one_contact_does_not_affect_another(fresh: &FreshStore) {
    // The turn of one comes before, and that of the other after.
    let (ben, ann, cat) =
        (fresh.claimed_turn(BEN).await, fresh.claimed_turn(ANN).await, fresh.claimed_turn("+15550000003").await);
    for claim in [&ben, &ann, &cat] {
        fresh.answer(claim, &["One.", "Two."]).await;
    }
    let waiting = fresh.contact_writes(BEN, "SM2", at(2_000)).await;
    let unharmed = || {
        let states = [&ben, &cat].map(|claim| (fresh.part_states(claim.turn), fresh.turn_state(claim.turn)));
        states == [(); 2].map(|()| ("sending ready".into(), "sending".into())) && fresh.turn_state(waiting) == "open"
    };
    let silenced = |column: &str| fresh.rows(&format!("SELECT id FROM contacts WHERE {column} IS NOT NULL"));
    fresh.contact_sends_command(ANN, "SM3", at(2_000), Command::OptOut).await;
    assert!(unharmed(), "{:?}", fresh.all_rows());
    assert_eq!(silenced("opted_out_at"), [ann.contact.to_string()]);
    fresh.set_blocked(phone(ANN), true, at(3_000)).await.unwrap();
    assert!(unharmed(), "{:?}", fresh.all_rows());
    assert_eq!(silenced("blocked_at"), [ann.contact.to_string()]);
    // Unblocking the other does not unblock this one.
    fresh.contact_sends_command(BEN, "SM4", at(4_000), Command::OptIn).await;
    fresh.set_blocked(phone(BEN), false, at(4_000)).await.unwrap();
    assert_eq!((silenced("opted_out_at").len(), silenced("blocked_at").len()), (1, 1));
}

pub async fn a_stop_is_obeyed_and_confirmed_while_a_person_answers(fresh: &FreshStore) {
    let running = fresh.claimed_turn(ANN).await;
    assert!(fresh.take_over(running.conversation, None, "so".into(), None, at(2_000)).await.unwrap());
    let spoken = fresh.send_operator_message(running.conversation, "I am Eva.".into(), None, at(2_000)).await.unwrap();
    let OperatorMessageOutcome::Queued(said) = spoken else { panic!("{spoken:?}") };
    let stop = fresh.contact_sends_command(ANN, "SM2", at(3_000), Command::OptOut).await;
    assert_eq!(fresh.turn_state(said), "skipped", "what the person said goes out no more");
    let claim = fresh.due_turn(at(3_000)).await;
    assert_eq!(claim.turn, stop);
    send_confirmation(fresh, &claim, 3_000).await;
    fresh.contact_sends_command(ANN, "SM3", at(4_000), Command::OptIn).await;
    send_confirmation(fresh, &fresh.due_turn(at(4_000)).await, 4_000).await;
    assert!(
        fresh.conversation(claim.conversation, 0).await.unwrap().unwrap().0.human_mode,
        "and the person is still there"
    );
}

pub async fn the_pairing_code_is_no_start(fresh: &FreshStore) {
    fresh.contact_sends_command(ANN, "SM1", START, Command::OptOut).await;
    send_confirmation(fresh, &fresh.due_turn(START).await, 0).await;
    let code = Admission { sender: SenderStatus::HasPairingCode, ..Admission::default() };
    fresh.contact_writes_with(ANN, "SM2", at(1), code).await;
    fresh.assert_nothing_due(at(100_000)).await;
}

pub async fn a_blocked_contact_is_neither_answered_nor_written_to_until_the_block_is_taken_back(fresh: &FreshStore) {
    let running = fresh.claimed_turn(ANN).await;
    fresh.contact_writes(ANN, "SM2", at(2_000)).await;
    fresh.set_blocked(phone(ANN), true, at(3_000)).await.unwrap();
    assert_eq!(fresh.rows("SELECT DISTINCT state, error FROM turns"), [format!("skipped|{BLOCKED}")]);
    assert_skipped(fresh, ANN, "SM3", 4_000, BLOCKED).await;
    for (id, command) in [("SM4", Command::OptIn), ("SM5", Command::Help), ("SM6", Command::Reset)] {
        let word = Admission { command: Some(command), ..Admission::default() };
        assert!(
            matches!(fresh.contact_writes_with(ANN, id, at(5_000), word).await, ReceiveOutcome::Skipped(_)),
            "{command:?}"
        );
    }
    assert_eq!(
        fresh.send_operator_message(running.conversation, "Hello?".into(), None, at(6_000)).await.unwrap(),
        OperatorMessageOutcome::OptedOutOrBlocked
    );
    assert!(fresh.conversations(None, 1).await.unwrap()[0].blocked);
    fresh.assert_nothing_due(at(100_000)).await;
    fresh.set_blocked(phone(ANN), false, at(100_000)).await.unwrap();
    assert!(!fresh.conversations(None, 1).await.unwrap()[0].blocked);
    let turn = fresh.contact_writes(ANN, "SM7", at(100_000)).await;
    assert_eq!(fresh.due_turn(at(101_000)).await.turn, turn);
}

pub async fn a_block_holds_back_what_is_still_to_be_posted(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let (part, token) = fresh.answer(&claim, &["One.", "Two."]).await;
    assert!(fresh.provider_accepts(part, token, "SM1", at(1_000)).await);
    fresh.set_blocked(phone(ANN), true, at(2_000)).await.unwrap();
    assert_eq!(
        (fresh.part_states(claim.turn).as_str(), fresh.turn_state(claim.turn).as_str()),
        ("sent failed", "skipped")
    );
    fresh.assert_nothing_due(at(100_000)).await;
}

pub async fn parts_in_flight_at_a_block_are_not_posted_again(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let (part, token) = fresh.answer(&claim, &["One.", "Two."]).await;
    fresh.set_blocked(phone(ANN), true, at(2_000)).await.unwrap();
    assert!(fresh.retry_part(part, token, at(3_000), "429".into()).await.unwrap());
    fresh.assert_nothing_due(at(3_000)).await;
    assert_eq!(
        (fresh.part_states(claim.turn).as_str(), fresh.turn_state(claim.turn).as_str()),
        ("failed failed", "skipped")
    );
}

pub async fn a_requeued_turn_of_a_blocked_contact_is_skipped(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    assert!(fresh.retry_turn(&claim, at(1_500), "503".into()).await.unwrap());
    assert!(fresh.discard(claim.turn, at(1_500)).await.unwrap());
    fresh.set_blocked(phone(ANN), true, at(2_000)).await.unwrap();
    assert!(fresh.is_requeued(claim.turn, at(3_000)).await);
    fresh.assert_nothing_due(at(3_000)).await;
    assert_eq!((fresh.turn_state(claim.turn).as_str(), fresh.turn_error(claim.turn).as_str()), ("skipped", BLOCKED));
}

pub async fn somebody_can_be_blocked_before_they_ever_wrote(fresh: &FreshStore) {
    fresh.set_blocked(phone(ANN), true, START).await.unwrap();
    fresh.set_blocked(phone(ANN), true, START).await.unwrap();
    assert_eq!((fresh.count("contacts"), fresh.count("addresses")), (1, 1));
    assert_skipped(fresh, ANN, "SM1", 1, BLOCKED).await;
    assert_eq!(fresh.count("contacts"), 1);
    fresh.contact_writes(BEN, "SM2", at(1)).await;
}

pub async fn when_a_person_last_wrote_to_a_number_and_whether_they_may_be_written_to_is_told(fresh: &FreshStore) {
    let known = async |account: &str, ours: &str| {
        fresh.reachability(phone(ANN), account.to_owned(), ours.to_owned()).await.unwrap()
    };
    assert_eq!(known("", OUR_NUMBER).await, Reachability::default(), "nobody knows them");
    fresh.contact_writes(ANN, "SM1", at(1)).await;
    fresh.contact_writes(ANN, "SM2", at(2)).await;
    fresh.contact_writes(BEN, "SM3", at(3)).await;
    let wrote = Reachability { last_inbound_at: Some(at(2)), ..Reachability::default() };
    assert_eq!(known("", OUR_NUMBER).await, wrote);
    assert_eq!(known("", "").await, wrote, "on any number of the account");
    for (account, ours) in [("", "whatsapp:+14155550002"), ("AC2", OUR_NUMBER)] {
        assert_eq!(known(account, ours).await, Reachability::default(), "{account} {ours}");
    }
    fresh.set_blocked(phone(ANN), true, at(4)).await.unwrap();
    assert!(known("", OUR_NUMBER).await.blocked);
    fresh.set_blocked(phone(ANN), false, at(5)).await.unwrap();
    fresh.contact_sends_command(ANN, "SM4", at(6), Command::OptOut).await;
    let known = known("", OUR_NUMBER).await;
    assert!(known.opted_out && !known.blocked, "{known:?}");
}
