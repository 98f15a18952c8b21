//! What shows only from inside the room.

use std::time::Duration;

use rusqlite::Connection;

use super::database::PATIENCE;
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
        quoted: None,
        word: id.into(),
        metadata: serde_json::Map::new(),
        received_at: NOW,
    }
}

/// Somebody else holds the database. Who has no patience gives up; who was to get a claim waits, since nobody else
/// could ever finish what it hands out.
#[tokio::test]
async fn a_late_commit_leaves_no_work_in_nobodys_hands() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut store = Store::open(&path, StoreOptions::new(Duration::ZERO, Duration::from_secs(86_400))).unwrap();
    store.accept(inbound("SM1"), None).await.unwrap();
    store.patience = Duration::ZERO;

    let holder = Connection::open(&path).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (claims, late) = tokio::join!(store.claim(NOW, 10, 10), async {
        let late = store.accept(inbound("SM2"), None).await;
        holder.execute_batch("ROLLBACK").unwrap();
        late
    });
    assert_eq!(late, Err(StoreError::Late(0)));
    let claim = claims.unwrap().turns.remove(0);

    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let reply = Reply::Apology { why: "no model".into() };
    let (replied, late) = tokio::join!(store.reply(&claim, reply, vec!["Sorry.".into()], NOW), async {
        let late = store.accept(inbound("SM3"), None).await;
        holder.execute_batch("ROLLBACK").unwrap();
        late
    });
    assert_eq!(late, Err(StoreError::Late(0)));
    assert!(replied.unwrap().is_some());

    // What came late was done all the same, and a repeat says so.
    store.patience = PATIENCE;
    for id in ["SM2", "SM3"] {
        assert_eq!(store.accept(inbound(id), None).await, Ok(Accepted::Known));
    }
}
