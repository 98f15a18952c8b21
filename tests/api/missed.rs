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

use crate::house::{ACCOUNT, ANA, BEN, House, Log, OURS};

const HOUR: u64 = 3_600;

/// What Twilio lists, oldest first.
#[derive(Clone, Default)]
struct List(Arc<Mutex<Vec<Value>>>);

impl List {
    /// A list that a house finds at Twilio, page by page as there: newest first, the next page relative to the API.
    async fn of(house: &House) -> List {
        let list = List::default();
        let rows = list.clone();
        let answer = move |request: &wiremock::Request| {
            let asked: BTreeMap<String, String> = request.url.query_pairs().into_owned().collect();
            let number = |name: &str, default| asked.get(name).map_or(default, |text| text.parse::<usize>().unwrap());
            let (size, page) = (number("PageSize", 50), number("Page", 0));
            assert_eq!(asked["To"], OURS);
            let rows = rows.0.lock().unwrap();
            let newest: Vec<&Value> = rows.iter().rev().skip(page * size).take(size).collect();
            let next = ((page + 1) * size < rows.len()).then(|| {
                format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json?To={OURS}&PageSize={size}&Page={}", page + 1)
                    .replace('+', "%2B")
            });
            ResponseTemplate::new(200).set_body_json(json!({ "messages": newest, "next_page_uri": next }))
        };
        house.list_messages().respond_with(answer).mount(&house.twilio).await;
        list
    }

    /// A contact writes, and no webhook comes.
    fn add(&self, sid: &str, from: &str, text: &str, at: Time) {
        let date = jiff::Timestamp::from_millisecond(at.millis()).unwrap();
        let date = date.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string();
        self.0.lock().unwrap().push(json!({
            "sid": sid, "from": from, "to": OURS, "body": text, "direction": "inbound", "status": "received",
            "num_media": "0", "date_created": date, "date_sent": date, "messaging_service_sid": null,
        }));
    }
}

impl House {
    fn ago(&self, seconds: u64) -> Time {
        self.clock.now() - Duration::from_secs(seconds)
    }

    /// A look for missed messages, and what came of it.
    async fn catches_up(&self) -> ScheduledJob {
        schedule::catch_up(&self.app).await.unwrap()
    }

    /// What a look for missed messages found.
    async fn finds(&self) -> String {
        let run = self.catches_up().await;
        assert!(!run.failed, "{run:?}");
        run.result
    }

    /// A house that has been running, and whose list lies before it.
    async fn caught_up(settings: &[(&str, &str)]) -> (House, List) {
        let house = House::with(settings).await;
        house.twilio_takes_everything().await;
        house.model_says("Hello!").await;
        let list = List::of(&house).await;
        assert_eq!(house.finds().await, "nothing was missed");
        house.advance(24 * HOUR);
        house.finds().await;
        (house, list)
    }

    async fn looks(&self) -> usize {
        let requests = self.twilio.received_requests().await.unwrap();
        requests.iter().filter(|request| request.method.as_str() == "GET").count()
    }

    /// What contacts said in each prompt.
    async fn heard(&self) -> Vec<Vec<String>> {
        let users = |prompt: Vec<(String, String)>| {
            prompt.into_iter().filter(|(role, _)| role == "user").map(|(_, text)| text).collect()
        };
        self.prompts().await.into_iter().map(users).collect()
    }
}

#[tokio::test]
async fn a_two_hour_outage_is_answered_in_order_and_each_contact_once() {
    let (house, list) = House::caught_up(&[]).await;
    let phone = |contact: u64| format!("whatsapp:+1202555{contact:04}");
    house.advance(2 * HOUR);
    for number in 0..500 {
        let at = house.ago(2 * HOUR - number * 14);
        list.add(&format!("SM{number:032}"), &phone(number % 100), &format!("message {number}"), at);
    }
    house.advance(60);
    let house = house.restarted(&[]).await;
    assert_eq!(house.finds().await, "missed messages found: 500 to be answered");
    house.drain().await;
    let mut answered: Vec<String> = house.posted().await.into_iter().map(|(to, _)| to).collect();
    answered.sort();
    assert_eq!(answered, (0..100).map(phone).collect::<Vec<_>>(), "each contact once");
    let mut heard = house.heard().await;
    heard.sort_by_key(|texts| texts[0]["message ".len()..].parse::<u64>().unwrap());
    let five = |contact: u64| (0..5).map(|round| format!("message {}", round * 100 + contact)).collect::<Vec<_>>();
    assert_eq!(heard, (0..100).map(five).collect::<Vec<_>>(), "in the order in which they were said");
    // The next look finds nothing new.
    house.advance(60);
    assert_eq!(house.finds().await, "nothing was missed");
    assert_eq!(house.drain().await, 0);
}

#[tokio::test]
async fn a_start_waits_for_what_was_missed_before_it_answers() {
    let (house, list) = House::caught_up(&[]).await;
    house.say(ANA, "before the outage").await;
    house.advance(10);
    list.add("SMmissed", ANA, "in the outage", house.clock.now());
    house.advance(HOUR);
    let house = house.restarted(&[]).await;
    house.say(ANA, "after the outage").await;
    let stop = CancellationToken::new();
    let worker = tokio::spawn(Worker::new(house.app.clone()).run(stop.clone()));
    while house.states().await.iter().any(|state| state != "done") {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    worker.await.unwrap();
    assert_eq!(house.heard().await, [["before the outage", "in the outage", "after the outage"]]);
}

#[tokio::test]
async fn nothing_is_claimed_while_missed_messages_are_stored() {
    let (house, list) = House::caught_up(&[]).await;
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
    assert_eq!(house.states().await, ["done"]);
}

#[tokio::test]
async fn the_first_start_takes_nothing_from_before_it() {
    let house = House::new().await;
    let list = List::of(&house).await;
    list.add("SMbefore", ANA, "somebody else has answered this", house.ago(60));
    assert_eq!(house.finds().await, "nothing was missed");
    house.advance(60);
    list.add("SMafter", ANA, "and this is for us", house.ago(40));
    assert_eq!(house.finds().await, "missed messages found: 1 to be answered");
    house.drain().await;
    assert_eq!(house.heard().await, [["and this is for us"]]);
}

/// As with a wrong API key, which webhooks do not need.
#[tokio::test]
async fn what_comes_before_the_list_can_be_read_for_the_first_time_is_found() {
    let house = House::new().await;
    house.list_messages().respond_with(ResponseTemplate::new(401)).up_to_n_times(2).mount(&house.twilio).await;
    let list = List::of(&house).await;
    list.add("SMbefore", ANA, "somebody else has answered this", house.ago(60));
    assert!(house.catches_up().await.failed);
    house.advance(3_600);
    list.add("SMmissed", ANA, "this is for us", house.ago(1_800));
    assert!(house.catches_up().await.failed);
    assert_eq!(house.finds().await, "missed messages found: 1 to be answered");
}

#[tokio::test]
async fn a_message_that_has_just_been_sent_is_left_to_its_webhook() {
    let (house, list) = House::caught_up(&[]).await;
    list.add("SM00000000000000000000000000000001", ANA, "hello?", house.clock.now());
    // Twilio dates to the second, whose end counts.
    house.advance(30);
    assert_eq!(house.finds().await, "nothing was missed");
    house.advance(1);
    assert_eq!(house.finds().await, "missed messages found: 1 to be answered");
    // A webhook that comes later still is acknowledged, and leads to no second answer.
    assert_eq!(house.deliver(&house.message(ANA, "hello?")).await, StatusCode::OK);
    house.drain().await;
    assert_eq!(house.texts().await.len(), 1);
}

#[tokio::test]
async fn what_the_list_tells_late_or_by_another_clock_is_found() {
    let (house, list) = House::caught_up(&[]).await;
    house.advance(60);
    house.finds().await;
    // Listed only now, with the time of a look that did not see it.
    list.add("SMlate", ANA, "hello?", house.ago(9 * 60));
    assert_eq!(house.finds().await, "missed messages found: 1 to be answered");
}

#[tokio::test]
async fn a_missed_message_is_answered_up_to_the_age_that_the_owner_chose() {
    for (within, answered) in [("12h", 2), ("1h", 1), ("0", 0)] {
        let (house, list) = House::caught_up(&[("MYNAH_CATCH_UP_WITHIN", within)]).await;
        house.advance(14 * HOUR);
        for (number, (from, hours)) in [(ANA, 13), (BEN, 11), ("whatsapp:+12025550103", 0)].into_iter().enumerate() {
            list.add(&format!("SM{number}"), from, &format!("{hours} hours old"), house.ago(hours * HOUR + 60));
        }
        let found = house.finds().await;
        let too_old = 3 - answered;
        let expected = match answered {
            0 => "missed messages found: 3 too old to be answered".to_owned(),
            _ => format!("missed messages found: {answered} to be answered, {too_old} too old to be answered"),
        };
        assert_eq!(found, expected);
        house.drain().await;
        assert_eq!(house.texts().await.len(), answered, "{within}");
        assert_eq!(house.count("SELECT COUNT(*) FROM messages WHERE role = 'user'"), 3, "all are stored");
        let skipped = "SELECT COUNT(*) FROM turns WHERE state = 'skipped' AND error LIKE '%MYNAH_CATCH_UP_WITHIN%'";
        assert_eq!(house.count(skipped), i64::try_from(too_old).unwrap());
    }
}

#[tokio::test]
async fn twilio_is_not_asked_where_the_owner_does_not_want_it() {
    let (house, list) = House::caught_up(&[]).await;
    let house = house.restarted(&[("MYNAH_CATCH_UP_WITHIN", "off")]).await;
    list.add("SMmissed", ANA, "hello?", house.clock.now());
    house.advance(60);
    let before = house.looks().await;
    assert_eq!(house.finds().await, "turned off (MYNAH_CATCH_UP_WITHIN)");
    assert_eq!(house.looks().await, before);
}

#[tokio::test]
async fn a_look_that_fails_moves_nothing_on_and_is_told_once() {
    let log = Log::listen();
    let (house, _) = House::caught_up(&[]).await;
    house.twilio.reset().await;
    house.twilio_takes_everything().await;
    let missed = house.clock.now();
    let wrong = ResponseTemplate::new(401).set_body_json(json!({ "code": 20003, "message": "Authenticate" }));
    house.list_messages().respond_with(wrong).up_to_n_times(3).mount(&house.twilio).await;
    house.list_messages().respond_with(ResponseTemplate::new(429)).up_to_n_times(1).mount(&house.twilio).await;
    house.list_messages().respond_with(ResponseTemplate::new(500)).up_to_n_times(30).mount(&house.twilio).await;
    for look in 0..34 {
        house.advance(60);
        let run = house.catches_up().await;
        assert!(run.failed && run.result.starts_with("the list of messages cannot be read: "), "{look}: {run:?}");
        assert_eq!(run.next_run_at, house.clock.now() + Duration::from_secs(60));
    }
    for (level, text, lines) in [("WARN", "20003", 1), ("WARN", "HTTP 429", 1), ("WARN", "HTTP 500", 1)] {
        assert_eq!(log.count(level, text), lines, "{text}");
    }
    // It is found though it is older by far than what is read again each time.
    let list = List::of(&house).await;
    list.add("SMmissed", ANA, "hello?", missed);
    house.advance(60);
    assert_eq!(house.finds().await, "missed messages found: 1 to be answered");
    assert_eq!(log.count("INFO", "missed messages can be looked for again"), 1);
}

#[tokio::test]
async fn a_list_that_repeats_a_page_gives_what_it_has_and_is_read_again() {
    let (house, _) = House::caught_up(&[]).await;
    house.twilio.reset().await;
    house.twilio_takes_everything().await;
    let list = List::default();
    list.add("SM1", ANA, "first", house.clock.now());
    list.add("SM2", BEN, "second", house.clock.now());
    let rows = list.0.lock().unwrap().clone();
    let path = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json?Page=1");
    let page = ResponseTemplate::new(200).set_body_json(json!({ "messages": [rows[1]], "next_page_uri": path }));
    house.list_messages().respond_with(page).up_to_n_times(2).mount(&house.twilio).await;
    house.advance(60);
    let run = house.catches_up().await;
    assert!(run.failed, "{run:?}");
    assert_eq!(
        run.result,
        "Twilio's list of messages repeats a page, so that its end cannot be reached; missed messages found: 1 to be \
         answered"
    );
    // An hour later the whole list is there.
    let whole = List::of(&house).await;
    whole.0.lock().unwrap().extend(rows);
    house.advance(HOUR);
    assert_eq!(house.finds().await, "missed messages found: 1 to be answered");
    house.drain().await;
    assert_eq!(house.texts().await.len(), 2);
}

#[tokio::test]
async fn a_message_that_cannot_be_stored_keeps_no_other_from_being_found() {
    let (house, list) = House::caught_up(&[]).await;
    house.meddle(
        "CREATE TRIGGER poison BEFORE INSERT ON messages WHEN NEW.content = 'poison'
         BEGIN SELECT RAISE(ABORT, 'no'); END",
    );
    list.add("SM1", ANA, "poison", house.clock.now());
    list.add("SM2", BEN, "hello?", house.clock.now());
    house.advance(60);
    assert_eq!(house.finds().await, "missed messages found: 1 to be answered, 1 that cannot be stored");
}

#[tokio::test]
async fn whoever_wrote_much_in_an_outage_is_not_told_to_slow_down_and_is_answered_once() {
    let (house, list) = House::caught_up(&[("MYNAH_RATE_LIMIT", "3/1m")]).await;
    for number in 0..60 {
        list.add(&format!("SMmissed{number}"), ANA, &format!("message {number}"), house.clock.now());
    }
    house.advance(60);
    assert_eq!(house.finds().await, "missed messages found: 60 to be answered");
    house.drain().await;
    assert_eq!(house.texts().await, ["Hello!"]);
    // What they write now has the whole rate.
    for _ in 0..3 {
        house.say(ANA, "and?").await;
        house.drain().await;
    }
    assert_eq!(house.texts().await, ["Hello!"; 4]);
}

#[tokio::test]
async fn a_flood_of_missed_words_begins_no_more_conversations_than_one_contact_may_have_waiting() {
    let (house, list) = House::caught_up(&[]).await;
    for number in 0..60 {
        let text = if number % 2 == 0 { "hello?" } else { "/reset" };
        list.add(&format!("SMmissed{number}"), ANA, text, house.clock.now());
    }
    house.advance(60);
    house.finds().await;
    house.drain().await;
    assert!(house.texts().await.len() <= 8, "{:?}", house.texts().await);
    let slow_down = house.texts().await.into_iter().filter(|text| *text == house.app.config.texts.slow_down).count();
    assert_eq!(slow_down, 1, "of the words that are left out they are told");
    assert_eq!(house.count("SELECT COUNT(*) FROM messages WHERE role = 'user'"), 60, "all are stored");
}

#[tokio::test]
async fn words_and_senders_are_looked_at_as_ever() {
    let stranger = "whatsapp:+12025550177";
    let allowed = [("MYNAH_WHO", "listed"), ("MYNAH_ALLOWED", "+12025550101,+12025550102")];
    let (house, list) = House::caught_up(&allowed).await;
    list.add("SM1", ANA, "Stop", house.clock.now());
    list.add("SM2", BEN, "/help", house.clock.now());
    list.add("SM3", stranger, "hello?", house.clock.now());
    house.advance(60);
    assert_eq!(house.finds().await, "missed messages found: 2 to be answered, 1 not to be answered");
    house.drain().await;
    let mut posted = house.posted().await;
    posted.sort();
    let texts = &house.app.config.texts;
    let expected = [(ANA, &texts.stopped), (BEN, &texts.help), (stranger, &texts.stranger)];
    assert_eq!(posted, expected.map(|(to, text)| (to.to_owned(), text.clone())));
    assert_eq!(house.prompts().await.len(), 0);
}

#[tokio::test]
async fn what_was_missed_stands_before_what_was_said_since_though_a_window_is_kept() {
    let (house, list) = House::caught_up(&[("MYNAH_MERGE_WINDOW", "10s")]).await;
    for text in ["one", "two"] {
        house.say(ANA, text).await;
        house.advance(10);
        house.drain().await;
    }
    list.add("SMmissed", ANA, "three", house.clock.now());
    house.advance(60);
    house.say(ANA, "four").await;
    assert_eq!(house.finds().await, "missed messages found: 1 to be answered");
    house.advance(10);
    house.drain().await;
    assert_eq!(house.heard().await.last().unwrap(), &["one", "two", "three", "four"]);
}

#[tokio::test]
async fn the_24_hours_count_from_when_a_missed_message_was_said() {
    let (house, list) = House::caught_up(&[]).await;
    list.add("SMmissed", ANA, "hello?", house.clock.now());
    house.advance(11 * HOUR);
    assert_eq!(house.finds().await, "missed messages found: 1 to be answered");
    house.advance(12 * HOUR + 1);
    house.drain().await;
    assert_eq!((house.texts().await.len(), house.states().await), (0, vec!["expired".to_owned()]));
}

#[tokio::test]
async fn a_clock_that_was_ahead_for_a_while_leaves_no_gap_behind() {
    let (house, list) = House::caught_up(&[]).await;
    // Ahead at the last look alone.
    house.meddle("UPDATE catch_ups SET caught_up_at = caught_up_at + 864000000");
    list.add("SM1", ANA, "hello?", house.clock.now());
    house.advance(60);
    assert_eq!(house.finds().await, "missed messages found: 1 to be answered");
    // From the beginning on: it is as if it had begun now.
    house.meddle("UPDATE catch_ups SET began_at = began_at + 864000000");
    list.add("SM2", ANA, "still there?", house.clock.now());
    house.advance(60);
    assert_eq!(house.finds().await, "nothing was missed");
    list.add("SM3", ANA, "hello?!", house.clock.now());
    house.advance(60);
    assert_eq!(house.finds().await, "missed messages found: 1 to be answered");
}

#[tokio::test]
async fn what_is_past_its_retention_is_not_fetched_again() {
    let (house, list) = House::caught_up(&[("MYNAH_RETENTION", "1d")]).await;
    list.add("SM1", ANA, "long gone", house.clock.now());
    house.advance(30 * HOUR);
    list.add("SM2", BEN, "hello?", house.ago(60));
    assert_eq!(house.finds().await, "missed messages found: 1 to be answered");
}

#[tokio::test]
async fn a_worker_looks_again_every_minute_and_stops_in_the_middle_of_a_look() {
    let (house, list) = House::caught_up(&[]).await;
    let stop = CancellationToken::new();
    let worker = tokio::spawn(Worker::new(house.app.clone()).run(stop.clone()));
    let looks = house.looks().await;
    while house.looks().await == looks {
        tokio::task::yield_now().await;
    }
    list.add("SMmissed", ANA, "hello?", house.clock.now());
    house.advance(61);
    while house.states().await != ["done"] {
        tokio::task::yield_now().await;
    }
    // Twilio hangs from now on.
    house.twilio.reset().await;
    let late = ResponseTemplate::new(200).set_delay(Duration::from_secs(14));
    house.list_messages().respond_with(late).mount(&house.twilio).await;
    house.advance(61);
    while house.looks().await == 0 {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    worker.await.unwrap();
    let run = house.app.store.schedule().await.unwrap().into_iter().find(|run| run.job == "catch_up").unwrap();
    assert!(!run.failed, "the look that was cut off is not recorded: {run:?}");
}

#[tokio::test]
async fn a_missed_message_waits_for_a_model_as_long_as_any_other() {
    let (house, list) = House::caught_up(&[]).await;
    list.add("SMmissed", ANA, "hello?", house.clock.now());
    house.advance(2 * HOUR);
    for _ in 0..5 {
        house.assistant().breaker.record_failure(None, house.clock.now());
    }
    assert_eq!(house.finds().await, "missed messages found: 1 to be answered");
    house.drain().await;
    assert_eq!((house.texts().await.len(), house.states().await), (0, vec!["retry".to_owned()]));
    house.advance(30);
    house.drain().await;
    assert_eq!(house.texts().await, ["Hello!"]);
}
