//! Messages whose webhook never came: found in Twilio's list, and answered once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::StatusCode;
use mynah::clock::{Clock, Time};
use mynah::store::ScheduledJob;
use mynah::work::{Worker, schedule};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use wiremock::ResponseTemplate;

use crate::setup::test_app::{ACCOUNT, ANA, BEN, CapturedLog, OUR_NUMBER, TestApp};

const HOUR: u64 = 3_600;

/// What Twilio lists, oldest first.
#[derive(Clone, Default)]
struct MessageList(Arc<Mutex<Vec<Value>>>);

impl MessageList {
    /// A list that a house finds at Twilio, page by page as there: newest first, the next page relative to the API.
    async fn mounted_at(house: &TestApp) -> MessageList {
        let list = MessageList::default();
        let rows = list.clone();
        let answer = move |request: &wiremock::Request| {
            let asked: BTreeMap<String, String> = request.url.query_pairs().into_owned().collect();
            let number = |name: &str, default| asked.get(name).map_or(default, |text| text.parse::<usize>().unwrap());
            let (size, page) = (number("PageSize", 50), number("Page", 0));
            assert_eq!(asked["To"], OUR_NUMBER);
            let rows = rows.0.lock().unwrap();
            let newest: Vec<&Value> = rows.iter().rev().skip(page * size).take(size).collect();
            let next = ((page + 1) * size < rows.len()).then(|| {
                format!(
                    "/2010-04-01/Accounts/{ACCOUNT}/Messages.json?To={OUR_NUMBER}&PageSize={size}&Page={}",
                    page + 1
                )
                .replace('+', "%2B")
            });
            ResponseTemplate::new(200).set_body_json(json!({ "messages": newest, "next_page_uri": next }))
        };
        house.mock_list_messages().respond_with(answer).mount(&house.twilio).await;
        list
    }

    /// A contact writes, and no webhook comes.
    fn add(&self, sid: &str, from: &str, text: &str, at: Time) {
        let date = jiff::Timestamp::from_millisecond(at.millis()).unwrap();
        let date = date.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string();
        self.0.lock().unwrap().push(json!({
            "sid": sid, "from": from, "to": OUR_NUMBER, "body": text, "direction": "inbound", "status": "received",
            "num_media": "0", "date_created": date, "date_sent": date, "messaging_service_sid": null,
        }));
    }
}

impl TestApp {
    fn time_before(&self, seconds: u64) -> Time {
        self.clock.now() - Duration::from_secs(seconds)
    }

    /// A look for missed messages, and what came of it.
    async fn run_catch_up(&self) -> ScheduledJob {
        schedule::catch_up(&self.app).await.unwrap()
    }

    /// What a look for missed messages found.
    async fn catch_up_result(&self) -> String {
        let run = self.run_catch_up().await;
        assert!(!run.failed, "{run:?}");
        run.result
    }

    /// A house that has been running, and whose list lies before it.
    async fn app_with_message_list(settings: &[(&str, &str)]) -> (TestApp, MessageList) {
        let house = TestApp::with_settings(settings).await;
        house.twilio_accepts_everything().await;
        house.model_answers("Hello!").await;
        let list = MessageList::mounted_at(&house).await;
        assert_eq!(house.catch_up_result().await, "nothing was missed");
        house.advance(24 * HOUR);
        house.catch_up_result().await;
        (house, list)
    }

    async fn list_requests(&self) -> usize {
        let requests = self.twilio.received_requests().await.unwrap();
        requests.iter().filter(|request| request.method.as_str() == "GET").count()
    }

    /// What contacts said in each prompt.
    async fn user_prompts(&self) -> Vec<Vec<String>> {
        let users = |prompt: Vec<(String, String)>| {
            prompt.into_iter().filter(|(role, _)| role == "user").map(|(_, text)| text).collect()
        };
        self.prompts().await.into_iter().map(users).collect()
    }
}

#[tokio::test]
async fn a_two_hour_outage_is_answered_in_order_and_each_contact_once() {
    let (house, list) = TestApp::app_with_message_list(&[]).await;
    let phone = |contact: u64| format!("whatsapp:+1202555{contact:04}");
    house.advance(2 * HOUR);
    for number in 0..500 {
        let at = house.time_before(2 * HOUR - number * 14);
        list.add(&format!("SM{number:032}"), &phone(number % 100), &format!("message {number}"), at);
    }
    house.advance(60);
    let house = house.restarted_with(&[]).await;
    assert_eq!(house.catch_up_result().await, "missed messages found: 500 to be answered");
    house.drain().await;
    let mut answered: Vec<String> = house.sent_messages().await.into_iter().map(|(to, _)| to).collect();
    answered.sort();
    assert_eq!(answered, (0..100).map(phone).collect::<Vec<_>>(), "each contact once");
    let mut heard = house.user_prompts().await;
    heard.sort_by_key(|texts| texts[0]["message ".len()..].parse::<u64>().unwrap());
    let five = |contact: u64| (0..5).map(|round| format!("message {}", round * 100 + contact)).collect::<Vec<_>>();
    assert_eq!(heard, (0..100).map(five).collect::<Vec<_>>(), "in the order in which they were said");
    // The next look finds nothing new.
    house.advance(60);
    assert_eq!(house.catch_up_result().await, "nothing was missed");
    assert_eq!(house.drain().await, 0);
}

#[tokio::test]
async fn a_start_waits_for_what_was_missed_before_it_answers() {
    let (house, list) = TestApp::app_with_message_list(&[]).await;
    house.contact_writes(ANA, "before the outage").await;
    house.advance(10);
    list.add("SMmissed", ANA, "in the outage", house.clock.now());
    house.advance(HOUR);
    let house = house.restarted_with(&[]).await;
    house.contact_writes(ANA, "after the outage").await;
    let stop = CancellationToken::new();
    let worker = tokio::spawn(Worker::new(house.app.clone()).run(stop.clone()));
    while house.turn_states().await.iter().any(|state| state != "done") {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    worker.await.unwrap();
    assert_eq!(house.user_prompts().await, [["before the outage", "in the outage", "after the outage"]]);
}

#[tokio::test]
async fn nothing_is_claimed_while_missed_messages_are_stored() {
    let (house, list) = TestApp::app_with_message_list(&[]).await;
    list.add("SMmissed", ANA, "hello?", house.clock.now());
    house.advance(60);
    // Somebody is claiming.
    let claiming = house.app.claim_lock.read().await;
    let app = house.app.clone();
    let mut look = tokio::spawn(async move { schedule::catch_up(&app).await });
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut look).await.is_err(), "it waits for the claim");
    assert_eq!(house.turns().await.len(), 0);
    drop(claiming);
    look.await.unwrap().unwrap();
    // And the other way round.
    let storing = house.app.claim_lock.write().await;
    assert!(tokio::time::timeout(Duration::from_millis(300), house.drain()).await.is_err(), "it waits for the rest");
    drop(storing);
    house.drain().await;
    assert_eq!(house.turn_states().await, ["done"]);
}

#[tokio::test]
async fn the_first_start_takes_nothing_from_before_it() {
    let house = TestApp::new().await;
    let list = MessageList::mounted_at(&house).await;
    list.add("SMbefore", ANA, "somebody else has answered this", house.time_before(60));
    assert_eq!(house.catch_up_result().await, "nothing was missed");
    house.advance(60);
    list.add("SMafter", ANA, "and this is for us", house.time_before(40));
    assert_eq!(house.catch_up_result().await, "missed messages found: 1 to be answered");
    house.drain().await;
    assert_eq!(house.user_prompts().await, [["and this is for us"]]);
}

/// As with a wrong API key, which webhooks do not need.
#[tokio::test]
async fn what_comes_before_the_list_can_be_read_for_the_first_time_is_found() {
    let house = TestApp::new().await;
    house.mock_list_messages().respond_with(ResponseTemplate::new(401)).up_to_n_times(2).mount(&house.twilio).await;
    let list = MessageList::mounted_at(&house).await;
    list.add("SMbefore", ANA, "somebody else has answered this", house.time_before(60));
    assert!(house.run_catch_up().await.failed);
    house.advance(3_600);
    list.add("SMmissed", ANA, "this is for us", house.time_before(1_800));
    assert!(house.run_catch_up().await.failed);
    assert_eq!(house.catch_up_result().await, "missed messages found: 1 to be answered");
}

#[tokio::test]
async fn a_message_that_has_just_been_sent_is_left_to_its_webhook() {
    let (house, list) = TestApp::app_with_message_list(&[]).await;
    list.add("SM00000000000000000000000000000001", ANA, "hello?", house.clock.now());
    // Twilio dates to the second, whose end counts.
    house.advance(30);
    assert_eq!(house.catch_up_result().await, "nothing was missed");
    house.advance(1);
    assert_eq!(house.catch_up_result().await, "missed messages found: 1 to be answered");
    // A webhook that comes later still is acknowledged, and leads to no second answer.
    assert_eq!(house.deliver_webhook(&house.message_params(ANA, "hello?")).await, StatusCode::OK);
    house.drain().await;
    assert_eq!(house.sent_texts().await.len(), 1);
}

#[tokio::test]
async fn messages_listed_late_or_by_another_clock_are_found() {
    let (house, list) = TestApp::app_with_message_list(&[]).await;
    house.advance(60);
    house.catch_up_result().await;
    // Listed only now, with the time of a look that did not see it.
    list.add("SMlate", ANA, "hello?", house.time_before(9 * 60));
    assert_eq!(house.catch_up_result().await, "missed messages found: 1 to be answered");
}

#[tokio::test]
async fn a_missed_message_is_answered_up_to_the_age_that_the_owner_chose() {
    for (within, answered) in [("12h", 2), ("1h", 1), ("0", 0)] {
        let (house, list) = TestApp::app_with_message_list(&[("MYNAH_CATCH_UP_WITHIN", within)]).await;
        house.advance(14 * HOUR);
        for (number, (from, hours)) in [(ANA, 13), (BEN, 11), ("whatsapp:+12025550103", 0)].into_iter().enumerate() {
            list.add(&format!("SM{number}"), from, &format!("{hours} hours old"), house.time_before(hours * HOUR + 60));
        }
        let found = house.catch_up_result().await;
        let too_old = 3 - answered;
        let expected = match answered {
            0 => "missed messages found: 3 too old to be answered".to_owned(),
            _ => format!("missed messages found: {answered} to be answered, {too_old} too old to be answered"),
        };
        assert_eq!(found, expected);
        house.drain().await;
        assert_eq!(house.sent_texts().await.len(), answered, "{within}");
        assert_eq!(house.query_integer("SELECT COUNT(*) FROM messages WHERE role = 'user'"), 3, "all are stored");
        let skipped = "SELECT COUNT(*) FROM turns WHERE state = 'skipped' AND error LIKE '%MYNAH_CATCH_UP_WITHIN%'";
        assert_eq!(house.query_integer(skipped), i64::try_from(too_old).unwrap());
    }
}

#[tokio::test]
async fn twilio_is_not_asked_where_the_owner_does_not_want_it() {
    let (house, list) = TestApp::app_with_message_list(&[]).await;
    let house = house.restarted_with(&[("MYNAH_CATCH_UP_WITHIN", "off")]).await;
    list.add("SMmissed", ANA, "hello?", house.clock.now());
    house.advance(60);
    let before = house.list_requests().await;
    assert_eq!(house.catch_up_result().await, "turned off (MYNAH_CATCH_UP_WITHIN)");
    assert_eq!(house.list_requests().await, before);
}

#[tokio::test]
async fn a_failed_catch_up_does_not_move_its_position_and_is_alerted_once() {
    let log = CapturedLog::start();
    let (house, _) = TestApp::app_with_message_list(&[]).await;
    house.twilio.reset().await;
    house.twilio_accepts_everything().await;
    let missed = house.clock.now();
    let wrong = ResponseTemplate::new(401).set_body_json(json!({ "code": 20003, "message": "Authenticate" }));
    house.mock_list_messages().respond_with(wrong).up_to_n_times(3).mount(&house.twilio).await;
    house.mock_list_messages().respond_with(ResponseTemplate::new(429)).up_to_n_times(1).mount(&house.twilio).await;
    house.mock_list_messages().respond_with(ResponseTemplate::new(500)).up_to_n_times(30).mount(&house.twilio).await;
    for look in 0..34 {
        house.advance(60);
        let run = house.run_catch_up().await;
        assert!(run.failed && run.result.starts_with("the list of messages cannot be read: "), "{look}: {run:?}");
        assert_eq!(run.next_run_at, house.clock.now() + Duration::from_secs(60));
    }
    for (level, text, lines) in [("WARN", "20003", 1), ("WARN", "HTTP 429", 1), ("WARN", "HTTP 500", 1)] {
        assert_eq!(log.count_lines(level, text), lines, "{text}");
    }
    // It is found though it is older by far than what is read again each time.
    let list = MessageList::mounted_at(&house).await;
    list.add("SMmissed", ANA, "hello?", missed);
    house.advance(60);
    assert_eq!(house.catch_up_result().await, "missed messages found: 1 to be answered");
    assert_eq!(log.count_lines("INFO", "missed messages can be looked for again"), 1);
}

#[tokio::test]
async fn a_list_that_repeats_a_page_gives_what_it_has_and_is_read_again() {
    let (house, _) = TestApp::app_with_message_list(&[]).await;
    house.twilio.reset().await;
    house.twilio_accepts_everything().await;
    let list = MessageList::default();
    list.add("SM1", ANA, "first", house.clock.now());
    list.add("SM2", BEN, "second", house.clock.now());
    let rows = list.0.lock().unwrap().clone();
    let path = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json?Page=1");
    let page = ResponseTemplate::new(200).set_body_json(json!({ "messages": [rows[1]], "next_page_uri": path }));
    house.mock_list_messages().respond_with(page).up_to_n_times(2).mount(&house.twilio).await;
    house.advance(60);
    let run = house.run_catch_up().await;
    assert!(run.failed, "{run:?}");
    assert_eq!(
        run.result,
        "Twilio's list of messages repeats a page, so that its end cannot be reached; missed messages found: 1 to be \
         answered"
    );
    // An hour later the whole list is there.
    let whole = MessageList::mounted_at(&house).await;
    whole.0.lock().unwrap().extend(rows);
    house.advance(HOUR);
    assert_eq!(house.catch_up_result().await, "missed messages found: 1 to be answered");
    house.drain().await;
    assert_eq!(house.sent_texts().await.len(), 2);
}

#[tokio::test]
async fn a_message_that_cannot_be_stored_keeps_no_other_from_being_found() {
    let (house, list) = TestApp::app_with_message_list(&[]).await;
    house.execute_sql(
        "CREATE TRIGGER poison BEFORE INSERT ON messages WHEN NEW.content = 'poison'
         BEGIN SELECT RAISE(ABORT, 'no'); END",
    );
    list.add("SM1", ANA, "poison", house.clock.now());
    list.add("SM2", BEN, "hello?", house.clock.now());
    house.advance(60);
    assert_eq!(house.catch_up_result().await, "missed messages found: 1 to be answered, 1 that cannot be stored");
}

#[tokio::test]
async fn whoever_wrote_much_in_an_outage_is_not_told_to_slow_down_and_is_answered_once() {
    let (house, list) = TestApp::app_with_message_list(&[("MYNAH_RATE_LIMIT", "3/1m")]).await;
    for number in 0..60 {
        list.add(&format!("SMmissed{number}"), ANA, &format!("message {number}"), house.clock.now());
    }
    house.advance(60);
    assert_eq!(house.catch_up_result().await, "missed messages found: 60 to be answered");
    house.drain().await;
    assert_eq!(house.sent_texts().await, ["Hello!"]);
    // What they write now has the whole rate.
    for _ in 0..3 {
        house.contact_writes(ANA, "and?").await;
        house.drain().await;
    }
    assert_eq!(house.sent_texts().await, ["Hello!"; 4]);
}

#[tokio::test]
async fn a_flood_of_missed_keywords_begins_no_more_conversations_than_the_backlog_limit() {
    let (house, list) = TestApp::app_with_message_list(&[]).await;
    for number in 0..60 {
        let text = if number % 2 == 0 { "hello?" } else { "/reset" };
        list.add(&format!("SMmissed{number}"), ANA, text, house.clock.now());
    }
    house.advance(60);
    house.catch_up_result().await;
    house.drain().await;
    assert!(house.sent_texts().await.len() <= 8, "{:?}", house.sent_texts().await);
    let slow_down =
        house.sent_texts().await.into_iter().filter(|text| *text == house.app.config.texts.slow_down).count();
    assert_eq!(slow_down, 1, "of the words that are left out they are told");
    assert_eq!(house.query_integer("SELECT COUNT(*) FROM messages WHERE role = 'user'"), 60, "all are stored");
}

#[tokio::test]
async fn keywords_and_senders_of_missed_messages_are_checked_like_any_other() {
    let stranger = "whatsapp:+12025550177";
    let allowed = [("MYNAH_WHO", "listed"), ("MYNAH_ALLOWED", "+12025550101,+12025550102")];
    let (house, list) = TestApp::app_with_message_list(&allowed).await;
    list.add("SM1", ANA, "Stop", house.clock.now());
    list.add("SM2", BEN, "/help", house.clock.now());
    list.add("SM3", stranger, "hello?", house.clock.now());
    house.advance(60);
    assert_eq!(house.catch_up_result().await, "missed messages found: 2 to be answered, 1 not to be answered");
    house.drain().await;
    let mut posted = house.sent_messages().await;
    posted.sort();
    let texts = &house.app.config.texts;
    let expected = [(ANA, &texts.stopped), (BEN, &texts.help), (stranger, &texts.stranger)];
    assert_eq!(posted, expected.map(|(to, text)| (to.to_owned(), text.clone())));
    assert_eq!(house.prompts().await.len(), 0);
}

#[tokio::test]
async fn missed_messages_stand_before_later_ones_even_in_a_cached_window() {
    let (house, list) = TestApp::app_with_message_list(&[("MYNAH_MERGE_WINDOW", "10s")]).await;
    for text in ["one", "two"] {
        house.contact_writes(ANA, text).await;
        house.advance(10);
        house.drain().await;
    }
    list.add("SMmissed", ANA, "three", house.clock.now());
    house.advance(60);
    house.contact_writes(ANA, "four").await;
    assert_eq!(house.catch_up_result().await, "missed messages found: 1 to be answered");
    house.advance(10);
    house.drain().await;
    assert_eq!(house.user_prompts().await.last().unwrap(), &["one", "two", "three", "four"]);
}

#[tokio::test]
async fn the_24_hours_count_from_when_a_missed_message_was_said() {
    let (house, list) = TestApp::app_with_message_list(&[]).await;
    list.add("SMmissed", ANA, "hello?", house.clock.now());
    house.advance(11 * HOUR);
    assert_eq!(house.catch_up_result().await, "missed messages found: 1 to be answered");
    house.advance(12 * HOUR + 1);
    house.drain().await;
    assert_eq!((house.sent_texts().await.len(), house.turn_states().await), (0, vec!["expired".to_owned()]));
}

#[tokio::test]
async fn a_clock_that_was_ahead_for_a_while_leaves_no_gap_behind() {
    let (house, list) = TestApp::app_with_message_list(&[]).await;
    // Ahead at the last look alone.
    house.execute_sql("UPDATE catch_ups SET caught_up_at = caught_up_at + 864000000");
    list.add("SM1", ANA, "hello?", house.clock.now());
    house.advance(60);
    assert_eq!(house.catch_up_result().await, "missed messages found: 1 to be answered");
    // From the beginning on: it is as if it had begun now.
    house.execute_sql("UPDATE catch_ups SET began_at = began_at + 864000000");
    list.add("SM2", ANA, "still there?", house.clock.now());
    house.advance(60);
    assert_eq!(house.catch_up_result().await, "nothing was missed");
    list.add("SM3", ANA, "hello?!", house.clock.now());
    house.advance(60);
    assert_eq!(house.catch_up_result().await, "missed messages found: 1 to be answered");
}

#[tokio::test]
async fn what_is_past_its_retention_is_not_fetched_again() {
    let (house, list) = TestApp::app_with_message_list(&[("MYNAH_RETENTION", "1d")]).await;
    list.add("SM1", ANA, "long gone", house.clock.now());
    house.advance(30 * HOUR);
    list.add("SM2", BEN, "hello?", house.time_before(60));
    assert_eq!(house.catch_up_result().await, "missed messages found: 1 to be answered");
}

#[tokio::test]
async fn a_worker_catches_up_every_minute_and_can_stop_in_the_middle() {
    let (house, list) = TestApp::app_with_message_list(&[]).await;
    let stop = CancellationToken::new();
    let worker = tokio::spawn(Worker::new(house.app.clone()).run(stop.clone()));
    let looks = house.list_requests().await;
    while house.list_requests().await == looks {
        tokio::task::yield_now().await;
    }
    list.add("SMmissed", ANA, "hello?", house.clock.now());
    house.advance(61);
    while house.turn_states().await != ["done"] {
        tokio::task::yield_now().await;
    }
    // Twilio hangs from now on.
    house.twilio.reset().await;
    let late = ResponseTemplate::new(200).set_delay(Duration::from_secs(14));
    house.mock_list_messages().respond_with(late).mount(&house.twilio).await;
    house.advance(61);
    while house.list_requests().await == 0 {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    worker.await.unwrap();
    let run = house.app.store.schedule().await.unwrap().into_iter().find(|run| run.job == "catch_up").unwrap();
    assert!(!run.failed, "the look that was cut off is not recorded: {run:?}");
}

#[tokio::test]
async fn a_missed_message_waits_for_a_model_as_long_as_any_other() {
    let (house, list) = TestApp::app_with_message_list(&[]).await;
    list.add("SMmissed", ANA, "hello?", house.clock.now());
    house.advance(2 * HOUR);
    for _ in 0..5 {
        house.assistant().breaker.record_failure(None, house.clock.now());
    }
    assert_eq!(house.catch_up_result().await, "missed messages found: 1 to be answered");
    house.drain().await;
    assert_eq!((house.sent_texts().await.len(), house.turn_states().await), (0, vec!["retry".to_owned()]));
    house.advance(30);
    house.drain().await;
    assert_eq!(house.sent_texts().await, ["Hello!"]);
}
