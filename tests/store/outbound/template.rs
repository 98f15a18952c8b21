//! Templates: what may be sent long after the contact wrote.

use std::time::Duration;

use mynah::model::{ConversationId, TurnId};
use mynah::store::{LookupOutcome, OperatorMessageOutcome, RequeueOutcome, StoreOptions};

use super::operator_steps::{
    TWENTY_THREE_HOURS, answered_conversation, begin_sending, conversation_lines, send_template, template,
};
use crate::setup::fresh_store::{ANN, DEFAULT_OPTIONS, FreshStore, MERGE_WINDOW, at};

pub async fn a_template_goes_out_long_after_the_contact_wrote_and_leaves_the_assistant_as_it_was(fresh: &FreshStore) {
    let id = answered_conversation(fresh).await;
    let late = 3 * TWENTY_THREE_HOURS;
    let revision = fresh.rows("SELECT revision FROM conversations");
    let (same, turn) = send_template(fresh, id, late).await;
    assert_eq!(same, id);
    assert_ne!(fresh.rows("SELECT revision FROM conversations"), revision, "a window that somebody kept is stale");
    let claim = fresh.due_turn(at(late)).await;
    assert_eq!(
        (claim.turn, claim.deadline, claim.free_text_until),
        (turn, at(late + TWENTY_THREE_HOURS), at(TWENTY_THREE_HOURS))
    );
    let replied = begin_sending(fresh, &claim, late).await;
    assert_eq!(
        (replied.draft.template.clone(), replied.draft.expires_at),
        (Some(template()), Some(at(late + TWENTY_THREE_HOURS)))
    );
    assert!(fresh.retry_part(replied.part, replied.token, at(late + 1_000), "503".into()).await.unwrap());
    let part = fresh.due_part(at(late + 1_000)).await;
    assert_eq!((part.outgoing.template, part.deadline), (Some(template()), at(late + TWENTY_THREE_HOURS)));
    assert!(fresh.provider_accepts(replied.part, part.token, "SM2", at(late + 1_000)).await);
    assert_eq!(fresh.turn_state(turn), "done");
    let said = conversation_lines(fresh, id).await.pop().unwrap();
    assert_eq!(said, "operator: [sent the template HX00000000000000000000000000000001 with 1=Ana]");
    assert!(!fresh.conversation(id, 0).await.unwrap().unwrap().0.human_mode);
    // The contact replies, and the assistant answers.
    fresh.contact_writes(ANN, "SM3", at(late + 5_000)).await;
    let claim = fresh.due_turn(at(late + 6_000)).await;
    assert_eq!((claim.conversation, claim.request, claim.deadline), (id, None, at(late + 5_000 + TWENTY_THREE_HOURS)));
    let window = fresh.window_lines(id, claim.turn, 10).await;
    assert_eq!(window[2..], [said, "user: SM3".to_owned()]);
}

/// If a person answers the conversation, they go on answering it.
pub async fn a_template_does_not_hand_a_conversation_back(fresh: &FreshStore) {
    let id = answered_conversation(fresh).await;
    fresh.send_operator_message(id, "I am Eva.".into(), None, at(2_000)).await.unwrap();
    let claim = fresh.due_turn(at(2_000)).await;
    let replied = begin_sending(fresh, &claim, 2_000).await;
    assert!(fresh.provider_accepts(replied.part, replied.token, "SM2", at(2_000)).await);
    send_template(fresh, id, 2 * TWENTY_THREE_HOURS).await;
    assert!(fresh.conversation(id, 0).await.unwrap().unwrap().0.human_mode);
}

pub async fn a_template_goes_to_the_conversation_that_goes_on_or_begins_a_new_one(fresh: &FreshStore) {
    let id = answered_conversation(fresh).await;
    fresh.end_conversation(id, at(2_000)).await.unwrap();
    let (new, turn) = send_template(fresh, id, 3 * TWENTY_THREE_HOURS).await;
    assert_ne!(new, id);
    let (row, said) = fresh.conversation(new, 10).await.unwrap().unwrap();
    let (old, _) = fresh.conversation(id, 0).await.unwrap().unwrap();
    assert_eq!(
        (row.reply_to, row.our_address, row.last_inbound_at),
        (old.reply_to, old.our_address, old.last_inbound_at)
    );
    assert_eq!((row.started_at, row.ended_at, said.len()), (at(3 * TWENTY_THREE_HOURS), None, 1));
    assert_eq!(
        fresh.send_operator_message(new, "Hello?".into(), None, at(3 * TWENTY_THREE_HOURS)).await.unwrap(),
        OperatorMessageOutcome::TooLate
    );
    let claim = fresh.due_turn(at(3 * TWENTY_THREE_HOURS)).await;
    assert_eq!((claim.turn, claim.conversation), (turn, new));
    let replied = begin_sending(fresh, &claim, 3 * TWENTY_THREE_HOURS).await;
    assert!(fresh.provider_accepts(replied.part, replied.token, "SM2", at(3 * TWENTY_THREE_HOURS)).await);
    // The old conversation is named once more; the template goes to the one that goes on.
    assert_eq!(send_template(fresh, id, 3 * TWENTY_THREE_HOURS + 1_000).await.0, new);
    assert_eq!(fresh.count("conversations"), 2);
    let nowhere = ConversationId(uuid::Uuid::max());
    let (_, spoken) = fresh.send_template(nowhere, template(), at(1)).await.unwrap();
    assert_eq!(spoken, OperatorMessageOutcome::NoConversation);
}

pub async fn a_template_goes_where_the_contact_last_wrote_from(fresh: &FreshStore) {
    let id = answered_conversation(fresh).await;
    fresh.end_conversation(id, at(2_000)).await.unwrap();
    // Their number is hidden by now.
    fresh.execute_sql("INSERT INTO addresses (kind, value, contact_id, created_at) VALUES ('bsuid', 'US.7', 1, 0)");
    fresh.contact_writes("US.7", "SM-hidden", at(60 * TWENTY_THREE_HOURS)).await;
    fresh.execute_sql("UPDATE turns SET state = 'done', live = NULL, due_at = NULL");
    assert_eq!(fresh.rows("SELECT reply_to FROM conversations ORDER BY started_at")[1], "whatsapp:US.7");
    fresh.execute_sql("UPDATE conversations SET ended_at = 9");
    send_template(fresh, id, 90 * TWENTY_THREE_HOURS).await;
    assert_eq!(fresh.due_turn(at(90 * TWENTY_THREE_HOURS)).await.to, "whatsapp:US.7");
}

pub async fn a_reply_to_a_template_joins_its_conversation(fresh: &FreshStore) {
    const HOUR: i64 = 3_600_000;
    let options = StoreOptions { conversation_ttl: Duration::from_secs(24 * 3600), ..DEFAULT_OPTIONS };
    let fresh = &fresh.with_options(options);
    let id = answered_conversation(fresh).await;
    fresh.end_conversation(id, at(2_000)).await.unwrap();
    let late = 100 * HOUR;
    let (new, _) = send_template(fresh, id, late).await;
    let claim = fresh.due_turn(at(late)).await;
    let replied = begin_sending(fresh, &claim, late).await;
    assert!(fresh.provider_accepts(replied.part, replied.token, "SM2", at(late)).await);
    assert_eq!(
        fresh.end_idle_conversations(at(late), at(late + 24 * HOUR)).await.unwrap(),
        0,
        "they may answer for a day"
    );
    fresh.contact_writes(ANN, "SM3", at(late + 20 * HOUR)).await;
    let claim = fresh.due_turn(at(late + 21 * HOUR)).await;
    assert_eq!(claim.conversation, new);
    fresh.execute_sql("UPDATE turns SET state = 'done', live = NULL, due_at = NULL");
    assert_eq!(fresh.end_idle_conversations(at(late + 20 * HOUR + 1), at(late + 50 * HOUR)).await.unwrap(), 1);
}

pub async fn no_template_is_sent_to_who_opted_out_or_is_blocked(fresh: &FreshStore) {
    let id = answered_conversation(fresh).await;
    let messages = fresh.count("messages");
    for column in ["opted_out_at", "blocked_at"] {
        fresh.execute_sql(&format!("UPDATE contacts SET {column} = 1"));
        let (_, spoken) = fresh.send_template(id, template(), at(2_000)).await.unwrap();
        assert_eq!((spoken, fresh.count("messages")), (OperatorMessageOutcome::OptedOutOrBlocked, messages));
        fresh.execute_sql(&format!("UPDATE contacts SET {column} = NULL"));
    }
    // Nor if they opt out while it waits.
    let (_, turn) = send_template(fresh, id, 2_000).await;
    fresh.execute_sql("UPDATE contacts SET opted_out_at = 1");
    fresh.assert_nothing_due(at(2_000)).await;
    assert_eq!(fresh.turn_state(turn), "skipped");
}

pub async fn a_template_that_cannot_be_sent_within_23_hours_ends_visibly(fresh: &FreshStore) {
    let reopens = StoreOptions { reopen_template: Some(template().sid), ..DEFAULT_OPTIONS };
    let fresh = &fresh.with_options(reopens);
    let id = answered_conversation(fresh).await;
    let (queued, end) = (2 * TWENTY_THREE_HOURS, 3 * TWENTY_THREE_HOURS);
    let state = |turn: TurnId| fresh.rows(&format!("SELECT state, error FROM turns WHERE id = {turn}")).remove(0);
    let late = "expired|too late: the template could not be sent within 23 hours";
    // Nobody could claim it.
    let (_, unclaimed) = send_template(fresh, id, queued).await;
    assert_eq!(fresh.expire_overdue_turns(at(end - 1)).await.unwrap(), 0);
    assert_eq!(fresh.expire_overdue_turns(at(end)).await.unwrap(), 1);
    assert_eq!(state(unclaimed), late);
    assert_eq!(fresh.requeue(unclaimed, at(end)).await.unwrap(), RequeueOutcome::TooLate);
    // Or the claim comes too late.
    let (_, claimed) = send_template(fresh, id, queued).await;
    fresh.assert_nothing_due(at(end)).await;
    assert_eq!(state(claimed), late);
    // The provider could not be reached.
    let (_, unsent) = send_template(fresh, id, queued).await;
    let claim = fresh.due_turn(at(queued)).await;
    let replied = begin_sending(fresh, &claim, queued).await;
    assert!(fresh.retry_part(replied.part, replied.token, at(end - 1), "503".into()).await.unwrap());
    let part = fresh.due_part(at(end - 1)).await;
    assert!(fresh.retry_part(replied.part, part.token, at(end), "503".into()).await.unwrap());
    fresh.assert_nothing_due(at(end)).await;
    assert_eq!((state(unsent), fresh.part_states(unsent)), (late.to_owned(), "failed".to_owned()));
}

/// A template that failed may be tried again while it has time, also long after the contact wrote.
pub async fn a_template_that_failed_is_sent_again_on_request(fresh: &FreshStore) {
    let id = answered_conversation(fresh).await;
    let (_, turn) = send_template(fresh, id, 2 * TWENTY_THREE_HOURS).await;
    let claim = fresh.due_turn(at(2 * TWENTY_THREE_HOURS)).await;
    let replied = begin_sending(fresh, &claim, 2 * TWENTY_THREE_HOURS).await;
    assert!(fresh.fail_part(replied.part, replied.token, "20003".into(), at(2 * TWENTY_THREE_HOURS)).await.unwrap());
    assert_eq!(fresh.turn_state(turn), "dead");
    assert_eq!(fresh.requeue(turn, at(2 * TWENTY_THREE_HOURS + 5_000)).await.unwrap(), RequeueOutcome::Requeued);
    let claim = fresh.due_turn(at(2 * TWENTY_THREE_HOURS + 5_000)).await;
    assert_eq!(begin_sending(fresh, &claim, 2 * TWENTY_THREE_HOURS + 5_000).await.draft.template, Some(template()));
}

pub async fn free_text_beside_a_template_keeps_its_own_deadline(fresh: &FreshStore) {
    let id = answered_conversation(fresh).await;
    fresh.send_operator_message(id, "Hello?".into(), None, at(TWENTY_THREE_HOURS - 1_000)).await.unwrap();
    let (_, turn) = send_template(fresh, id, TWENTY_THREE_HOURS - 1_000).await;
    let claim = fresh.due_turn(at(TWENTY_THREE_HOURS + 1_000)).await;
    assert_eq!((claim.turn, claim.free_text_until), (turn, at(TWENTY_THREE_HOURS)));
    let replied = begin_sending(fresh, &claim, TWENTY_THREE_HOURS + 1_000).await;
    assert_eq!(replied.draft.text, "Hello?");
    // Who holds the claim gives it back for its time; the turn ends.
    assert!(
        fresh.retry_part(replied.part, replied.token, at(TWENTY_THREE_HOURS + 1_000), "late".into()).await.unwrap()
    );
    fresh.assert_nothing_due(at(TWENTY_THREE_HOURS + 1_000)).await;
    assert_eq!((fresh.turn_state(turn), fresh.part_states(turn)), ("expired".into(), "failed failed".into()));
}

pub async fn an_unknown_template_is_looked_up_however_long_ago_the_contact_wrote(fresh: &FreshStore) {
    let id = answered_conversation(fresh).await;
    let late = 3 * TWENTY_THREE_HOURS;
    send_template(fresh, id, late).await;
    let claim = fresh.due_turn(at(late)).await;
    let part = begin_sending(fresh, &claim, late).await;
    assert!(fresh.mark_part_unknown(part.part, part.token, at(late + 2_000), "lost".into()).await.unwrap());
    let lookup = fresh.due_lookup(at(late + 2_000)).await;
    assert_eq!((lookup.template, lookup.has_file), (Some(template().sid), false));
    let again = |now: i64| fresh.record_failed_lookup(part.part, at(now + 9_000), "401".into(), at(now));
    assert_eq!(again(late + 3_000).await.unwrap(), LookupOutcome::LookupFailed);
    assert_eq!(again(late + TWENTY_THREE_HOURS - 1).await.unwrap(), LookupOutcome::LookupFailed);
    assert_eq!(again(late + TWENTY_THREE_HOURS).await.unwrap(), LookupOutcome::Held);
}

pub async fn a_question_that_waits_when_a_template_is_sent_is_answered_after_it(fresh: &FreshStore) {
    let id = answered_conversation(fresh).await;
    let when = 10_000;
    fresh.contact_writes(ANN, "SM2", at(when)).await;
    send_template(fresh, id, when).await;
    let claim = fresh.due_turn(at(when)).await;
    let replied = begin_sending(fresh, &claim, when).await;
    assert!(fresh.provider_accepts(replied.part, replied.token, "SM3", at(when)).await);
    let claim = fresh.due_turn(at(when) + MERGE_WINDOW).await;
    assert_eq!(claim.request, None);
    assert_eq!(fresh.window_lines(id, claim.turn, 10).await.last().unwrap(), "user: SM2");
}
