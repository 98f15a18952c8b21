//! Nothing is sent later than 23 hours after the contact's last message.

use std::time::Duration;

use mynah::model::ContentSid;
use mynah::store::StoreOptions;

use crate::setup::fresh_store::{ANN, BEN, DEFAULT_OPTIONS, FreshStore, at};

/// 23 hours, in milliseconds.
const TWENTY_THREE_HOURS: i64 = 23 * 3_600_000;

pub async fn a_turn_is_claimed_up_to_its_deadline_and_expires_at_it(fresh: &FreshStore) {
    let late = fresh.contact_writes(ANN, "SM1", at(0)).await;
    let later = fresh.contact_writes(BEN, "SM2", at(1)).await;
    let claims = fresh.claim(at(TWENTY_THREE_HOURS), 10, 10).await.unwrap();
    assert_eq!(claims.turns.iter().map(|claim| claim.turn).collect::<Vec<_>>(), [later]);
    assert_eq!(claims.turns[0].deadline, at(TWENTY_THREE_HOURS + 1));
    assert_eq!(
        fresh.rows(&format!("SELECT state, due_at, finished_at FROM turns WHERE id = {late}")),
        [format!("expired|-|{}", at(TWENTY_THREE_HOURS).0)]
    );
    fresh.assert_nothing_due(at(2 * TWENTY_THREE_HOURS)).await;
}

pub async fn overdue_turns_are_ended_without_a_claim(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    assert!(fresh.retry_turn(&claim, at(5_000), "overloaded".into()).await.unwrap());
    let fresh_one = fresh.contact_writes(BEN, "SM2", at(1)).await;
    assert_eq!(fresh.expire_overdue_turns(at(TWENTY_THREE_HOURS - 1)).await.unwrap(), 0);
    assert_eq!(fresh.expire_overdue_turns(at(TWENTY_THREE_HOURS)).await.unwrap(), 1);
    assert_eq!((fresh.turn_state(claim.turn), fresh.turn_state(fresh_one)), ("expired".into(), "open".into()));
    let why = fresh.rows(&format!("SELECT error FROM turns WHERE id = {}", claim.turn));
    assert_eq!(why, ["overloaded"], "why its last attempt failed is still to be read");
    assert_eq!(fresh.expire_overdue_turns(at(TWENTY_THREE_HOURS)).await.unwrap(), 0, "each ends once");
    // The contact comes back after all.
    let next = fresh.contact_writes(ANN, "SM3", at(TWENTY_THREE_HOURS)).await;
    let turns = fresh.due_turns(at(TWENTY_THREE_HOURS + 1_000)).await;
    assert_eq!(turns.iter().map(|claim| claim.turn).collect::<Vec<_>>(), [next]);
}

pub async fn a_part_past_its_deadline_is_not_sent_and_its_turn_expires(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let (part, token) = fresh.answer(&claim, &["One.", "Two.", "Three."]).await;
    assert!(fresh.provider_hands_on(part, token, "SM1", at(2_000)).await);
    let second = fresh.due_part(at(2_000)).await;
    let part = second.outgoing.reference;
    assert!(fresh.retry_part(part, second.token, at(TWENTY_THREE_HOURS - 1), "503".into()).await.unwrap());
    let again = fresh.due_part(at(TWENTY_THREE_HOURS - 1)).await;
    assert!(fresh.retry_part(part, again.token, at(TWENTY_THREE_HOURS), "503".into()).await.unwrap());
    fresh.assert_nothing_due(at(TWENTY_THREE_HOURS)).await;
    assert_eq!(fresh.part_states(claim.turn), "sent failed failed");
    assert_eq!(fresh.turn_state(claim.turn), "expired");
    fresh.assert_nothing_due(at(2 * TWENTY_THREE_HOURS)).await;
    let next = fresh.contact_writes(ANN, "SM2", at(2 * TWENTY_THREE_HOURS)).await;
    assert_eq!(fresh.due_turn(at(2 * TWENTY_THREE_HOURS + 1_000)).await.turn, next, "the conversation goes on");
}

pub async fn a_new_message_moves_the_deadline(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let (part, token) = fresh.answer(&claim, &["One."]).await;
    assert!(fresh.retry_part(part, token, at(TWENTY_THREE_HOURS + 1_000), "503".into()).await.unwrap());
    fresh.contact_writes(ANN, "SM2", at(5_000)).await;
    assert_eq!(fresh.due_part(at(TWENTY_THREE_HOURS + 1_000)).await.deadline, at(TWENTY_THREE_HOURS + 5_000));
}

pub async fn a_template_opens_a_conversation_again_once_until_the_contact_writes(fresh: &FreshStore) {
    let template = ContentSid::parse("HX00000000000000000000000000000001");
    let fresh = &fresh.with_options(StoreOptions { reopen_template: template, ..DEFAULT_OPTIONS });
    let claim = fresh.claimed_turn(ANN).await;
    let waiting = fresh.contact_writes(ANN, "SM2", at(2_000)).await;
    assert!(fresh.retry_turn(&claim, at(5_000), "overloaded".into()).await.unwrap());
    let late = at(TWENTY_THREE_HOURS + 2_000);
    assert!(fresh.claim(late, 10, 10).await.unwrap().turns.is_empty());
    let part = fresh.due_part(late).await;
    let sid = |part: &mynah::store::PartClaim| part.outgoing.template.as_ref().map(|template| template.sid);
    assert_eq!((sid(&part), part.outgoing.reference.turn), (template, claim.turn));
    assert_eq!(part.deadline, late + Duration::from_secs(23 * 3600), "it has a time of its own");
    assert!(fresh.provider_accepts(part.outgoing.reference, part.token, "SMout", late).await);
    fresh.assert_nothing_due(late).await;
    fresh.assert_nothing_due(late).await;
    assert_eq!((fresh.turn_state(claim.turn), fresh.turn_state(waiting)), ("dead".into(), "expired".into()));
    // They wrote once more, and not again.
    fresh.contact_writes(ANN, "SM3", at(2 * TWENTY_THREE_HOURS)).await;
    assert_eq!(fresh.expire_overdue_turns(at(4 * TWENTY_THREE_HOURS)).await.unwrap(), 1);
    assert_eq!(sid(&fresh.due_part(at(4 * TWENTY_THREE_HOURS)).await), template);
}
