//! What was found out about a message before it is stored: its rate, its sender, whether the work begins anew.

use std::time::Duration;

use mynah::model::{Command, TurnId};
use mynah::store::{Admission, BuiltInRequest, ReceiveOutcome, SenderStatus};

use crate::fresh::{ANN, BEN, Fresh, START, at, inbound};

const MINUTE: Duration = Duration::from_secs(60);

fn above_the_rate(wait: u64) -> Admission {
    let slow_down = Some(("Slowly!".to_owned(), MINUTE));
    Admission { rate_wait: Some(Duration::from_secs(wait)), slow_down_notice: slow_down, ..Admission::default() }
}

fn new(accepted: ReceiveOutcome) -> TurnId {
    match accepted {
        ReceiveOutcome::Queued(turn) => turn,
        other => panic!("{other:?}"),
    }
}

/// The one text that is due is this, and it is sent.
async fn hears(fresh: &Fresh, text: &str, now: i64) {
    let part = fresh.due_part(at(now)).await;
    assert_eq!(part.outgoing.text, text);
    assert!(fresh.sent(part.outgoing.reference, part.token, &format!("SM-at-{now}"), at(now)).await);
}

pub async fn what_is_above_the_rate_is_told_once_and_answered_together_when_it_allows(fresh: &Fresh) {
    let turn = new(fresh.met(ANN, "SM1", START, above_the_rate(30)).await);
    hears(fresh, "Slowly!", 0).await;
    for second in 1..9 {
        assert_eq!(new(fresh.met(ANN, &format!("SM{second}0"), at(second * 1_000), above_the_rate(30)).await), turn);
    }
    fresh.nothing_due(at(29_999)).await;
    let claim = fresh.due_turn(at(30_000)).await;
    assert_eq!(claim.turn, turn);
    assert_eq!(fresh.rows("SELECT COUNT(*) FROM messages WHERE role = 'user'"), ["9"], "all are stored");
    // A new window, a new notice; but not while an answer is on its way.
    new(fresh.met(ANN, "SM2", at(61_000), above_the_rate(10)).await);
    fresh.nothing_due(at(61_000)).await;
    let (part, token) = fresh.answer_at(&claim, &["Hello."], at(61_000)).await;
    assert!(fresh.sent(part, token, "SMout", at(61_000)).await);
    new(fresh.met(ANN, "SM3", at(62_000), above_the_rate(10)).await);
    hears(fresh, "Slowly!", 62_000).await;
    fresh.nothing_due(at(70_999)).await;
    fresh.due_turn(at(71_000)).await;
}

pub async fn what_we_say_of_ourselves_raises_the_revision(fresh: &Fresh) {
    let refusal =
        Admission { sender: SenderStatus::Unknown, refusal_text: Some("Not for you.".into()), ..Admission::default() };
    for (from, reception) in [(ANN, above_the_rate(30)), (BEN, refusal)] {
        fresh.said(from, &format!("SM1-{from}"), START).await;
        let message = inbound(from, &format!("SM2-{from}"), at(1));
        let (conversation, revision) =
            fresh.receive(message, None, reception).await.unwrap().conversation_revision.unwrap();
        let stored = fresh.rows(&format!(
            "SELECT revision FROM conversations WHERE reply_to = 'whatsapp:{from}' AND 3 = (SELECT COUNT(*) FROM messages m
             WHERE m.conversation_id = conversations.id)"
        ));
        assert_eq!((stored, revision), (vec!["3".to_owned()], 3), "{conversation}");
    }
}

pub async fn a_turn_that_waited_for_another_waits_for_its_rate_too(fresh: &Fresh) {
    let claim = fresh.started(ANN).await;
    let waiting = new(fresh.met(ANN, "SM2", at(2_000), above_the_rate(30)).await);
    let (part, token) = fresh.answer_at(&claim, &["Hello."], at(3_000)).await;
    assert!(fresh.sent(part, token, "SMout", at(3_000)).await);
    fresh.nothing_due(at(31_999)).await;
    assert_eq!(fresh.due_turn(at(32_000)).await.turn, waiting);
}

pub async fn a_stop_waits_for_no_rate_and_is_told_nothing_else(fresh: &Fresh) {
    let stop = Admission { command: Some(Command::OptOut), ..above_the_rate(30) };
    let turn = new(fresh.met(ANN, "SM1", START, stop).await);
    let claims = fresh.claim(START, 10, 10).await.unwrap();
    let told: Vec<_> = claims.parts.iter().map(|part| part.outgoing.text.as_str()).collect();
    assert_eq!((claims.turns.iter().map(|claim| claim.turn).collect::<Vec<_>>(), told), (vec![turn], vec![]));
}

pub async fn resets_above_the_rate_begin_nothing(fresh: &Fresh) {
    let reset = Admission { command: Some(Command::Reset), ..above_the_rate(30) };
    assert!(matches!(fresh.met(ANN, "SM1", START, reset).await, ReceiveOutcome::Skipped(_)));
    assert_eq!(fresh.rows("SELECT COUNT(*) FROM conversations WHERE ended_at IS NULL"), ["1"]);
    hears(fresh, "Slowly!", 0).await;
    fresh.nothing_due(at(100_000)).await;
}

pub async fn a_reset_ends_the_conversation_it_is_answered_in(fresh: &Fresh) {
    let reset = fresh.asked(ANN, "SM1", START, Command::Reset).await;
    let next = fresh.said(ANN, "SM2", at(1)).await;
    assert_eq!((fresh.count("conversations"), fresh.due_turn(at(1)).await.turn), (2, reset));
    let claim = fresh.due_turn(at(1_001)).await;
    assert_eq!(claim.turn, next);
    assert_eq!(fresh.heard(claim.conversation, next, 10).await, ["user: SM2"]);
}

pub async fn a_word_hurries_the_burst_that_it_is_part_of(fresh: &Fresh) {
    let turn = fresh.said(ANN, "SM1", START).await;
    assert_eq!(fresh.asked(ANN, "SM2", at(100), Command::Help).await, turn);
    assert_eq!(fresh.due_turn(at(100)).await.turn, turn);
    let alone = fresh.asked(BEN, "SM3", at(200), Command::Help).await;
    assert_eq!(fresh.due_turn(at(200)).await.turn, alone);
}

pub async fn of_two_words_in_one_burst_the_later_counts_unless_a_person_is_wanted(fresh: &Fresh) {
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
        fresh.asked(&from, &format!("SM1-{number}"), START, first).await;
        fresh.asked(&from, &format!("SM2-{number}"), START, second).await;
        assert_eq!(fresh.due_turn(START).await.request, Some(BuiltInRequest::Command(counts)), "{first:?}, {second:?}");
    }
}

pub async fn a_word_does_not_hurry_a_burst_over_its_rate_unless_it_is_stop(fresh: &Fresh) {
    let waits = |seconds| Admission { rate_wait: Some(Duration::from_secs(seconds)), ..Admission::default() };
    let turn = new(fresh.met(ANN, "SM1", START, waits(30)).await);
    assert_eq!(fresh.asked(ANN, "SM2", at(100), Command::Help).await, turn);
    fresh.nothing_due(at(29_999)).await;
    assert_eq!(fresh.due_turn(at(30_000)).await.turn, turn);
    fresh.met(BEN, "SM3", at(40_000), waits(30)).await;
    let stop = fresh.asked(BEN, "SM4", at(40_100), Command::OptOut).await;
    assert_eq!(fresh.due_turn(at(40_100)).await.turn, stop);
}

pub async fn a_stranger_is_refused_once_a_day(fresh: &Fresh) {
    let stranger = || Admission {
        sender: SenderStatus::Unknown,
        refusal_text: Some("Not for you.".into()),
        ..Admission::default()
    };
    assert!(matches!(fresh.met(ANN, "SM1", START, stranger()).await, ReceiveOutcome::Skipped(_)));
    hears(fresh, "Not for you.", 0).await;
    let day = 24 * 3_600_000;
    assert!(matches!(fresh.met(ANN, "SM2", at(day - 1), stranger()).await, ReceiveOutcome::Skipped(_)));
    fresh.nothing_due(at(day - 1)).await;
    assert!(matches!(fresh.met(ANN, "SM3", at(day), stranger()).await, ReceiveOutcome::Skipped(_)));
    hears(fresh, "Not for you.", day).await;
    // Or with no word at all.
    let quiet = Admission { sender: SenderStatus::Unknown, ..Admission::default() };
    assert!(matches!(fresh.met(BEN, "SM4", at(day), quiet).await, ReceiveOutcome::Skipped(_)));
    fresh.nothing_due(at(day)).await;
    assert_eq!(fresh.rows("SELECT COUNT(*) FROM messages WHERE role = 'user'"), ["4"], "all are stored");
}

pub async fn nothing_is_refused_to_who_opted_out(fresh: &Fresh) {
    fresh.asked(ANN, "SM1", START, Command::OptOut).await;
    let claim = fresh.due_turn(START).await;
    let (part, token) = fresh.answer_at(&claim, &["Stopped."], START).await;
    assert!(fresh.sent(part, token, "SMout", START).await);
    let refusal = Some("Not for you.".into());
    let stranger = Admission { sender: SenderStatus::Unknown, refusal_text: refusal, ..Admission::default() };
    assert!(matches!(fresh.met(ANN, "SM2", at(1), stranger).await, ReceiveOutcome::Skipped(_)));
    fresh.nothing_due(at(100_000)).await;
    assert_eq!(fresh.count("parts"), 1, "nor is it even written");
}

pub async fn a_stop_is_obeyed_and_confirmed_to_strangers_too_until_their_start(fresh: &Fresh) {
    let refused = Some("Not for you.".to_owned());
    let stranger = |command| Admission {
        command,
        sender: SenderStatus::Unknown,
        refusal_text: refused.clone(),
        ..Admission::default()
    };
    assert!(matches!(fresh.met(ANN, "SM0", START, stranger(Some(Command::OptIn))).await, ReceiveOutcome::Skipped(_)));
    hears(fresh, "Not for you.", 0).await;
    let stop = new(fresh.met(ANN, "SM1", at(1), stranger(Some(Command::OptOut))).await);
    let claim = fresh.due_turn(at(1)).await;
    assert_eq!((claim.turn, claim.request), (stop, Some(BuiltInRequest::Command(Command::OptOut))));
    let (part, token) = fresh.answer_at(&claim, &["Stopped."], at(1)).await;
    assert!(fresh.sent(part, token, "SMstopped", at(1)).await);
    assert_eq!(fresh.rows("SELECT COUNT(*) FROM contacts WHERE opted_out_at IS NOT NULL"), ["1"]);
    // Twice is not confirmed twice, and a day later no refusal breaks the silence.
    let day = 24 * 3_600_000;
    for (id, command) in [("SM2", Some(Command::OptOut)), ("SM3", None), ("SM4", Some(Command::Help))] {
        assert!(matches!(fresh.met(ANN, id, at(day), stranger(command)).await, ReceiveOutcome::Skipped(_)));
    }
    fresh.nothing_due(at(day)).await;
    let start = new(fresh.met(ANN, "SM5", at(day), stranger(Some(Command::OptIn))).await);
    let claim = fresh.due_turn(at(day)).await;
    assert_eq!((claim.turn, claim.request), (start, Some(BuiltInRequest::Command(Command::OptIn))));
    assert_eq!(fresh.rows("SELECT COUNT(*) FROM contacts WHERE opted_out_at IS NOT NULL"), ["0"]);
    assert!(
        matches!(fresh.met(ANN, "SM6", at(day), stranger(None)).await, ReceiveOutcome::Skipped(_)),
        "and no more than that"
    );
}

pub async fn a_stop_of_somebody_who_is_blocked_counts_once_they_are_not(fresh: &Fresh) {
    let ann = || mynah::model::Address::parse(ANN).unwrap();
    let word = |command| Admission { command: Some(command), ..Admission::default() };
    fresh.set_blocked(ann(), true, START).await.unwrap();
    assert!(matches!(fresh.met(ANN, "SM1", at(1), word(Command::OptOut)).await, ReceiveOutcome::Skipped(_)));
    fresh.set_blocked(ann(), false, at(2)).await.unwrap();
    let hello = fresh.met(ANN, "SM2", at(3), Admission::default()).await;
    let ReceiveOutcome::Skipped(turn) = hello else { panic!("{hello:?}") };
    assert_eq!(fresh.why(turn), "the contact opted out");
    fresh.set_blocked(ann(), true, at(4)).await.unwrap();
    assert!(matches!(fresh.met(ANN, "SM3", at(5), word(Command::OptIn)).await, ReceiveOutcome::Skipped(_)));
    fresh.nothing_due(at(100_000)).await;
    fresh.set_blocked(ann(), false, at(100_000)).await.unwrap();
    new(fresh.met(ANN, "SM4", at(100_000), Admission::default()).await);
}

pub async fn whoever_sends_the_code_is_let_in_for_good(fresh: &Fresh) {
    let code = || Admission { sender: SenderStatus::HasPairingCode, ..Admission::default() };
    let stranger = || Admission { sender: SenderStatus::Unknown, ..Admission::default() };
    assert!(matches!(fresh.met(BEN, "SM0", START, stranger()).await, ReceiveOutcome::Skipped(_)));
    let turn = new(fresh.met(ANN, "SM1", START, code()).await);
    let claim = fresh.due_turn(START).await;
    assert_eq!((claim.turn, claim.request), (turn, Some(BuiltInRequest::Admitted)));
    let (part, token) = fresh.answer_at(&claim, &["Come in!"], START).await;
    assert!(fresh.sent(part, token, "SMout", START).await);
    let next = new(fresh.met(ANN, "SM2", at(1_000), stranger()).await);
    assert_eq!(fresh.due_turn(at(2_000)).await.turn, next);
    assert!(matches!(fresh.met(BEN, "SM3", at(2_000), stranger()).await, ReceiveOutcome::Skipped(_)));
}

pub async fn the_code_of_who_is_in_already_is_left_to_the_person_who_answers(fresh: &Fresh) {
    let code = || Admission { sender: SenderStatus::HasPairingCode, ..Admission::default() };
    new(fresh.met(ANN, "SM1", START, code()).await);
    let claim = fresh.due_turn(START).await;
    let (part, token) = fresh.answer_at(&claim, &["Come in!"], START).await;
    assert!(fresh.sent(part, token, "SMout", START).await);
    assert!(fresh.take_over(claim.conversation, None, "so".into(), None, at(1)).await.unwrap());
    let again = fresh.met(ANN, "SM2", at(2), code()).await;
    let ReceiveOutcome::Skipped(turn) = again else { panic!("{again:?}") };
    assert_eq!(fresh.why(turn), "a person answers this conversation");
}

pub async fn work_that_has_just_begun_begins_anew_with_what_is_said_meanwhile_where_the_owner_wants_that(
    fresh: &Fresh,
) {
    let restart = || Admission { restart_running_turn: true, ..Admission::default() };
    let claim = fresh.started(ANN).await;
    let again = fresh.receive(inbound(ANN, "SM2", at(2_000)), None, restart()).await.unwrap();
    assert_eq!((again.outcome, again.turn_restarted), (ReceiveOutcome::Queued(claim.turn), true));
    assert!(!fresh.release_turn(&claim, at(2_000)).await.unwrap(), "the claim holds no longer");
    fresh.nothing_due(at(2_999)).await;
    let claim = fresh.due_turn(at(3_000)).await;
    assert_eq!(claim.attempt, 1, "and the attempt does not count");
    assert_eq!(fresh.heard(claim.conversation, claim.turn, 10).await.len(), 2);
    // A word of the contact's is answered after it; and somebody who never stops writing gets an answer, too.
    let word = Admission { command: Some(Command::Help), ..restart() };
    let help = fresh.receive(inbound(ANN, "SM3", at(4_000)), None, word).await.unwrap();
    assert!(!help.turn_restarted && help.outcome != ReceiveOutcome::Queued(claim.turn), "{help:?}");
    let other = fresh.started(BEN).await;
    let late = fresh.receive(inbound(BEN, "SM4", at(30_000)), None, restart()).await.unwrap();
    assert!(!late.turn_restarted && late.outcome != ReceiveOutcome::Queued(other.turn), "{late:?}");
}
