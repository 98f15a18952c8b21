//! What has had its time, and what has not.

use std::time::Duration;

use mynah::model::Command;

use crate::fresh::{ANN, BEN, Fresh, MERGE, OPTIONS, START, at, record};

const HOUR: i64 = 3_600_000;

/// More than one transaction takes.
const MANY: usize = 450;

/// A contact wrote and was answered.
async fn answered(fresh: &Fresh, from: &str, when: i64) {
    fresh.said(from, &format!("SM-{from}"), at(when)).await;
    let claim = fresh.due_turn(at(when) + MERGE).await;
    let (part, token) = fresh.answer_at(&claim, &["Hello."], at(when) + MERGE).await;
    assert!(fresh.sent(part, token, &format!("SM-to-{from}"), at(when) + MERGE).await);
}

/// So many contacts wrote and were answered, a while ago.
async fn crowd(fresh: &Fresh) {
    for number in 0..MANY {
        fresh.said(&format!("+1555000{number:04}"), &format!("SM{number}"), START).await;
    }
    fresh.meddle("UPDATE turns SET state = 'done', live = NULL, finished_at = 1, due_at = NULL");
}

fn open(fresh: &Fresh) -> usize {
    fresh.rows("SELECT 1 FROM conversations WHERE ended_at IS NULL").len()
}

pub async fn a_message_after_the_idle_time_begins_a_new_conversation_and_none_before(fresh: &Fresh) {
    let fresh = &fresh.with(mynah::store::StoreOptions { conversation_ttl: Duration::from_secs(3600), ..OPTIONS });
    answered(fresh, ANN, 0).await;
    fresh.said(ANN, "SM2", at(HOUR)).await;
    assert_eq!(fresh.count("conversations"), 1, "an hour is not more than an hour");
    // While it waits for its answer, its conversation is not over.
    fresh.said(ANN, "SM3", at(3 * HOUR)).await;
    assert_eq!(fresh.count("conversations"), 1);
    fresh.meddle("UPDATE turns SET state = 'done', live = NULL, finished_at = 1, due_at = NULL WHERE state = 'open'");
    fresh.said(ANN, "SM4", at(4 * HOUR + 1)).await;
    assert_eq!((fresh.count("conversations"), open(fresh)), (2, 1));
}

pub async fn idle_conversations_end_unless_something_in_them_waits(fresh: &Fresh) {
    answered(fresh, ANN, 0).await;
    answered(fresh, BEN, 10_000).await;
    fresh.said("+15550000003", "SM3", START).await;
    let ended = "SELECT ended_at FROM conversations WHERE ended_at IS NOT NULL";
    assert_eq!(fresh.end_idle_conversations(START, at(HOUR)).await.unwrap(), 0, "nobody was silent since before then");
    let before = fresh.rows("SELECT SUM(revision) FROM conversations");
    assert_eq!(fresh.end_idle_conversations(at(1), at(HOUR)).await.unwrap(), 1);
    assert_eq!(fresh.rows(ended), [at(HOUR).0.to_string()]);
    assert_ne!(fresh.rows("SELECT SUM(revision) FROM conversations"), before, "a window that somebody kept is stale");
    assert_eq!(fresh.end_idle_conversations(at(20_000), at(2 * HOUR)).await.unwrap(), 1, "and each once");
    assert_eq!(open(fresh), 1, "what waits for its answer goes on");
}

pub async fn a_crowd_of_idle_conversations_ends(fresh: &Fresh) {
    crowd(fresh).await;
    assert_eq!(fresh.end_idle_conversations(at(1), at(HOUR)).await.unwrap(), MANY);
    assert_eq!(open(fresh), 0);
}

pub async fn ended_conversations_go_after_their_time_with_all_that_was_said(fresh: &Fresh) {
    answered(fresh, ANN, 0).await;
    answered(fresh, BEN, 10_000).await;
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

pub async fn a_conversation_that_was_reset_goes_like_any_other(fresh: &Fresh) {
    fresh.asked(ANN, "SM1", START, Command::Reset).await;
    let claim = fresh.due_turn(START).await;
    let (part, token) = fresh.answer_at(&claim, &["Done."], START).await;
    assert!(fresh.sent(part, token, "SMout", START).await);
    fresh.said(ANN, "SM2", at(1)).await;
    assert_eq!(fresh.delete_ended_conversations(at(1)).await.unwrap(), 1);
    assert_eq!((fresh.count("conversations"), fresh.count("messages")), (1, 1));
}

pub async fn a_crowd_of_ended_conversations_goes(fresh: &Fresh) {
    crowd(fresh).await;
    fresh.meddle("UPDATE conversations SET ended_at = 1");
    assert_eq!(fresh.delete_ended_conversations(START).await.unwrap(), MANY);
    assert_eq!((fresh.count("conversations"), fresh.count("messages")), (0, 0));
    assert_eq!(fresh.count("turns"), 1, "the newest, whose number is not given again");
}

pub async fn lines_of_the_webhook_log_go_after_their_time(fresh: &Fresh) {
    for number in 0..MANY + 2 {
        let received_at = at(i64::try_from(number).unwrap());
        fresh.log_webhook(mynah::store::WebhookRecord { received_at, ..record("body") }).await.unwrap();
    }
    let before = at(i64::try_from(MANY).unwrap());
    assert_eq!(fresh.delete_webhook_log(before).await.unwrap(), MANY);
    let left = fresh.rows("SELECT received_at FROM webhook_log ORDER BY id");
    assert_eq!(left, [before.0.to_string(), (before.0 + 1).to_string()]);
}
