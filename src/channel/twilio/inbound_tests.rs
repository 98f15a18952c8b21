use serde_json::json;
use url::Url;

use super::*;
use crate::model::{Attachment, DeliveryStatus, PartRef, StatusUpdate};

const ACCOUNT: &str = "AC00000000000000000000000000000000";
const SID: &str = "SM00000000000000000000000000000001";
const NOW: Time = Time(1_767_225_600_123);

fn parse_event(path: &str, body: impl AsRef<[u8]>) -> Result<Event, WebhookError> {
    let delivery = WebhookRequest {
        path_and_query: path.to_owned(),
        headers: vec![("content-type".to_owned(), "application/x-www-form-urlencoded; charset=UTF-8".to_owned())],
        body: body.as_ref().to_vec().into(),
    };
    let callbacks = StatusCallbacks::new(Some(&Url::parse("https://bot.example.com").unwrap()), &[7; 32]);
    parse_events(ACCOUNT, &callbacks, &delivery, NOW).map(|mut events| {
        assert_eq!(events.len(), 1);
        events.remove(0)
    })
}

fn encode_form(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// Returns a text message with these fields changed. An empty value empties a field.
fn message_body(changes: &[(&str, &str)]) -> String {
    let mut fields = vec![
        ("SmsMessageSid", SID),
        ("SmsSid", SID),
        ("MessageSid", SID),
        ("AccountSid", ACCOUNT),
        ("ApiVersion", "2010-04-01"),
        ("From", "whatsapp:+15005550006"),
        ("To", "whatsapp:+14155238886"),
        ("Body", "Hello"),
        ("SmsStatus", "received"),
        ("NumMedia", "0"),
        ("ProfileName", "Ana"),
        ("WaId", "15005550006"),
        ("MediaContentType0", ""),
    ];
    for (name, value) in changes {
        match fields.iter_mut().find(|(key, _)| key == name) {
            Some(field) => field.1 = value,
            None => fields.push((name, value)),
        }
    }
    encode_form(&fields)
}

fn parse_inbound(body: &str) -> Inbound {
    match parse_event("/webhooks/twilio", body) {
        Ok(Event::Message(inbound)) => *inbound,
        other => panic!("{other:?}"),
    }
}

fn parse_status(path: &str, fields: &[(&str, &str)]) -> StatusUpdate {
    match parse_event(path, encode_form(fields)) {
        Ok(Event::Status(update)) => update,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn assert_malformed(body: impl AsRef<[u8]>, why: &str) {
    assert_eq!(parse_event("/webhooks/twilio", body), Err(WebhookError::Malformed(why.to_owned())));
}

#[test]
fn a_message_is_read_with_all_that_came_along() {
    let changes = [("Forwarded", "true"), ("OriginalRepliedMessageSid", "SM2"), ("NewIn2027", "ñ"), ("Empty", "")];
    let read = parse_inbound(&message_body(&changes));
    let metadata = json!({
        "SmsStatus": "received", "NumMedia": "0", "ProfileName": "Ana", "WaId": "15005550006",
        "Forwarded": "true", "OriginalRepliedMessageSid": "SM2", "NewIn2027": "ñ",
    });
    let expected = Inbound {
        channel: "twilio",
        provider_id: crate::model::ProviderId(SID.to_owned()),
        from: Address::parse("+15005550006").unwrap().into(),
        reply_to: "whatsapp:+15005550006".to_owned(),
        to: "whatsapp:+14155238886".to_owned(),
        profile_name: Some("Ana".to_owned()),
        text: "Hello\n[in reply to an earlier message]".to_owned(),
        attachments: vec![],
        quoted_id: Some(crate::model::ProviderId("SM2".to_owned())),
        keyword_text: "Hello".to_owned(),
        metadata: metadata.as_object().unwrap().clone(),
        received_at: NOW,
    };
    assert_eq!(read, expected);
}

#[test]
fn a_person_without_a_number_can_write() {
    let read = parse_inbound(&message_body(&[
        ("From", "whatsapp:US.13491208655302741918"),
        ("WaId", ""),
        ("ProfileName", ""),
    ]));
    assert_eq!(read.from, Address::parse("US.13491208655302741918").unwrap().into());
    assert_eq!(read.reply_to, "whatsapp:US.13491208655302741918");
    assert_eq!(read.profile_name, None);
}

/// Returns the phone number and user ID of a message, and the address for the reply.
fn parsed_addresses(changes: &[(&str, &str)]) -> (Option<String>, Option<String>, String) {
    let read = parse_inbound(&message_body(changes));
    let phone = read.from.phone().map(|phone| phone.as_str().to_owned());
    (phone, read.from.bsuid().map(|bsuid| bsuid.as_str().to_owned()), read.reply_to)
}

fn expected_addresses(phone: &str, bsuid: &str, reply_to: &str) -> (Option<String>, Option<String>, String) {
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    (some(phone), some(bsuid), reply_to.to_owned())
}

#[test]
fn a_person_is_known_by_number_and_user_id_whichever_comes_first() {
    const ID: &str = "whatsapp:US.13491208655302741918";
    let (phone, bsuid) = ("+15005550006", "US.13491208655302741918");
    let to_phone = format!("whatsapp:{phone}");
    assert_eq!(parsed_addresses(&[("ExternalUserId", ID)]), expected_addresses(phone, bsuid, &to_phone));
    assert_eq!(
        parsed_addresses(&[("ExternalUserId", bsuid)]),
        expected_addresses(phone, bsuid, &to_phone),
        "without its prefix"
    );
    assert_eq!(
        parsed_addresses(&[("From", ID)]),
        expected_addresses(phone, bsuid, &to_phone),
        "the phone number is current, and the reply goes to it"
    );
    assert_eq!(parsed_addresses(&[("From", ID), ("WaId", "")]), expected_addresses("", bsuid, ID));
    assert_eq!(parsed_addresses(&[("From", ID), ("WaId", "ana")]), expected_addresses("", bsuid, ID));
    let parent = [("ParentExternalUserId", "whatsapp:US.ENT.118")];
    assert_eq!(parsed_addresses(&parent), expected_addresses(phone, "", &to_phone));
    assert_eq!(parse_inbound(&message_body(&parent)).metadata["ParentExternalUserId"], "whatsapp:US.ENT.118");
    // In Brazil and Mexico, WaId differs from the sender's number.
    assert_eq!(parsed_addresses(&[("WaId", "551187654321")]), expected_addresses(phone, "", &to_phone));
}

#[test]
fn a_user_id_of_odd_shape_is_left_out_and_the_message_is_not_lost() {
    for odd in ["whatsapp:", "whatsapp:us.1", "US.12-3", "whatsapp:+15005550007", &format!("US.{}", "1".repeat(129))] {
        assert_eq!(
            parsed_addresses(&[("ExternalUserId", odd)]),
            expected_addresses("+15005550006", "", "whatsapp:+15005550006"),
            "{odd}"
        );
        assert_eq!(parse_inbound(&message_body(&[("ExternalUserId", odd)])).metadata["ExternalUserId"], odd);
    }
}

#[test]
fn a_repeated_field_keeps_all_its_values() {
    let read = parse_inbound(&format!("{}&Tag=a&Tag=b&Tag=c", message_body(&[])));
    assert_eq!(read.metadata["Tag"], json!(["a", "b", "c"]));
}

#[test]
fn a_request_that_is_not_a_message_is_refused_with_a_reason() {
    assert_malformed(message_body(&[("MessageSid", "")]), "MessageSid is missing");
    assert_malformed(message_body(&[("MessageSid", "SM 1")]), "MessageSid is not an id");
    assert_malformed(message_body(&[("MessageSid", &"S".repeat(65))]), "MessageSid is not an id");
    assert_malformed(message_body(&[("From", "")]), "From is missing");
    for from in ["whatsapp:", "whatsapp:bob", "15005550006", "whatsapp:+1", "messenger:123"] {
        assert_malformed(message_body(&[("From", from)]), "From is neither a phone number nor a user ID");
    }
    assert_malformed(message_body(&[("To", "")]), "To is missing");
    assert_malformed(
        message_body(&[("AccountSid", "AC11111111111111111111111111111111")]),
        "AccountSid is not our account: check TWILIO_ACCOUNT_SID",
    );
    assert_malformed("", "MessageSid is missing");
}

#[test]
fn text_that_is_not_utf8_is_refused_by_the_name_of_its_field() {
    let base = message_body(&[]);
    assert_malformed(format!("{base}&Label=%ff"), "the field Label is not UTF-8");
    assert_malformed(format!("{base}&Label=a%00b"), "the field Label contains a NUL");
    assert_malformed(format!("{base}&La%00=b"), "the field La\\0 contains a NUL");
    assert_malformed(format!("{base}&La%ff=b"), "the field La\u{fffd} is not UTF-8");
    // The two halves of a character that is split between a name and its value are not valid.
    assert_malformed(format!("{base}&A%c3=%a9"), "the field A\u{fffd} is not UTF-8");
}

#[test]
fn two_hundred_fields_are_taken_and_no_more() {
    let base = message_body(&[]); // 13 fields
    let more = |count: usize| format!("{base}{}", "&x=1".repeat(count));
    assert!(parse_event("/webhooks/twilio", more(187)).is_ok());
    assert_malformed(more(188), "the request has 201 fields, more than the limit of 200");
}

#[test]
fn only_forms_are_read() {
    let callbacks = StatusCallbacks::new(None, &[7; 32]);
    let mut delivery = WebhookRequest {
        path_and_query: "/webhooks/twilio".to_owned(),
        headers: vec![],
        body: message_body(&[]).into(),
    };
    for headers in [vec![], vec![("content-type".to_owned(), "application/json".to_owned())]] {
        delivery.headers = headers;
        assert!(matches!(parse_events(ACCOUNT, &callbacks, &delivery, NOW), Err(WebhookError::Malformed(_))));
    }
}

#[test]
fn a_message_without_a_body_is_a_message_wherever_it_arrives() {
    let url = "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages/MM1/Media/ME1";
    let bodiless =
        message_body(&[("Body", ""), ("NumMedia", "1"), ("MediaContentType0", "image/jpeg"), ("MediaUrl0", url)]);
    let read_so = parse_inbound(&bodiless);
    let attachment = Attachment { url: url.into(), media_type: "image/jpeg".into(), placeholder: "[image]".into() };
    assert_eq!((read_so.text.as_str(), read_so.attachments), ("[image]", vec![attachment]));
    let sticker = parse_inbound(&format!("{bodiless}&MessageType=sticker"));
    assert_eq!((sticker.text.as_str(), sticker.attachments), ("[sticker]", vec![]), "a sticker has no attachment");
    assert!(matches!(parse_event("/webhooks/twilio/status", &bodiless), Ok(Event::Message(_))), "wrong URL");
    let old = message_body(&[("SmsStatus", "")]);
    assert!(matches!(parse_event("/webhooks/twilio", old), Ok(Event::Message(_))), "no MessageStatus");
}

#[test]
fn a_status_tells_which_part_it_is_about() {
    let fields = [
        ("MessageSid", SID),
        ("MessageStatus", "delivered"),
        ("SmsStatus", "delivered"),
        ("AccountSid", ACCOUNT),
        ("From", "whatsapp:+14155238886"),
        ("To", "whatsapp:+15005550006"),
        ("EventType", "DELIVERED"),
        ("Body", "a body proves nothing"),
    ];
    // HMAC-SHA256 of "part:12.1" under 32 bytes 07, computed with Python's hmac module; the first half.
    let path = "/webhooks/twilio/status?p=12.1&m=1815c5bb9a08832c13d90a4fb301a562";
    let expected = StatusUpdate {
        channel: "twilio",
        provider_id: crate::model::ProviderId(SID.to_owned()),
        from: "whatsapp:+14155238886".to_owned(),
        status: Some(DeliveryStatus::Delivered),
        reference: PartRef::parse("12.1"),
        error_code: None,
        error_message: None,
    };
    assert_eq!(parse_status(path, &fields), expected);
    assert_eq!(parse_status(&path.replace("12.1", "12.2"), &fields).reference, None, "a code for another part");
    assert_eq!(parse_status("/webhooks/twilio/status", &fields).reference, None);
    assert_eq!(parse_status("/webhooks/twilio", &fields).status, Some(DeliveryStatus::Delivered), "at the message URL");
}

#[test]
fn a_failure_keeps_its_code_and_words() {
    let fields = [("MessageSid", SID), ("MessageStatus", "undelivered"), ("ErrorCode", "63016")];
    let mut failed = fields.to_vec();
    failed.push(("ChannelStatusMessage", "outside the window"));
    let update = parse_status("/webhooks/twilio/status", &failed);
    assert_eq!(update.status, Some(DeliveryStatus::Failed));
    assert_eq!((update.error_code, update.error_message.as_deref()), (Some(63016), Some("outside the window")));
    failed.push(("ErrorMessage", "Twilio's words"));
    assert_eq!(parse_status("/webhooks/twilio/status", &failed).error_message.as_deref(), Some("Twilio's words"));
    let odd = [("MessageSid", SID), ("MessageStatus", "vanished"), ("ErrorCode", "0")];
    let update = parse_status("/webhooks/twilio/status", &odd);
    assert_eq!((update.status, update.error_code), (None, None));
}
