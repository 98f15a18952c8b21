//! Voice notes: transcribed, counted against the budget, and reported if that fails.

use std::sync::Arc;
use std::time::Duration;

use image::ImageFormat;
use serde_json::json;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::setup::attachments::{
    UNREADABLE_TEXT, VOICE_NOTE, contact_attaches, drain_after_waits, images_in_last_prompt, last_user_contents,
    media_path, mount_media_file, picture,
};
use crate::setup::test_app::{ANA, BEN, TestApp};

/// A test app that transcribes every voice note as `said`.
async fn app_with_transcription(said: &str) -> TestApp {
    let test_app = TestApp::with_settings(&[("MYNAH_TRANSCRIPTION_MODEL", "whisper-1")]).await;
    let base = format!("{}/v1", test_app.model.uri());
    let test_app = test_app.restarted_with(&[("MYNAH_TRANSCRIPTION_BASE_URL", &base)]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    Mock::given(method("POST"))
        .and(path("/v1/audio/transcriptions"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "text": said })))
        .mount(&test_app.model)
        .await;
    test_app
}

#[tokio::test]
async fn the_transcript_of_a_voice_note_is_the_message() {
    let (test_app, storage) = (app_with_transcription(" Do you have rye bread? ").await, MockServer::start().await);
    mount_media_file(&test_app, &storage, "ME1", VOICE_NOTE.to_vec()).await;
    contact_attaches(&test_app, ANA, "", "audio/ogg", "ME1").await;
    drain_after_waits(&test_app).await;
    assert_eq!(last_user_contents(&test_app).await, ["[voice message]\nDo you have rye bread?"]);
    let (_, said) = test_app.app.store.conversation(test_app.latest_conversation(), 9).await.unwrap().unwrap();
    assert_eq!(said[0].content, "[voice message]\nDo you have rye bread?");
    let requests = test_app.model.received_requests().await.unwrap();
    let metrics = test_app.app.metrics_text().await;
    let calls = "mynah_ai_calls_total{model=\"whisper-1\",outcome=\"ok\",provider=\"transcription\"} 1\n";
    assert!(metrics.contains(calls), "{metrics}");
    let upload = requests.iter().find(|request| request.url.path().ends_with("/transcriptions")).unwrap();
    assert!(upload.body.windows(VOICE_NOTE.len()).any(|window| window == VOICE_NOTE), "the file as it came");
    // A spoken keyword is not obeyed.
    assert_eq!(test_app.sent_texts().await, ["Hello!"]);
}

#[tokio::test]
async fn transcribing_a_voice_note_counts_against_the_budget() {
    let budget = [("MYNAH_BUDGET_DAY", "3 calls"), ("MYNAH_TEXT_BUDGET", "No more today.")];
    let (test_app, storage) =
        (app_with_transcription("Rye?").await.restarted_with(&budget).await, MockServer::start().await);
    mount_media_file(&test_app, &storage, "ME1", VOICE_NOTE.to_vec()).await;
    contact_attaches(&test_app, ANA, "", "audio/ogg", "ME1").await;
    for from in [BEN, ANA] {
        drain_after_waits(&test_app).await;
        test_app.contact_writes(from, "hello").await;
    }
    drain_after_waits(&test_app).await;
    assert_eq!(test_app.sent_texts().await, ["Hello!", "Hello!", "No more today."]);
    // If transcription takes the last call, the model is not asked.
    test_app.advance(86_400);
    test_app
        .execute_sql("INSERT INTO spent (scope, period, calls, tokens, micros) VALUES ('all', '2026-11-02', 2, 0, 0)");
    contact_attaches(&test_app, BEN, "", "audio/ogg", "ME1").await;
    drain_after_waits(&test_app).await;
    assert_eq!(test_app.sent_texts().await[3..], ["No more today."]);
    let spent = "SELECT calls FROM spent WHERE scope = 'all' AND period = '2026-11-02'";
    assert_eq!(test_app.query_integer(spent), 3);
}

#[tokio::test]
async fn attachments_that_come_while_a_person_answers_are_read_too() {
    let (test_app, storage) = (app_with_transcription("Rye?").await, MockServer::start().await);
    mount_media_file(&test_app, &storage, "ME1", VOICE_NOTE.to_vec()).await;
    mount_media_file(&test_app, &storage, "ME2", picture(ImageFormat::Jpeg, 64)).await;
    test_app.contact_writes(ANA, "/human").await;
    drain_after_waits(&test_app).await;
    contact_attaches(&test_app, ANA, "", "audio/ogg", "ME1").await;
    contact_attaches(&test_app, ANA, "this one", "image/jpeg", "ME2").await;
    contact_attaches(&test_app, ANA, "", "image/png", "ME-gone").await;
    drain_after_waits(&test_app).await;
    assert_eq!(mynah::work::unread_attachments::read_batch(&test_app.app).await.unwrap(), 3);
    assert_eq!(mynah::work::unread_attachments::read_batch(&test_app.app).await.unwrap(), 0);
    let (_, said) = test_app.app.store.conversation(test_app.latest_conversation(), 9).await.unwrap().unwrap();
    let texts: Vec<_> =
        said.iter().filter(|said| said.turn_state == "skipped").map(|said| said.content.as_str()).collect();
    assert_eq!(texts, ["[voice message]\nRye?", "this one\n[image]", "[image, which cannot be read]"]);
    assert_eq!(
        (test_app.sent_texts().await.len(), last_user_contents(&test_app).await.len()),
        (1, 0),
        "nobody is answered"
    );
    test_app.advance(5 * 3_600);
    test_app.contact_writes(ANA, "and now?").await;
    drain_after_waits(&test_app).await;
    assert_eq!((images_in_last_prompt(&test_app).await, test_app.sent_texts().await.len()), (1, 2));
}

#[tokio::test]
async fn a_voice_note_that_no_budget_is_left_to_answer_is_not_transcribed() {
    let (test_app, storage) = (app_with_transcription("Rye?").await, MockServer::start().await);
    let test_app = test_app.restarted_with(&[("MYNAH_BUDGET_DAY", "1 calls"), ("MYNAH_TEXT_BUDGET", "No more.")]).await;
    mount_media_file(&test_app, &storage, "ME1", VOICE_NOTE.to_vec()).await;
    mount_media_file(&test_app, &storage, "ME2", b"Rye bread: 4.50".to_vec()).await;
    test_app.contact_writes(BEN, "hello").await;
    drain_after_waits(&test_app).await;
    contact_attaches(&test_app, ANA, "", "audio/ogg", "ME1").await;
    contact_attaches(&test_app, ANA, "", "text/plain", "ME2").await;
    drain_after_waits(&test_app).await;
    assert_eq!(mynah::work::unread_attachments::read_batch(&test_app.app).await.unwrap(), 2);
    let (_, said) = test_app.app.store.conversation(test_app.latest_conversation(), 9).await.unwrap().unwrap();
    let texts: Vec<_> = said.iter().take(2).map(|said| said.content.as_str()).collect();
    assert_eq!(texts, ["[voice message, which cannot be read]", "[document: text/plain]\nRye bread: 4.50"]);
    let requests = test_app.model.received_requests().await.unwrap();
    assert!(requests.iter().all(|request| !request.url.path().ends_with("/transcriptions")));
}

#[tokio::test]
async fn an_empty_voice_note_and_one_that_cannot_be_transcribed_are_reported_to_the_contact() {
    let (test_app, storage) = (app_with_transcription("  ").await, MockServer::start().await);
    mount_media_file(&test_app, &storage, "ME1", VOICE_NOTE.to_vec()).await;
    contact_attaches(&test_app, ANA, "", "audio/ogg", "ME1").await;
    drain_after_waits(&test_app).await;
    assert_eq!(
        (test_app.sent_texts().await, last_user_contents(&test_app).await.len()),
        (vec![UNREADABLE_TEXT.to_owned()], 0)
    );

    let (test_app, storage) = (TestApp::new().await, MockServer::start().await);
    mount_media_file(&test_app, &storage, "ME1", VOICE_NOTE.to_vec()).await;
    contact_attaches(&test_app, ANA, "", "audio/ogg", "ME1").await;
    drain_after_waits(&test_app).await;
    assert_eq!(
        (test_app.sent_texts().await, last_user_contents(&test_app).await.len()),
        (vec![UNREADABLE_TEXT.to_owned()], 0)
    );
    assert_eq!(test_app.turn_states().await, ["done"]);
}

/// A test app whose transcriptions never end.
async fn app_with_hanging_transcription() -> TestApp {
    let test_app = TestApp::with_settings(&[("MYNAH_TRANSCRIPTION_MODEL", "whisper-1")]).await;
    let base = format!("{}/v1", test_app.model.uri());
    let test_app = test_app.restarted_with(&[("MYNAH_TRANSCRIPTION_BASE_URL", &base)]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    Mock::given(method("POST"))
        .and(path("/v1/audio/transcriptions"))
        .respond_with(ResponseTemplate::new(200).set_delay(LONGER_THAN_ANY_TEST))
        .mount(&test_app.model)
        .await;
    test_app
}

const LONGER_THAN_ANY_TEST: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn an_attachment_that_takes_too_long_does_not_hold_up_its_turn() {
    let (test_app, storage) = (
        app_with_hanging_transcription().await.with_attachment_timeout(Duration::from_millis(300)),
        MockServer::start().await,
    );
    mount_media_file(&test_app, &storage, "ME1", VOICE_NOTE.to_vec()).await;
    contact_attaches(&test_app, ANA, "and what about this?", "audio/ogg", "ME1").await;
    drain_after_waits(&test_app).await;
    assert_eq!(last_user_contents(&test_app).await, ["and what about this?\n[voice message, which cannot be read]"]);
    Mock::given(method("GET"))
        .and(path(media_path("ME2")))
        .respond_with(ResponseTemplate::new(200).set_delay(LONGER_THAN_ANY_TEST))
        .mount(&test_app.twilio)
        .await;
    contact_attaches(&test_app, BEN, "and this?", "image/png", "ME2").await;
    drain_after_waits(&test_app).await;
    assert_eq!(last_user_contents(&test_app).await[1], "and this?\n[image, which cannot be read]");
    assert_eq!(test_app.sent_texts().await, [UNREADABLE_TEXT, "Hello!", UNREADABLE_TEXT, "Hello!"]);
    let why = "SELECT COUNT(*) FROM attachments WHERE state = 'unreadable' AND error LIKE 'fetching or transcribing it took too long%'";
    assert_eq!(test_app.query_integer(why), 2);
}

#[tokio::test]
async fn voice_notes_that_hang_hold_up_no_other_attachment() {
    let (test_app, storage) = (app_with_hanging_transcription().await, MockServer::start().await);
    mount_media_file(&test_app, &storage, "ME1", VOICE_NOTE.to_vec()).await;
    mount_media_file(&test_app, &storage, "ME2", picture(ImageFormat::Jpeg, 64)).await;
    for _ in 0..8 {
        contact_attaches(&test_app, ANA, "", "audio/ogg", "ME1").await;
    }
    test_app.advance(16);
    let app = Arc::clone(&test_app.app);
    let hung = tokio::spawn(async move { mynah::work::run_until_idle(&app).await });
    let all = async {
        loop {
            let requests = test_app.model.received_requests().await.unwrap();
            if requests.iter().filter(|request| request.url.path().ends_with("/transcriptions")).count() == 8 {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), all).await.expect("all are being listened to at once");
    contact_attaches(&test_app, BEN, "", "image/jpeg", "ME2").await;
    drain_after_waits(&test_app).await;
    assert_eq!((images_in_last_prompt(&test_app).await, test_app.sent_texts().await), (1, vec!["Hello!".to_owned()]));
    hung.abort();
}

#[tokio::test]
async fn the_owner_gets_an_alert_when_the_transcription_key_is_refused() {
    let (test_app, storage) = (TestApp::with_settings(&[]).await, MockServer::start().await);
    let base = format!("{}/v1", test_app.model.uri());
    let test_app = test_app.restarted_with(&[("MYNAH_TRANSCRIPTION_BASE_URL", &base)]).await;
    test_app.twilio_accepts_everything().await;
    let refused = json!({ "error": { "message": "no such key", "code": "invalid_api_key" } });
    Mock::given(method("POST"))
        .and(path("/v1/audio/transcriptions"))
        .respond_with(ResponseTemplate::new(401).set_body_json(refused))
        .mount(&test_app.model)
        .await;
    mount_media_file(&test_app, &storage, "ME1", VOICE_NOTE.to_vec()).await;
    contact_attaches(&test_app, ANA, "", "audio/ogg", "ME1").await;
    drain_after_waits(&test_app).await;
    assert_eq!(test_app.sent_texts().await, [UNREADABLE_TEXT]);
    let alerts = test_app.app.store.alerts(9).await.unwrap();
    let causes: Vec<_> = alerts.iter().map(|alert| (alert.cause.as_str(), alert.subject.as_str())).collect();
    assert_eq!(causes, [("model", "voice notes")]);
}
