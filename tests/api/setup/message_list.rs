//! The provider's list of messages, which also holds those whose webhook never came.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mynah::clock::{Clock, Time};
use mynah::store::ScheduledJob;
use mynah::work::schedule;
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::setup::test_app::{ACCOUNT, OUR_NUMBER, TestApp};

pub const HOUR: u64 = 3_600;

/// What Twilio lists, oldest first.
#[derive(Clone, Default)]
pub struct MessageList(pub Arc<Mutex<Vec<Value>>>);

impl MessageList {
    /// A list that the test app finds at Twilio, paged as there: newest first, the next page relative to the API.
    pub async fn mounted_at(test_app: &TestApp) -> MessageList {
        let list = MessageList::default();
        let rows = list.clone();
        let answer = move |request: &wiremock::Request| {
            let asked: BTreeMap<String, String> = request.url.query_pairs().into_owned().collect();
            let number = |name: &str, default| asked.get(name).map_or(default, |text| text.parse::<usize>().unwrap());
            let (size, page) = (number("PageSize", 50), number("Page", 0));
            let to = &asked["To"];
            let rows = rows.0.lock().unwrap();
            let matching: Vec<&Value> = rows.iter().filter(|row| row["to"] == to.as_str()).collect();
            let newest: Vec<&&Value> = matching.iter().rev().skip(page * size).take(size).collect();
            let next = ((page + 1) * size < matching.len()).then(|| {
                format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json?To={to}&PageSize={size}&Page={}", page + 1)
                    .replace('+', "%2B")
            });
            ResponseTemplate::new(200).set_body_json(json!({ "messages": newest, "next_page_uri": next }))
        };
        test_app.mock_list_messages().respond_with(answer).mount(&test_app.twilio).await;
        list
    }

    /// A contact writes, and no webhook comes.
    pub fn add(&self, sid: &str, from: &str, text: &str, at: Time) {
        self.push(sid, (from, OUR_NUMBER), text, ("inbound", "received"), at);
    }

    /// Somebody else sends a message by our account: another process of ours, or a person in the console.
    pub fn add_sent(&self, sid: &str, to: &str, text: &str, at: Time) {
        self.push(sid, (OUR_NUMBER, to), text, ("outbound-api", "delivered"), at);
    }

    fn push(&self, sid: &str, (from, to): (&str, &str), text: &str, (direction, status): (&str, &str), at: Time) {
        let date = jiff::Timestamp::from_millisecond(at.millis()).unwrap();
        let date = date.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string();
        self.0.lock().unwrap().push(json!({
            "sid": sid, "from": from, "to": to, "body": text, "direction": direction, "status": status,
            "num_media": "0", "date_created": date, "date_sent": date, "messaging_service_sid": null,
        }));
    }
}

impl TestApp {
    pub fn time_before(&self, seconds: u64) -> Time {
        self.clock.now() - Duration::from_secs(seconds)
    }

    /// Runs one catch-up; returns how it went.
    pub async fn run_catch_up(&self) -> ScheduledJob {
        schedule::catch_up(&self.app).await.unwrap()
    }

    /// Runs one catch-up; returns what it found.
    pub async fn catch_up_result(&self) -> String {
        let run = self.run_catch_up().await;
        assert!(!run.failed, "{run:?}");
        run.result
    }

    /// A test app that has been running for a day, and its list.
    pub async fn app_with_message_list(settings: &[(&str, &str)]) -> (TestApp, MessageList) {
        let test_app = TestApp::with_settings(settings).await;
        test_app.twilio_accepts_everything().await;
        test_app.model_answers("Hello!").await;
        let list = MessageList::mounted_at(&test_app).await;
        assert_eq!(test_app.catch_up_result().await, "nothing was missed");
        test_app.advance(24 * HOUR);
        test_app.catch_up_result().await;
        (test_app, list)
    }

    pub async fn list_requests(&self) -> usize {
        let requests = self.twilio.received_requests().await.unwrap();
        requests.iter().filter(|request| request.method.as_str() == "GET").count()
    }

    /// What contacts said in each prompt.
    pub async fn user_prompts(&self) -> Vec<Vec<String>> {
        let users = |prompt: Vec<(String, String)>| {
            prompt.into_iter().filter(|(role, _)| role == "user").map(|(_, text)| text).collect()
        };
        self.prompts().await.into_iter().map(users).collect()
    }
}
