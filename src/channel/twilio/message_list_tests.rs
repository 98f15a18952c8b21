use serde_json::json;
use wiremock::matchers::{method, path, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::channel::Channel;
use crate::channel::twilio::Twilio;
use crate::channel::twilio::tests::config;
use crate::fault::FaultOwner;
use crate::model::{Address, Attachment, ProviderId, SentMessage};

const MESSAGES_PATH: &str = "/2010-04-01/Accounts/AC00000000000000000000000000000000/Messages.json";
const SERVICE_SID: &str = "MG00000000000000000000000000000001";

/// Thu, 24 Aug 2023 05:01:45.600 UTC, by `date -u -d '2023-08-24 05:01:45' +%s`.
const POSTED_AT: Time = Time(1_692_853_305_600);

fn lookup() -> SentLookup {
    SentLookup {
        with_file: false,
        from: "whatsapp:+14155238886".to_owned(),
        to: "whatsapp:+15005550006".to_owned(),
        text: Some("See you at 5.".to_owned()),
        not_before: POSTED_AT,
    }
}

fn sent_row(sid: &str, created: &str) -> Value {
    json!({
        "sid": sid, "direction": "outbound-api", "body": "See you at 5.", "status": "queued", "num_media": "0",
        "from": "whatsapp:+14155238886", "to": "whatsapp:+15005550006", "messaging_service_sid": null,
        "date_created": created, "date_sent": null, "error_code": null,
    })
}

fn inbound_row(sid: &str, date: &str) -> Value {
    json!({
        "sid": sid, "direction": "inbound", "body": "Hello", "status": "received", "num_media": "0",
        "from": "whatsapp:+15005550006", "to": "whatsapp:+14155238886", "messaging_service_sid": null,
        "date_created": date, "date_sent": date,
    })
}

fn with_field(mut row: Value, field: &str, value: impl Into<Value>) -> Value {
    row[field] = value.into();
    row
}

fn page_response(rows: &[Value], next: Option<&str>) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({"messages": rows, "next_page_uri": next, "page_size": 100}))
}

fn next_page_uri(number: usize) -> String {
    format!("{MESSAGES_PATH}?PageSize=100&Page={number}&PageToken=PA{number}")
}

async fn server_listing(rows: Vec<Value>) -> (MockServer, Twilio) {
    let server = MockServer::start().await;
    Mock::given(method("GET")).and(path(MESSAGES_PATH)).respond_with(page_response(&rows, None)).mount(&server).await;
    let channel = Twilio::new(config(&server.uri()), [7; 32]);
    (server, channel)
}

async fn server_listing_for_service(rows: Vec<Value>) -> (MockServer, Twilio) {
    let (server, _) = server_listing(rows).await;
    let mut config = config(&server.uri());
    config.sender = Sender::MessagingService(SERVICE_SID.to_owned());
    let channel = Twilio::new(config, [7; 32]);
    (server, channel)
}

async fn first_query(server: &MockServer) -> Vec<(String, String)> {
    server.received_requests().await.unwrap()[0].url.query_pairs().into_owned().collect()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

fn ids(found: Vec<SentMessage>) -> Vec<String> {
    found.into_iter().map(|message| message.id.0).collect()
}

fn sids(found: &[Inbound]) -> Vec<&str> {
    found.iter().map(|inbound| inbound.provider_id.0.as_str()).collect()
}

#[tokio::test]
async fn a_lost_post_is_found_by_contact_text_and_time() {
    let rows = vec![
        sent_row("SM5", "Thu, 24 Aug 2023 05:02:00 +0000"),
        with_field(sent_row("SM4", "Thu, 24 Aug 2023 05:01:50 +0000"), "status", "failed"),
        with_field(sent_row("SMx", "Thu, 24 Aug 2023 05:01:50 +0000"), "body", "Another text"),
        with_field(sent_row("SMy", "Thu, 24 Aug 2023 05:01:50 +0000"), "direction", "inbound"),
        with_field(sent_row("SM3", "Thu, 24 Aug 2023 05:01:46 +0000"), "direction", "outbound-reply"),
        // Dated to the second and by another clock: the lookup accepts up to 60 seconds before the second of our post.
        sent_row("SM2", "Thu, 24 Aug 2023 05:00:45 +0000"),
        sent_row("SMz", "Thu, 24 Aug 2023 05:00:44 +0000"),
    ];
    let (server, channel) = server_listing(rows).await;
    assert_eq!(ids(channel.find_sent(&lookup()).await.unwrap()), ["SM2", "SM3", "SM4", "SM5"]);
    let expected = [("To", "whatsapp:+15005550006"), ("PageSize", "100"), ("From", "whatsapp:+14155238886")];
    assert_eq!(first_query(&server).await, pairs(&expected));
}

#[tokio::test]
async fn a_file_is_not_taken_for_a_text_and_a_text_may_be_a_file_that_is_not_there_yet() {
    let media = |sid, count| with_field(sent_row(sid, "Thu, 24 Aug 2023 05:01:50 +0000"), "num_media", count);
    let rows = vec![
        media("SM3", json!(null)),
        media("SM2", json!("0")),
        media("MM1", json!("1")),
        with_field(media("MM0", json!("1")), "body", ""),
    ];
    let (_server, channel) = server_listing(rows).await;
    let found = async |lookup| ids(channel.find_sent(&lookup).await.unwrap());
    assert_eq!(found(lookup()).await, ["SM2", "SM3"]);
    assert_eq!(found(SentLookup { with_file: true, ..lookup() }).await, ["MM1", "SM2", "SM3"]);
    assert_eq!(found(SentLookup { with_file: true, text: Some(String::new()), ..lookup() }).await, ["MM0"]);
    assert_eq!(
        found(SentLookup { text: None, ..lookup() }).await,
        ["MM0", "MM1", "SM2", "SM3"],
        "a template may have a file"
    );
}

#[tokio::test]
async fn a_message_that_could_be_the_one_is_not_left_out() {
    let withheld = with_field(sent_row("SM1", "Thu, 24 Aug 2023 05:01:50 +0000"), "body", Value::Null);
    let undated = with_field(sent_row("SM2", ""), "date_created", Value::Null);
    let trimmed = with_field(sent_row("SM3", "Thu, 24 Aug 2023 05:01:50 +0000"), "body", "See you at 5.\n");
    let (_server, channel) = server_listing(vec![withheld, undated, trimmed]).await;
    let mut found = ids(channel.find_sent(&lookup()).await.unwrap());
    found.sort();
    assert_eq!(found, ["SM1", "SM2", "SM3"]);
}

#[tokio::test]
async fn a_post_through_a_service_is_found_before_it_has_a_sender() {
    let waiting = with_field(sent_row("SM1", "Thu, 24 Aug 2023 05:01:50 +0000"), "from", Value::Null);
    let waiting = with_field(waiting, "messaging_service_sid", SERVICE_SID);
    let other = with_field(sent_row("SM2", "Thu, 24 Aug 2023 05:01:50 +0000"), "messaging_service_sid", "MGother");
    let (server, channel) = server_listing_for_service(vec![other, waiting]).await;
    assert_eq!(ids(channel.find_sent(&lookup()).await.unwrap()), ["SM1"]);
    assert_eq!(first_query(&server).await, pairs(&[("To", "whatsapp:+15005550006"), ("PageSize", "100")]));
}

#[tokio::test]
async fn pages_are_followed_until_they_are_too_old() {
    let server = MockServer::start().await;
    let on = |number: usize| {
        Mock::given(method("GET")).and(path(MESSAGES_PATH)).and(query_param("Page", number.to_string()))
    };
    let first = vec![sent_row("SM3", "Thu, 24 Aug 2023 05:05:00 +0000")];
    Mock::given(query_param_is_missing("Page"))
        .respond_with(page_response(&first, Some(&next_page_uri(1))))
        .mount(&server)
        .await;
    let second =
        vec![sent_row("SM3", "Thu, 24 Aug 2023 05:05:00 +0000"), sent_row("SM2", "Thu, 24 Aug 2023 05:00:45 +0000")];
    on(1).respond_with(page_response(&second, Some(&next_page_uri(2)))).mount(&server).await;
    // More than a minute older than the post: the pages after it are not read.
    let third = vec![sent_row("SM1", "Thu, 24 Aug 2023 05:00:44 +0000")];
    on(2).respond_with(page_response(&third, Some(&next_page_uri(3)))).mount(&server).await;
    on(3).respond_with(ResponseTemplate::new(500)).expect(0).mount(&server).await;
    let channel = Twilio::new(config(&server.uri()), [7; 32]);
    assert_eq!(ids(channel.find_sent(&lookup()).await.unwrap()), ["SM2", "SM3"]);
}

#[tokio::test]
async fn a_lost_post_is_found_though_our_clock_is_ahead_of_twilios() {
    // Posted at 05:01:45 by our clock, when Twilio's clock showed 05:00:50.
    let (_server, channel) = server_listing(vec![sent_row("SM1", "Thu, 24 Aug 2023 05:00:50 +0000")]).await;
    assert_eq!(ids(channel.find_sent(&lookup()).await.unwrap()), ["SM1"]);
}

#[tokio::test]
async fn a_page_that_repeats_proves_no_absence() {
    let server = MockServer::start().await;
    let rows = vec![with_field(sent_row("SM1", "Thu, 24 Aug 2023 05:02:00 +0000"), "body", "Another text")];
    Mock::given(method("GET"))
        .respond_with(page_response(&rows, Some(&next_page_uri(1))))
        .expect(2)
        .mount(&server)
        .await;
    let fault = Twilio::new(config(&server.uri()), [7; 32]).find_sent(&lookup()).await.unwrap_err();
    assert!(matches!(&fault, Fault::Retry { why, .. } if why.contains("repeats a page")), "{fault:?}");
}

#[tokio::test]
async fn a_page_that_repeats_ends_the_list_of_missed_messages_and_is_reported() {
    let server = MockServer::start().await;
    let rows = vec![inbound_row("SM2", "Thu, 24 Aug 2023 05:02:00 +0000")];
    Mock::given(query_param_is_missing("Page"))
        .respond_with(page_response(&rows, Some(&next_page_uri(1))))
        .mount(&server)
        .await;
    let rows = vec![
        inbound_row("SM2", "Thu, 24 Aug 2023 05:02:00 +0000"),
        inbound_row("SM1", "Thu, 24 Aug 2023 05:01:50 +0000"),
    ];
    let again = Mock::given(query_param("Page", "1")).respond_with(page_response(&rows, Some(&next_page_uri(1))));
    again.expect(2).mount(&server).await;
    let listed = Twilio::new(config(&server.uri()), [7; 32]).list_inbound(POSTED_AT, &HashSet::new()).await.unwrap();
    assert_eq!(sids(&listed.messages), ["SM1", "SM2"]);
    assert!(listed.incomplete_reason.is_some_and(|why| why.contains("repeats a page")));
}

#[tokio::test]
async fn an_empty_page_is_the_end_of_the_list() {
    let server = MockServer::start().await;
    let rows = vec![inbound_row("SM1", "Thu, 24 Aug 2023 05:02:00 +0000")];
    Mock::given(query_param_is_missing("Page"))
        .respond_with(page_response(&rows, Some(&next_page_uri(1))))
        .mount(&server)
        .await;
    Mock::given(query_param("Page", "1"))
        .respond_with(page_response(&[], Some(&next_page_uri(2))))
        .expect(1)
        .mount(&server)
        .await;
    let listed = Twilio::new(config(&server.uri()), [7; 32]).list_inbound(POSTED_AT, &HashSet::new()).await.unwrap();
    assert_eq!((sids(&listed.messages), listed.incomplete_reason), (vec!["SM1"], None));
}

#[tokio::test]
async fn a_list_too_long_to_read_proves_no_absence() {
    let server = MockServer::start().await;
    for number in 0..7 {
        let rows = vec![with_field(sent_row(&format!("SM{number}"), "Thu, 24 Aug 2023 05:02:00 +0000"), "body", "no")];
        let mock = match number {
            0 => Mock::given(query_param_is_missing("Page")),
            _ => Mock::given(query_param("Page", number.to_string())),
        };
        mock.respond_with(page_response(&rows, Some(&next_page_uri(number + 1)))).mount(&server).await;
    }
    let fault = Twilio::new(config(&server.uri()), [7; 32]).find_sent(&lookup()).await.unwrap_err();
    assert!(matches!(fault, Fault::Retry { .. }), "{fault:?}");
    assert_eq!(server.received_requests().await.unwrap().len(), 5);
}

#[tokio::test]
async fn credentials_do_not_follow_a_page_elsewhere() {
    for uri in ["https://elsewhere.example/x", "@elsewhere.example/x", "elsewhere"] {
        let server = MockServer::start().await;
        let rows = vec![sent_row("SM1", "Thu, 24 Aug 2023 05:02:00 +0000")];
        Mock::given(method("GET")).respond_with(page_response(&rows, Some(uri))).expect(1).mount(&server).await;
        let fault = Twilio::new(config(&server.uri()), [7; 32]).find_sent(&lookup()).await.unwrap_err();
        assert!(matches!(fault, Fault::Retry { .. }), "{fault:?}");
    }
}

#[tokio::test]
async fn missed_messages_are_listed_oldest_first() {
    let media = with_field(inbound_row("SM2", "Thu, 24 Aug 2023 05:01:50 +0000"), "body", "");
    let rows = vec![
        with_field(inbound_row("SM3", "Thu, 24 Aug 2023 05:02:00 +0000"), "body", "Bye\0!"),
        with_field(media, "num_media", "1"),
        with_field(inbound_row("SMx", "Thu, 24 Aug 2023 05:01:50 +0000"), "direction", "outbound-api"),
        with_field(inbound_row("SMy", "Thu, 24 Aug 2023 05:01:50 +0000"), "from", "bob"),
        with_field(inbound_row("SMz", "Thu, 24 Aug 2023 05:01:50 +0000"), "from", Value::Null),
        inbound_row("SM1", "Thu, 24 Aug 2023 05:01:45 +0000"),
        with_field(inbound_row("SMw", "Thu, 24 Aug 2023 05:01:50 +0000"), "to", "whatsapp:+12025550199"),
        inbound_row("SM0", "Thu, 24 Aug 2023 05:01:44 +0000"),
    ];
    let (server, channel) = server_listing(rows).await;
    let found = channel.list_inbound(POSTED_AT, &HashSet::new()).await.unwrap();
    assert_eq!((sids(&found.messages), &found.incomplete_reason), (vec!["SM1", "SM2", "SM3"], &None));
    let found = found.messages;
    let raw = server.received_requests().await.unwrap()[0].url.query().unwrap().to_owned();
    assert_eq!(raw, "DateSent%3E=2023-08-24&PageSize=100&To=whatsapp%3A%2B14155238886");
    let expected = Inbound {
        channel: "twilio",
        provider_id: ProviderId("SM2".to_owned()),
        from: Address::parse("+15005550006").unwrap().into(),
        reply_to: "whatsapp:+15005550006".to_owned(),
        to: "whatsapp:+14155238886".to_owned(),
        profile_name: None,
        text: "[file]".to_owned(),
        attachments: vec![Attachment {
            url: format!(
                "{}/2010-04-01/Accounts/AC00000000000000000000000000000000/Messages/SM2/Media.json#0",
                server.uri()
            ),
            media_type: String::new(),
            placeholder: "[file]".to_owned(),
        }],
        quoted_id: None,
        keyword_text: String::new(),
        metadata: json!({"NumMedia": "1"}).as_object().unwrap().clone(),
        received_at: Time(1_692_853_310_999),
    };
    assert_eq!(found[1], expected);
    assert_eq!((found[0].text.as_str(), found[0].keyword_text.as_str()), ("Hello", "Hello"));
    assert_eq!(
        (found[2].text.as_str(), found[2].keyword_text.as_str()),
        ("Bye!", "Bye!"),
        "NULs are removed, because webhooks contain none either"
    );
}

#[tokio::test]
async fn a_services_list_takes_no_other_channel_service_or_sender() {
    let date = "Thu, 24 Aug 2023 05:01:50 +0000";
    let rows = vec![
        with_field(inbound_row("SM1", date), "messaging_service_sid", SERVICE_SID),
        with_field(inbound_row("SM2", date), "messaging_service_sid", "MGother"),
        with_field(with_field(inbound_row("SM3", date), "to", "+14155238886"), "from", "+15005550006"),
        // These name no service.
        inbound_row("SM4", date),
        with_field(inbound_row("SM5", date), "to", "whatsapp:+12025550199"),
    ];
    let (server, channel) = server_listing_for_service(rows).await;
    let taken = async |ours: &[&str]| {
        let ours = ours.iter().map(|address| (*address).to_owned()).collect();
        let listed = channel.list_inbound(POSTED_AT, &ours).await.unwrap();
        listed.messages.into_iter().map(|inbound| inbound.provider_id.0).collect::<Vec<_>>()
    };
    assert_eq!(taken(&[]).await, ["SM1"]);
    assert_eq!(taken(&["whatsapp:+14155238886", "+14155238886"]).await, ["SM4", "SM1"]);
    assert_eq!(first_query(&server).await, pairs(&[("DateSent>", "2023-08-24"), ("PageSize", "100")]));
}

#[tokio::test]
async fn inbound_pages_are_read_once_each_and_no_more_than_two_hundred() {
    let server = MockServer::start().await;
    let endless = |request: &wiremock::Request| {
        let pairs: Vec<(String, String)> = request.url.query_pairs().into_owned().collect();
        let number = pairs.iter().find(|(name, _)| name == "Page").map_or(0, |(_, page)| page.parse().unwrap());
        let rows = vec![
            inbound_row("SMrepeated", "Thu, 24 Aug 2023 05:02:00 +0000"),
            inbound_row(&format!("SM{number}"), "Thu, 24 Aug 2023 05:02:00 +0000"),
        ];
        page_response(&rows, Some(&next_page_uri(number + 1)))
    };
    Mock::given(method("GET")).respond_with(endless).expect(200).mount(&server).await;
    let found = Twilio::new(config(&server.uri()), [7; 32]).list_inbound(POSTED_AT, &HashSet::new()).await.unwrap();
    assert_eq!(found.messages.len(), 201, "two hundred pages, and the repeated message once");
    // Another fetch would not find more.
    assert_eq!(found.incomplete_reason, None);
}

#[tokio::test]
async fn messages_of_one_second_keep_the_order_of_the_list() {
    let date = "Thu, 24 Aug 2023 05:02:00 +0000";
    let (_server, channel) = server_listing(["SM3", "SM2", "SM1"].map(|sid| inbound_row(sid, date)).to_vec()).await;
    assert_eq!(sids(&channel.list_inbound(POSTED_AT, &HashSet::new()).await.unwrap().messages), ["SM1", "SM2", "SM3"]);
}

#[tokio::test]
async fn a_failed_lookup_is_repeated_or_is_the_operators() {
    let faults = [
        (ResponseTemplate::new(500), true),
        (ResponseTemplate::new(429), true),
        (ResponseTemplate::new(200).set_body_string("<html>"), true),
        // A page without its list is not evidence that nothing was sent.
        (ResponseTemplate::new(200).set_body_json(json!({"next_page_uri": null})), true),
        (ResponseTemplate::new(401), false),
        (ResponseTemplate::new(404), false),
    ];
    for (answer, again) in faults {
        let server = MockServer::start().await;
        Mock::given(method("GET")).respond_with(answer).mount(&server).await;
        let channel = Twilio::new(config(&server.uri()), [7; 32]);
        for fault in [
            channel.find_sent(&lookup()).await.unwrap_err(),
            channel.list_inbound(POSTED_AT, &HashSet::new()).await.unwrap_err(),
            channel.check().await.unwrap_err(),
        ] {
            match fault {
                Fault::Retry { .. } => assert!(again, "{fault:?}"),
                Fault::Fail { owner: FaultOwner::Operator, .. } => assert!(!again, "{fault:?}"),
                _ => panic!("{fault:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_connection_cut_during_a_lookup_is_repeated() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || drop(listener.accept().unwrap()));
    let fault = Twilio::new(config(&base), [7; 32]).check().await.unwrap_err();
    server.join().unwrap();
    assert!(matches!(fault, Fault::Retry { .. }), "{fault:?}");
    assert!(!fault.why().contains("127.0.0.1"), "{fault:?}");
}

#[tokio::test]
async fn a_check_reads_one_message_and_says_what_works() {
    let server = MockServer::start().await;
    let dated = ResponseTemplate::new(200).set_body_json(json!({ "messages": [] }));
    let dated = dated.insert_header("date", "Thu, 24 Aug 2023 05:01:45 GMT");
    Mock::given(method("GET")).respond_with(dated).mount(&server).await;
    let accepted = Twilio::new(config(&server.uri()), [7; 32]).check().await.unwrap();
    assert_eq!(accepted.found, "Twilio accepts the credentials of account AC00000000000000000000000000000000");
    assert_eq!(accepted.provider_time, Some(Time(1_692_853_305_000)));
    assert_eq!(first_query(&server).await, pairs(&[("PageSize", "1")]));
}

#[test]
fn dates_are_read_in_both_forms() {
    assert_eq!(parse_date("Thu, 24 Aug 2023 05:01:45 +0000"), Some(Time(1_692_853_305_000)));
    assert_eq!(parse_date("2023-08-24T05:01:45Z"), Some(Time(1_692_853_305_000)));
    assert_eq!(parse_date("yesterday"), None);
}
