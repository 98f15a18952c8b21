//! Tests that need access to the store's private fields.

use std::time::Duration;

use rusqlite::Connection;

use super::database::WRITE_TIMEOUT;
use super::*;
use crate::clock::Time;
use crate::model::{Address, Inbound, ProviderId};

const NOW: Time = Time(1_790_000_000_000);

fn inbound(id: &str) -> Inbound {
    Inbound {
        channel: "twilio",
        provider_id: ProviderId(id.into()),
        from: Address::parse("+15550000001").unwrap().into(),
        reply_to: "whatsapp:+15550000001".into(),
        to: "whatsapp:+14155238886".into(),
        profile_name: None,
        text: id.into(),
        attachments: Vec::new(),
        quoted_id: None,
        keyword_text: id.into(),
        metadata: serde_json::Map::new(),
        received_at: NOW,
    }
}

/// Another connection holds the database. A caller with a timeout gives up. A caller that is about to receive a claim
/// waits, because nobody else could ever finish the claimed work.
#[tokio::test]
async fn a_late_commit_leaves_no_work_in_nobodys_hands() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut store = Store::open(&path, StoreOptions::new(Duration::ZERO, Duration::from_secs(86_400))).unwrap();
    store.receive_plain(inbound("SM1"), None).await.unwrap();
    store.write_timeout = Duration::ZERO;

    let holder = Connection::open(&path).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (claims, late) = tokio::join!(store.claim(NOW, 10, 10), async {
        let late = store.receive_plain(inbound("SM2"), None).await;
        holder.execute_batch("ROLLBACK").unwrap();
        late
    });
    assert_eq!(late, Err(StoreError::Timeout(0)));
    let claim = claims.unwrap().turns.remove(0);

    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let reply = Reply::Apology { why: "no model".into() };
    let (replied, late) = tokio::join!(store.reply(&claim, reply, vec!["Sorry.".into()], NOW), async {
        let late = store.receive_plain(inbound("SM3"), None).await;
        holder.execute_batch("ROLLBACK").unwrap();
        late
    });
    assert_eq!(late, Err(StoreError::Timeout(0)));
    assert!(replied.unwrap().is_some());

    // The late writes were committed all the same, and a repeat reports that.
    store.write_timeout = WRITE_TIMEOUT;
    for id in ["SM2", "SM3"] {
        assert_eq!(store.receive_plain(inbound(id), None).await, Ok(ReceiveOutcome::Duplicate));
    }
}
