//! What is deleted after its retention, and what is kept.

use std::time::Duration;

use mynah::model::Command;

use crate::setup::fresh_store::{ANN, BEN, DEFAULT_OPTIONS, FreshStore, MERGE_WINDOW, START, at, webhook_record};

const HOUR: i64 = 3_600_000;

/// More than fit in one transaction.
const MORE_THAN_A_BATCH: usize = 450;

/// A contact wrote and was answered.
async fn answered_message(fresh: &FreshStore, from: &str, when: i64) {
    fresh.contact_writes(from, &format!("SM-{from}"), at(when)).await;
    let claim = fresh.due_turn(at(when) + MERGE_WINDOW).await;
    let (part, token) = fresh.answer_at(&claim, &["Hello."], at(when) + MERGE_WINDOW).await;
    assert!(fresh.provider_accepts(part, token, &format!("SM-to-{from}"), at(when) + MERGE_WINDOW).await);
}

/// So many contacts wrote and were answered, a while ago.
async fn many_answered_conversations(fresh: &FreshStore) {
    for number in 0..MORE_THAN_A_BATCH {
        fresh.contact_writes(&format!("+1555000{number:04}"), &format!("SM{number}"), START).await;
    }
    fresh.execute_sql("UPDATE turns SET state = 'done', live = NULL, finished_at = 1, due_at = NULL");
}

fn open_conversations(fresh: &FreshStore) -> usize {
    fresh.rows("SELECT 1 FROM conversations WHERE ended_at IS NULL").len()
}

pub async fn a_message_after_the_idle_time_begins_a_new_conversation_and_none_before(fresh: &FreshStore) {
    let fresh = &fresh
        .with_options(mynah::store::StoreOptions { conversation_ttl: Duration::from_secs(3600), ..DEFAULT_OPTIONS });
    answered_message(fresh, ANN, 0).await;
    fresh.contact_writes(ANN, "SM2", at(HOUR)).await;
    assert_eq!(fresh.count("conversations"), 1, "an hour is not more than an hour");
    // While it waits for its answer, its conversation is not over.
    fresh.contact_writes(ANN, "SM3", at(3 * HOUR)).await;
    assert_eq!(fresh.count("conversations"), 1);
    fresh.execute_sql(
        "UPDATE turns SET state = 'done', live = NULL, finished_at = 1, due_at = NULL WHERE state = 'open'",
    );
    fresh.contact_writes(ANN, "SM4", at(4 * HOUR + 1)).await;
    assert_eq!((fresh.count("conversations"), open_conversations(fresh)), (2, 1));
}

pub async fn idle_conversations_end_unless_something_in_them_waits(fresh: &FreshStore) {
    answered_message(fresh, ANN, 0).await;
    answered_message(fresh, BEN, 10_000).await;
    fresh.contact_writes("+15550000003", "SM3", START).await;
    let ended = "SELECT ended_at FROM conversations WHERE ended_at IS NOT NULL";
    assert_eq!(fresh.end_idle_conversations(START, at(HOUR)).await.unwrap(), 0, "nobody was silent since before then");
    let before = fresh.rows("SELECT SUM(revision) FROM conversations");
    assert_eq!(fresh.end_idle_conversations(at(1), at(HOUR)).await.unwrap(), 1);
    assert_eq!(fresh.rows(ended), [at(HOUR).0.to_string()]);
    assert_ne!(fresh.rows("SELECT SUM(revision) FROM conversations"), before, "a window that somebody kept is stale");
    assert_eq!(fresh.end_idle_conversations(at(20_000), at(2 * HOUR)).await.unwrap(), 1, "and each once");
    assert_eq!(open_conversations(fresh), 1, "what waits for its answer goes on");
}

pub async fn more_idle_conversations_than_one_batch_holds_are_ended(fresh: &FreshStore) {
    many_answered_conversations(fresh).await;
    assert_eq!(fresh.end_idle_conversations(at(1), at(HOUR)).await.unwrap(), MORE_THAN_A_BATCH);
    assert_eq!(open_conversations(fresh), 0);
}

pub async fn ended_conversations_go_after_their_time_with_all_that_was_said(fresh: &FreshStore) {
    answered_message(fresh, ANN, 0).await;
    answered_message(fresh, BEN, 10_000).await;
    assert_eq!(fresh.end_idle_conversations(at(1), at(HOUR)).await.unwrap(), 1);
    assert_eq!(fresh.delete_ended_conversations(at(HOUR)).await.unwrap(), 0, "it ended no earlier than that");
    assert_eq!(fresh.delete_ended_conversations(at(HOUR + 1)).await.unwrap(), 1);
    for (table, left) in [("conversations", 1), ("messages", 2), ("turns", 1), ("parts", 1), ("contacts", 2)] {
        assert_eq!(fresh.count(table), left, "{table}");
    }
    assert_eq!(
        fresh.delete_ended_conversations(at(1_000 * HOUR)).await.unwrap(),
        0,
        "what has not ended stays, however old"
    );
}

pub async fn a_conversation_that_was_reset_goes_like_any_other(fresh: &FreshStore) {
    fresh.contact_sends_command(ANN, "SM1", START, Command::Reset).await;
    let claim = fresh.due_turn(START).await;
    let (part, token) = fresh.answer_at(&claim, &["Done."], START).await;
    assert!(fresh.provider_accepts(part, token, "SMout", START).await);
    fresh.contact_writes(ANN, "SM2", at(1)).await;
    assert_eq!(fresh.delete_ended_conversations(at(1)).await.unwrap(), 1);
    assert_eq!((fresh.count("conversations"), fresh.count("messages")), (1, 1));
}

pub async fn more_ended_conversations_than_one_batch_holds_are_deleted(fresh: &FreshStore) {
    many_answered_conversations(fresh).await;
    fresh.execute_sql("UPDATE conversations SET ended_at = 1");
    assert_eq!(fresh.delete_ended_conversations(START).await.unwrap(), MORE_THAN_A_BATCH);
    assert_eq!((fresh.count("conversations"), fresh.count("messages")), (0, 0));
    assert_eq!(fresh.count("turns"), 1, "the newest, whose number is not given again");
}

pub async fn lines_of_the_webhook_log_go_after_their_time(fresh: &FreshStore) {
    for number in 0..MORE_THAN_A_BATCH + 2 {
        let received_at = at(i64::try_from(number).unwrap());
        fresh.log_webhook(mynah::store::WebhookRecord { received_at, ..webhook_record("body") }).await.unwrap();
    }
    let before = at(i64::try_from(MORE_THAN_A_BATCH).unwrap());
    assert_eq!(fresh.delete_webhook_log(before).await.unwrap(), MORE_THAN_A_BATCH);
    let left = fresh.rows("SELECT received_at FROM webhook_log ORDER BY id");
    assert_eq!(left, [before.0.to_string(), (before.0 + 1).to_string()]);
}
