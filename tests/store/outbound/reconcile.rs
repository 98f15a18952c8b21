//! Unknown parts: nobody knows whether the provider created them.

use mynah::model::DeliveryStatus;
use mynah::store::LookupOutcome;

use crate::setup::fresh_store::{ANN, BEN, FreshStore, MERGE_WINDOW, START, at, sid, status_update};

pub async fn an_unknown_part_is_never_posted_and_holds_up_its_conversation(fresh: &FreshStore) {
    let (claim, part) = fresh.unknown_part(ANN, &["One.", "Two."]).await;
    fresh.contact_writes(ANN, "SM2", at(1_000)).await;
    assert_eq!(fresh.claim(at(2_999), 10, 10).await.unwrap().next_due, Some(at(3_000)));
    let lookup = fresh.due_lookup(at(3_000)).await;
    assert_eq!((lookup.part, lookup.text.as_str(), lookup.channel.as_str()), (part, "One.", "twilio"));
    assert_eq!((lookup.from.as_str(), lookup.to.as_str()), ("whatsapp:+14155238886", "whatsapp:+15550000001"));
    assert_eq!(lookup.first_tried_at, START + MERGE_WINDOW);
    fresh.assert_nothing_due(at(20_000)).await;
    assert_eq!(fresh.part_states(claim.turn), "unknown ready");
    assert_eq!(fresh.turn_state(claim.turn), "sending");
}

pub async fn an_unknown_part_that_is_found_is_sent(fresh: &FreshStore) {
    let (claim, part) = fresh.unknown_part(ANN, &["One.", "Two."]).await;
    let lookup = fresh.due_lookup(at(3_000)).await;
    assert_eq!(
        fresh.settle_lookup(lookup.part, vec![sid("SMfound")], false, at(3_100)).await.unwrap(),
        LookupOutcome::Found
    );
    assert_eq!(
        fresh.rows("SELECT state, provider_id, sent_at, error FROM parts WHERE number = 1"),
        [format!("sent|SMfound|{}|-", at(3_100).0)]
    );
    let next = fresh.due_part(at(6_100)).await;
    assert_eq!((next.outgoing.reference.turn, next.outgoing.reference.number), (part.turn, 2));
    assert!(fresh.provider_accepts(next.outgoing.reference, next.token, "SMtwo", at(6_200)).await);
    assert_eq!(fresh.turn_state(claim.turn), "done");
}

/// Five lookups that find nothing; returns when the last one was and its outcome.
async fn five_lookups_in_vain(fresh: &FreshStore, hold: bool) -> (i64, LookupOutcome) {
    let mut now = 3_000;
    // Delays between the lookups, in seconds.
    for wait in [5, 15, 40, 90] {
        fresh.assert_nothing_due(at(now - 1)).await;
        let lookup = fresh.due_lookup(at(now)).await;
        assert_eq!(fresh.settle_lookup(lookup.part, vec![], hold, at(now)).await.unwrap(), LookupOutcome::NotFoundYet);
        now += wait * 1_000;
    }
    fresh.assert_nothing_due(at(now - 1)).await;
    let lookup = fresh.due_lookup(at(now)).await;
    (now, fresh.settle_lookup(lookup.part, vec![], hold, at(now)).await.unwrap())
}

pub async fn an_unknown_part_absent_five_times_is_posted_again(fresh: &FreshStore) {
    let (_, part) = fresh.unknown_part(ANN, &["One.", "Two."]).await;
    let (now, outcome) = five_lookups_in_vain(fresh, false).await;
    assert_eq!((outcome, now), (LookupOutcome::RetryPost, 153_000));
    let again = fresh.due_part(at(now)).await;
    assert_eq!((again.outgoing.reference, again.attempt, again.outgoing.text.as_str()), (part, 2, "One."));
    // Unknown once more: five lookups once more, for anything since the first post.
    assert!(fresh.mark_part_unknown(part, again.token, at(now + 2_000), "no answer".into()).await.unwrap());
    let lookup = fresh.due_lookup(at(now + 2_000)).await;
    assert_eq!(lookup.first_tried_at, START + MERGE_WINDOW);
    assert_eq!(fresh.settle_lookup(part, vec![], false, at(now + 2_000)).await.unwrap(), LookupOutcome::NotFoundYet);
    let lookup = fresh.due_lookup(at(now + 7_000)).await;
    assert_eq!(
        fresh.settle_lookup(lookup.part, vec![sid("SMone")], false, at(now + 7_000)).await.unwrap(),
        LookupOutcome::Found
    );
    assert_eq!(fresh.due_part(at(now + 10_000)).await.outgoing.text, "Two.");
}

pub async fn an_unknown_part_absent_five_times_is_held_where_the_operator_chose_so(fresh: &FreshStore) {
    let (claim, _) = fresh.unknown_part(ANN, &["One.", "Two."]).await;
    let waiting = fresh.contact_writes(ANN, "SM2", at(1_000)).await;
    let (now, outcome) = five_lookups_in_vain(fresh, true).await;
    assert_eq!((outcome, now), (LookupOutcome::Held, 153_000));
    assert_eq!(fresh.part_states(claim.turn), "held failed");
    assert_eq!(fresh.turn_state(claim.turn), "dead");
    assert_eq!(fresh.due_turn(at(now)).await.turn, waiting, "the conversation goes on");
}

pub async fn a_message_that_belongs_to_another_part_does_not_settle_an_unknown_one(fresh: &FreshStore) {
    let ben = fresh.claimed_turn(BEN).await;
    let (part, token) = fresh.answer(&ben, &["Hello.", "Hello."]).await;
    assert!(fresh.provider_hands_on(part, token, "SM1", at(1_500)).await);
    let second = fresh.due_part(at(1_500)).await;
    let part = second.outgoing.reference;
    assert!(fresh.mark_part_unknown(part, second.token, at(3_000), "no answer".into()).await.unwrap());
    let lookup = fresh.due_lookup(at(3_000)).await;
    assert_eq!(
        fresh.settle_lookup(lookup.part, vec![sid("SM1")], false, at(3_000)).await.unwrap(),
        LookupOutcome::NotFoundYet
    );
    let lookup = fresh.due_lookup(at(8_000)).await;
    let candidates = vec![sid("SM1"), sid("SM2"), sid("SM3")];
    assert_eq!(fresh.settle_lookup(lookup.part, candidates, false, at(8_000)).await.unwrap(), LookupOutcome::Found);
    assert_eq!(fresh.rows("SELECT provider_id FROM parts ORDER BY number"), ["SM1", "SM2"], "the first that is free");
}

pub async fn a_lookup_that_could_not_be_made_is_no_evidence(fresh: &FreshStore) {
    let (_, part) = fresh.unknown_part(ANN, &["One."]).await;
    let mut now = 3_000;
    for failed in 0..20 {
        let lookup = fresh.due_lookup(at(now)).await;
        let why = if failed == 0 { "the answer did not come" } else { "401" };
        assert_eq!((lookup.failed_lookups, lookup.last_error.as_deref()), (failed, Some(why)));
        now += 7_000;
        assert_eq!(
            fresh.record_failed_lookup(part, at(now), "401".into(), at(now - 6_000)).await.unwrap(),
            LookupOutcome::LookupFailed
        );
        fresh.assert_nothing_due(at(now - 1)).await;
    }
    assert_eq!(fresh.rows("SELECT state, absences, error FROM parts"), ["unknown|0|401"]);
    // One that can be made counts, and those that fail after it are counted anew.
    fresh.due_lookup(at(now)).await;
    assert_eq!(fresh.settle_lookup(part, vec![], false, at(now)).await.unwrap(), LookupOutcome::NotFoundYet);
    assert_eq!(fresh.due_lookup(at(now + 5_000)).await.failed_lookups, 0);
}

/// The conversation waits for it; and its contact, who goes on writing, must not keep it waiting longer.
pub async fn a_part_that_cannot_be_looked_up_is_held_after_23_hours_and_the_conversation_goes_on(fresh: &FreshStore) {
    const TWENTY_THREE_HOURS: i64 = 23 * 3_600_000;
    let (ann, part) = fresh.unknown_part(ANN, &["One.", "Two."]).await;
    let (ben, other) = fresh.unknown_part(BEN, &["Eins."]).await;
    let waiting = fresh.contact_writes(ANN, "SM2", at(TWENTY_THREE_HOURS / 2)).await;
    let not_looked =
        async |part, now| fresh.record_failed_lookup(part, at(now + 9_000), "401".into(), at(now)).await.unwrap();
    // Ben wrote at 0 and for the last time then; Ann's message was first posted at 1,000, and she has written since.
    for (part, end) in [(other, TWENTY_THREE_HOURS), (part, TWENTY_THREE_HOURS + 1_000)] {
        assert_eq!(not_looked(part, end - 1).await, LookupOutcome::LookupFailed);
        assert_eq!(not_looked(part, end).await, LookupOutcome::Held);
        assert_eq!(not_looked(part, end).await, LookupOutcome::AlreadySettled, "once");
    }
    for turn in [ann.turn, ben.turn] {
        let why = "expired|unknown whether it was sent: no lookup could tell in 23 hours; last error: 401";
        assert_eq!(fresh.rows(&format!("SELECT state, error FROM turns WHERE id = {turn}")), [why]);
    }
    assert_eq!(fresh.part_states(ann.turn), "held failed");
    assert_eq!(fresh.due_turn(at(TWENTY_THREE_HOURS + 1_000)).await.turn, waiting);
    // A late status still counts.
    assert!(
        fresh
            .status_arrives(
                status_update("SM-late", DeliveryStatus::Delivered, Some(part)),
                at(TWENTY_THREE_HOURS + 2_000)
            )
            .await
    );
    assert_eq!((fresh.part_states(ann.turn), fresh.turn_state(ann.turn)), ("sent failed".into(), "expired".into()));
}

pub async fn one_worker_at_a_time_looks_up_a_part(fresh: &FreshStore) {
    let (_, part) = fresh.unknown_part(ANN, &["One."]).await;
    fresh.due_lookup(at(3_000)).await;
    fresh.assert_nothing_due(at(62_999)).await;
    assert_eq!(fresh.due_lookup(at(63_000)).await.part, part, "a lookup that nobody finished is made again");
}

pub async fn a_lookup_of_a_settled_part_changes_nothing(fresh: &FreshStore) {
    let (_, part) = fresh.unknown_part(ANN, &["One.", "Two."]).await;
    fresh.due_lookup(at(3_000)).await;
    assert_eq!(fresh.settle_lookup(part, vec![sid("SM1")], false, at(3_000)).await.unwrap(), LookupOutcome::Found);
    let before = fresh.all_rows();
    assert_eq!(
        fresh.settle_lookup(part, vec![sid("SM2")], true, at(3_100)).await.unwrap(),
        LookupOutcome::AlreadySettled
    );
    assert_eq!(
        fresh.record_failed_lookup(part, at(9_000), "401".into(), at(8_000)).await.unwrap(),
        LookupOutcome::AlreadySettled
    );
    assert_eq!(fresh.all_rows(), before);
}
