//! Signed webhooks as Twilio sends them for a WhatsApp text, ready to be written to a socket.

use mynah::channel::twilio::sign;

/// The URL that the signatures cover. Nothing connects to it.
pub const PUBLIC_URL: &str = "https://bench.example.org";
/// The path of a message's webhook.
pub const PATH: &str = "/webhooks/twilio";
/// The account.
pub const ACCOUNT: &str = "AC00000000000000000000000000000000";
/// The account's auth token.
pub const TOKEN: &str = "0123456789abcdef0123456789abcdef";
/// Our number.
pub const OUR_NUMBER: &str = "whatsapp:+14155238886";

/// Returns the parameters of the webhook of message `number` from sender `sender` (Twilio, "Twilio's request to your
/// incoming message webhook URL"). Each message has its own text, because mynah takes a sender who repeats a text for a
/// bot.
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

/// Returns the phone number of a sender. The stand-ins read the sender's number back from it.
pub fn phone(sender: usize) -> String {
    format!("+1555{sender:07}")
}

/// Returns the body of a webhook.
pub fn body(params: &[(String, String)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish()
}

/// Returns the headers that Twilio sends, with the signature for a call of `path_and_query`.
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
