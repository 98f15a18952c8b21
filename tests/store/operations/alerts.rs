//! Alerts: counted if they repeat, and deleted after the retention.

use mynah::store::Alert;

use crate::setup::fresh_store::{FreshStore, START, at};

pub async fn an_alert_is_counted_by_cause_and_subject_and_tells_the_latest(fresh: &FreshStore) {
    for (cause, subject, message, when) in [
        ("leak", "one", "first", 0),
        ("leak", "two", "other subject", 1),
        ("loop", "one", "other cause", 2),
        ("leak", "one", "second", 3),
    ] {
        fresh.record_alert(cause, subject.into(), message.into(), at(when)).await.unwrap();
    }
    let alert = |cause: &str, subject: &str, message: &str, first: i64, last: i64, count| Alert {
        cause: cause.into(),
        subject: subject.into(),
        message: message.into(),
        first_at: at(first),
        last_at: at(last),
        count,
        resolved_at: None,
    };
    let all = [
        alert("leak", "one", "second", 0, 3, 2),
        alert("loop", "one", "other cause", 2, 2, 1),
        alert("leak", "two", "other subject", 1, 1, 1),
    ];
    assert_eq!(fresh.alerts(10).await.unwrap(), all);
    assert_eq!(fresh.alerts(2).await.unwrap(), all[..2], "the latest come first");
}

pub async fn an_alert_is_kept_by_when_it_last_happened(fresh: &FreshStore) {
    let alert = async |subject: &str, when| {
        fresh.record_alert("loop", subject.to_owned(), "paused".to_owned(), when).await.unwrap();
    };
    // More than go in one transaction.
    for number in 0..450 {
        alert(&format!("old {number}"), START).await;
    }
    alert("again", START).await;
    alert("again", at(2)).await;
    alert("new", at(1)).await;
    fresh.record_alert("model", "new".to_owned(), "it is down".to_owned(), START).await.unwrap();
    assert_eq!(fresh.delete_alerts(START).await.unwrap(), 0, "none is from before");
    assert_eq!(fresh.delete_alerts(at(1)).await.unwrap(), 451);
    let left = fresh.rows("SELECT cause, subject, count, last_at - first_at FROM alerts ORDER BY last_at");
    assert_eq!(left, ["loop|new|1|0", "loop|again|2|2"]);
    assert_eq!(fresh.delete_alerts(at(3)).await.unwrap(), 2);
    assert_eq!(fresh.count("alerts"), 0);
}

/// So many seconds after the start.
fn after(seconds: i64) -> mynah::clock::Time {
    at(seconds * 1000)
}

/// The ways and the messages of what is due, in order.
async fn due(fresh: &FreshStore, when: i64) -> Vec<(String, String)> {
    let claimed = fresh.claim_alert_deliveries(after(when)).await.unwrap();
    for delivery in &claimed {
        assert!(fresh.settle_alert_delivery(delivery, None, after(when)).await.unwrap());
    }
    claimed.into_iter().map(|delivery| (delivery.way, delivery.message)).collect()
}

async fn queue(fresh: &FreshStore, when: i64) -> usize {
    let compose = |alert: &Alert| format!("{} {} {}", alert.subject, alert.count, alert.resolved_at.is_some());
    fresh.queue_alert_messages(vec!["email", "ntfy"], after(when), compose).await.unwrap()
}

const HOUR: i64 = 3600;

pub async fn somebody_is_told_once_an_hour_with_a_count_and_when_it_is_well_again(fresh: &FreshStore) {
    let record = async |when| fresh.record_alert("model", "m".into(), "it fails".into(), after(when)).await.unwrap();
    let told = |text: &str| ["email", "ntfy"].map(|way| (way.to_owned(), text.to_owned())).to_vec();
    assert_eq!(queue(fresh, 0).await, 0);
    record(0).await;
    assert_eq!(queue(fresh, 1).await, 1);
    assert_eq!(due(fresh, 1).await, told("m 1 false"));
    for when in 2..5 {
        record(when).await;
        assert_eq!(queue(fresh, when).await, 0, "within the hour");
    }
    assert_eq!(queue(fresh, HOUR + 1).await, 1);
    assert_eq!(due(fresh, HOUR + 1).await, told("m 4 false"));
    assert_eq!(queue(fresh, 3 * HOUR).await, 0, "nothing new happened");
    assert!(fresh.resolve_alert("model", "m", after(3 * HOUR)).await.unwrap());
    assert!(!fresh.resolve_alert("model", "m", after(3 * HOUR)).await.unwrap(), "it is well already");
    assert_eq!(queue(fresh, 3 * HOUR).await, 1);
    assert_eq!(due(fresh, 3 * HOUR).await, told("m 4 true"));
    // It begins again: counted from one.
    record(4 * HOUR).await;
    assert_eq!(queue(fresh, 4 * HOUR).await, 1);
    assert_eq!(due(fresh, 4 * HOUR).await, told("m 1 false"));
    // It is well and fails again within the hour, and nobody hears of it before the hour is over.
    assert!(fresh.resolve_alert("model", "m", after(4 * HOUR + 1)).await.unwrap());
    assert_eq!(queue(fresh, 4 * HOUR + 1).await, 1);
    due(fresh, 4 * HOUR + 1).await;
    record(4 * HOUR + 2).await;
    assert_eq!(queue(fresh, 4 * HOUR + 3).await, 0);
    assert_eq!(queue(fresh, 5 * HOUR).await, 1);
}

pub async fn a_message_is_tried_for_a_day_with_growing_waits_and_is_never_lost(fresh: &FreshStore) {
    fresh.record_alert("model", "m".into(), "it fails".into(), after(0)).await.unwrap();
    assert_eq!(queue(fresh, 0).await, 1);
    let (mut when, mut waits) = (0, Vec::new());
    loop {
        let claimed = fresh.claim_alert_deliveries(after(when)).await.unwrap();
        if claimed.is_empty() {
            break;
        }
        assert_eq!(claimed.len(), 2, "both ways fail alike");
        for delivery in &claimed {
            assert!(fresh.settle_alert_delivery(delivery, Some("500".into()), after(when)).await.unwrap());
            assert!(!fresh.settle_alert_delivery(delivery, None, after(when)).await.unwrap(), "the claim is over");
        }
        let alert = &fresh.alerts(1).await.unwrap()[0];
        let row = &fresh.alert_deliveries(alert, 1).await.unwrap()[0];
        let Some(next) = row.due_at else { break };
        waits.push((next.millis() - after(when).millis()) / 1000);
        when += waits.last().unwrap();
    }
    assert_eq!(waits[..4], [30, 60, 120, 240]);
    assert!(waits.iter().all(|wait| *wait <= HOUR) && (23 * HOUR..=24 * HOUR).contains(&when), "{when} {waits:?}");
    let alert = &fresh.alerts(1).await.unwrap()[0];
    let row = &fresh.alert_deliveries(alert, 1).await.unwrap()[0];
    assert_eq!((row.due_at, row.error.as_deref()), (None, Some("500")), "it is given up, and says why");
}

pub async fn a_message_is_claimed_by_one_process_and_by_another_only_after_its_death(fresh: &FreshStore) {
    fresh.record_alert("model", "m".into(), "it fails".into(), after(0)).await.unwrap();
    assert_eq!(queue(fresh, 0).await, 1);
    let first = fresh.claim_alert_deliveries(after(0)).await.unwrap();
    assert_eq!(first.len(), 2);
    assert_eq!(fresh.claim_alert_deliveries(after(299)).await.unwrap(), []);
    let second = fresh.claim_alert_deliveries(after(300)).await.unwrap();
    assert_eq!(second.len(), 2);
    assert!(!fresh.settle_alert_delivery(&first[0], None, after(301)).await.unwrap(), "its claim is over");
    assert!(fresh.settle_alert_delivery(&second[0], None, after(301)).await.unwrap());
}

pub async fn without_a_way_nothing_is_queued_and_nothing_is_told_later(fresh: &FreshStore) {
    fresh.record_alert("model", "m".into(), "it fails".into(), after(0)).await.unwrap();
    assert_eq!(fresh.queue_alert_messages(Vec::new(), after(0), |_| String::new()).await.unwrap(), 1);
    assert_eq!(queue(fresh, 1).await, 0);
    assert_eq!(due(fresh, 1).await, []);
}
