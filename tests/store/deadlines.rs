//! Nothing is sent later than 23 hours after the contact's last message.

use std::time::Duration;

use mynah::model::ContentSid;
use mynah::store::StoreOptions;

use crate::fresh::{ANN, BEN, Fresh, OPTIONS, at};

/// 23 hours, in milliseconds.
const DAY: i64 = 23 * 3_600_000;

pub async fn a_turn_is_claimed_up_to_its_deadline_and_expires_at_it(fresh: &Fresh) {
    let late = fresh.said(ANN, "SM1", at(0)).await;
    let later = fresh.said(BEN, "SM2", at(1)).await;
    let claims = fresh.claim(at(DAY), 10, 10).await.unwrap();
    assert_eq!(claims.turns.iter().map(|claim| claim.turn).collect::<Vec<_>>(), [later]);
    assert_eq!(claims.turns[0].deadline, at(DAY + 1));
    assert_eq!(
        fresh.rows(&format!("SELECT state, due_at, finished_at FROM turns WHERE id = {late}")),
        [format!("expired|-|{}", at(DAY).0)]
    );
    fresh.nothing_due(at(2 * DAY)).await;
}

pub async fn overdue_turns_are_ended_without_a_claim(fresh: &Fresh) {
    let claim = fresh.started(ANN).await;
    assert!(fresh.retry_turn(&claim, at(5_000), "overloaded".into()).await.unwrap());
    let fresh_one = fresh.said(BEN, "SM2", at(1)).await;
    assert_eq!(fresh.expire_overdue_turns(at(DAY - 1)).await.unwrap(), 0);
    assert_eq!(fresh.expire_overdue_turns(at(DAY)).await.unwrap(), 1);
    assert_eq!((fresh.turn_state(claim.turn), fresh.turn_state(fresh_one)), ("expired".into(), "open".into()));
    let why = fresh.rows(&format!("SELECT error FROM turns WHERE id = {}", claim.turn));
    assert_eq!(why, ["overloaded"], "why its last attempt failed is still to be read");
    assert_eq!(fresh.expire_overdue_turns(at(DAY)).await.unwrap(), 0, "each ends once");
    // The contact comes back after all.
    let next = fresh.said(ANN, "SM3", at(DAY)).await;
    let turns = fresh.due_turns(at(DAY + 1_000)).await;
    assert_eq!(turns.iter().map(|claim| claim.turn).collect::<Vec<_>>(), [next]);
}

pub async fn a_part_past_its_deadline_is_not_sent_and_its_turn_expires(fresh: &Fresh) {
    let claim = fresh.started(ANN).await;
    let (part, token) = fresh.answer(&claim, &["One.", "Two.", "Three."]).await;
    assert!(fresh.handed_on(part, token, "SM1", at(2_000)).await);
    let second = fresh.due_part(at(2_000)).await;
    let part = second.outgoing.reference;
    assert!(fresh.retry_part(part, second.token, at(DAY - 1), "503".into()).await.unwrap());
    let again = fresh.due_part(at(DAY - 1)).await;
    assert!(fresh.retry_part(part, again.token, at(DAY), "503".into()).await.unwrap());
    fresh.nothing_due(at(DAY)).await;
    assert_eq!(fresh.part_states(claim.turn), "sent failed failed");
    assert_eq!(fresh.turn_state(claim.turn), "expired");
    fresh.nothing_due(at(2 * DAY)).await;
    let next = fresh.said(ANN, "SM2", at(2 * DAY)).await;
    assert_eq!(fresh.due_turn(at(2 * DAY + 1_000)).await.turn, next, "the conversation goes on");
}

pub async fn a_new_message_moves_the_deadline(fresh: &Fresh) {
    let claim = fresh.started(ANN).await;
    let (part, token) = fresh.answer(&claim, &["One."]).await;
    assert!(fresh.retry_part(part, token, at(DAY + 1_000), "503".into()).await.unwrap());
    fresh.said(ANN, "SM2", at(5_000)).await;
    assert_eq!(fresh.due_part(at(DAY + 1_000)).await.deadline, at(DAY + 5_000));
}

pub async fn a_template_opens_a_conversation_again_once_until_the_contact_writes(fresh: &Fresh) {
    let template = ContentSid::parse("HX00000000000000000000000000000001");
    let fresh = &fresh.with(StoreOptions { reopen_template: template, ..OPTIONS });
    let claim = fresh.started(ANN).await;
    let waiting = fresh.said(ANN, "SM2", at(2_000)).await;
    assert!(fresh.retry_turn(&claim, at(5_000), "overloaded".into()).await.unwrap());
    let late = at(DAY + 2_000);
    assert!(fresh.claim(late, 10, 10).await.unwrap().turns.is_empty());
    let part = fresh.due_part(late).await;
    let sid = |part: &mynah::store::PartClaim| part.outgoing.template.as_ref().map(|template| template.sid);
    assert_eq!((sid(&part), part.outgoing.reference.turn), (template, claim.turn));
    assert_eq!(part.deadline, late + Duration::from_secs(23 * 3600), "it has a time of its own");
    assert!(fresh.sent(part.outgoing.reference, part.token, "SMout", late).await);
    fresh.nothing_due(late).await;
    fresh.nothing_due(late).await;
    assert_eq!((fresh.turn_state(claim.turn), fresh.turn_state(waiting)), ("dead".into(), "expired".into()));
    // They wrote, and were silent again.
    fresh.said(ANN, "SM3", at(2 * DAY)).await;
    assert_eq!(fresh.expire_overdue_turns(at(4 * DAY)).await.unwrap(), 1);
    assert_eq!(sid(&fresh.due_part(at(4 * DAY)).await), template);
}
