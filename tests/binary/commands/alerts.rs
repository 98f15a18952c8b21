//! Alerts at the shell.

use std::time::Duration;

use mynah::clock::Time;
use mynah::store::{Store, StoreOptions};
use serde_json::json;

use crate::setup::test_environment::TestEnvironment;

/// 2026-11-01T10:00:00Z.
const START: Time = Time(1_793_527_200_000);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_are_listed_newest_first_and_counted_where_they_repeat() {
    let environment = TestEnvironment::new().await;
    let nowhere = environment.settings.run(&["alert", "list"]).await;
    assert!(nowhere.status == Some(1) && nowhere.stderr.contains("there is no database at"), "{nowhere:?}");
    assert_eq!(environment.settings.run(&["migrate"]).await.status, Some(0));
    assert_eq!(environment.settings.run(&["alert", "list"]).await.stdout, "no alerts\n");
    assert_eq!(environment.settings.run(&["alert", "list", "--json"]).await.json(), json!([]));

    let options = StoreOptions::new(Duration::ZERO, Duration::ZERO);
    let store = Store::open(&environment.settings.folder.join("mynah.db"), options).unwrap();
    for (cause, subject, message, seconds) in [
        ("budget", "MYNAH_BUDGET_DAY", "the budget is spent", 0),
        ("hand_over", "0199", "a person is wanted:\n\u{1b}[31mnow", 1),
        ("budget", "MYNAH_BUDGET_DAY", "the budget is spent again", 90),
    ] {
        let at = START + Duration::from_secs(seconds);
        store.record_alert(cause, subject.into(), message.into(), at).await.unwrap();
    }
    let listed = environment.settings.run(&["alert", "list"]).await.stdout;
    assert_eq!(
        listed,
        "2026-11-01T10:01:30.000Z  2×  budget     MYNAH_BUDGET_DAY  the budget is spent again\n\
         2026-11-01T10:00:01.000Z  1×  hand_over  0199              a person is wanted: [31mnow\n"
    );
    let latest = environment.settings.run(&["alert", "list", "--limit", "1", "--json"]).await.json();
    let expected = json!([{
        "cause": "budget",
        "subject": "MYNAH_BUDGET_DAY",
        "message": "the budget is spent again",
        "first_at": "2026-11-01T10:00:00.000Z",
        "last_at": "2026-11-01T10:01:30.000Z",
        "count": 2, "resolved_at": null, "deliveries": [],
    }]);
    assert_eq!(latest, expected);
}
