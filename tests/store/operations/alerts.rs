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
