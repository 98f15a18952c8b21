//! WhatsApp's 24 hours: outside of them, only approved templates are sent.

use std::collections::BTreeMap;

use crate::setup::test_app::{ANA, TestApp};

const DAY: u64 = 86_400;

#[tokio::test]
async fn outside_of_the_window_the_model_is_not_asked_and_nothing_is_sent() {
    let test_app = TestApp::new().await;
    test_app.contact_writes(ANA, "hello").await;
    test_app.advance(DAY);
    test_app.drain().await;
    assert_eq!((test_app.prompts().await.len(), test_app.sent_texts().await.len()), (0, 0));
    assert_eq!(test_app.turn_states().await, ["expired"]);
}

#[tokio::test]
async fn a_template_opens_the_conversation_again_once_where_the_owner_chose_one() {
    let sid = "HX00000000000000000000000000000001";
    let test_app = TestApp::with_settings(&[("MYNAH_REOPEN_TEMPLATE", sid)]).await;
    test_app.twilio_accepts_everything().await;
    test_app.model_answers("Hello!").await;
    test_app.contact_writes(ANA, "hello").await;
    test_app.advance(DAY);
    // The claim finds that it is too late; the next one sends the template.
    test_app.drain().await;
    test_app.drain().await;
    assert_eq!((test_app.prompts().await.len(), test_app.turn_states().await), (0, vec!["dead".to_owned()]));
    let sent = test_app.twilio.received_requests().await.unwrap();
    let fields: BTreeMap<_, _> = url::form_urlencoded::parse(&sent[0].body).into_owned().collect();
    assert!(sent.len() == 1 && fields["ContentSid"] == sid && !fields.contains_key("Body"), "{fields:?}");
    // A requeued turn does not send it twice. Once the contact writes, all goes on.
    test_app.advance(60);
    test_app.drain().await;
    assert_eq!(test_app.twilio.received_requests().await.unwrap().len(), 1);
    test_app.contact_writes(ANA, "yes?").await;
    test_app.drain().await;
    assert_eq!(test_app.turn_states().await, ["dead", "done"]);
}
