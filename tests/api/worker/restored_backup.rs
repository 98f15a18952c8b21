//! A restored backup does not know what was answered after it was made. The provider does.

use axum::http::StatusCode;
use mynah::clock::Clock;
use mynah::model::TurnState;
use wiremock::ResponseTemplate;

use crate::setup::message_list::{HOUR, MessageList};
use crate::setup::test_app::{ANA, BEN, TestApp, form_params};

const CLEO: &str = "whatsapp:+12025550103";
const DAN: &str = "whatsapp:+12025550104";
const EVE: &str = "whatsapp:+12025550105";

/// As long as the provider may take to list what was sent just before the restore.
const SETTLING_SECONDS: u64 = 152;

/// An app whose list also shows what the app itself sends.
async fn app_with_list(settings: &[(&str, &str)]) -> (TestApp, MessageList) {
    let test_app = TestApp::with_settings(settings).await;
    let list = MessageList::mounted_at(&test_app).await;
    let (rows, clock) = (list.clone(), test_app.clock.clone());
    let accepted = move |request: &wiremock::Request| {
        let fields: std::collections::BTreeMap<_, _> =
            url::form_urlencoded::parse(&request.body).into_owned().collect();
        let sid = format!("SM{:032x}", 0xabc0_0000 + rows.0.lock().unwrap().len());
        rows.add_sent(&sid, &fields["To"], &fields["Body"], clock.now());
        ResponseTemplate::new(201).set_body_json(serde_json::json!({ "sid": sid, "status": "queued" }))
    };
    test_app.mock_send_message().respond_with(accepted).mount(&test_app.twilio).await;
    test_app.catch_up_result().await;
    test_app.advance(24 * HOUR);
    test_app.catch_up_result().await;
    (test_app, list)
}

/// Runs what is due in the next ten minutes, as the clock goes on.
async fn work_for_ten_minutes(test_app: &TestApp) {
    for _ in 0..60 {
        test_app.drain().await;
        test_app.advance(10);
    }
}

async fn part_texts(test_app: &TestApp) -> Vec<String> {
    let connection = rusqlite::Connection::open(test_app.folder.path().join("mynah.db")).unwrap();
    let mut statement = connection.prepare("SELECT body FROM parts ORDER BY id").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_backup_of_an_hour_ago_repeats_no_reply_and_leaves_no_message_unanswered() {
    let (test_app, list) = app_with_list(&[]).await;
    // Ben gets a long answer, of which one part is sent when the backup is made.
    test_app.model_answers(&"A long sentence about cakes, with all that one can say of them. ".repeat(60)).await;
    test_app.contact_writes(BEN, "tell me all about cakes").await;
    test_app.drain().await;
    let parts = part_texts(&test_app).await;
    assert_eq!((parts.len(), test_app.sent_texts().await.len()), (3, 1));
    test_app.model.reset().await;
    test_app.model_answers("Hello!").await;
    for (contact, text) in [(ANA, "what does it cost?"), (CLEO, "is anybody there?")] {
        test_app.contact_writes(contact, text).await;
    }
    let made_at = test_app.clock.now();
    let backup = test_app.copy_database("backup.db");

    // The process that is lost goes on for half an hour. It has its own clock, half a minute behind Twilio's.
    let at = |seconds| made_at + std::time::Duration::from_secs(seconds) + std::time::Duration::from_secs(30);
    list.add_sent("SMlost1", BEN, &parts[1], at(3));
    list.add_sent("SMlost2", ANA, "It costs 20.", at(5));
    list.add("SMlost3", ANA, "and delivery?", at(60));
    list.add_sent("SMlost4", ANA, "Delivery is free.", at(70));
    list.add("SMlost5", DAN, "do you open on Sundays?", at(100));
    list.add_sent("SMlost6", DAN, "No, on Mondays.", at(110));
    list.add("SMlost7", EVE, "one cake please", at(1_800));

    test_app.advance(HOUR);
    let test_app = test_app.with_restored(&backup, made_at).await;
    assert_eq!(test_app.catch_up_result().await, "missed messages found: 3 to be answered");
    let before = test_app.sent_messages().await.len();
    work_for_ten_minutes(&test_app).await;
    let mut sent = test_app.sent_messages().await.split_off(before);
    sent.sort();
    let expected = [(BEN, parts[2].as_str()), (CLEO, "Hello!"), (EVE, "Hello!")];
    assert_eq!(sent, expected.map(|(to, text)| (to.to_owned(), text.to_owned())));
    let skipped = test_app.app.store.jobs(Some(TurnState::Skipped), None, 10).await.unwrap();
    let reasons: Vec<_> = skipped.iter().filter_map(|job| job.error.as_deref()).collect();
    let answered = "answered between the restored backup and its restore";
    assert_eq!(reasons.iter().filter(|why| **why == answered).count(), 2, "Ana's and Dan's: {reasons:?}");

    // The history is as the contact knows it.
    test_app.contact_writes(ANA, "thanks").await;
    test_app.drain().await;
    let prompts = test_app.prompts().await;
    let said: Vec<_> = prompts.last().unwrap().iter().filter(|(role, _)| role != "system").collect();
    let pairs: Vec<_> = said.iter().map(|(role, text)| (role.as_str(), text.as_str())).collect();
    assert_eq!(
        pairs,
        [
            ("user", "what does it cost?"),
            ("assistant", "It costs 20."),
            ("user", "and delivery?"),
            ("assistant", "Delivery is free."),
            ("user", "thanks"),
        ]
    );
}

/// The lost process sent the whole of a long answer, of which the backup has sent one part.
#[tokio::test]
async fn every_part_of_a_reply_is_looked_up_before_it_is_sent() {
    let (test_app, list) = app_with_list(&[]).await;
    test_app.model_answers(&"A long sentence about cakes, with all that one can say of them. ".repeat(90)).await;
    test_app.contact_writes(BEN, "tell me all about cakes").await;
    test_app.drain().await;
    let parts = part_texts(&test_app).await;
    assert!(parts.len() >= 4 && test_app.sent_texts().await.len() == 1, "{}", parts.len());
    let made_at = test_app.clock.now();
    let backup = test_app.copy_database("backup.db");
    for (number, text) in parts.iter().enumerate().skip(1) {
        let at = made_at + std::time::Duration::from_secs(3 * number as u64);
        list.add_sent(&format!("SMlost{number}"), BEN, text, at);
    }
    test_app.advance(HOUR);
    let test_app = test_app.with_restored(&backup, made_at).await;
    work_for_ten_minutes(&test_app).await;
    assert_eq!(test_app.sent_texts().await.len(), 1, "nothing again");
    assert_eq!(test_app.turns().await[0].state, "done");
}

#[tokio::test]
async fn answers_go_into_the_history_behind_the_question_that_they_answer() {
    let (test_app, list) = app_with_list(&[]).await;
    test_app.mock_completion().respond_with(ResponseTemplate::new(503)).mount(&test_app.model).await;
    test_app.contact_writes(ANA, "what does it cost?").await;
    test_app.drain().await;
    let made_at = test_app.clock.now();
    let backup = test_app.copy_database("backup.db");
    let at = |seconds| made_at + std::time::Duration::from_secs(seconds);
    list.add_sent("SMlost1", ANA, "It costs 20.", at(5));
    list.add("SMlost2", ANA, "and delivery?", at(60));
    list.add_sent("SMlost3", ANA, "Delivery is free.", at(70));
    test_app.advance(HOUR);
    let test_app = test_app.with_restored(&backup, made_at).await;
    test_app.model.reset().await;
    test_app.model_answers("You are welcome.").await;
    test_app.catch_up_result().await;
    work_for_ten_minutes(&test_app).await;
    assert!(test_app.sent_texts().await.is_empty());
    test_app.contact_writes(ANA, "thanks").await;
    test_app.drain().await;
    let prompts = test_app.prompts().await;
    let said: Vec<_> = prompts.last().unwrap().iter().map(|(_, text)| text.as_str()).collect();
    let expected = ["what does it cost?", "It costs 20.", "and delivery?", "Delivery is free.", "thanks"];
    assert_eq!(said[said.len() - 5..], expected);
}

/// A turn that was being answered takes no further messages, so those that were missed make a turn of their own.
#[tokio::test]
async fn two_turns_of_a_contact_are_told_apart_by_when_they_were_answered() {
    let (test_app, list) = app_with_list(&[]).await;
    test_app.mock_completion().respond_with(ResponseTemplate::new(503)).mount(&test_app.model).await;
    test_app.contact_writes(ANA, "what does it cost?").await;
    test_app.drain().await;
    assert_eq!(test_app.turn_states().await, ["retry"]);
    let made_at = test_app.clock.now();
    let backup = test_app.copy_database("backup.db");
    let at = |seconds| made_at + std::time::Duration::from_secs(seconds);
    list.add_sent("SMlost1", ANA, "It costs 20.", at(5));
    list.add("SMlost2", ANA, "and delivery?", at(60));
    test_app.advance(HOUR);
    let test_app = test_app.with_restored(&backup, made_at).await;
    test_app.model.reset().await;
    test_app.model_answers("Delivery is free.").await;
    assert_eq!(test_app.catch_up_result().await, "missed messages found: 1 to be answered");
    work_for_ten_minutes(&test_app).await;
    assert_eq!(test_app.sent_texts().await, ["Delivery is free."]);
    let prompts = test_app.prompts().await;
    let said: Vec<_> = prompts.last().unwrap().iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(said[said.len() - 3..], ["what does it cost?", "It costs 20.", "and delivery?"]);
}

#[tokio::test]
async fn nothing_is_sent_while_the_provider_does_not_tell_what_was_sent() {
    let (test_app, _list) = app_with_list(&[]).await;
    test_app.model_answers("Hello!").await;
    test_app.contact_writes(ANA, "hello?").await;
    let made_at = test_app.clock.now();
    let backup = test_app.copy_database("backup.db");
    test_app.advance(HOUR);
    let test_app = test_app.with_restored(&backup, made_at).await;
    test_app.drain().await;
    assert!(test_app.sent_texts().await.is_empty(), "the list may lag behind");
    test_app.twilio.reset().await;
    test_app.mock_list_messages().respond_with(ResponseTemplate::new(503)).mount(&test_app.twilio).await;
    work_for_ten_minutes(&test_app).await;
    assert!(test_app.sent_texts().await.is_empty());
    assert_eq!(test_app.turns().await[0].state, "retry");
    test_app.twilio.reset().await;
    let _list = MessageList::mounted_at(&test_app).await;
    test_app.twilio_accepts_everything().await;
    work_for_ten_minutes(&test_app).await;
    assert_eq!(test_app.sent_texts().await, ["Hello!"]);
}

#[tokio::test]
async fn a_message_after_the_restore_is_answered_whatever_was_sent_before() {
    let (test_app, list) = app_with_list(&[]).await;
    test_app.model_answers("Hello!").await;
    test_app.contact_writes(ANA, "what does it cost?").await;
    let made_at = test_app.clock.now();
    let backup = test_app.copy_database("backup.db");
    test_app.advance(HOUR);
    list.add_sent("SMlost1", ANA, "It costs 20.", test_app.time_before(1));
    let test_app = test_app.with_restored(&backup, made_at).await;
    test_app.advance(1);
    test_app.contact_writes(ANA, "and delivery?").await;
    work_for_ten_minutes(&test_app).await;
    assert_eq!(test_app.sent_texts().await, ["Hello!"]);
    let prompts = test_app.prompts().await;
    let said: Vec<_> = prompts.last().unwrap().iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(said[said.len() - 3..], ["what does it cost?", "It costs 20.", "and delivery?"]);
}

/// Whoever got nothing was not answered.
#[tokio::test]
async fn an_answer_that_was_not_delivered_counts_as_none() {
    let (test_app, list) = app_with_list(&[]).await;
    test_app.model_answers("Hello!").await;
    test_app.contact_writes(ANA, "hello?").await;
    let made_at = test_app.clock.now();
    let backup = test_app.copy_database("backup.db");
    list.add_sent("SMlost1", ANA, "Hello from before.", made_at + std::time::Duration::from_secs(5));
    list.0.lock().unwrap().last_mut().unwrap()["status"] = "undelivered".into();
    test_app.advance(HOUR);
    let test_app = test_app.with_restored(&backup, made_at).await;
    work_for_ten_minutes(&test_app).await;
    assert_eq!(test_app.sent_texts().await, ["Hello!"]);
}

/// A status callback names a turn. The lost process gave ids of its own to the turns that came after the backup.
#[tokio::test]
async fn a_late_status_callback_of_the_lost_process_touches_no_new_turn() {
    let (test_app, _list) = app_with_list(&[]).await;
    test_app.model_answers("Hello!").await;
    let made_at = test_app.clock.now();
    let backup = test_app.copy_database("backup.db");
    for text in ["hello", "are you there?"] {
        test_app.contact_writes(ANA, text).await;
        test_app.drain().await;
    }
    let lost_callback = test_app.last_status_callback().await;

    let test_app = test_app.with_restored(&backup, made_at).await;
    test_app.twilio.reset().await;
    test_app.mock_send_message().respond_with(ResponseTemplate::new(503)).mount(&test_app.twilio).await;
    let _list = MessageList::mounted_at(&test_app).await;
    test_app.advance(SETTLING_SECONDS);
    test_app.contact_writes(BEN, "hello").await;
    test_app.drain().await;
    let params = form_params(&[("MessageSid", "SM00000000000000000000000abc000001"), ("MessageStatus", "delivered")]);
    assert_eq!(test_app.post_signed(&lost_callback, &params).await.status(), StatusCode::OK);
    assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM parts WHERE state = 'unknown' AND provider_id IS NULL"), 1);
}

/// A turn that was given up before the backup may have been retried by hand after it.
#[tokio::test]
async fn a_failed_turn_that_is_retried_after_a_restore_is_looked_up_first() {
    let (test_app, list) = app_with_list(&[]).await;
    test_app.mock_completion().respond_with(ResponseTemplate::new(401)).mount(&test_app.model).await;
    test_app.mock_send_message().respond_with(ResponseTemplate::new(400)).mount(&test_app.twilio).await;
    test_app.contact_writes(ANA, "hello?").await;
    test_app.drain().await;
    test_app
        .execute_sql("DELETE FROM parts; UPDATE turns SET state = 'dead', live = NULL, due_at = NULL, token = NULL");
    let made_at = test_app.clock.now();
    let backup = test_app.copy_database("backup.db");
    list.add_sent("SMlost1", ANA, "Hello from before.", test_app.clock.now());
    test_app.advance(600);
    let test_app = test_app.with_restored(&backup, made_at).await;
    let turn = test_app.turns().await[0].turn;
    let before = test_app.sent_texts().await.len();
    test_app.app.store.requeue(mynah::model::TurnId(turn), test_app.clock.now()).await.unwrap();
    work_for_ten_minutes(&test_app).await;
    assert_eq!(test_app.sent_texts().await.len(), before);
}
