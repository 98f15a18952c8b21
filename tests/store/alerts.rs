//! What the owner should know of.

use mynah::store::Alert;

use crate::fresh::{Fresh, at};

pub async fn an_alert_is_counted_by_cause_and_subject_and_tells_the_latest(fresh: &Fresh) {
    for (cause, subject, message, when) in [
        ("leak", "one", "first", 0),
        ("leak", "two", "other subject", 1),
        ("loop", "one", "other cause", 2),
        ("leak", "one", "second", 3),
    ] {
        fresh.alert(cause, subject.into(), message.into(), at(when)).await.unwrap();
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
