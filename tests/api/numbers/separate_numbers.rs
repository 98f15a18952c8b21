//! What each number has for itself, and what numbers share.

use std::sync::Arc;

use axum::http::StatusCode;
use mynah::work::schedule;
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, ResponseTemplate};

use crate::setup::test_app::{ANA, BEN, OUR_NUMBER, TOKEN, TestApp, body_text};
use crate::setup::two_numbers::{SALES, SALES_ACCOUNT, SALES_TOKEN, TwoNumbers, app_with_number_file, base64, field};

#[tokio::test]
async fn each_number_answers_by_its_own_account_model_and_words() {
    let numbers = TwoNumbers::new().await;
    numbers.sales_model_answers("From sales.").await;
    numbers.contact_writes_to_main(ANA, "hello shop").await;
    numbers.contact_writes_to_sales(ANA, "hello sales").await;
    numbers.contact_writes_to_sales(BEN, "/help").await;
    numbers.contact_writes_to_main(BEN, "/help").await;

    assert_eq!(numbers.test_app.sent_texts().await, ["From main.", "Help from main."]);
    assert_eq!(numbers.texts_sent_by_sales().await, ["From sales.", "Help from sales."]);
    let (fields, by) = numbers.posts_by_sales().await.remove(0);
    assert_eq!((field(&fields, "From").as_deref(), field(&fields, "To").as_deref()), (Some(SALES), Some(ANA)));
    assert_eq!(by, format!("Basic {}", base64(&format!("{SALES_ACCOUNT}:{SALES_TOKEN}"))));
    let main = numbers.test_app.prompts().await;
    assert_eq!(
        main,
        [[("system".to_owned(), "You answer for the shop.".to_owned()), ("user".into(), "hello shop".into())]]
    );
    assert_eq!(
        numbers.prompts_of_sales().await,
        [["system: You answer for sales.\nConfidential: SALESCODE7", "user: hello sales"]],
        "and nothing of what was said to main"
    );
    let count = "SELECT COUNT(*) FROM conversations c JOIN addresses a ON a.contact_id = c.contact_id
        WHERE a.value = '+12025550101'";
    assert_eq!(numbers.test_app.query_integer(count), 2, "one contact, two conversations");
}

#[tokio::test]
async fn each_number_has_a_history_and_a_window_of_its_own() {
    let numbers =
        TwoNumbers::with_sales_file(&format!("twilio_whatsapp_from = '{SALES}'\nmax_context_messages = 1"), &[]).await;
    numbers.sales_model_answers("From sales.").await;
    for text in ["one", "two", "three"] {
        numbers.contact_writes_to_main(ANA, text).await;
        numbers.contact_writes_to_sales(ANA, text).await;
    }
    assert_eq!(numbers.test_app.prompts().await.last().unwrap().len(), 6);
    assert_eq!(numbers.prompts_of_sales().await.last().unwrap()[1..], ["user: three"]);
}

#[tokio::test]
async fn stop_on_one_number_is_confirmed_there_and_holds_on_all() {
    let numbers =
        TwoNumbers::with_sales_file(&format!("twilio_whatsapp_from = '{SALES}'\ntext_stopped = 'Sales stops.'"), &[])
            .await;
    numbers.sales_model_answers("From sales.").await;
    numbers.contact_writes_to_sales(ANA, "STOP").await;
    numbers.contact_writes_to_main(ANA, "hello").await;
    assert_eq!(
        (numbers.texts_sent_by_sales().await, numbers.test_app.sent_texts().await),
        (vec!["Sales stops.".to_owned()], vec![])
    );
}

#[tokio::test]
async fn numbers_that_share_a_model_share_its_circuit_breaker() {
    let folder = tempfile::tempdir().unwrap();
    let test_app =
        app_with_number_file(&folder, &format!("twilio_whatsapp_from = '{SALES}'\nai_temperature = 0.3"), &[]).await;
    let [main, sales] = &test_app.app.numbers[..] else { panic!("two numbers") };
    assert!(Arc::ptr_eq(&main.assistants[0].breaker, &sales.assistants[0].breaker));
    assert!(Arc::ptr_eq(&main.assistants[0].limit, &sales.assistants[0].limit));
    test_app.twilio_accepts_everything().await;
    test_app.mock_completion().respond_with(ResponseTemplate::new(503)).mount(&test_app.model).await;
    for number in 0..5 {
        test_app.contact_writes(&format!("whatsapp:+1202555{number:04}"), "hello").await;
    }
    test_app.drain().await;
    assert_eq!(test_app.prompts().await.len(), 5);
    let mut params = test_app.message_params(BEN, "hello");
    params.iter_mut().filter(|(name, _)| name == "To").for_each(|(_, to)| *to = SALES.into());
    assert_eq!(test_app.deliver_webhook(&params).await, StatusCode::OK);
    test_app.drain().await;
    assert_eq!(test_app.prompts().await.len(), 5, "the other number does not ask it either");
}

#[tokio::test]
async fn an_apology_uses_the_numbers_own_text() {
    let numbers = TwoNumbers::new().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(401)).mount(&numbers.model).await;
    numbers.contact_writes_to_sales(ANA, "hello").await;
    assert_eq!(numbers.texts_sent_by_sales().await, ["Sorry from sales."]);
    let alerts = numbers.test_app.app.store.alerts(9).await.unwrap();
    assert_eq!((alerts.len(), alerts[0].subject.as_str()), (1, "answers on sales"));
    numbers.contact_writes_to_main(ANA, "hello").await;
    assert_eq!(numbers.test_app.sent_texts().await, ["From main."], "the other model is none the worse");
}

#[tokio::test]
async fn an_alert_on_credentials_that_fetch_no_file_names_their_number() {
    let numbers = TwoNumbers::new().await;
    let file = format!("/2010-04-01/Accounts/{SALES_ACCOUNT}/Messages/MM1/Media/ME1");
    Mock::given(path(file.clone())).respond_with(ResponseTemplate::new(401)).mount(&numbers.twilio).await;
    let mut params = numbers.test_app.message_params(ANA, "");
    params.retain(|(name, _)| !["AccountSid", "To", "NumMedia"].contains(&name.as_str()));
    let url = format!("{}{file}", numbers.twilio.uri());
    let own = [("To", SALES), ("AccountSid", SALES_ACCOUNT), ("NumMedia", "1"), ("MediaContentType0", "audio/ogg")];
    params.extend([&own[..], &[("MediaUrl0", &url)]].concat().iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
    assert_eq!(numbers.post_signed("/webhooks/twilio", &params, SALES_TOKEN).await, StatusCode::OK);
    numbers.test_app.drain().await;
    let alerts = numbers.test_app.app.store.alerts(9).await.unwrap();
    let causes: Vec<_> = alerts.iter().map(|alert| (alert.cause.as_str(), alert.subject.as_str())).collect();
    assert_eq!(causes, [("media", "attachments on sales")]);
}

#[tokio::test]
async fn no_number_reveals_credentials_or_its_own_confidential_text() {
    let numbers = TwoNumbers::with_sales_file(
        &format!("twilio_whatsapp_from = '{SALES}'"),
        &[("MYNAH_SYSTEM_PROMPT", "Shop.\nConfidential: SHOPCODE9")],
    )
    .await;
    numbers.sales_model_answers(&format!("{TOKEN} {SALES_TOKEN} sk-test sk-of-sales SALESCODE7 SHOPCODE9")).await;
    numbers.contact_writes_to_sales(ANA, "hello").await;
    let removed = "[removed]";
    // The confidential text of main is not confidential to sales.
    assert_eq!(
        numbers.texts_sent_by_sales().await,
        [format!("{removed} {removed} {removed} {removed} {removed} SHOPCODE9")]
    );
}

#[tokio::test]
async fn a_list_that_cannot_be_read_holds_up_no_other_and_is_read_from_where_it_was_left() {
    let numbers = TwoNumbers::new().await;
    numbers.sales_model_answers("From sales.").await;
    let empty = || ResponseTemplate::new(200).set_body_json(json!({ "messages": [] }));
    let list_of_sales =
        || Mock::given(method("GET")).and(path(format!("/2010-04-01/Accounts/{SALES_ACCOUNT}/Messages.json")));
    let catch_up = async || schedule::catch_up(&numbers.test_app.app).await.unwrap();
    {
        let _sales = list_of_sales().respond_with(empty()).mount_as_scoped(&numbers.twilio).await;
        let _main =
            numbers.test_app.mock_list_messages().respond_with(empty()).mount_as_scoped(&numbers.test_app.twilio).await;
        assert_eq!(catch_up().await.result, "nothing was missed");
    }
    numbers.test_app.advance(3_600);
    let row = |sid: &str, to: &str, text: &str| {
        json!({ "sid": sid, "from": ANA, "to": to, "body": text, "direction": "inbound", "status": "received",
            "num_media": "0", "date_created": "Sun, 01 Nov 2026 10:20:00 +0000", "date_sent": "Sun, 01 Nov 2026 10:20:00 +0000" })
    };
    let list = |row: Value| ResponseTemplate::new(200).set_body_json(json!({ "messages": [row] }));
    {
        let _sales =
            list_of_sales().respond_with(list(row("SMs1", SALES, "to sales"))).mount_as_scoped(&numbers.twilio).await;
        let _main = numbers
            .test_app
            .mock_list_messages()
            .respond_with(ResponseTemplate::new(503))
            .mount_as_scoped(&numbers.test_app.twilio)
            .await;
        let run = catch_up().await;
        assert!(run.failed && run.result.starts_with("main: cannot read the list of messages"), "{run:?}");
    }
    numbers.test_app.drain().await;
    assert_eq!(
        (numbers.texts_sent_by_sales().await, numbers.test_app.sent_texts().await.len()),
        (vec!["From sales.".to_owned()], 0)
    );
    numbers.test_app.advance(3_600);
    list_of_sales().respond_with(empty()).mount(&numbers.twilio).await;
    numbers
        .test_app
        .mock_list_messages()
        .respond_with(list(row("SMm1", OUR_NUMBER, "to main")))
        .mount(&numbers.test_app.twilio)
        .await;
    assert!(catch_up().await.result.ends_with("1 to be answered"), "an hour and a half back");
    numbers.test_app.drain().await;
    assert_eq!(numbers.test_app.sent_texts().await, ["From main."]);
}

#[tokio::test]
async fn readiness_tells_each_number() {
    let numbers = TwoNumbers::new().await;
    let ready: Value = serde_json::from_str(&body_text(numbers.test_app.get("/readyz").await).await).unwrap();
    assert_eq!(ready["configured"], true);
    let expected = json!([
        { "name": "main", "twilio": true, "ai": "openai test-model" },
        { "name": "sales", "twilio": true, "ai": "openai sales-model" },
    ]);
    assert_eq!(ready["numbers"], expected);
    let one: Value = serde_json::from_str(&body_text(TestApp::new().await.get("/readyz").await).await).unwrap();
    assert_eq!(one.get("numbers"), None);
}

#[tokio::test]
async fn the_budget_reserves_the_price_of_the_dearest_model_of_all_numbers() {
    let numbers = TwoNumbers::with_sales_file(
        &format!("twilio_whatsapp_from = '{SALES}'"),
        &[("MYNAH_BUDGET_DAY", "5 usd"), ("MYNAH_PRICES", "test-model=1/1, sales-model=1000/1000")],
    )
    .await;
    let unknown = ResponseTemplate::new(200).set_body_string("<html>");
    numbers.test_app.model.reset().await;
    numbers.test_app.mock_completion().respond_with(unknown).mount(&numbers.test_app.model).await;
    numbers.contact_writes_to_main(ANA, "hello").await;
    // A call of unknown usage keeps its reservation: some 4,000 tokens at 1000 USD per million.
    let spent = numbers.test_app.query_integer("SELECT micros FROM spent");
    assert!(spent > 4_000_000, "{spent}");
}

#[tokio::test]
async fn a_turn_that_ends_the_process_again_and_again_is_given_up_in_the_numbers_own_words() {
    let numbers = TwoNumbers::new().await;
    let (store, clock) = (&numbers.test_app.app.store, &numbers.test_app.clock);
    let message = numbers.deliver_message(ANA, SALES, "hello", Some(SALES_ACCOUNT), SALES_TOKEN).await;
    assert_eq!(message, StatusCode::OK);
    for _ in 0..3 {
        assert_eq!(store.claim(mynah::clock::Clock::now(clock), 9, 9).await.unwrap().turns.len(), 1);
        store.recover(mynah::clock::Clock::now(clock), numbers.test_app.app.apology_texts()).await.unwrap();
        numbers.test_app.advance(10);
    }
    numbers.test_app.drain().await;
    assert_eq!(numbers.texts_sent_by_sales().await, ["Sorry from sales."]);
}

#[tokio::test]
async fn a_template_opens_conversations_of_its_own_account_alone() {
    let template = "HX00000000000000000000000000000001";
    let numbers = TwoNumbers::with_sales_file(
        &format!("twilio_whatsapp_from = '{SALES}'"),
        &[("MYNAH_REOPEN_TEMPLATE", template)],
    )
    .await;
    assert_eq!(numbers.deliver_message(ANA, SALES, "hello", Some(SALES_ACCOUNT), SALES_TOKEN).await, StatusCode::OK);
    numbers.test_app.contact_writes(BEN, "hello").await;
    numbers.test_app.advance(24 * 3_600);
    // The first claim ends the turns; the second sends the apologies.
    numbers.test_app.drain().await;
    numbers.test_app.drain().await;
    let requests = numbers.test_app.twilio.received_requests().await.unwrap();
    let sent: Vec<_> = requests.iter().map(|request| String::from_utf8_lossy(&request.body).into_owned()).collect();
    assert!(sent.len() == 1 && sent[0].contains(template), "{sent:?}");
    assert!(numbers.posts_by_sales().await.is_empty());
}
