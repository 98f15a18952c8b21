//! Delivery statuses from the provider.

use mynah::model::{DeliveryStatus as Is, PartRef, StatusUpdate, TurnId, TurnState};
use mynah::store::{LookupOutcome, PartSentOutcome, StatusOutcome, Undelivered};

use crate::setup::fresh_store::{ANN, BEN, FreshStore, at, sid, status_update, webhook_record};

pub async fn a_delivery_status_moves_forward_only(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let (part, token) = fresh.answer(&claim, &["One."]).await;
    assert!(fresh.provider_accepts(part, token, "SM1", at(2_000)).await);
    let status_outcome = async |status| fresh.status_arrives(status_update("SM1", status, Some(part)), at(3_000)).await;
    for (status, stands) in [
        (Is::Queued, "queued|-"),
        (Is::Sent, "sent|-"),
        (Is::Sending, "sent|-"),
        (Is::Sent, "sent|-"),
        (Is::Delivered, "delivered|-"),
        (Is::Sent, "delivered|-"),
        (Is::Failed, "delivered|-"),
        (Is::Read, "read|-"),
        (Is::Delivered, "read|-"),
    ] {
        assert!(status_outcome(status).await, "ours, whether it changes anything or not");
        assert_eq!(fresh.delivery_status(part), stands, "after {status:?}");
    }
    assert_eq!(fresh.turn_state(claim.turn), "done");
}

pub async fn a_status_that_is_already_known_is_no_news(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let (part, token) = fresh.answer(&claim, &["One."]).await;
    assert!(fresh.provider_accepts(part, token, "SM1", at(2_000)).await);
    for (status, taken) in [
        (Is::Failed, StatusOutcome::Recorded),
        (Is::Failed, StatusOutcome::NothingNew),
        (Is::Sent, StatusOutcome::NothingNew),
        (Is::Delivered, StatusOutcome::Recorded),
        (Is::Failed, StatusOutcome::NothingNew),
    ] {
        assert_eq!(
            fresh.apply_status(status_update("SM1", status, None), None, at(3_000)).await.unwrap(),
            taken,
            "{status:?}"
        );
    }
}

/// The turns that are listed for the operator, with which of their messages were not delivered.
async fn listed_undelivered(
    fresh: &FreshStore,
    state: Option<TurnState>,
    before: Option<TurnId>,
    most: usize,
) -> Vec<(i64, Vec<i64>)> {
    let jobs = fresh.jobs(state, before, most).await.unwrap();
    jobs.into_iter().map(|job| (job.turn, job.undelivered.iter().map(|part| part.message).collect())).collect()
}

pub async fn a_message_that_was_not_delivered_marks_its_turn_until_it_is(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let (part, token) = fresh.answer(&claim, &["One.", "Two."]).await;
    assert!(fresh.provider_hands_on(part, token, "SM1", at(2_000)).await);
    let second = fresh.due_part(at(2_000)).await;
    assert!(fresh.provider_accepts(second.outgoing.reference, second.token, "SM2", at(2_000)).await);
    assert_eq!(
        (fresh.turn_state(claim.turn).as_str(), listed_undelivered(fresh, None, None, 9).await),
        ("done", vec![])
    );
    // Each of its two.
    for id in ["SM1", "SM2"] {
        let failed = StatusUpdate {
            error_code: Some(63_003),
            error_message: Some("not there".into()),
            ..status_update(id, Is::Failed, None)
        };
        assert!(fresh.status_arrives(failed, at(3_000)).await);
    }
    let marked = (claim.turn.0, vec![1, 2]);
    assert_eq!(listed_undelivered(fresh, None, None, 9).await, std::slice::from_ref(&marked), "once");
    assert_eq!(listed_undelivered(fresh, Some(TurnState::Done), None, 9).await, std::slice::from_ref(&marked));
    assert_eq!(listed_undelivered(fresh, Some(TurnState::Dead), None, 9).await, []);
    let job = fresh.jobs(None, None, 9).await.unwrap().remove(0);
    let undelivered = Undelivered { message: 2, code: Some(63_003), provider_error: Some("not there".into()) };
    assert_eq!((job.state.as_str(), &job.undelivered[1]), ("done", &undelivered));
    let (_, said) = fresh.conversation(claim.conversation, 9).await.unwrap().unwrap();
    assert!(said.iter().all(|said| said.undelivered == job.undelivered), "{said:?}");
    // Among the others, in order and page by page.
    let later = fresh.contact_writes(BEN, "SM-ben", at(3_000)).await;
    assert_eq!(listed_undelivered(fresh, None, None, 9).await, [(later.0, vec![]), marked.clone()]);
    assert_eq!(listed_undelivered(fresh, None, None, 1).await, [(later.0, vec![])]);
    assert_eq!(listed_undelivered(fresh, None, Some(later), 9).await, [marked]);
    assert_eq!(listed_undelivered(fresh, None, Some(claim.turn), 9).await, []);
    // They come late, but they come.
    for (id, left) in [("SM1", vec![(claim.turn.0, vec![2])]), ("SM2", vec![])] {
        assert!(fresh.status_arrives(status_update(id, Is::Delivered, None), at(4_000)).await);
        assert_eq!(listed_undelivered(fresh, None, Some(later), 9).await, left);
    }
}

pub async fn a_reference_ties_a_part_that_is_being_sent_to_its_id(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let (part, token) = fresh.answer(&claim, &["One."]).await;
    let waiting = fresh.contact_writes(ANN, "SM2", at(1_000)).await;
    // The callback overtakes the answer to the post.
    let update = status_update("SM1", Is::Queued, Some(part));
    assert_eq!(
        fresh.apply_status(update, Some(webhook_record("status")), at(2_500)).await.unwrap(),
        StatusOutcome::NextIsScheduled
    );
    assert_eq!(
        fresh.rows("SELECT state, provider_id, status, sent_at FROM parts"),
        [format!("sent|SM1|queued|{}", at(2_500).0)]
    );
    assert_eq!(fresh.rows("SELECT body, message_id FROM webhook_log"), ["status|-"]);
    let before = fresh.all_rows();
    assert!(!fresh.provider_accepts(part, token, "SM1", at(9_000)).await, "the worker comes too late");
    assert_eq!(fresh.all_rows(), before, "the turn has ended once");
    assert_eq!(fresh.due_turn(at(2_500)).await.turn, waiting);
}

pub async fn a_reference_ties_an_unknown_part_to_its_id(fresh: &FreshStore) {
    let (claim, part) = fresh.unknown_part(ANN, &["One.", "Two."]).await;
    let failed = StatusUpdate {
        error_code: Some(63016),
        error_message: Some("outside the window".into()),
        ..status_update("SM1", Is::Failed, Some(part))
    };
    assert!(fresh.status_arrives(failed, at(2_500)).await);
    assert_eq!(fresh.delivery_status(part), "failed|63016");
    assert_eq!(fresh.part_states(claim.turn), "sent ready");
    assert_eq!(fresh.due_part(at(2_500)).await.outgoing.text, "Two.", "created is created, delivered or not");
    assert_eq!(fresh.settle_lookup(part, vec![], false, at(3_000)).await.unwrap(), LookupOutcome::AlreadySettled);
    assert!(fresh.status_arrives(status_update("SM1", Is::Delivered, None), at(4_000)).await);
    assert_eq!(fresh.delivery_status(part), "delivered|63016", "a late delivery after a failure");
}

pub async fn a_reference_ties_a_part_about_to_be_posted_again_to_its_id(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let (part, token) = fresh.answer(&claim, &["One."]).await;
    assert!(fresh.retry_part(part, token, at(60_000), "503".into()).await.unwrap());
    assert!(fresh.status_arrives(status_update("SM1", Is::Sent, Some(part)), at(2_500)).await);
    assert_eq!((fresh.part_states(claim.turn), fresh.turn_state(claim.turn)), ("sent".into(), "done".into()));
    fresh.assert_nothing_due(at(120_000)).await;
}

pub async fn a_status_of_a_message_that_is_not_ours_changes_nothing(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let (part, _) = fresh.answer(&claim, &["One."]).await;
    let before = fresh.all_rows();
    let foreign = fresh
        .apply_status(status_update("SMother", Is::Read, None), Some(webhook_record("status")), at(2_000))
        .await
        .unwrap();
    assert_eq!(foreign, StatusOutcome::NotOurs);
    let nowhere = PartRef { turn: part.turn, number: 7 };
    let gone = fresh
        .apply_status(status_update("SMother", Is::Read, Some(nowhere)), Some(webhook_record("status")), at(2_000))
        .await
        .unwrap();
    assert_eq!(gone, StatusOutcome::PartGone);
    assert_eq!(fresh.all_rows(), before);
    let logged = ["403|the message SMother is not one of ours", "200|-"];
    assert_eq!(fresh.rows("SELECT status, error FROM webhook_log ORDER BY id"), logged, "it is logged all the same");
    // An unknown status ties the id to the part and says nothing about the delivery.
    let word = StatusUpdate { status: None, ..status_update("SM1", Is::Read, Some(part)) };
    assert!(fresh.status_arrives(word, at(2_000)).await);
    assert_eq!((fresh.part_states(claim.turn), fresh.delivery_status(part)), ("sent".into(), "-|-".into()));
}

pub async fn a_reference_to_a_part_with_another_id_changes_nothing(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let (part, token) = fresh.answer(&claim, &["One.", "Two."]).await;
    assert!(fresh.provider_hands_on(part, token, "SM1", at(2_000)).await);
    let second = fresh.due_part(at(2_000)).await;
    let before = fresh.all_rows();
    assert!(!fresh.status_arrives(status_update("SMother", Is::Read, Some(part)), at(3_000)).await);
    assert_eq!(fresh.all_rows(), before);
    // The id counts for more than the reference.
    let crossed = status_update("SM1", Is::Read, Some(second.outgoing.reference));
    assert!(fresh.status_arrives(crossed, at(3_000)).await);
    assert_eq!((fresh.delivery_status(part), fresh.part_states(claim.turn)), ("read|-".into(), "sent sending".into()));
    // A part that failed created nothing: no message can be it.
    let why = "63024: no such number".to_owned();
    assert!(fresh.fail_part(second.outgoing.reference, second.token, why, at(4_000)).await.unwrap());
    let before = fresh.all_rows();
    let late = status_update("SMother", Is::Read, Some(second.outgoing.reference));
    assert!(!fresh.status_arrives(late, at(5_000)).await);
    assert_eq!(fresh.all_rows(), before);
}

/// The turn of a held part has ended long ago; what waits now waits for another.
pub async fn a_late_status_of_a_held_part_does_not_wake_a_turn_that_waits_for_another(fresh: &FreshStore) {
    let (first, part) = fresh.unknown_part(ANN, &["One.", "Two."]).await;
    let mut now = 3_000;
    for wait in [5_000, 15_000, 40_000, 90_000, 0] {
        fresh.settle_lookup(fresh.due_lookup(at(now)).await.part, vec![], true, at(now)).await.unwrap();
        now += wait;
    }
    assert_eq!(fresh.part_states(first.turn), "held failed");
    fresh.contact_writes(ANN, "SM2", at(now)).await;
    let second = fresh.due_turn(at(now + 1_000)).await;
    let third = fresh.contact_writes(ANN, "SM3", at(now + 1_000)).await;
    assert!(fresh.status_arrives(status_update("SM1", Is::Delivered, Some(part)), at(now + 2_000)).await);
    assert_eq!((fresh.part_states(first.turn), fresh.turn_state(first.turn)), ("sent failed".into(), "dead".into()));
    fresh.assert_nothing_due(at(now + 60_000)).await;
    let (part, token) = fresh.answer_at(&second, &["Again."], at(now + 60_000)).await;
    assert_ne!(
        fresh.mark_part_sent(part, token, sid("SM4"), at(now + 60_000)).await.unwrap(),
        PartSentOutcome::StaleClaim
    );
    assert_eq!(fresh.due_turn(at(now + 60_000)).await.turn, third);
}
