//! Webhooks as Twilio sends them for a WhatsApp text, signed, ready to be written to a socket.

use mynah::channel::twilio::sign;

/// The address that the signatures are made over. Nobody ever connects to it.
pub const PUBLIC_URL: &str = "https://bench.example.org";
/// The path of a message's webhook.
pub const PATH: &str = "/webhooks/twilio";
/// The account.
pub const ACCOUNT: &str = "AC00000000000000000000000000000000";
/// The account's auth token.
pub const TOKEN: &str = "0123456789abcdef0123456789abcdef";
/// Our number.
pub const OUR_NUMBER: &str = "whatsapp:+14155238886";

/// The parameters of the webhook of message `number` from sender `sender` (Twilio, "Twilio's request to your incoming
/// message webhook URL"). No two say the same: who does so again and again is taken for a machine.
pub fn params(number: usize, sender: usize) -> Vec<(String, String)> {
    let (sid, phone) = (format!("SM{number:032x}"), phone(sender));
    let digits = &phone[1..];
    let metadata =
        format!(r#"{{"type":"whatsapp","data":{{"context":{{"ProfileName":"Maria Garcia","WaId":"{digits}"}}}}}}"#);
    [
        ("SmsMessageSid", sid.clone()),
        ("NumMedia", "0".into()),
        ("ProfileName", "Maria Garcia".into()),
        ("MessageType", "text".into()),
        ("SmsSid", sid.clone()),
        ("WaId", digits.into()),
        ("SmsStatus", "received".into()),
        (
            "Body",
            format!("Hello! Do you have a table on Friday evening, near the window if possible? Number {number}."),
        ),
        ("To", OUR_NUMBER.into()),
        ("NumSegments", "1".into()),
        ("ReferralNumMedia", "0".into()),
        ("MessageSid", sid),
        ("AccountSid", ACCOUNT.into()),
        ("ChannelMetadata", metadata),
        ("From", format!("whatsapp:{phone}")),
        ("ApiVersion", "2010-04-01".into()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// The number of a sender, made so that [`sender`] reads it back.
pub fn phone(sender: usize) -> String {
    format!("+1555{sender:07}")
}

/// The body of a webhook.
pub fn body(params: &[(String, String)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish()
}

/// The headers that Twilio sends, with the signature for a call of `path_and_query`.
pub fn headers(path_and_query: &str, params: &[(String, String)]) -> Vec<(String, String)> {
    [
        ("host", "bench.example.org".to_owned()),
        ("content-type", "application/x-www-form-urlencoded; charset=UTF-8".into()),
        ("user-agent", "TwilioProxy/1.1".into()),
        ("accept", "*/*".into()),
        ("i-twilio-idempotency-token", "2f1c3b58-5d8c-4d83-9a0b-6a3a41f7a0a1".into()),
        ("x-home-region", "us1".into()),
        ("x-twilio-signature", sign(&format!("{PUBLIC_URL}{path_and_query}"), params, TOKEN)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}
