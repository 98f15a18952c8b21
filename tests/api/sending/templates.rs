//! Templates that an operator sends.

use std::collections::BTreeMap;

use mynah::model::{ContentSid, ConversationId, Template, Variables};
use mynah::store::OperatorMessageOutcome;
use serde_json::json;
use wiremock::ResponseTemplate;

use crate::setup::test_app::{ANA, TestApp, form_params};

const DAY: u64 = 86_400;
const TEMPLATE_SID: &str = "HX00000000000000000000000000000001";

async fn send_template(test_app: &TestApp) -> ConversationId {
    let template = Template {
        sid: ContentSid::parse(TEMPLATE_SID).unwrap(),
        variables: Variables::new([("1".to_owned(), "Ana".to_owned())]).unwrap(),
    };
    let now = test_app.app.clock.now();
    let (id, spoken) = test_app.app.store.send_template(test_app.latest_conversation(), template, now).await.unwrap();
    assert!(matches!(spoken, OperatorMessageOutcome::Queued(_)), "{spoken:?}");
    id
}

async fn send_requests(test_app: &TestApp) -> Vec<BTreeMap<String, String>> {
    let requests = test_app.twilio.received_requests().await.unwrap();
    let posts = requests.iter().filter(|request| request.method.as_str() == "POST");
    posts.map(|request| url::form_urlencoded::parse(&request.body).into_owned().collect()).collect()
}

#[tokio::test]
async fn a_template_opens_a_conversation_again_and_the_model_knows_what_was_sent() {
    let test_app = TestApp::with_settings(&[("MYNAH_CONVERSATION_TTL", "24h")]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    test_app.contact_writes(ANA, "hello").await;
    test_app.drain().await;
    let first = test_app.latest_conversation();
    test_app.advance(3 * DAY);
    mynah::work::schedule::run(&test_app.app, true).await.unwrap();
    let second = send_template(&test_app).await;
    assert_ne!(first, second, "the first has ended");
    test_app.drain().await;
    let fields = send_requests(&test_app).await.pop().unwrap();
    assert_eq!((fields["To"].as_str(), fields["ContentSid"].as_str()), (ANA, TEMPLATE_SID));
    assert_eq!((fields["ContentVariables"].as_str(), fields.get("Body")), (r#"{"1":"Ana"}"#, None));
    assert_eq!(test_app.turn_states().await, ["done", "done"]);

    test_app.advance(20 * 3600);
    test_app.contact_writes(ANA, "yes, please").await;
    test_app.drain().await;
    assert_eq!(test_app.latest_conversation(), second, "the answer belongs to what was sent");
    let prompt = test_app.prompts().await.pop().unwrap();
    let user = |text: &str| ("user".to_owned(), text.to_owned());
    let expected = format!("[written to the contact before this: [sent the template {TEMPLATE_SID} with 1=Ana]]");
    assert_eq!(prompt[prompt.len() - 2..], [user(&expected), user("yes, please")]);
    assert_eq!(test_app.turn_states().await, ["done", "done", "done"]);
}

#[tokio::test]
async fn a_template_that_twilio_refuses_or_does_not_deliver_is_reported() {
    let test_app = TestApp::with_settings(&[]).await;
    test_app.model_answers("Hello!").await;
    let mut answers = vec![
        ResponseTemplate::new(201).set_body_json(json!({ "sid": "SM1" })),
        ResponseTemplate::new(400).set_body_json(json!({ "code": 21656, "message": "no" })),
        ResponseTemplate::new(201).set_body_json(json!({ "sid": "SM2" })),
    ]
    .into_iter();
    for answer in answers.by_ref() {
        test_app.mock_send_message().respond_with(answer).up_to_n_times(1).mount(&test_app.twilio).await;
    }
    test_app.contact_writes(ANA, "hello").await;
    test_app.drain().await;
    test_app.advance(2 * DAY);
    send_template(&test_app).await;
    test_app.drain().await;
    let refused = test_app.turns().await.pop().unwrap();
    assert_eq!(refused.state, "dead");
    assert!(refused.error.unwrap().contains("the variables do not fit the template"));
    send_template(&test_app).await;
    test_app.drain().await;
    assert_eq!(test_app.turn_states().await, ["done", "dead", "done"]);
    let callback = test_app.last_status_callback().await;
    let news = form_params(&[("MessageSid", "SM2"), ("MessageStatus", "failed"), ("ErrorCode", "63016"), ("To", ANA)]);
    test_app.post_signed(&callback, &news).await;
    assert_eq!(test_app.query_integer("SELECT error_code FROM parts WHERE provider_id = 'SM2'"), 63016);
}

#[tokio::test]
async fn a_template_whose_post_was_lost_is_found_without_its_text() {
    let test_app = TestApp::with_settings(&[]).await;
    test_app.model_answers("Hello!").await;
    test_app.contact_writes(ANA, "hello").await;
    let taken = ResponseTemplate::new(201).set_body_json(json!({ "sid": "SM1" }));
    test_app.mock_send_message().respond_with(taken).up_to_n_times(1).mount(&test_app.twilio).await;
    test_app.drain().await;
    test_app.advance(2 * DAY);
    send_template(&test_app).await;
    test_app.mock_send_message().respond_with(ResponseTemplate::new(500)).mount(&test_app.twilio).await;
    let row = json!({
        "sid": "SM2", "direction": "outbound-api", "body": "Hi Ana, may we write to you?", "num_media": "0", "to": ANA,
        "date_created": "Tue, 03 Nov 2026 10:00:00 +0000",
    });
    // The first lookup cannot be made.
    test_app
        .mock_list_messages()
        .respond_with(ResponseTemplate::new(500))
        .up_to_n_times(1)
        .mount(&test_app.twilio)
        .await;
    let listed = ResponseTemplate::new(200).set_body_json(json!({ "messages": [row] }));
    test_app.mock_list_messages().respond_with(listed).mount(&test_app.twilio).await;
    test_app.drain().await;
    for _ in 0..3 {
        test_app.advance(10);
        test_app.drain().await;
    }
    assert_eq!(test_app.turn_states().await, ["done", "done"]);
    assert_eq!(test_app.query_integer("SELECT COUNT(*) FROM parts WHERE provider_id = 'SM2'"), 1);
    assert_eq!(send_requests(&test_app).await.len(), 2, "it is not sent twice");
}
