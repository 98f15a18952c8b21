//! The queue as an operator sees and controls it.

use mynah::model::{TurnId, TurnState};
use mynah::store::{Backlog, LookupOutcome, QueueStatistics, RequeueOutcome};

use crate::setup::fresh_store::{ANN, BEN, FreshStore, at};

/// A turn that died with nothing sent, at `at(2_000)`.
async fn dead_turn(fresh: &FreshStore, from: &str) -> TurnId {
    let claim = fresh.claimed_turn(from).await;
    let (part, token) = fresh.answer(&claim, &["One.", "Two."]).await;
    assert!(fresh.fail_part(part, token, "63024: no such number".into(), at(2_000)).await.unwrap());
    claim.turn
}

pub async fn jobs_are_listed_newest_first_by_state_and_page_by_page(fresh: &FreshStore) {
    let first = dead_turn(fresh, "+15550000011").await;
    let second = dead_turn(fresh, "+15550000012").await;
    let claim = fresh.claimed_turn("+15550000013").await;
    let (part, token) = fresh.answer(&claim, &["One."]).await;
    assert!(fresh.provider_accepts(part, token, "SMout", at(2_000)).await);
    let done = claim.turn;
    let open = fresh.contact_writes("+15550000014", "SM4", at(2_000)).await;
    let listed = async |state, before, most| -> Vec<i64> {
        fresh.jobs(state, before, most).await.unwrap().into_iter().map(|job| job.turn).collect()
    };
    assert_eq!(listed(None, None, 10).await, [open.0, second.0, first.0], "those that are done are no jobs");
    assert_eq!(listed(None, None, 2).await, [open.0, second.0]);
    assert_eq!(listed(None, Some(second), 2).await, [first.0]);
    assert_eq!(listed(Some(TurnState::Dead), None, 10).await, [second.0, first.0]);
    assert_eq!(listed(Some(TurnState::Dead), Some(second), 10).await, [first.0]);
    assert_eq!(listed(Some(TurnState::Done), None, 10).await, [done.0]);
    assert_eq!(listed(Some(TurnState::Running), None, 10).await, [0; 0]);
    let running = fresh.claimed_turn("+15550000015").await.turn;
    fresh.execute_sql(&format!("UPDATE turns SET state = 'expired' WHERE id = {second}"));
    assert_eq!(listed(None, None, 10).await, [running.0, open.0, second.0, first.0]);
    assert_eq!(listed(None, Some(open), 10).await, [second.0, first.0]);
    assert_eq!(listed(Some(TurnState::Running), None, 10).await, [running.0]);
    assert_eq!(listed(Some(TurnState::Running), Some(running), 10).await, [0; 0]);
    assert_eq!(listed(Some(TurnState::Expired), None, 10).await, [second.0]);
    let job = &fresh.jobs(Some(TurnState::Dead), None, 1).await.unwrap()[0];
    assert_eq!((job.state.as_str(), job.attempts, job.due_at.as_deref()), ("dead", 1, None));
    assert_eq!(job.created_at, "2026-09-21T14:13:20.000Z");
    assert_eq!(job.finished_at.as_deref(), Some("2026-09-21T14:13:22.000Z"));
    assert_eq!(job.error.as_deref(), Some("63024: no such number"));
    let job = &fresh.jobs(Some(TurnState::Open), None, 1).await.unwrap()[0];
    assert_eq!(job.due_at.as_deref(), Some("2026-09-21T14:13:23.000Z"));
}

pub async fn the_backlog_counts_what_waits_to_be_claimed(fresh: &FreshStore) {
    assert_eq!(fresh.backlog().await.unwrap(), Backlog { waiting: 0, oldest_due: None });
    let claim = fresh.claimed_turn(ANN).await;
    fresh.contact_writes(ANN, "SM2", at(1_000)).await;
    assert_eq!(fresh.backlog().await.unwrap().waiting, 0, "one runs, and one waits for it");
    fresh.contact_writes(BEN, "SM3", at(4_000)).await;
    assert!(fresh.retry_turn(&claim, at(9_000), "429".into()).await.unwrap());
    assert_eq!(fresh.backlog().await.unwrap(), Backlog { waiting: 2, oldest_due: Some(at(5_000)) });
}

pub async fn the_statistics_count_what_is_in_progress_and_what_failed(fresh: &FreshStore) {
    assert_eq!(fresh.queue_statistics().await.unwrap(), QueueStatistics::default());
    dead_turn(fresh, "+15550000011").await;
    let claim = fresh.claimed_turn("+15550000012").await;
    let (part, token) = fresh.answer(&claim, &["One."]).await;
    assert!(fresh.provider_accepts(part, token, "SMdone", at(2_000)).await);
    fresh.execute_sql("UPDATE parts SET status = 'failed' WHERE provider_id = 'SMdone'");
    fresh.unknown_part("+15550000013", &["One."]).await;
    let retried = fresh.claimed_turn("+15550000014").await;
    assert!(fresh.retry_turn(&retried, at(90_000), "429".into()).await.unwrap());
    fresh.claimed_turn("+15550000015").await;
    fresh.contact_writes("+15550000016", "SM-a", at(4_000)).await;
    fresh.contact_writes("+15550000017", "SM-b", at(5_000)).await;
    let expired = fresh.contact_writes("+15550000018", "SM-c", at(6_000)).await;
    fresh.execute_sql(&format!("UPDATE turns SET state = 'expired', live = NULL, due_at = NULL WHERE id = {expired}"));
    let statistics = QueueStatistics {
        open: 2,
        running: 1,
        retry: 1,
        sending: 1,
        oldest_created_at: Some(at(0)),
        dead: 1,
        expired: 1,
        unknown_parts: 1,
        undelivered_parts: 1,
    };
    assert_eq!(fresh.queue_statistics().await.unwrap(), statistics);
}

pub async fn a_dead_turn_is_answered_again_on_request(fresh: &FreshStore) {
    let turn = dead_turn(fresh, ANN).await;
    fresh.assert_nothing_due(at(90_000)).await;
    assert!(fresh.is_requeued(turn, at(90_000)).await);
    assert!(!fresh.is_requeued(turn, at(90_000)).await, "once");
    let claim = fresh.due_turn(at(90_000)).await;
    assert_eq!((claim.turn, claim.attempt), (turn, 1));
    let (part, token) = fresh.answer_at(&claim, &["New."], at(91_000)).await;
    assert!(fresh.provider_accepts(part, token, "SMnew", at(92_000)).await);
    assert_eq!(fresh.rows("SELECT body, state FROM parts"), ["New.|sent"]);
    assert_eq!(fresh.rows("SELECT state, error, finished_at FROM turns"), [format!("done|-|{}", at(92_000).0)]);
    let before = fresh.all_rows();
    for nothing in [turn, TurnId(4_711)] {
        assert!(!fresh.is_requeued(nothing, at(93_000)).await);
    }
    assert_eq!(fresh.all_rows(), before);
}

/// It would only expire at its next claim.
pub async fn a_turn_is_not_answered_again_once_its_time_has_run_out(fresh: &FreshStore) {
    let day = 23 * 3_600_000;
    let expired = fresh.contact_writes(BEN, "SM-ben", at(0)).await;
    assert_eq!(fresh.expire_overdue_turns(at(day)).await.unwrap(), 1);
    let dead = fresh.contact_writes(ANN, "SM-ann", at(day)).await;
    assert!(fresh.discard(dead, at(day + 1_000)).await.unwrap());
    let before = fresh.all_rows();
    assert_eq!(fresh.requeue(expired, at(day)).await.unwrap(), RequeueOutcome::TooLate);
    assert_eq!(fresh.requeue(dead, at(2 * day)).await.unwrap(), RequeueOutcome::TooLate);
    assert_eq!(fresh.all_rows(), before);
    assert_eq!(fresh.requeue(dead, at(2 * day - 1)).await.unwrap(), RequeueOutcome::Requeued);
    // The contact writes again, and this one still waits for its merge window.
    fresh.contact_writes(BEN, "SM-again", at(day + 5_000)).await;
    assert_eq!(fresh.requeue(expired, at(day + 5_000)).await.unwrap(), RequeueOutcome::Requeued);
}

pub async fn a_turn_is_not_answered_again_once_something_of_it_was_sent(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let (part, token) = fresh.answer(&claim, &["One.", "Two."]).await;
    assert!(fresh.provider_hands_on(part, token, "SM1", at(2_000)).await);
    let second = fresh.due_part(at(2_000)).await;
    assert!(fresh.fail_part(second.outgoing.reference, second.token, "63024".into(), at(2_000)).await.unwrap());
    let (held, _) = fresh.unknown_part(BEN, &["One."]).await;
    let mut now = 3_000;
    for wait in [5_000, 15_000, 40_000, 90_000, 0] {
        fresh.settle_lookup(fresh.due_lookup(at(now)).await.part, vec![], true, at(now)).await.unwrap();
        now += wait;
    }
    let before = fresh.all_rows();
    assert!(!fresh.is_requeued(claim.turn, at(200_000)).await);
    assert!(!fresh.is_requeued(held.turn, at(200_000)).await, "a held part may have been sent");
    assert_eq!(fresh.all_rows(), before);
}

pub async fn a_turn_is_not_answered_again_once_the_conversation_has_gone_on(fresh: &FreshStore) {
    let turn = dead_turn(fresh, ANN).await;
    fresh.contact_writes(ANN, "SM2", at(3_000)).await;
    let next = fresh.due_turn(at(4_000)).await;
    let refused = async || {
        let before = fresh.all_rows();
        assert!(!fresh.is_requeued(turn, at(9_000)).await);
        assert_eq!(fresh.all_rows(), before);
    };
    refused().await;
    let (part, token) = fresh.answer_at(&next, &["Hello."], at(5_000)).await;
    refused().await;
    assert!(fresh.provider_accepts(part, token, "SM3", at(6_000)).await);
    refused().await;
}

/// Otherwise the model would continue from an answer that nobody has read.
pub async fn a_turn_answered_again_forgets_the_answer_that_was_not_sent(fresh: &FreshStore) {
    let turn = dead_turn(fresh, ANN).await;
    assert!(fresh.is_requeued(turn, at(90_000)).await);
    let claim = fresh.due_turn(at(90_000)).await;
    assert_eq!(fresh.window_lines(claim.conversation, turn, 10).await, ["user: SM-first-of-+15550000001"]);
    fresh.answer_at(&claim, &["New."], at(90_000)).await;
    assert_eq!(
        fresh.window_lines(claim.conversation, turn, 10).await,
        ["user: SM-first-of-+15550000001", "assistant: New."]
    );
}

pub async fn the_turn_behind_one_that_is_answered_again_waits_for_it(fresh: &FreshStore) {
    let turn = dead_turn(fresh, ANN).await;
    let waiting = fresh.contact_writes(ANN, "SM2", at(3_000)).await;
    assert!(fresh.is_requeued(turn, at(3_500)).await);
    let claim = fresh.due_turn(at(60_000)).await;
    assert_eq!(claim.turn, turn);
    let (part, token) = fresh.answer_at(&claim, &["New."], at(60_000)).await;
    assert!(fresh.provider_accepts(part, token, "SMnew", at(60_000)).await);
    assert_eq!(fresh.due_turn(at(60_000)).await.turn, waiting);
}

pub async fn a_turn_is_discarded_while_it_waits(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let waiting = fresh.contact_writes(ANN, "SM2", at(1_000)).await;
    let before = fresh.all_rows();
    assert!(!fresh.discard(claim.turn, at(2_000)).await.unwrap(), "a worker has it");
    assert!(!fresh.discard(TurnId(4_711), at(2_000)).await.unwrap());
    assert_eq!(fresh.all_rows(), before);
    assert!(fresh.retry_turn(&claim, at(60_000), "429".into()).await.unwrap());
    assert!(fresh.discard(claim.turn, at(2_000)).await.unwrap());
    assert_eq!(
        fresh.rows(&format!("SELECT state, error, finished_at FROM turns WHERE id = {}", claim.turn)),
        [format!("dead|discarded by the operator|{}", at(2_000).0)]
    );
    assert!(!fresh.discard(claim.turn, at(2_500)).await.unwrap(), "once");
    let next = fresh.due_turn(at(2_000)).await;
    assert_eq!(next.turn, waiting, "the conversation goes on");
    // One that waits for another can be discarded too, and what comes next opens a new one.
    let third = fresh.contact_writes(ANN, "SM3", at(2_100)).await;
    assert!(fresh.discard(third, at(2_200)).await.unwrap());
    let fourth = fresh.contact_writes(ANN, "SM4", at(2_300)).await;
    assert!(fourth > third);
    fresh.assert_nothing_due(at(60_000)).await;
    assert!(fresh.discard(fourth, at(2_400)).await.unwrap());
    assert!(!fresh.discard(next.turn, at(2_500)).await.unwrap());
}

/// It holds up its conversation until its outcome is known.
pub async fn a_turn_whose_part_is_in_doubt_can_be_discarded(fresh: &FreshStore) {
    let (claim, part) = fresh.unknown_part(ANN, &["One.", "Two."]).await;
    let waiting = fresh.contact_writes(ANN, "SM2", at(1_000)).await;
    // A lookup is in progress.
    fresh.due_lookup(at(3_000)).await;
    assert!(fresh.discard(claim.turn, at(3_100)).await.unwrap());
    assert_eq!((fresh.part_states(claim.turn), fresh.turn_state(claim.turn)), ("held failed".into(), "dead".into()));
    let why = fresh.rows(&format!("SELECT DISTINCT error FROM parts WHERE turn_id = {}", claim.turn));
    assert_eq!(why, ["discarded by the operator"]);
    assert_eq!(fresh.settle_lookup(part, vec![], false, at(3_200)).await.unwrap(), LookupOutcome::AlreadySettled);
    assert!(!fresh.is_requeued(claim.turn, at(3_300)).await, "it may have been sent");
    let next = fresh.due_turn(at(3_300)).await;
    assert_eq!(next.turn, waiting);

    // Nor is one lost that waits for a full provider; but what a worker is posting just now is not taken from it.
    let (part, token) = fresh.answer_at(&next, &["Three."], at(4_000)).await;
    assert!(!fresh.discard(waiting, at(4_000)).await.unwrap());
    assert!(fresh.retry_part(part, token, at(60_000), "429".into()).await.unwrap());
    assert!(fresh.discard(waiting, at(4_000)).await.unwrap());
    assert_eq!((fresh.part_states(waiting), fresh.turn_state(waiting)), ("failed".into(), "dead".into()));
    fresh.assert_nothing_due(at(90_000)).await;
}
