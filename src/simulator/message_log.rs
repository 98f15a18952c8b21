//! The account's messages, in the form of Twilio's Message resource.

use std::collections::{HashMap, VecDeque};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Status;
use crate::clock::Time;

/// Messages kept. The oldest is removed first.
const MAX_MESSAGES: usize = 10_000;

/// One message of the account.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) sid: String,
    pub(super) inbound: bool,
    /// The address with the channel's prefix, as `whatsapp:+15551234567`.
    pub(super) from: String,
    pub(super) to: String,
    pub(super) body: String,
    pub(super) num_media: usize,
    pub(super) service: Option<String>,
    pub(super) status: Status,
    pub(super) error: Option<u32>,
    pub(super) created: Time,
    pub(super) sent: Option<Time>,
    pub(super) updated: Time,
}

impl Message {
    /// Returns the Message resource of the REST API.
    pub(super) fn json(&self, account: &str) -> Value {
        let uri = format!("/2010-04-01/Accounts/{account}/Messages/{}", self.sid);
        // A service chooses the sender only after it has accepted the message.
        let unassigned = self.status == Status::Accepted;
        json!({
            "account_sid": account,
            "api_version": "2010-04-01",
            "body": self.body,
            "date_created": rfc_2822(self.created),
            "date_sent": self.sent.map(rfc_2822),
            "date_updated": rfc_2822(self.updated),
            "direction": if self.inbound { "inbound" } else { "outbound-api" },
            "error_code": self.error,
            "error_message": null,
            "from": if unassigned { None } else { Some(&self.from) },
            "messaging_service_sid": self.service,
            "num_media": self.num_media.to_string(),
            "num_segments": if unassigned { "0" } else { "1" },
            "price": null,
            "price_unit": null,
            "sid": self.sid,
            "status": self.status.as_str(),
            "subresource_uris": { "media": format!("{uri}/Media.json") },
            "to": self.to,
            "uri": format!("{uri}.json"),
        })
    }
}

/// Formats a time as `Thu, 24 Aug 2023 05:01:45 +0000`.
fn rfc_2822(time: Time) -> String {
    let time = Timestamp::from_millisecond(time.millis()).unwrap_or_default();
    time.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

/// Formats a time as the header `Date`: `Thu, 24 Aug 2023 05:01:45 GMT`.
pub(super) fn http_date(time: Time) -> String {
    rfc_2822(time).replace("+0000", "GMT")
}

/// The filters of a list. Times are in milliseconds. A message that was never sent does not match a filter by date.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) to: Option<String>,
    pub(super) from: Option<String>,
    /// Sent at this time or later.
    pub(super) not_before: Option<i64>,
    /// Sent before this time.
    pub(super) before: Option<i64>,
}

impl Filter {
    fn matches(&self, message: &Message) -> bool {
        let sent = message.sent.map(Time::millis);
        self.to.as_ref().is_none_or(|to| *to == message.to)
            && self.from.as_ref().is_none_or(|from| *from == message.from)
            && self.not_before.is_none_or(|start| sent.is_some_and(|sent| sent >= start))
            && self.before.is_none_or(|end| sent.is_some_and(|sent| sent < end))
    }
}

/// The account's messages, in order of creation.
#[derive(Default)]
pub(super) struct MessageLog {
    messages: VecDeque<Message>,
    /// The position of each message, counted from the first message ever.
    positions: HashMap<String, u64>,
    dropped: u64,
}

impl MessageLog {
    /// Adds a message. If the log is full, the oldest message is removed.
    pub(super) fn add(&mut self, message: Message) {
        if self.messages.len() == MAX_MESSAGES
            && let Some(oldest) = self.messages.pop_front()
        {
            self.positions.remove(&oldest.sid);
            self.dropped += 1;
        }
        self.positions.insert(message.sid.clone(), self.dropped + self.messages.len() as u64);
        self.messages.push_back(message);
    }

    fn position(&self, sid: &str) -> Option<usize> {
        usize::try_from(self.positions.get(sid)? - self.dropped).ok()
    }

    /// Returns the message with that SID.
    pub(super) fn get(&self, sid: &str) -> Option<&Message> {
        self.messages.get(self.position(sid)?)
    }

    /// Returns the message with that SID for changes.
    pub(super) fn get_mut(&mut self, sid: &str) -> Option<&mut Message> {
        let place = self.position(sid)?;
        self.messages.get_mut(place)
    }

    /// Returns up to `size` messages, newest first, older than the one with the SID `after`, and whether more follow.
    pub(super) fn page(&self, filter: &Filter, after: Option<&str>, size: usize) -> (Vec<&Message>, bool) {
        let end = match after {
            Some(sid) => self.position(sid).unwrap_or(0),
            None => self.messages.len(),
        };
        let mut found = self.messages.range(..end).rev().filter(|message| filter.matches(message));
        let page: Vec<_> = found.by_ref().take(size).collect();
        let more = found.next().is_some();
        (page, more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(n: usize) -> Message {
        Message {
            sid: format!("SM{n}"),
            inbound: true,
            from: "whatsapp:+15551234567".into(),
            to: "whatsapp:+14155238886".into(),
            body: "hi".into(),
            num_media: 0,
            service: None,
            status: Status::Received,
            error: None,
            created: Time(0),
            sent: Some(Time(0)),
            updated: Time(0),
        }
    }

    #[test]
    fn the_oldest_message_gives_way_and_the_rest_are_still_found() {
        let mut ledger = MessageLog::default();
        for n in 0..10_002 {
            ledger.add(message(n));
        }
        assert!(ledger.get("SM1").is_none());
        assert_eq!(ledger.get("SM2").map(|message| message.sid.as_str()), Some("SM2"));
        assert_eq!(ledger.get("SM10001").map(|message| message.sid.as_str()), Some("SM10001"));
        let (page, more) = ledger.page(&Filter::default(), Some("SM4"), 2);
        assert_eq!(
            (page.iter().map(|message| message.sid.as_str()).collect::<Vec<_>>(), more),
            (vec!["SM3", "SM2"], false)
        );
    }

    #[test]
    fn dates_are_written_as_twilio_writes_them() {
        assert_eq!(rfc_2822(Time(1_692_853_305_999)), "Thu, 24 Aug 2023 05:01:45 +0000");
    }
}
