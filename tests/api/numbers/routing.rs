//! Which account a webhook is accepted from, and which number its message goes to.

use axum::http::StatusCode;

use crate::setup::captured_log::CapturedLog;
use crate::setup::test_app::{ACCOUNT, ANA, BEN, OUR_NUMBER, PUBLIC_URL, TOKEN, TestApp};
use crate::setup::two_numbers::{SALES, SALES_ACCOUNT, SALES_TOKEN, TwoNumbers, field};

#[tokio::test]
async fn an_account_may_deliver_messages_to_its_own_numbers_only() {
    let numbers = TwoNumbers::new().await;
    for (to, account, token, status) in [
        // Signed by sales, about main.
        (OUR_NUMBER, Some(ACCOUNT), SALES_TOKEN, StatusCode::BAD_REQUEST),
        (OUR_NUMBER, Some(SALES_ACCOUNT), SALES_TOKEN, StatusCode::FORBIDDEN),
        (OUR_NUMBER, None, SALES_TOKEN, StatusCode::FORBIDDEN),
        (&OUR_NUMBER.replace("whatsapp", "WhatsApp"), Some(SALES_ACCOUNT), SALES_TOKEN, StatusCode::FORBIDDEN),
        // And the other way round.
        (SALES, Some(SALES_ACCOUNT), TOKEN, StatusCode::BAD_REQUEST),
        (SALES, Some(ACCOUNT), TOKEN, StatusCode::FORBIDDEN),
        (SALES, None, TOKEN, StatusCode::FORBIDDEN),
        (SALES, Some(SALES_ACCOUNT), "another", StatusCode::FORBIDDEN),
    ] {
        assert_eq!(
            numbers.deliver_message(ANA, to, "forged", account, token).await,
            status,
            "{to} {account:?} {token}"
        );
    }
    assert_eq!(numbers.test_app.query_integer("SELECT COUNT(*) FROM messages"), 0);
    assert_eq!(numbers.deliver_message(ANA, SALES, "true", None, SALES_TOKEN).await, StatusCode::OK);
    assert_eq!(numbers.deliver_message(ANA, OUR_NUMBER, "true", Some(ACCOUNT), TOKEN).await, StatusCode::OK);
    assert_eq!(numbers.test_app.query_integer("SELECT COUNT(*) FROM messages"), 2);
}

#[tokio::test]
async fn two_accounts_with_one_token_are_distinguished_by_the_account_in_the_webhook() {
    let numbers = TwoNumbers::with_sales_file(
        &format!("twilio_whatsapp_from = '{SALES}'"),
        &[("TWILIO_AUTH_TOKEN", SALES_TOKEN)],
    )
    .await;
    numbers.sales_model_answers("From sales.").await;
    numbers.contact_writes_to_sales(ANA, "hello").await;
    assert_eq!(numbers.texts_sent_by_sales().await, ["From sales."]);
}

#[tokio::test]
async fn a_delivery_status_is_accepted_only_from_the_account_that_sent_the_message() {
    let numbers = TwoNumbers::new().await;
    numbers.sales_model_answers("From sales.").await;
    numbers.contact_writes_to_sales(ANA, "hello").await;
    let (fields, _) = numbers.posts_by_sales().await.remove(0);
    let address = field(&fields, "StatusCallback").unwrap();
    let address = address.strip_prefix(PUBLIC_URL).unwrap();
    let sid: String = {
        let connection = rusqlite::Connection::open(numbers.test_app.folder.path().join("mynah.db")).unwrap();
        connection.query_row("SELECT provider_id FROM parts", [], |row| row.get(0)).unwrap()
    };
    let status = || {
        let connection = rusqlite::Connection::open(numbers.test_app.folder.path().join("mynah.db")).unwrap();
        connection.query_row("SELECT status FROM parts", [], |row| row.get::<_, Option<String>>(0)).unwrap()
    };
    let news = |account: &str, status: &str| {
        let pairs = [
            ("MessageSid", sid.as_str()),
            ("MessageStatus", status),
            ("AccountSid", account),
            ("From", SALES),
            ("To", ANA),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    };
    for path in [address, "/webhooks/twilio/status"] {
        for (account, token) in [(ACCOUNT, TOKEN), (SALES_ACCOUNT, TOKEN), (ACCOUNT, SALES_TOKEN)] {
            let refused = numbers.post_signed(path, &news(account, "failed"), token).await;
            assert!([StatusCode::FORBIDDEN, StatusCode::BAD_REQUEST].contains(&refused), "{path} {account}: {refused}");
        }
    }
    assert_eq!(status(), None);
    assert_eq!(numbers.post_signed(address, &news(SALES_ACCOUNT, "delivered"), SALES_TOKEN).await, StatusCode::OK);
    assert_eq!(status().as_deref(), Some("delivered"));
}

#[tokio::test]
async fn a_message_to_a_number_that_nobody_has_is_answered_by_the_accounts_first_with_a_warning() {
    let log = CapturedLog::start();
    let numbers = TwoNumbers::new().await;
    numbers.sales_model_answers("From sales.").await;
    let unknown = "whatsapp:+14155559999";
    assert_eq!(numbers.deliver_message(ANA, unknown, "hello", Some(SALES_ACCOUNT), SALES_TOKEN).await, StatusCode::OK);
    assert_eq!(numbers.deliver_message(BEN, unknown, "hello", Some(ACCOUNT), TOKEN).await, StatusCode::OK);
    numbers.test_app.drain().await;
    assert_eq!(
        (numbers.texts_sent_by_sales().await, numbers.test_app.sent_texts().await),
        (vec!["From sales.".to_owned()], vec!["From main.".to_owned()])
    );
    let (fields, _) = numbers.posts_by_sales().await.remove(0);
    assert_eq!(field(&fields, "From").as_deref(), Some(unknown), "from where the contact wrote to");
    let warning = "no number has the address of this message";
    assert_eq!((log.count_lines("WARN", warning), log.count_lines("WARN", "number=\"sales\"")), (2, 1));
    assert_eq!(log.count_lines("WARN", "+14155559999"), 0, "no whole number in the log");
}

#[tokio::test]
async fn a_single_number_answers_messages_to_any_address_without_a_warning() {
    let log = CapturedLog::start();
    let test_app = TestApp::new().await;
    let mut params = test_app.message_params(ANA, "hello");
    params.iter_mut().filter(|(name, _)| name == "To").for_each(|(_, to)| *to = "whatsapp:+14155559999".into());
    assert_eq!(test_app.deliver_webhook(&params).await, StatusCode::OK);
    test_app.drain().await;
    assert_eq!((test_app.sent_texts().await, log.count_lines("WARN", "no number has")), (vec!["Hello!".to_owned()], 0));
}

#[tokio::test]
async fn a_service_answers_whatever_comes_to_its_account_and_is_no_other_numbers() {
    let numbers =
        TwoNumbers::with_sales_file("twilio_messaging_service_sid = 'MG00000000000000000000000000000007'", &[]).await;
    numbers.sales_model_answers("From sales.").await;
    numbers.contact_writes_to_sales(ANA, "hello").await;
    numbers.contact_writes_to_main(ANA, "hello").await;
    let (fields, _) = numbers.posts_by_sales().await.remove(0);
    assert_eq!(field(&fields, "MessagingServiceSid").as_deref(), Some("MG00000000000000000000000000000007"));
    assert_eq!(
        (numbers.texts_sent_by_sales().await, numbers.test_app.sent_texts().await),
        (vec!["From sales.".to_owned()], vec!["From main.".to_owned()])
    );
    assert_eq!(
        numbers.deliver_message(BEN, OUR_NUMBER, "forged", Some(SALES_ACCOUNT), SALES_TOKEN).await,
        StatusCode::FORBIDDEN
    );
}
