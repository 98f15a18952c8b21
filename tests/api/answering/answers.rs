//! From a webhook to an answer.

use std::time::Duration;

use axum::http::StatusCode;
use futures_util::FutureExt;
use serde_json::json;
use wiremock::ResponseTemplate;

use crate::setup::test_app::{ANA, BEN, OUR_NUMBER, TestApp, body_text, completion, form_params};

#[tokio::test]
async fn a_message_is_answered() {
    let test_app = TestApp::new().await;
    let params = test_app.message_params(ANA, "Are you open?");
    let answer = test_app.post_signed("/webhooks/twilio", &params).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "text/xml");
    assert!(body_text(answer).await.ends_with("<Response/>"));
    test_app.drain().await;
    assert_eq!(test_app.sent_messages().await, [(ANA.to_owned(), "Hello!".to_owned())]);
    assert_eq!(test_app.turn_states().await, ["done"]);
    let prompts = test_app.prompts().await;
    assert_eq!(prompts[0][0].0, "system");
    assert_eq!(prompts[0][1..], [("user".to_owned(), "Are you open?".to_owned())]);
}

#[tokio::test]
async fn a_message_delivered_twice_is_answered_once() {
    let test_app = TestApp::new().await;
    let params = test_app.message_params(ANA, "hello");
    for _ in 0..3 {
        assert_eq!(test_app.deliver_webhook(&params).await, StatusCode::OK);
        test_app.drain().await;
    }
    assert_eq!(test_app.sent_texts().await, ["Hello!"]);
    assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM webhook_log"), 3);
}

#[tokio::test]
async fn a_burst_is_answered_once() {
    let test_app = TestApp::with_settings(&[("MYNAH_MERGE_WINDOW", "1s")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("All in one.").await;
    for text in ["one", "two", "three"] {
        test_app.contact_writes(ANA, text).await;
    }
    assert_eq!(test_app.drain().await, 0, "the window is still open");
    test_app.advance(1);
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await, ["All in one."]);
    assert_eq!(test_app.prompts().await[0][1..].len(), 3);
}

#[tokio::test]
async fn the_model_sees_the_history_in_order_and_only_its_own_conversation() {
    let test_app = TestApp::new().await;
    for (from, text) in [(ANA, "first"), (BEN, "other"), (ANA, "second")] {
        test_app.contact_writes(from, text).await;
        test_app.drain().await;
    }
    let prompts = test_app.prompts().await;
    let prompt_lines: Vec<_> = prompts[2][1..].iter().map(|(role, text)| format!("{role}: {text}")).collect();
    assert_eq!(prompt_lines, ["user: first", "assistant: Hello!", "user: second"]);
}

#[tokio::test]
async fn the_window_is_limited_and_begins_with_the_user() {
    let test_app = TestApp::with_settings(&[("MYNAH_MAX_CONTEXT_MESSAGES", "4")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("yes").await;
    for n in 1..=4 {
        test_app.contact_writes(ANA, &format!("question {n}")).await;
        test_app.drain().await;
    }
    let last = test_app.prompts().await.pop().unwrap();
    let prompt_lines: Vec<_> = last[1..].iter().map(|(role, text)| format!("{role}: {text}")).collect();
    assert_eq!(prompt_lines, ["user: question 3", "assistant: yes", "user: question 4"]);
}

#[tokio::test]
async fn after_an_idle_day_a_message_begins_a_new_conversation() {
    let test_app = TestApp::new().await;
    test_app.contact_writes(ANA, "yesterday").await;
    test_app.drain().await;
    test_app.advance(24 * 3600);
    test_app.contact_writes(ANA, "just in time").await;
    test_app.drain().await;
    test_app.advance(24 * 3600 + 1);
    test_app.contact_writes(ANA, "today").await;
    test_app.drain().await;
    let prompts = test_app.prompts().await;
    assert_eq!((prompts[1][1..].len(), prompts[2][1..].len()), (3, 1), "the history and the question; the question");
    assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM conversations WHERE ended_at IS NOT NULL"), 1);
}

#[tokio::test]
async fn an_exchange_that_would_be_cut_is_left_out_whole() {
    let test_app = TestApp::with_settings(&[("MYNAH_MAX_CONTEXT_MESSAGES", "4")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("yes").await;
    for burst in [&["a", "b", "c"][..], &["d"], &["e"]] {
        for text in burst {
            test_app.contact_writes(ANA, text).await;
        }
        test_app.drain().await;
    }
    let prompt_texts =
        |prompt: &[(String, String)]| prompt[1..].iter().map(|(_, text)| text.clone()).collect::<Vec<_>>();
    let prompts = test_app.prompts().await;
    assert_eq!(prompt_texts(&prompts[0]), ["a", "b", "c"]);
    assert_eq!(prompt_texts(&prompts[1]), ["d"], "of the first exchange only b, c and the answer would fit");
    assert_eq!(prompt_texts(&prompts[2]), ["d", "yes", "e"]);
}

#[tokio::test]
async fn markdown_reaches_the_contact_as_whatsapp_markup_and_stays_markdown_in_the_history() {
    let test_app = TestApp::with_settings(&[]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("## Hours\n\n**Monday** to [Friday](https://example.org/f)").await;
    test_app.contact_writes(ANA, "hours?").await;
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await, ["*Hours*\n\n*Monday* to Friday (https://example.org/f)"]);
    assert_eq!(
        test_app.query_integer("SELECT COUNT(*) FROM messages WHERE role = 'assistant' AND content LIKE '## Hours%'"),
        1
    );
}

#[tokio::test]
async fn a_long_answer_goes_out_in_order_in_at_most_five_parts() {
    let test_app = TestApp::with_settings(&[]).await;
    test_app.twilio_accepts_everything().await;
    let paragraphs: Vec<String> =
        (0..40).map(|n| format!("Paragraph {n}. {}", "word ".repeat(60).trim_end())).collect();
    test_app.model_answers(&paragraphs.join("\n\n")).await;
    test_app.contact_writes(ANA, "tell me everything").await;
    test_app.drain().await;
    // Twilio reports nothing about the first two, and that the next two are on their way.
    for part in 1..=2 {
        assert_eq!(test_app.sent_texts().await.len(), part);
        test_app.advance(2);
        assert_eq!(test_app.drain().await, 0, "part {} might overtake part {part}", part + 1);
        test_app.advance(1);
        test_app.drain().await;
    }
    for part in 3..=4 {
        assert_eq!(test_app.sent_texts().await.len(), part);
        let sid = format!("SM{:032x}", 0xabc0_0000 + part);
        for (status, posted) in [("queued", part), ("sent", part + 1), ("delivered", part + 1)] {
            test_app.app.wake.notified().now_or_never();
            let params =
                form_params(&[("MessageSid", &sid), ("MessageStatus", status), ("From", OUR_NUMBER), ("To", ANA)]);
            assert_eq!(test_app.post_signed("/webhooks/twilio/status", &params).await.status(), StatusCode::OK);
            let woken = test_app.app.wake.notified().now_or_never().is_some();
            assert_eq!(woken, status == "sent", "the worker is woken for what has become due only");
            test_app.drain().await;
            assert_eq!(test_app.sent_texts().await.len(), posted, "after part {part} is {status}");
        }
    }
    let texts = test_app.sent_texts().await;
    assert_eq!(texts.len(), 5);
    assert!(texts.iter().all(|text| text.encode_utf16().count() <= 1500));
    assert!(texts[0].starts_with("Paragraph 0.") && texts[4].ends_with('…'), "{:?}", texts[4]);
    let starts: Vec<usize> =
        texts.iter().filter_map(|text| text[10..].split('.').next()?.trim().parse().ok()).collect();
    assert!(starts.windows(2).all(|pair| pair[0] < pair[1]), "{starts:?}");
}

#[tokio::test]
async fn an_overloaded_model_is_asked_again_and_the_contact_hears_once() {
    let test_app = TestApp::with_settings(&[]).await;
    test_app.twilio_accepts_everything().await;
    test_app
        .mock_completion()
        .respond_with(ResponseTemplate::new(503).set_body_json(json!({ "error": { "message": "overloaded" } })))
        .up_to_n_times(2)
        .mount(&test_app.model)
        .await;
    test_app.model_answers("Here I am.").await;
    test_app.contact_writes(ANA, "hello").await;
    for _ in 0..3 {
        test_app.drain().await;
        test_app.advance(10);
    }
    assert_eq!(test_app.sent_texts().await, ["Here I am."]);
    assert_eq!(test_app.prompts().await.len(), 3);
}

/// Fewer questions do not help a model that is slow or answers nonsense; contacts would only wait for each other.
#[tokio::test]
async fn a_model_is_asked_less_at_once_only_when_it_says_that_it_is_overloaded() {
    let allowed = |test_app: &TestApp| test_app.assistant().limit.allowed();
    for (answer, fewer) in [
        (ResponseTemplate::new(500), false),
        (ResponseTemplate::new(504), false),
        (ResponseTemplate::new(200).set_body_string("no JSON"), false),
        (ResponseTemplate::new(429), true),
        (ResponseTemplate::new(503), true),
    ] {
        let test_app = TestApp::with_settings(&[("MYNAH_AI_CONCURRENCY", "8")]).await;
        test_app.mock_completion().respond_with(answer.clone()).mount(&test_app.model).await;
        test_app.contact_writes(ANA, "hello").await;
        test_app.drain().await;
        assert_eq!(test_app.turn_states().await, ["retry"], "{answer:?}");
        assert_eq!(allowed(&test_app), if fewer { 4 } else { 8 }, "{answer:?}");
    }
}

#[tokio::test]
async fn retry_after_is_obeyed() {
    let test_app = TestApp::with_settings(&[]).await;
    test_app.twilio_accepts_everything().await;
    let busy = ResponseTemplate::new(429)
        .insert_header("retry-after", "120")
        .set_body_json(json!({ "error": { "message": "slow down", "code": "rate_limit_exceeded" } }));
    test_app.mock_completion().respond_with(busy).up_to_n_times(1).mount(&test_app.model).await;
    test_app.model_answers("Now.").await;
    test_app.contact_writes(ANA, "hello").await;
    test_app.drain().await;
    test_app.advance(119);
    assert_eq!(test_app.drain().await, 0);
    test_app.advance(4);
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await, ["Now."]);
}

#[tokio::test]
async fn a_retry_after_longer_than_a_contact_waits_ends_in_an_apology() {
    for (waits, told_after) in [(&[901][..], 1), (&[900, 451], 2), (&[400, 400, 301], 3), (&[86_400], 1)] {
        let test_app = TestApp::with_settings(&[("MYNAH_TEXT_BUSY", "Sorry.")]).await;
        test_app.twilio_accepts_everything().await;
        for wait in waits {
            let busy = ResponseTemplate::new(429).insert_header("retry-after", wait.to_string().as_str());
            test_app.mock_completion().respond_with(busy).up_to_n_times(1).mount(&test_app.model).await;
        }
        test_app.model_answers("Here I am.").await;
        test_app.contact_writes(ANA, "hello").await;
        for (call, wait) in waits.iter().enumerate() {
            test_app.drain().await;
            assert_eq!(test_app.sent_texts().await.len(), usize::from(call + 1 == told_after), "{waits:?}");
            test_app.advance(wait + 60);
        }
        test_app.drain().await;
        assert_eq!(
            (test_app.sent_texts().await, test_app.prompts().await.len()),
            (vec!["Sorry.".to_owned()], told_after)
        );
        let why = test_app.turns().await[0].error.clone().unwrap();
        assert!(why.contains(&format!("wait for {} s", waits[told_after - 1])), "{why}");
    }
}

#[tokio::test]
async fn when_there_is_no_answer_the_contact_gets_one_apology_without_the_reason() {
    for failure in [
        ResponseTemplate::new(401)
            .set_body_json(json!({ "error": { "message": "Incorrect API key", "code": "invalid_api_key" } })),
        ResponseTemplate::new(429)
            .set_body_json(json!({ "error": { "message": "You exceeded your quota", "code": "insufficient_quota" } })),
    ] {
        let test_app = TestApp::with_settings(&[("MYNAH_TEXT_SORRY", "Sorry, please call us.")]).await;
        test_app.twilio_accepts_everything().await;
        test_app.mock_completion().respond_with(failure).mount(&test_app.model).await;
        test_app.contact_writes(ANA, "hello").await;
        test_app.drain().await;
        test_app.advance(3600);
        test_app.drain().await;
        assert_eq!(test_app.sent_texts().await, ["Sorry, please call us."]);
        let turns = test_app.turns().await;
        assert_eq!(turns[0].state, "dead");
        assert!(turns[0].error.is_some());
        assert_eq!(test_app.prompts().await.len(), 1, "a permanent failure is not repeated");
    }
}

#[tokio::test]
async fn a_contact_whose_message_a_content_filter_refuses_reads_so() {
    let test_app = TestApp::with_settings(&[("MYNAH_TEXT_DECLINED", "I can't help with that.")]).await;
    test_app.twilio_accepts_everything().await;
    let filtered = json!({ "error": { "message": "The response was filtered", "code": "content_filter" } });
    test_app
        .mock_completion()
        .respond_with(ResponseTemplate::new(400).set_body_json(filtered))
        .mount(&test_app.model)
        .await;
    test_app.contact_writes(ANA, "hello").await;
    test_app.drain().await;
    assert_eq!(
        (test_app.sent_texts().await, test_app.turn_states().await),
        (vec!["I can't help with that.".into()], vec!["done".into()])
    );
}

#[tokio::test]
async fn tries_end_and_the_conversation_goes_on() {
    let test_app = TestApp::with_settings(&[("MYNAH_TEXT_SORRY", "Sorry.")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.mock_completion().respond_with(ResponseTemplate::new(500)).up_to_n_times(8).mount(&test_app.model).await;
    test_app.model_answers("Back again.").await;
    test_app.contact_writes(ANA, "first").await;
    for _ in 0..9 {
        test_app.drain().await;
        test_app.advance(301);
    }
    test_app.contact_writes(ANA, "second").await;
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await, ["Sorry.", "Back again."]);
    assert_eq!(test_app.turn_states().await, ["dead", "done"]);
}

#[tokio::test]
async fn a_message_during_the_answer_is_answered_after_it() {
    let test_app = TestApp::with_settings(&[]).await;
    test_app.twilio_accepts_everything().await;
    let slow =
        ResponseTemplate::new(200).set_body_json(completion("to the first")).set_delay(Duration::from_millis(300));
    test_app.mock_completion().respond_with(slow).up_to_n_times(1).mount(&test_app.model).await;
    test_app.model_answers("to the rest").await;
    test_app.contact_writes(ANA, "one").await;
    let (_, ()) = tokio::join!(test_app.drain(), async {
        while test_app.prompts().await.is_empty() {
            tokio::task::yield_now().await;
        }
        test_app.contact_writes(ANA, "two").await;
        test_app.contact_writes(ANA, "three").await;
    });
    test_app.drain().await;
    assert_eq!(test_app.sent_texts().await, ["to the first", "to the rest"]);
    let second: Vec<_> = test_app.prompts().await[1][1..].iter().map(|(_, text)| text.clone()).collect();
    assert_eq!(second, ["one", "to the first", "two", "three"]);
}
