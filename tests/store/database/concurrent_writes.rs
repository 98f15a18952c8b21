//! Many writers at once.

use mynah::store::ReceiveOutcome;

use crate::setup::fresh_store::{FreshStore, START, inbound, webhook_record};

/// So many contacts write at once; the body of each one's webhook is what `body` says.
async fn all_at_once(fresh: &FreshStore, many: usize, body: fn(usize) -> &'static str) -> Vec<bool> {
    let writers: Vec<_> = (0..many)
        .map(|number| {
            let store = (**fresh).clone();
            tokio::spawn(async move {
                let message = inbound(&format!("+1555{number:07}"), &format!("SM{number}"), START);
                match store.receive_plain(message, Some(webhook_record(body(number)))).await {
                    Ok(accepted) => {
                        assert!(matches!(accepted, ReceiveOutcome::Queued(_)));
                        true
                    }
                    Err(_) => false,
                }
            })
        })
        .collect();
    let mut stored = Vec::new();
    for writer in writers {
        stored.push(writer.await.unwrap());
    }
    stored
}

pub async fn five_hundred_messages_at_once_are_all_stored(fresh: &FreshStore) {
    let stored = all_at_once(fresh, 500, |_| "wholesome").await;
    assert_eq!(stored, [true; 500]);
    for table in ["contacts", "conversations", "messages", "turns", "webhook_log"] {
        assert_eq!(fresh.count(table), 500, "{table}");
    }
}

pub async fn a_write_that_fails_does_not_undo_its_neighbours(fresh: &FreshStore) {
    fresh.install_poison_trigger();
    let stored = all_at_once(fresh, 300, |number| if number % 7 == 3 { "poison" } else { "wholesome" }).await;
    for (number, stored) in stored.iter().enumerate() {
        assert_eq!(*stored, number % 7 != 3, "message {number}");
    }
    for table in ["contacts", "conversations", "messages", "turns", "webhook_log"] {
        assert_eq!(fresh.count(table), 257, "{table}");
    }
    assert_eq!(fresh.write_error(), None, "one refused statement is no trouble of the database");
}

/// Each reads through its own connection as soon as its write is answered.
pub async fn a_caller_gets_its_answer_after_the_commit(fresh: &FreshStore) {
    let (answers, mut told) = tokio::sync::mpsc::unbounded_channel();
    for number in 0..100 {
        let (store, answers) = ((**fresh).clone(), answers.clone());
        tokio::spawn(async move {
            let id = format!("SM{number}");
            store.receive_plain(inbound(&format!("+1555{number:07}"), &id, START), None).await.unwrap();
            answers.send(id).unwrap();
        });
    }
    drop(answers);
    let mut count = 0;
    while let Some(id) = told.recv().await {
        let found = fresh.rows(&format!("SELECT COUNT(*) FROM messages WHERE provider_id = '{id}'"));
        assert_eq!(found, ["1"], "{id}");
        count += 1;
    }
    assert_eq!(count, 100);
}
