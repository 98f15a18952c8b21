use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wiremock::matchers::{any, header, header_exists, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::channel::Channel;
use crate::channel::twilio::Twilio;
use crate::channel::twilio::tests::config;
use crate::config::TwilioConfig;

const FILE_PATH: &str = "/2010-04-01/Accounts/AC00000000000000000000000000000000/Messages/MM1/Media/ME1";

fn attachment_at(url: impl Into<String>) -> Attachment {
    Attachment { url: url.into(), media_type: "image/jpeg".into(), placeholder: "[image]".into() }
}

async fn server_and_channel() -> (MockServer, Twilio) {
    let server = MockServer::start().await;
    let channel = Twilio::new(config(&server.uri()), [7; 32]);
    (server, channel)
}

async fn redirect_file_to(server: &MockServer, to: &str) {
    let there = ResponseTemplate::new(307).insert_header("location", to);
    Mock::given(method("GET"))
        .and(path(FILE_PATH))
        .and(header_exists("authorization"))
        .respond_with(there)
        .mount(server)
        .await;
}

async fn answer_all_with(server: &MockServer, response: ResponseTemplate) {
    Mock::given(any()).respond_with(response).mount(server).await;
}

#[tokio::test]
async fn a_file_is_fetched_with_credentials_and_from_where_it_is_kept_without() {
    let (server, channel) = server_and_channel().await;
    let storage = MockServer::start().await;
    redirect_file_to(&server, &format!("{}/kept/ME1?Signature=x", storage.uri())).await;
    answer_all_with(&storage, ResponseTemplate::new(200).set_body_bytes(b"bytes".to_vec())).await;
    let file = attachment_at(format!("{}{FILE_PATH}", server.uri()));
    assert_eq!(channel.fetch_attachment(&file, 5).await.unwrap(), Bytes::from_static(b"bytes"));
    let asked = storage.received_requests().await.unwrap();
    assert!(asked.len() == 1 && !asked[0].headers.contains_key("authorization"), "{asked:?}");
}

#[tokio::test]
async fn a_file_of_another_account_or_place_is_never_called() {
    let (server, channel) = server_and_channel().await;
    answer_all_with(&server, ResponseTemplate::new(200).set_body_bytes(b"bytes".to_vec())).await;
    let other = MockServer::start().await;
    let uri = server.uri();
    let home = uri.trim_start_matches("http://");
    for url in [
        format!("{}{FILE_PATH}", other.uri()),
        format!("{uri}{}", FILE_PATH.replace("AC0", "AC1")),
        format!("{uri}/2010-04-01/Accounts/AC00000000000000000000000000000000/Calls.json"),
        format!("{uri}/2010-04-01/Accounts/AC00000000000000000000000000000000/Messages/../Calls.json"),
        format!("{uri}/2010-04-01/Accounts/AC00000000000000000000000000000000/Messages/%2e%2e/Calls.json"),
        format!("https://{home}{FILE_PATH}"),
        format!("http://user:word@{home}{FILE_PATH}"),
        format!("http://{home}@evil.example{FILE_PATH}"),
        format!("https://api.twilio.com{FILE_PATH}"),
        "file:///etc/passwd".to_owned(),
        FILE_PATH.to_owned(),
        String::new(),
    ] {
        let fault = channel.fetch_attachment(&attachment_at(&url), 5).await.unwrap_err();
        assert!(matches!(&fault, Fault::Fail { owner: FaultOwner::Message, .. }), "{url}: {fault:?}");
        assert!(fault.why().contains("not one of our account at Twilio's own address"), "{url}: {fault:?}");
    }
    let called = server.received_requests().await.unwrap().len() + other.received_requests().await.unwrap().len();
    assert_eq!(called, 0);
}

#[test]
fn twilios_regions_are_twilio_and_no_other_host_is() {
    let base = "https://api.twilio.com";
    let mut config = config(base);
    for own in [None, Some("https://api.dublin.ie1.twilio.com")] {
        config.api_base_url = own.map(|own| Url::parse(own).unwrap());
        let api = Api::new(&config);
        for host in ["https://api.twilio.com", "https://api.dublin.ie1.twilio.com"] {
            assert!(require_own_file(&api, &format!("{host}{FILE_PATH}")).is_ok(), "{host}");
        }
        for host in [
            "http://api.twilio.com",
            "https://api.twilio.com:8443",
            "https://twilio.com",
            "https://media.twilio.com",
            "https://api.eviltwilio.com",
            "https://api.twilio.com.evil.example",
        ] {
            assert!(require_own_file(&api, &format!("{host}{FILE_PATH}")).is_err(), "{host}");
        }
    }
}

#[tokio::test]
async fn a_second_redirect_is_not_followed() {
    let (server, channel) = server_and_channel().await;
    let storage = MockServer::start().await;
    redirect_file_to(&server, &storage.uri()).await;
    answer_all_with(&storage, ResponseTemplate::new(302).insert_header("location", "/again")).await;
    let fault = channel.fetch_attachment(&attachment_at(format!("{}{FILE_PATH}", server.uri())), 5).await.unwrap_err();
    assert!(fault.why().contains("second redirect") && matches!(fault, Fault::Fail { .. }), "{fault:?}");
    assert_eq!(storage.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_file_above_the_limit_is_not_read_to_its_end() {
    let (server, channel) = server_and_channel().await;
    answer_all_with(&server, ResponseTemplate::new(200).set_body_bytes(vec![0; 2_000_001])).await;
    let fault =
        channel.fetch_attachment(&attachment_at(format!("{}{FILE_PATH}", server.uri())), 2_000_000).await.unwrap_err();
    assert_eq!(fault, Fault::fail(FaultOwner::Message, "the file is larger than 2 MB"));
    // The same holds for a compressed file without a length: its bytes are counted as they are decompressed.
    server.reset().await;
    let packed = {
        // A gzip of 3 MB of zeros, built from stored blocks instead of `head -c 3000000 /dev/zero | gzip -9`.
        let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
        for last in 0..50_u8 {
            bytes.push(u8::from(last == 49));
            bytes.extend(60_000_u16.to_le_bytes());
            bytes.extend((!60_000_u16).to_le_bytes());
            bytes.extend(vec![0; 60_000]);
        }
        bytes
    };
    let answer = ResponseTemplate::new(200).insert_header("content-encoding", "gzip").set_body_bytes(packed);
    answer_all_with(&server, answer).await;
    let fault =
        channel.fetch_attachment(&attachment_at(format!("{}{FILE_PATH}", server.uri())), 2_000_000).await.unwrap_err();
    assert_eq!(fault, Fault::fail(FaultOwner::Message, "the file is larger than 2 MB"));
}

#[tokio::test]
async fn the_other_token_is_tried_where_one_is_not_taken() {
    let (server, channel) = server_and_channel().await;
    // AC…:token-2
    let second = "Basic QUMwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDp0b2tlbi0y";
    let file = ResponseTemplate::new(200).set_body_bytes(b"bytes".to_vec());
    Mock::given(header("authorization", second)).respond_with(file).mount(&server).await;
    answer_all_with(&server, ResponseTemplate::new(401)).await;
    assert!(channel.fetch_attachment(&attachment_at(format!("{}{FILE_PATH}", server.uri())), 5).await.is_ok());
}

#[tokio::test]
async fn a_file_that_is_gone_is_given_up_and_one_that_cannot_be_had_now_is_not() {
    for (status, given_up) in [(404, true), (500, false), (429, false)] {
        let (server, channel) = server_and_channel().await;
        answer_all_with(&server, ResponseTemplate::new(status)).await;
        let fault =
            channel.fetch_attachment(&attachment_at(format!("{}{FILE_PATH}", server.uri())), 5).await.unwrap_err();
        assert_eq!(matches!(fault, Fault::Fail { .. }), given_up, "{status} {fault:?}");
    }
}

#[tokio::test]
async fn credentials_that_open_no_file_are_the_owners_to_mend_and_an_api_key_is_the_only_one() {
    for status in [401, 403] {
        let (server, channel) = server_and_channel().await;
        answer_all_with(&server, ResponseTemplate::new(status)).await;
        let fault =
            channel.fetch_attachment(&attachment_at(format!("{}{FILE_PATH}", server.uri())), 5).await.unwrap_err();
        assert!(matches!(fault, Fault::Fail { owner: FaultOwner::Operator, .. }), "{fault:?}");
        let keyed = TwilioConfig { api_key: Some(("SK1".into(), "secret".into())), ..config(&server.uri()) };
        server.reset().await;
        answer_all_with(&server, ResponseTemplate::new(status)).await;
        let fault = Twilio::new(keyed, [7; 32])
            .fetch_attachment(&attachment_at(format!("{}{FILE_PATH}", server.uri())), 5)
            .await
            .unwrap_err();
        assert!(matches!(fault, Fault::Fail { owner: FaultOwner::Operator, .. }), "{fault:?}");
        assert_eq!(server.received_requests().await.unwrap().len(), 1, "no token is tried");
    }
}

#[tokio::test]
async fn a_file_or_a_message_that_was_deleted_at_twilio_is_reported_as_gone() {
    let (server, channel) = server_and_channel().await;
    answer_all_with(&server, ResponseTemplate::new(404)).await;
    let listed = attachments_of_listed(&channel.api, &ProviderId("MM1".into()), 1).remove(0);
    for file in [attachment_at(format!("{}{FILE_PATH}", server.uri())), listed] {
        let fault = channel.fetch_attachment(&file, 5).await.unwrap_err();
        let gone = "the file is gone at Twilio: it was deleted there (HTTP 404)";
        assert_eq!(fault, Fault::fail(FaultOwner::Message, gone));
    }
}

/// Starts a server that answers each call with only the beginning of a file.
async fn start_stalling_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                asked.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfour").await.unwrap();
            open.push(stream);
        }
    });
    format!("http://{address}")
}

#[tokio::test]
async fn a_file_that_stops_coming_is_not_waited_for() {
    let slow = start_stalling_server().await;
    let (server, mut channel) = server_and_channel().await;
    channel.api.file_timeout = Duration::from_millis(200);
    redirect_file_to(&server, &slow).await;
    // Less than the client's default timeout between two reads.
    let soon = Duration::from_secs(10);
    let file = attachment_at(format!("{}{FILE_PATH}", server.uri()));
    let fault =
        tokio::time::timeout(soon, channel.fetch_attachment(&file, 9)).await.expect("it has its time").unwrap_err();
    assert!(matches!(&fault, Fault::Retry { why, .. } if why.contains("was cut short")), "{fault:?}");
    let mut channel = Twilio::new(config(&slow), [7; 32]);
    channel.api.file_timeout = Duration::from_millis(200);
    let file = attachment_at(format!("{slow}{FILE_PATH}"));
    let fault =
        tokio::time::timeout(soon, channel.fetch_attachment(&file, 9)).await.expect("it has its time").unwrap_err();
    assert!(matches!(&fault, Fault::Retry { why, .. } if why.contains("was cut short")), "{fault:?}");
    assert_eq!(Twilio::new(config(&slow), [7; 32]).api.file_timeout, Duration::from_secs(60));
}

#[tokio::test]
async fn a_file_of_a_listed_message_is_found_by_its_number() {
    let (server, channel) = server_and_channel().await;
    let folder = "/2010-04-01/Accounts/AC00000000000000000000000000000000/Messages/MM1";
    let list = serde_json::json!({"media_list": [
        {"sid": "ME0", "uri": format!("{folder}/Media/ME0.json"), "content_type": "image/jpeg"},
        {"sid": "ME1", "uri": format!("{folder}/Media/ME1.json"), "content_type": "image/jpeg"},
    ]});
    let answer = ResponseTemplate::new(200).set_body_json(list);
    Mock::given(path(format!("{folder}/Media.json"))).respond_with(answer).mount(&server).await;
    let file = ResponseTemplate::new(200).set_body_bytes(b"second".to_vec());
    Mock::given(path(format!("{folder}/Media/ME1"))).respond_with(file).mount(&server).await;
    let all = attachments_of_listed(&channel.api, &ProviderId("MM1".into()), 3);
    assert_eq!(channel.fetch_attachment(&all[1], 9).await.unwrap(), Bytes::from_static(b"second"));
    let fault = channel.fetch_attachment(&all[2], 9).await.unwrap_err();
    assert!(matches!(fault, Fault::Fail { owner: FaultOwner::Message, .. }), "{fault:?}");
}
