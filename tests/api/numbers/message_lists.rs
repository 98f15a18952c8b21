//! The provider's list of messages of each number: whose messages it holds, and that each list is read separately.

use std::sync::{Mutex, mpsc};
use std::time::Duration;

use mynah::work::schedule;
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, ResponseTemplate};

use crate::setup::test_app::{ANA, BEN, OUR_NUMBER, TestApp};
use crate::setup::two_numbers::{SALES, SALES_ACCOUNT, TwoNumbers};

/// A message of 10:20 from a contact, as it is listed: it names no service.
fn list_row(sid: &str, from: &str, to: &str) -> Value {
    let date = "Sun, 01 Nov 2026 10:20:00 +0000";
    json!({ "sid": sid, "from": from, "to": to, "body": "hello?", "direction": "inbound", "status": "received",
        "num_media": "0", "messaging_service_sid": null, "date_created": date, "date_sent": date })
}

fn list_response(rows: &[Value]) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({ "messages": rows }))
}

#[tokio::test]
async fn a_messaging_service_catches_up_on_messages_to_senders_whose_webhooks_come_here() {
    let service =
        [("TWILIO_WHATSAPP_FROM", ""), ("TWILIO_MESSAGING_SERVICE_SID", "MG00000000000000000000000000000007")];
    let test_app = TestApp::with_settings(&service).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    let catch_up = async |rows: &[Value]| {
        let _list =
            test_app.mock_list_messages().respond_with(list_response(rows)).mount_as_scoped(&test_app.twilio).await;
        schedule::catch_up(&test_app.app).await.unwrap().result
    };
    assert_eq!(catch_up(&[]).await, "nothing was missed");
    test_app.advance(3_600);
    // Another program of the account has a sender as well.
    let listed = [list_row("SM2", BEN, OUR_NUMBER), list_row("SM1", BEN, "whatsapp:+14155550099")];
    assert_eq!(catch_up(&listed).await, "nothing was missed", "nobody knows yet which of them is ours");
    test_app.contact_writes(ANA, "hello").await;
    test_app.drain().await;
    test_app.execute_sql("UPDATE catch_ups SET caught_up_at = began_at");
    assert_eq!(catch_up(&listed).await, "missed messages found: 1 to be answered");
    test_app.drain().await;
    let to = |(to, _): (String, String)| to;
    assert_eq!(test_app.sent_messages().await.into_iter().map(to).collect::<Vec<_>>(), [ANA, BEN]);
    assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM messages WHERE provider_id = 'SM1'"), 0);
}

#[tokio::test]
async fn a_list_that_hangs_holds_up_no_other() {
    let numbers = TwoNumbers::new().await;
    let list_of_sales =
        || Mock::given(method("GET")).and(path(format!("/2010-04-01/Accounts/{SALES_ACCOUNT}/Messages.json")));
    {
        let _sales = list_of_sales().respond_with(list_response(&[])).mount_as_scoped(&numbers.twilio).await;
        let _main = numbers
            .test_app
            .mock_list_messages()
            .respond_with(list_response(&[]))
            .mount_as_scoped(&numbers.test_app.twilio)
            .await;
        assert_eq!(schedule::catch_up(&numbers.test_app.app).await.unwrap().result, "nothing was missed");
    }
    numbers.test_app.advance(3_600);
    // That of main is given only once the message to sales is stored.
    let (stored, waiting) = mpsc::channel();
    let waiting = Mutex::new(waiting);
    let hangs = move |_: &wiremock::Request| match waiting.lock().unwrap().recv_timeout(Duration::from_secs(10)) {
        Ok(()) => list_response(&[]),
        Err(_) => ResponseTemplate::new(503),
    };
    numbers.test_app.mock_list_messages().respond_with(hangs).mount(&numbers.test_app.twilio).await;
    list_of_sales().respond_with(list_response(&[list_row("SM1", ANA, SALES)])).mount(&numbers.twilio).await;
    let catch_up = schedule::catch_up(&numbers.test_app.app);
    let seen = async {
        while numbers.test_app.query_integer("SELECT COUNT(*) FROM messages") == 0 {
            tokio::task::yield_now().await;
        }
        stored.send(()).ok();
    };
    let (run, ()) = tokio::join!(catch_up, seen);
    assert_eq!(run.unwrap().result, "missed messages found: 1 to be answered");
}
