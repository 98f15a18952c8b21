//! What a start does with the work that a dead process left.

use mynah::model::DeliveryStatus;
use mynah::store::RecoveryReport;

use crate::setup::fresh_store::{ANN, BEN, FreshStore, at, status_update};

/// What a contact is told whose turn is given up.
const SORRY: &str = "Sorry.";

pub async fn a_turn_that_was_running_is_answered_again(fresh: &FreshStore) {
    let lost = fresh.claimed_turn(ANN).await;
    let recovered = fresh.recover(at(5_000), SORRY.into()).await.unwrap();
    assert_eq!(recovered, RecoveryReport { retried_turns: 1, dead_turns: 0, unknown_parts: 0 });
    let before = fresh.all_rows();
    assert!(!fresh.release_turn(&lost, at(5_000)).await.unwrap(), "the dead process's claim holds no longer");
    assert_eq!(fresh.all_rows(), before);
    let claim = fresh.due_turn(at(5_000)).await;
    assert_eq!((claim.turn, claim.attempt), (lost.turn, 1), "the attempt is not counted");
}

pub async fn a_part_that_was_being_sent_is_looked_up(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let (part, token) = fresh.answer(&claim, &["One.", "Two."]).await;
    assert_eq!(
        fresh.recover(at(5_000), SORRY.into()).await.unwrap(),
        RecoveryReport { retried_turns: 0, dead_turns: 0, unknown_parts: 1 }
    );
    assert_eq!(fresh.part_states(claim.turn), "unknown ready");
    assert!(!fresh.provider_accepts(part, token, "SM1", at(5_000)).await);
    fresh.assert_nothing_due(at(6_999)).await;
    assert_eq!(fresh.due_lookup(at(7_000)).await.part, part);
    // Evidence settles it as usual.
    assert!(fresh.status_arrives(status_update("SM1", DeliveryStatus::Sent, Some(part)), at(7_100)).await);
    assert_eq!(fresh.due_part(at(7_100)).await.outgoing.text, "Two.");
}

pub async fn a_lookup_that_was_being_made_is_made_again(fresh: &FreshStore) {
    let (_, part) = fresh.unknown_part(ANN, &["One."]).await;
    fresh.due_lookup(at(3_000)).await;
    assert_eq!(fresh.recover(at(4_000), SORRY.into()).await.unwrap(), RecoveryReport::default());
    fresh.assert_nothing_due(at(5_999)).await;
    assert_eq!(fresh.due_lookup(at(6_000)).await.part, part, "long before the lease of the lookup has run out");
}

pub async fn a_turn_that_ends_the_process_three_times_is_dead_and_the_conversation_goes_on(fresh: &FreshStore) {
    let deadly = fresh.claimed_turn(ANN).await;
    let waiting = fresh.contact_writes(ANN, "SM2", at(1_000)).await;
    assert_eq!(fresh.recover(at(5_000), SORRY.into()).await.unwrap().retried_turns, 1);
    fresh.due_turn(at(5_000)).await;
    assert_eq!(fresh.recover(at(6_000), SORRY.into()).await.unwrap().retried_turns, 1);
    fresh.assert_nothing_due(at(15_999)).await;
    let third = fresh.due_turn(at(16_000)).await;
    assert_eq!(third.turn, deadly.turn, "after two deaths it waits for ten seconds");
    assert_eq!(
        fresh.recover(at(17_000), SORRY.into()).await.unwrap(),
        RecoveryReport { retried_turns: 0, dead_turns: 1, unknown_parts: 0 }
    );
    let apology = fresh.due_part(at(17_000)).await;
    assert_eq!((apology.outgoing.text.as_str(), apology.outgoing.reference.turn), (SORRY, deadly.turn), "never silent");
    assert!(fresh.provider_accepts(apology.outgoing.reference, apology.token, "SM9", at(17_000)).await);
    assert_eq!(fresh.turn_state(deadly.turn), "dead");
    let why = fresh.rows(&format!("SELECT error FROM turns WHERE id = {}", deadly.turn));
    assert_eq!(why, ["the process ended 3 times while this turn was being answered"]);
    assert_eq!(fresh.due_turn(at(17_000)).await.turn, waiting);
}

/// A kill from outside hits running turns, sometimes a single one that did not cause it.
pub async fn a_turn_that_was_running_beside_others_is_not_dead_at_its_third_death(fresh: &FreshStore) {
    let bystander = fresh.claimed_turn(ANN).await;
    fresh.claimed_turn(BEN).await;
    assert_eq!(fresh.recover(at(5_000), SORRY.into()).await.unwrap().retried_turns, 2);
    assert_eq!(fresh.due_turns(at(5_000)).await.len(), 2);
    assert_eq!(fresh.recover(at(6_000), SORRY.into()).await.unwrap().retried_turns, 2);
    assert_eq!(fresh.due_turn(at(16_000)).await.turn, bystander.turn, "the other waits five seconds more");
    assert_eq!(
        fresh.recover(at(17_000), SORRY.into()).await.unwrap(),
        RecoveryReport { retried_turns: 1, dead_turns: 0, unknown_parts: 0 }
    );
    // Its own third death alone settles it, and that it was seen beside others before does not help.
    fresh.assert_nothing_due(at(20_999)).await;
    assert_ne!(fresh.due_turn(at(21_000)).await.turn, bystander.turn);
    fresh.execute_sql("UPDATE turns SET state = 'done', live = NULL WHERE state = 'running'");
    for (due, dead) in [(77_000, 0), (678_000, 1)] {
        fresh.assert_nothing_due(at(due - 1)).await;
        assert_eq!(fresh.due_turn(at(due)).await.turn, bystander.turn);
        assert_eq!(fresh.recover(at(due + 1_000), SORRY.into()).await.unwrap().dead_turns, dead);
    }
}

pub async fn a_turn_that_was_running_at_seven_deaths_is_dead_whoever_ran_beside_it(fresh: &FreshStore) {
    let unlucky = fresh.claimed_turn(ANN).await;
    for death in 1..=7 {
        let beside = fresh.claimed_turn(&format!("+49151000000{death}")).await;
        let late = at(4_000_000 * death);
        let recovered = fresh.recover(late, SORRY.into()).await.unwrap();
        assert_eq!(recovered.dead_turns, usize::from(death == 7), "at death {death}");
        fresh.execute_sql(&format!(
            "UPDATE turns SET state = 'done', live = NULL, due_at = NULL WHERE id = {}",
            beside.turn
        ));
        if death < 7 {
            assert_eq!(fresh.due_turn(late + std::time::Duration::from_secs(3_600)).await.turn, unlucky.turn);
        }
    }
}

/// No code leaves such a turn. If one appears anyway, a start repairs it. A turn that waits for an active one still
/// waits.
pub async fn an_open_turn_whose_predecessor_is_gone_is_freed(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let waiting = fresh.contact_writes(ANN, "SM2", at(1_000)).await;
    let other = fresh.claimed_turn(BEN).await;
    let parked = fresh.contact_writes(BEN, "SM3", at(1_000)).await;
    fresh.execute_sql(&format!("UPDATE turns SET state = 'done', live = NULL WHERE id = {}", claim.turn));
    fresh.assert_nothing_due(at(50_000)).await;
    assert_eq!(fresh.recover(at(60_000), SORRY.into()).await.unwrap().retried_turns, 1);
    let turns: Vec<_> = fresh.due_turns(at(60_000)).await.into_iter().map(|claim| claim.turn).collect();
    assert!(turns.len() == 2 && turns.contains(&waiting) && turns.contains(&other.turn), "{turns:?}, not {parked}");
}

pub async fn a_start_after_a_clean_end_changes_nothing(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let (part, token) = fresh.answer(&claim, &["One.", "Two."]).await;
    assert!(fresh.provider_accepts(part, token, "SM1", at(2_000)).await);
    fresh.contact_writes(ANN, "SM2", at(2_000)).await;
    fresh.contact_writes(BEN, "SM3", at(2_000)).await;
    let before = fresh.all_rows();
    for _ in 0..5 {
        assert_eq!(fresh.recover(at(9_000), SORRY.into()).await.unwrap(), RecoveryReport::default());
    }
    assert_eq!(fresh.all_rows(), before);
}
