//! Receiving messages.

use std::time::Duration;

use mynah::model::TurnId;
use mynah::store::{ReceiveOutcome, StoreError};

use crate::setup::fresh_store::{ANN, BEN, FreshStore, MERGE_WINDOW, START, at, inbound, sid, webhook_record};

pub async fn a_message_delivered_twice_is_stored_once_and_leads_to_one_turn(fresh: &FreshStore) {
    let first = fresh.receive_plain(inbound(ANN, "SM1", START), Some(webhook_record("first"))).await.unwrap();
    let second = fresh.receive_plain(inbound(ANN, "SM1", at(300)), Some(webhook_record("second"))).await.unwrap();
    assert!(matches!(first, ReceiveOutcome::Queued(_)), "{first:?}");
    assert_eq!(second, ReceiveOutcome::Duplicate);
    assert_eq!(fresh.count("messages"), 1);
    assert_eq!(fresh.rows("SELECT revision, last_inbound_at FROM conversations"), [format!("1|{}", START.0)]);
    let logged = "SELECT w.body, m.content FROM webhook_log w JOIN messages m ON m.id = w.message_id ORDER BY w.id";
    assert_eq!(fresh.rows(logged), ["first|SM1", "second|SM1"]);

    let claim = fresh.due_turn(at(1_000)).await;
    assert_eq!(ReceiveOutcome::Queued(claim.turn), first);
    let (part, token) = fresh.answer(&claim, &["Hello."]).await;
    assert!(fresh.provider_accepts(part, token, "SMout", at(2_000)).await);
    // Twilio repeats a webhook up to a day later.
    let third = fresh.receive_plain(inbound(ANN, "SM1", at(90_000)), None).await.unwrap();
    assert_eq!(third, ReceiveOutcome::Duplicate);
    fresh.assert_nothing_due(at(200_000)).await;
    assert_eq!(fresh.count("turns"), 1);
}

pub async fn fifty_deliveries_of_one_message_at_once_store_it_once(fresh: &FreshStore) {
    let deliveries: Vec<_> = (0..50)
        .map(|_| {
            let store = (**fresh).clone();
            tokio::spawn(async move {
                store.receive_plain(inbound(ANN, "SM1", START), Some(webhook_record("again"))).await.unwrap()
            })
        })
        .collect();
    let mut new = 0;
    for delivery in deliveries {
        new += usize::from(delivery.await.unwrap() != ReceiveOutcome::Duplicate);
    }
    assert_eq!(new, 1);
    assert_eq!((fresh.count("messages"), fresh.count("turns"), fresh.count("contacts")), (1, 1, 1));
    assert_eq!(fresh.count("webhook_log"), 50);
}

pub async fn a_message_is_stored_with_all_that_belongs_to_it(fresh: &FreshStore) {
    let mut message = inbound(ANN, "SM1", START);
    message.text = "Are you open on Sunday?".into();
    message.metadata.insert("ButtonPayload".into(), "yes".into());
    let ReceiveOutcome::Queued(TurnId(turn)) =
        fresh.receive_plain(message, Some(webhook_record("body"))).await.unwrap()
    else {
        panic!("known")
    };
    let start = START.0;
    assert_eq!(fresh.rows("SELECT name, created_at FROM contacts"), [format!("Ann|{start}")]);
    assert_eq!(fresh.rows("SELECT kind, value FROM addresses"), ["phone|+15550000001"]);
    assert_eq!(
        fresh.rows("SELECT channel, our_address, reply_to, started_at, ended_at FROM conversations"),
        [format!("twilio|whatsapp:+14155238886|whatsapp:+15550000001|{start}|-")]
    );
    assert_eq!(
        fresh.rows("SELECT turn_id, role, content, metadata, channel, provider_id, created_at FROM messages"),
        [format!("{turn}|user|Are you open on Sunday?|{{\"ButtonPayload\":\"yes\"}}|twilio|SM1|{start}")]
    );
    assert_eq!(
        fresh.rows("SELECT id, state, due_at, attempts FROM turns"),
        [format!("{turn}|open|{}|0", (START + MERGE_WINDOW).0)]
    );
    assert_eq!(
        fresh.rows("SELECT channel, path, headers, body, status, error FROM webhook_log"),
        ["twilio|/webhooks/twilio|{}|body|200|-"]
    );
}

/// The log is written last; if that fails, nothing else may be stored.
pub async fn a_message_is_stored_with_all_that_belongs_to_it_or_not_at_all(fresh: &FreshStore) {
    fresh.install_poison_trigger();
    let refused = fresh.receive_plain(inbound(ANN, "SM1", START), Some(webhook_record("poison"))).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    assert_eq!(fresh.all_rows(), [""; 0]);
    assert_eq!(fresh.count("webhook_log"), 0);

    let again = fresh.receive_plain(inbound(ANN, "SM1", START), Some(webhook_record("wholesome"))).await.unwrap();
    assert!(matches!(again, ReceiveOutcome::Queued(_)), "a refused message may come again");

    let before = fresh.all_rows();
    let refused = fresh.receive_plain(inbound(ANN, "SM2", at(100)), Some(webhook_record("poison"))).await;
    assert!(refused.is_err());
    assert_eq!(fresh.all_rows(), before, "a conversation that goes on is as it was");
}

pub async fn the_same_id_on_another_channel_is_another_message(fresh: &FreshStore) {
    fresh.contact_writes(ANN, "SM1", START).await;
    let mut other = inbound(ANN, "SM1", START);
    other.channel = "meta";
    assert!(matches!(fresh.receive_plain(other, None).await.unwrap(), ReceiveOutcome::Queued(_)));
    assert_eq!(fresh.count("messages"), 2);
}

pub async fn a_contact_is_known_by_phone_or_by_business_scoped_id(fresh: &FreshStore) {
    for (id, from) in
        [("SM1", ANN), ("SM2", "US.13491208655302741918"), ("SM3", ANN), ("SM4", "US.13491208655302741918")]
    {
        fresh.contact_writes(from, id, START).await;
    }
    assert_eq!(
        fresh.rows("SELECT kind, value FROM addresses ORDER BY contact_id"),
        ["phone|+15550000001", "bsuid|US.13491208655302741918"]
    );
    assert_eq!((fresh.count("contacts"), fresh.count("conversations")), (2, 2));
    let mut to: Vec<String> = fresh.due_turns(at(1_000)).await.into_iter().map(|claim| claim.to).collect();
    to.sort();
    assert_eq!(to, ["whatsapp:+15550000001", "whatsapp:US.13491208655302741918"]);
}

pub async fn a_contact_has_one_conversation_on_each_of_our_numbers(fresh: &FreshStore) {
    let second = |id| {
        let mut message = inbound(ANN, id, START);
        message.to = "whatsapp:+14155230000".into();
        message
    };
    fresh.contact_writes(ANN, "SM1", START).await;
    fresh.receive_plain(second("SM2"), None).await.unwrap();
    fresh.contact_writes(ANN, "SM3", START).await;
    fresh.receive_plain(second("SM4"), None).await.unwrap();
    fresh.contact_writes(BEN, "SM5", START).await;
    assert_eq!((fresh.count("contacts"), fresh.count("conversations"), fresh.count("turns")), (2, 3, 3));
    let mut ways = Vec::new();
    for claim in fresh.due_turns(at(1_000)).await {
        let window = fresh.window_lines(claim.conversation, claim.turn, 10).await;
        ways.push(format!("{} {} {window:?}", claim.from, claim.to));
    }
    ways.sort();
    assert_eq!(
        ways,
        [
            r#"whatsapp:+14155230000 whatsapp:+15550000001 ["user: SM2", "user: SM4"]"#,
            r#"whatsapp:+14155238886 whatsapp:+15550000001 ["user: SM1", "user: SM3"]"#,
            r#"whatsapp:+14155238886 whatsapp:+15550000002 ["user: SM5"]"#,
        ]
    );
}

pub async fn the_answer_goes_where_the_latest_message_came_from(fresh: &FreshStore) {
    let way = |id, reply_to: &str, when| {
        let mut message = inbound(ANN, id, when);
        message.reply_to = reply_to.into();
        message
    };
    fresh.receive_plain(way("SM1", "whatsapp:one", START), None).await.unwrap();
    fresh.receive_plain(way("SM2", "whatsapp:two", at(500)), None).await.unwrap();
    // Found late at the provider: its webhook never arrived.
    fresh.receive_plain(way("SM0", "whatsapp:zero", START - Duration::from_secs(60)), None).await.unwrap();
    let claim = fresh.due_turn(at(1_000)).await;
    assert_eq!(claim.to, "whatsapp:two");
    assert_eq!(claim.deadline, at(500) + Duration::from_secs(23 * 3600), "and its deadline is the latest one's too");
    assert_eq!(claim.channel, "twilio");
    let window = fresh.context_window(claim.conversation, claim.turn, 10).await.unwrap();
    assert_eq!(window[0].provider_id, Some(sid("SM1")));
}
