//! What is decided about a message before it is stored: rate, sender, and whether the running turn restarts.

use std::time::Duration;

use mynah::model::{Command, TurnId};
use mynah::store::{Admission, BuiltInRequest, ReceiveOutcome, SenderStatus};

use crate::setup::fresh_store::{ANN, BEN, FreshStore, START, at, inbound};

const MINUTE: Duration = Duration::from_secs(60);

fn above_the_rate(wait: u64) -> Admission {
    let slow_down = Some(("Slowly!".to_owned(), MINUTE));
    Admission { rate_wait: Some(Duration::from_secs(wait)), slow_down_notice: slow_down, ..Admission::default() }
}

fn expect_new_turn(accepted: ReceiveOutcome) -> TurnId {
    match accepted {
        ReceiveOutcome::Queued(turn) => turn,
        other => panic!("{other:?}"),
    }
}

/// The one text that is due is this, and it is sent.
async fn expect_text_sent(fresh: &FreshStore, text: &str, now: i64) {
    let part = fresh.due_part(at(now)).await;
    assert_eq!(part.outgoing.text, text);
    assert!(fresh.provider_accepts(part.outgoing.reference, part.token, &format!("SM-at-{now}"), at(now)).await);
}

pub async fn a_contact_above_the_rate_is_warned_once_and_answered_together_when_it_allows(fresh: &FreshStore) {
    let turn = expect_new_turn(fresh.contact_writes_with(ANN, "SM1", START, above_the_rate(30)).await);
    expect_text_sent(fresh, "Slowly!", 0).await;
    for second in 1..9 {
        assert_eq!(
            expect_new_turn(
                fresh.contact_writes_with(ANN, &format!("SM{second}0"), at(second * 1_000), above_the_rate(30)).await
            ),
            turn
        );
    }
    fresh.assert_nothing_due(at(29_999)).await;
    let claim = fresh.due_turn(at(30_000)).await;
    assert_eq!(claim.turn, turn);
    assert_eq!(fresh.rows("SELECT COUNT(*) FROM messages WHERE role = 'user'"), ["9"], "all are stored");
    // A new window, a new notice; but not while an answer is on its way.
    expect_new_turn(fresh.contact_writes_with(ANN, "SM2", at(61_000), above_the_rate(10)).await);
    fresh.assert_nothing_due(at(61_000)).await;
    let (part, token) = fresh.answer_at(&claim, &["Hello."], at(61_000)).await;
    assert!(fresh.provider_accepts(part, token, "SMout", at(61_000)).await);
    expect_new_turn(fresh.contact_writes_with(ANN, "SM3", at(62_000), above_the_rate(10)).await);
    expect_text_sent(fresh, "Slowly!", 62_000).await;
    fresh.assert_nothing_due(at(70_999)).await;
    fresh.due_turn(at(71_000)).await;
}

pub async fn a_text_of_our_own_raises_the_revision(fresh: &FreshStore) {
    let refusal =
        Admission { sender: SenderStatus::Unknown, refusal_text: Some("Not for you.".into()), ..Admission::default() };
    for (from, admission) in [(ANN, above_the_rate(30)), (BEN, refusal)] {
        fresh.contact_writes(from, &format!("SM1-{from}"), START).await;
        let message = inbound(from, &format!("SM2-{from}"), at(1));
        let (conversation, revision) =
            fresh.receive(message, None, admission).await.unwrap().conversation_revision.unwrap();
        let stored = fresh.rows(&format!(
            "SELECT revision FROM conversations WHERE reply_to = 'whatsapp:{from}' AND 3 = (SELECT COUNT(*) FROM messages m
             WHERE m.conversation_id = conversations.id)"
        ));
        assert_eq!((stored, revision), (vec!["3".to_owned()], 3), "{conversation}");
    }
}

pub async fn a_turn_that_waited_for_another_waits_for_its_rate_too(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let waiting = expect_new_turn(fresh.contact_writes_with(ANN, "SM2", at(2_000), above_the_rate(30)).await);
    let (part, token) = fresh.answer_at(&claim, &["Hello."], at(3_000)).await;
    assert!(fresh.provider_accepts(part, token, "SMout", at(3_000)).await);
    fresh.assert_nothing_due(at(31_999)).await;
    assert_eq!(fresh.due_turn(at(32_000)).await.turn, waiting);
}

pub async fn a_stop_waits_for_no_rate_and_gets_only_its_confirmation(fresh: &FreshStore) {
    let stop = Admission { command: Some(Command::OptOut), ..above_the_rate(30) };
    let turn = expect_new_turn(fresh.contact_writes_with(ANN, "SM1", START, stop).await);
    let claims = fresh.claim(START, 10, 10).await.unwrap();
    let texts: Vec<_> = claims.parts.iter().map(|part| part.outgoing.text.as_str()).collect();
    assert_eq!((claims.turns.iter().map(|claim| claim.turn).collect::<Vec<_>>(), texts), (vec![turn], vec![]));
}

pub async fn resets_above_the_rate_begin_nothing(fresh: &FreshStore) {
    let reset = Admission { command: Some(Command::Reset), ..above_the_rate(30) };
    assert!(matches!(fresh.contact_writes_with(ANN, "SM1", START, reset).await, ReceiveOutcome::Skipped(_)));
    assert_eq!(fresh.rows("SELECT COUNT(*) FROM conversations WHERE ended_at IS NULL"), ["1"]);
    expect_text_sent(fresh, "Slowly!", 0).await;
    fresh.assert_nothing_due(at(100_000)).await;
}

pub async fn a_reset_ends_the_conversation_it_is_answered_in(fresh: &FreshStore) {
    let reset = fresh.contact_sends_command(ANN, "SM1", START, Command::Reset).await;
    let next = fresh.contact_writes(ANN, "SM2", at(1)).await;
    assert_eq!((fresh.count("conversations"), fresh.due_turn(at(1)).await.turn), (2, reset));
    let claim = fresh.due_turn(at(1_001)).await;
    assert_eq!(claim.turn, next);
    assert_eq!(fresh.window_lines(claim.conversation, next, 10).await, ["user: SM2"]);
}

pub async fn a_keyword_ends_the_merge_window_of_its_burst(fresh: &FreshStore) {
    let turn = fresh.contact_writes(ANN, "SM1", START).await;
    assert_eq!(fresh.contact_sends_command(ANN, "SM2", at(100), Command::Help).await, turn);
    assert_eq!(fresh.due_turn(at(100)).await.turn, turn);
    let alone = fresh.contact_sends_command(BEN, "SM3", at(200), Command::Help).await;
    assert_eq!(fresh.due_turn(at(200)).await.turn, alone);
}

pub async fn the_later_of_two_keywords_in_one_burst_counts_unless_a_person_is_wanted(fresh: &FreshStore) {
    use Command::{Help, Human, OptIn, OptOut, Reset};
    for (number, (first, second, counts)) in [
        (Help, OptIn, OptIn),
        (OptIn, Help, Help),
        (Help, Human, Human),
        (Human, Help, Human),
        (Human, OptIn, Human),
        (Human, Reset, Reset),
        (Human, OptOut, OptOut),
    ]
    .into_iter()
    .enumerate()
    {
        let from = format!("+1555000000{number}");
        fresh.contact_sends_command(&from, &format!("SM1-{number}"), START, first).await;
        fresh.contact_sends_command(&from, &format!("SM2-{number}"), START, second).await;
        assert_eq!(fresh.due_turn(START).await.request, Some(BuiltInRequest::Command(counts)), "{first:?}, {second:?}");
    }
}

pub async fn a_keyword_does_not_hurry_a_burst_above_the_rate_unless_it_is_stop(fresh: &FreshStore) {
    let waits = |seconds| Admission { rate_wait: Some(Duration::from_secs(seconds)), ..Admission::default() };
    let turn = expect_new_turn(fresh.contact_writes_with(ANN, "SM1", START, waits(30)).await);
    assert_eq!(fresh.contact_sends_command(ANN, "SM2", at(100), Command::Help).await, turn);
    fresh.assert_nothing_due(at(29_999)).await;
    assert_eq!(fresh.due_turn(at(30_000)).await.turn, turn);
    fresh.contact_writes_with(BEN, "SM3", at(40_000), waits(30)).await;
    let stop = fresh.contact_sends_command(BEN, "SM4", at(40_100), Command::OptOut).await;
    assert_eq!(fresh.due_turn(at(40_100)).await.turn, stop);
}

pub async fn an_unknown_sender_is_refused_once_a_day(fresh: &FreshStore) {
    let stranger = || Admission {
        sender: SenderStatus::Unknown,
        refusal_text: Some("Not for you.".into()),
        ..Admission::default()
    };
    assert!(matches!(fresh.contact_writes_with(ANN, "SM1", START, stranger()).await, ReceiveOutcome::Skipped(_)));
    expect_text_sent(fresh, "Not for you.", 0).await;
    let day = 24 * 3_600_000;
    assert!(matches!(fresh.contact_writes_with(ANN, "SM2", at(day - 1), stranger()).await, ReceiveOutcome::Skipped(_)));
    fresh.assert_nothing_due(at(day - 1)).await;
    assert!(matches!(fresh.contact_writes_with(ANN, "SM3", at(day), stranger()).await, ReceiveOutcome::Skipped(_)));
    expect_text_sent(fresh, "Not for you.", day).await;
    // Or with no notice at all.
    let quiet = Admission { sender: SenderStatus::Unknown, ..Admission::default() };
    assert!(matches!(fresh.contact_writes_with(BEN, "SM4", at(day), quiet).await, ReceiveOutcome::Skipped(_)));
    fresh.assert_nothing_due(at(day)).await;
    assert_eq!(fresh.rows("SELECT COUNT(*) FROM messages WHERE role = 'user'"), ["4"], "all are stored");
}

pub async fn a_sender_who_opted_out_gets_no_refusal(fresh: &FreshStore) {
    fresh.contact_sends_command(ANN, "SM1", START, Command::OptOut).await;
    let claim = fresh.due_turn(START).await;
    let (part, token) = fresh.answer_at(&claim, &["Stopped."], START).await;
    assert!(fresh.provider_accepts(part, token, "SMout", START).await);
    let refusal = Some("Not for you.".into());
    let stranger = Admission { sender: SenderStatus::Unknown, refusal_text: refusal, ..Admission::default() };
    assert!(matches!(fresh.contact_writes_with(ANN, "SM2", at(1), stranger).await, ReceiveOutcome::Skipped(_)));
    fresh.assert_nothing_due(at(100_000)).await;
    assert_eq!(fresh.count("parts"), 1, "nor is it even written");
}

pub async fn a_stop_of_an_unknown_sender_is_obeyed_and_confirmed_until_their_start(fresh: &FreshStore) {
    let refused = Some("Not for you.".to_owned());
    let stranger = |command| Admission {
        command,
        sender: SenderStatus::Unknown,
        refusal_text: refused.clone(),
        ..Admission::default()
    };
    assert!(matches!(
        fresh.contact_writes_with(ANN, "SM0", START, stranger(Some(Command::OptIn))).await,
        ReceiveOutcome::Skipped(_)
    ));
    expect_text_sent(fresh, "Not for you.", 0).await;
    let stop = expect_new_turn(fresh.contact_writes_with(ANN, "SM1", at(1), stranger(Some(Command::OptOut))).await);
    let claim = fresh.due_turn(at(1)).await;
    assert_eq!((claim.turn, claim.request), (stop, Some(BuiltInRequest::Command(Command::OptOut))));
    let (part, token) = fresh.answer_at(&claim, &["Stopped."], at(1)).await;
    assert!(fresh.provider_accepts(part, token, "SMstopped", at(1)).await);
    assert_eq!(fresh.rows("SELECT COUNT(*) FROM contacts WHERE opted_out_at IS NOT NULL"), ["1"]);
    // A second STOP is not confirmed again, and a day later no refusal is sent either.
    let day = 24 * 3_600_000;
    for (id, command) in [("SM2", Some(Command::OptOut)), ("SM3", None), ("SM4", Some(Command::Help))] {
        assert!(matches!(
            fresh.contact_writes_with(ANN, id, at(day), stranger(command)).await,
            ReceiveOutcome::Skipped(_)
        ));
    }
    fresh.assert_nothing_due(at(day)).await;
    let start = expect_new_turn(fresh.contact_writes_with(ANN, "SM5", at(day), stranger(Some(Command::OptIn))).await);
    let claim = fresh.due_turn(at(day)).await;
    assert_eq!((claim.turn, claim.request), (start, Some(BuiltInRequest::Command(Command::OptIn))));
    assert_eq!(fresh.rows("SELECT COUNT(*) FROM contacts WHERE opted_out_at IS NOT NULL"), ["0"]);
    assert!(
        matches!(fresh.contact_writes_with(ANN, "SM6", at(day), stranger(None)).await, ReceiveOutcome::Skipped(_)),
        "and no more than that"
    );
}

pub async fn a_stop_of_somebody_who_is_blocked_counts_once_they_are_not(fresh: &FreshStore) {
    let ann = || mynah::model::Address::parse(ANN).unwrap();
    let word = |command| Admission { command: Some(command), ..Admission::default() };
    fresh.set_blocked(ann(), true, START).await.unwrap();
    assert!(matches!(
        fresh.contact_writes_with(ANN, "SM1", at(1), word(Command::OptOut)).await,
        ReceiveOutcome::Skipped(_)
    ));
    fresh.set_blocked(ann(), false, at(2)).await.unwrap();
    let hello = fresh.contact_writes_with(ANN, "SM2", at(3), Admission::default()).await;
    let ReceiveOutcome::Skipped(turn) = hello else { panic!("{hello:?}") };
    assert_eq!(fresh.turn_error(turn), "the contact opted out");
    fresh.set_blocked(ann(), true, at(4)).await.unwrap();
    assert!(matches!(
        fresh.contact_writes_with(ANN, "SM3", at(5), word(Command::OptIn)).await,
        ReceiveOutcome::Skipped(_)
    ));
    fresh.assert_nothing_due(at(100_000)).await;
    fresh.set_blocked(ann(), false, at(100_000)).await.unwrap();
    expect_new_turn(fresh.contact_writes_with(ANN, "SM4", at(100_000), Admission::default()).await);
}

pub async fn a_sender_with_the_pairing_code_is_admitted_for_good(fresh: &FreshStore) {
    let code = || Admission { sender: SenderStatus::HasPairingCode, ..Admission::default() };
    let stranger = || Admission { sender: SenderStatus::Unknown, ..Admission::default() };
    assert!(matches!(fresh.contact_writes_with(BEN, "SM0", START, stranger()).await, ReceiveOutcome::Skipped(_)));
    let turn = expect_new_turn(fresh.contact_writes_with(ANN, "SM1", START, code()).await);
    let claim = fresh.due_turn(START).await;
    assert_eq!((claim.turn, claim.request), (turn, Some(BuiltInRequest::Admitted)));
    let (part, token) = fresh.answer_at(&claim, &["Come in!"], START).await;
    assert!(fresh.provider_accepts(part, token, "SMout", START).await);
    let next = expect_new_turn(fresh.contact_writes_with(ANN, "SM2", at(1_000), stranger()).await);
    assert_eq!(fresh.due_turn(at(2_000)).await.turn, next);
    assert!(matches!(fresh.contact_writes_with(BEN, "SM3", at(2_000), stranger()).await, ReceiveOutcome::Skipped(_)));
}

pub async fn a_pairing_code_of_an_admitted_contact_is_left_to_the_person_who_answers(fresh: &FreshStore) {
    let code = || Admission { sender: SenderStatus::HasPairingCode, ..Admission::default() };
    expect_new_turn(fresh.contact_writes_with(ANN, "SM1", START, code()).await);
    let claim = fresh.due_turn(START).await;
    let (part, token) = fresh.answer_at(&claim, &["Come in!"], START).await;
    assert!(fresh.provider_accepts(part, token, "SMout", START).await);
    assert!(fresh.take_over(claim.conversation, None, "so".into(), None, at(1)).await.unwrap());
    let again = fresh.contact_writes_with(ANN, "SM2", at(2), code()).await;
    let ReceiveOutcome::Skipped(turn) = again else { panic!("{again:?}") };
    assert_eq!(fresh.turn_error(turn), "a person answers this conversation");
}

pub async fn a_turn_that_has_just_begun_restarts_with_a_new_message_where_the_owner_wants_that(fresh: &FreshStore) {
    let restart = || Admission { restart_running_turn: true, ..Admission::default() };
    let claim = fresh.claimed_turn(ANN).await;
    let again = fresh.receive(inbound(ANN, "SM2", at(2_000)), None, restart()).await.unwrap();
    assert_eq!((again.outcome, again.turn_restarted), (ReceiveOutcome::Queued(claim.turn), true));
    assert!(!fresh.release_turn(&claim, at(2_000)).await.unwrap(), "the claim holds no longer");
    fresh.assert_nothing_due(at(2_999)).await;
    let claim = fresh.due_turn(at(3_000)).await;
    assert_eq!(claim.attempt, 1, "and the attempt does not count");
    assert_eq!(fresh.window_lines(claim.conversation, claim.turn, 10).await.len(), 2);
    // A keyword is answered after it, and a contact who never stops writing gets an answer, too.
    let word = Admission { command: Some(Command::Help), ..restart() };
    let help = fresh.receive(inbound(ANN, "SM3", at(4_000)), None, word).await.unwrap();
    assert!(!help.turn_restarted && help.outcome != ReceiveOutcome::Queued(claim.turn), "{help:?}");
    let other = fresh.claimed_turn(BEN).await;
    let late = fresh.receive(inbound(BEN, "SM4", at(30_000)), None, restart()).await.unwrap();
    assert!(!late.turn_restarted && late.outcome != ReceiveOutcome::Queued(other.turn), "{late:?}");
}
