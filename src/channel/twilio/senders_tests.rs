use serde_json::json;
use wiremock::matchers::{body_json, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::channel::Channel;
use crate::channel::twilio::Twilio;
use crate::channel::twilio::tests::config;

const SENDERS: &str = "/v2/Channels/Senders";
const SID: &str = "XE0123456789abcdef0123456789abcdef";
const NUMBER: &str = "whatsapp:+14155550001";
const OURS: &str = "https://bot.example.com/webhooks/twilio#ct=3000&rt=4000&rc=3&rp=ct,rt,5xx";

/// A sender as in the examples of Twilio's OpenAPI document.
fn sender(number: &str, status: &str, webhook: &Value) -> Value {
    json!({
        "sid": SID, "status": status, "sender_id": number, "compliance": null, "profile": null,
        "configuration": { "waba_id": "12345678912345", "verification_method": null, "verification_code": null,
            "voice_application_sid": null, "account_type": null },
        "webhook": webhook,
        "properties": { "quality_rating": "HIGH", "messaging_limit": "10K Customers/24hr" },
        "offline_reasons": if status == "OFFLINE" { json!([{ "code": "30008", "message": "No delivery",
            "more_info": "https://www.twilio.com/docs/api/errors/30008" }]) } else { Value::Null },
        "url": format!("https://messaging.twilio.com/v2/Channels/Senders/{SID}"),
    })
}

fn page(senders: &[Value], next: Option<&str>) -> ResponseTemplate {
    let meta = json!({ "page": 0, "page_size": 100, "key": "senders", "previous_page_url": null, "next_page_url": next,
        "first_page_url": "https://messaging.twilio.com/v2/Channels/Senders?PageSize=100&Page=0&Channel=whatsapp",
        "url": "https://messaging.twilio.com/v2/Channels/Senders?PageSize=100&Page=0&Channel=whatsapp" });
    ResponseTemplate::new(200).set_body_json(json!({ "senders": senders, "meta": meta }))
}

fn channel(server: &MockServer, number: &str) -> Twilio {
    let mut config = config(&server.uri());
    config.sender = Sender::Number(number.to_owned());
    Twilio::new(config, [7; 32])
}

/// A Twilio with one sender that has this webhook object.
async fn twilio_with(status: &str, webhook: Value) -> (MockServer, Twilio) {
    let server = MockServer::start().await;
    let list = Mock::given(method("GET")).and(path(SENDERS)).and(query_param("Channel", "whatsapp"));
    list.respond_with(page(&[sender(NUMBER, status, &webhook)], None)).mount(&server).await;
    let twilio = channel(&server, NUMBER);
    (server, twilio)
}

async fn registered(twilio: &Twilio) -> RegisteredSender {
    match twilio.webhook_address().await.unwrap() {
        SenderRecord::Registered(sender) => sender,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_sender_is_found_on_a_later_page_and_the_credentials_go_nowhere_else() {
    let server = MockServer::start().await;
    let next = "https://elsewhere.example/v2/Channels/Senders?Channel=whatsapp&PageSize=100&Page=1&PageToken=PT1";
    let other = sender("whatsapp:+14155550009", "ONLINE", &Value::Null);
    let second = sender(NUMBER, "ONLINE:UPDATING", &json!({ "callback_url": OURS, "callback_method": "POST" }));
    let on_second = Mock::given(path(SENDERS)).and(query_param("PageToken", "PT1"));
    on_second.respond_with(page(&[second], None)).with_priority(1).mount(&server).await;
    Mock::given(path(SENDERS)).respond_with(page(&[other], Some(next))).mount(&server).await;
    let found = registered(&channel(&server, NUMBER)).await;
    assert!(found.online && found.webhook_match == WebhookMatch::Ours, "{found:?}");
    assert_eq!(found.webhook.as_deref(), Some(OURS));
}

#[tokio::test]
async fn a_sender_that_is_not_online_says_why() {
    let (_server, twilio) = twilio_with("OFFLINE", Value::Null).await;
    let found = registered(&twilio).await;
    assert_eq!((found.online, found.state.as_str()), (false, "OFFLINE; 30008 No delivery"));
    assert_eq!(found.webhook_match, WebhookMatch::NotSet);
}

#[tokio::test]
async fn a_sender_without_a_record_says_where_its_address_is_set() {
    let (server, _) = twilio_with("ONLINE", Value::Null).await;
    let SenderRecord::Unknown { found, remedy } =
        channel(&server, "whatsapp:+14155550002").webhook_address().await.unwrap()
    else {
        panic!("the account has no such sender")
    };
    assert!(found.contains("+14155550002") && remedy.contains("TWILIO_WHATSAPP_FROM"), "{found} {remedy}");

    let SenderRecord::NotShown { found, remedy } = channel(&server, SANDBOX).webhook_address().await.unwrap() else {
        panic!("the sandbox has no record")
    };
    assert!(found.contains("sandbox") && remedy.contains("Sandbox settings") && remedy.contains(OURS), "{remedy}");

    let mut config = config(&server.uri());
    config.sender = Sender::MessagingService("MG00000000000000000000000000000002".to_owned());
    let service = Twilio::new(config, [7; 32]);
    let SenderRecord::NotShown { found, remedy } = service.webhook_address().await.unwrap() else {
        panic!("a service has no record")
    };
    assert!(found.contains("MG000") && remedy.contains("Integration") && remedy.contains(OURS), "{remedy}");
    assert!(matches!(service.set_webhook_address(true).await.unwrap(), WebhookChange::NotPossible { .. }));
}

#[test]
fn addresses_are_compared_as_urls() {
    let posted = |set: &str| compare(Some(set), Some("POST"), Some("https://bot.example.com"));
    for ours in [
        OURS,
        "https://BOT.example.com:443/webhooks/twilio#rp=all",
        "https://bot.example.com/webhooks/twilio#rc=2&rp=5xx,rt,ct&ct=500",
    ] {
        assert_eq!(posted(ours), WebhookMatch::Ours, "{ours}");
    }
    for other in [
        "http://bot.example.com/webhooks/twilio",
        "https://bot.example.com/webhooks/twilio/",
        "https://bot.example.com/webhooks/twilio?x=1",
        "https://bot.example.com:8443/webhooks/twilio",
        "https://old.example.com/webhooks/twilio",
        "not an address",
    ] {
        assert_eq!(posted(other), WebhookMatch::Elsewhere, "{other}");
    }
    for (overrides, lacking) in [
        ("", "if no answer comes in time or if mynah or its proxy answers with an error"),
        ("#rp=rt,ct", "if mynah or its proxy answers with an error"),
        ("#rp=5xx", "if it cannot connect or if no answer comes in time"),
        ("#rp=all&rc=0", "try only once (rc=0)"),
    ] {
        let WebhookMatch::Incomplete(why) = posted(&format!("https://bot.example.com/webhooks/twilio{overrides}"))
        else {
            panic!("{overrides}")
        };
        assert!(why.ends_with(lacking), "{why}");
    }
    let put = compare(Some(OURS), Some("PUT"), Some("https://bot.example.com"));
    assert!(matches!(put, WebhookMatch::Incomplete(why) if why.contains("PUT")));
    assert_eq!(compare(Some(OURS), None, None), WebhookMatch::NothingToCompare);
    assert_eq!(compare(None, None, Some("https://bot.example.com")), WebhookMatch::NotSet);
}

#[tokio::test]
async fn setting_the_address_keeps_the_rest_of_the_webhook() {
    let (server, twilio) = twilio_with(
        "ONLINE",
        json!({ "callback_url": null, "callback_method": null, "fallback_url": "https://fallback.example.com/",
            "fallback_method": "PUT", "status_callback_url": "https://status.example.com/",
            "status_callback_method": "POST" }),
    )
    .await;
    let posted = json!({ "webhook": { "callback_url": OURS, "callback_method": "POST",
        "fallback_url": "https://fallback.example.com/", "fallback_method": "PUT",
        "status_callback_url": "https://status.example.com/", "status_callback_method": "POST" } });
    let accepted = ResponseTemplate::new(202).set_body_json(sender(NUMBER, "ONLINE:UPDATING", &posted["webhook"]));
    let update = Mock::given(method("POST")).and(path(format!("{SENDERS}/{SID}"))).and(body_json(&posted));
    update.respond_with(accepted).expect(1).mount(&server).await;
    let change = twilio.set_webhook_address(false).await.unwrap();
    assert_eq!(change, WebhookChange::Set { address: OURS.to_owned(), before: None });
}

#[tokio::test]
async fn an_address_that_points_elsewhere_is_overwritten_only_if_that_is_allowed() {
    let elsewhere = "https://old.example.com/hook";
    let (server, twilio) = twilio_with("ONLINE", json!({ "callback_url": elsewhere, "callback_method": "POST" })).await;
    let change = twilio.set_webhook_address(false).await.unwrap();
    assert_eq!(change, WebhookChange::CallsElsewhere { current: elsewhere.to_owned() });
    let update = Mock::given(method("POST")).respond_with(ResponseTemplate::new(202).set_body_json(json!({})));
    update.expect(1).mount(&server).await;
    let change = twilio.set_webhook_address(true).await.unwrap();
    assert_eq!(change, WebhookChange::Set { address: OURS.to_owned(), before: Some(elsewhere.to_owned()) });
}

#[tokio::test]
async fn our_own_address_is_completed_without_leave_and_left_alone_when_complete() {
    let bare = "https://bot.example.com/webhooks/twilio";
    let (server, twilio) = twilio_with("ONLINE", json!({ "callback_url": bare, "callback_method": "POST" })).await;
    let update = Mock::given(method("POST")).respond_with(ResponseTemplate::new(202).set_body_json(json!({})));
    update.expect(1).mount(&server).await;
    let change = twilio.set_webhook_address(false).await.unwrap();
    assert_eq!(change, WebhookChange::Set { address: OURS.to_owned(), before: Some(bare.to_owned()) });

    let (_server, twilio) = twilio_with("ONLINE", json!({ "callback_url": OURS, "callback_method": "POST" })).await;
    let change = twilio.set_webhook_address(true).await.unwrap();
    assert_eq!(change, WebhookChange::Unchanged { address: OURS.to_owned() });
}

#[tokio::test]
async fn what_is_not_twilios_list_is_an_error_and_not_a_missing_sender() {
    let server = MockServer::start().await;
    let html = ResponseTemplate::new(200).set_body_string("<html>hello</html>");
    Mock::given(path(SENDERS)).respond_with(html).mount(&server).await;
    let fault = channel(&server, NUMBER).webhook_address().await.unwrap_err();
    assert!(fault.why().contains("TWILIO_API_BASE_URL"), "{fault}");
}

#[test]
fn a_regions_senders_are_at_its_own_messaging_host() {
    let api = |base: &str| Api::new(&config(base)).senders_url;
    assert_eq!(
        api("https://api.dublin.ie1.twilio.com/"),
        "https://messaging.dublin.ie1.twilio.com/v2/Channels/Senders"
    );
    assert_eq!(api("http://127.0.0.1:9/mock"), "http://127.0.0.1:9/mock/v2/Channels/Senders");
}
