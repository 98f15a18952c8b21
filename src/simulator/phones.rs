//! The contacts' phones: bubbles, ticks, typing indicators.

use std::collections::{HashMap, VecDeque};

use super::Status;
use crate::clock::Time;

/// Bubbles kept per phone.
const MAX_BUBBLES_PER_PHONE: usize = 500;
/// Phones kept. The one that was quiet longest is removed first.
const MAX_PHONES: usize = 1_000;

/// One message on a phone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bubble {
    /// The message's SID, `SM` and 32 hexadecimal digits.
    pub sid: String,
    /// Whether the phone's user wrote it; otherwise the business did.
    pub from_contact: bool,
    /// The text, with WhatsApp's markup as it was sent.
    pub text: String,
    /// When it was written.
    pub at: Time,
    /// Its status.
    pub status: Status,
    /// Why it was not delivered, for the phone's user.
    pub problem: Option<String>,
    /// The last change to it.
    pub(super) last_change: u64,
}

/// Something that changed on a phone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PhoneChange {
    /// A new bubble.
    Bubble {
        /// Whose phone, as `+15551234567`.
        phone: String,
        /// The bubble.
        bubble: Bubble,
    },
    /// A bubble's status moved.
    Status {
        /// Whose phone.
        phone: String,
        /// Which message.
        sid: String,
        /// Its status now.
        status: Status,
    },
    /// The business started or stopped typing.
    Typing {
        /// Whose phone.
        phone: String,
        /// When the typing indicator disappears by itself; `None` if it has disappeared.
        until: Option<Time>,
    },
}

impl PhoneChange {
    /// Returns whose phone it is, as `+15551234567`.
    pub fn phone(&self) -> &str {
        match self {
            PhoneChange::Bubble { phone, .. }
            | PhoneChange::Status { phone, .. }
            | PhoneChange::Typing { phone, .. } => phone,
        }
    }
}

/// The changes to a phone since a certain change.
pub(super) struct PhoneUpdate {
    /// Bubbles that are new or changed, oldest first.
    pub(super) bubbles: Vec<Bubble>,
    /// When the typing indicator disappears.
    pub(super) typing_until: Option<Time>,
    /// The last change on any phone.
    pub(super) latest: u64,
}

#[derive(Default)]
struct Phone {
    bubbles: VecDeque<Bubble>,
    typing_until: Option<Time>,
    last_change: u64,
}

/// All phones.
#[derive(Default)]
pub(super) struct Phones {
    phones: HashMap<String, Phone>,
    change_count: u64,
}

impl Phones {
    fn record_change(&mut self, number: &str) -> (&mut Phone, u64) {
        self.change_count += 1;
        let change = self.change_count;
        if !self.phones.contains_key(number) {
            if self.phones.len() >= MAX_PHONES
                && let Some(quietest) =
                    self.phones.iter().min_by_key(|(_, phone)| phone.last_change).map(|(key, _)| key.clone())
            {
                self.phones.remove(&quietest);
            }
            self.phones.insert(number.to_owned(), Phone::default());
        }
        let phone = self.phones.get_mut(number).expect("the phone was inserted above");
        phone.last_change = change;
        (phone, change)
    }

    /// Adds a bubble. A bubble from the business ends the typing indicator, which is the second change.
    pub(super) fn add_bubble(&mut self, number: &str, mut bubble: Bubble) -> (PhoneChange, Option<PhoneChange>) {
        let (phone, change) = self.record_change(number);
        bubble.last_change = change;
        if phone.bubbles.len() == MAX_BUBBLES_PER_PHONE {
            phone.bubbles.pop_front();
        }
        phone.bubbles.push_back(bubble.clone());
        let stopped = if bubble.from_contact { None } else { phone.typing_until.take() };
        let stopped = stopped.map(|_| PhoneChange::Typing { phone: number.to_owned(), until: None });
        (PhoneChange::Bubble { phone: number.to_owned(), bubble }, stopped)
    }

    /// Sets a bubble's status.
    pub(super) fn set_status(
        &mut self,
        number: &str,
        sid: &str,
        status: Status,
        problem: Option<String>,
    ) -> Option<PhoneChange> {
        self.status(number, sid)?;
        let (phone, change) = self.record_change(number);
        let bubble = phone.bubbles.iter_mut().rfind(|bubble| bubble.sid == sid)?;
        bubble.status = status;
        bubble.problem = problem;
        bubble.last_change = change;
        Some(PhoneChange::Status { phone: number.to_owned(), sid: sid.to_owned(), status })
    }

    /// Returns a bubble's status.
    pub(super) fn status(&self, number: &str, sid: &str) -> Option<Status> {
        self.phones.get(number)?.bubbles.iter().rfind(|bubble| bubble.sid == sid).map(|bubble| bubble.status)
    }

    /// Shows the typing indicator and marks that message, and the delivered ones before it, as read.
    pub(super) fn show_typing(&mut self, number: &str, sid: &str, until: Time) -> Vec<PhoneChange> {
        let (phone, change) = self.record_change(number);
        phone.typing_until = Some(until);
        let mut changes = vec![PhoneChange::Typing { phone: number.to_owned(), until: Some(until) }];
        let Some(last) = phone.bubbles.iter().rposition(|bubble| bubble.sid == sid) else { return changes };
        for (index, bubble) in phone.bubbles.iter_mut().enumerate().take(last + 1) {
            let unread = bubble.status == Status::Delivered || (index == last && bubble.status != Status::Read);
            if bubble.from_contact && unread {
                bubble.status = Status::Read;
                bubble.problem = None;
                bubble.last_change = change;
                let sid = bubble.sid.clone();
                changes.push(PhoneChange::Status { phone: number.to_owned(), sid, status: Status::Read });
            }
        }
        changes
    }

    /// Returns the phone's bubbles, oldest first.
    pub(super) fn conversation(&self, number: &str) -> Vec<Bubble> {
        self.phones.get(number).map(|phone| phone.bubbles.iter().cloned().collect()).unwrap_or_default()
    }

    /// Returns the changes since the change `after`.
    pub(super) fn update_since(&self, number: &str, after: u64) -> PhoneUpdate {
        let phone = self.phones.get(number);
        PhoneUpdate {
            bubbles: phone
                .map(|phone| phone.bubbles.iter().filter(|bubble| bubble.last_change > after).cloned().collect())
                .unwrap_or_default(),
            typing_until: phone.and_then(|phone| phone.typing_until),
            latest: self.change_count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bubble(sid: &str, from_contact: bool, status: Status) -> Bubble {
        let (sid, text) = (sid.to_owned(), "hi".to_owned());
        Bubble { sid, from_contact, text, at: Time(0), status, problem: None, last_change: 0 }
    }

    #[test]
    fn a_phone_keeps_its_last_500_bubbles() {
        let mut phones = Phones::default();
        for n in 0..503 {
            phones.add_bubble("+15550000001", bubble(&n.to_string(), true, Status::Sent));
        }
        let kept = phones.conversation("+15550000001");
        assert_eq!((kept.len(), kept[0].sid.as_str(), kept[499].sid.as_str()), (500, "3", "502"));
    }

    #[test]
    fn the_phone_that_was_quiet_longest_is_forgotten_first() {
        let mut phones = Phones::default();
        for n in 0..1_000 {
            phones.add_bubble(&format!("+1555{n}"), bubble("a", true, Status::Sent));
        }
        phones.add_bubble("+15550", bubble("b", true, Status::Sent));
        phones.add_bubble("+1999", bubble("a", true, Status::Sent));
        assert_eq!(phones.conversation("+15550").len(), 2);
        assert!(phones.conversation("+15551").is_empty());
        assert_eq!(phones.conversation("+1999").len(), 1);
    }

    #[test]
    fn typing_marks_what_was_taken_as_read_and_leaves_what_was_not() {
        let mut phones = Phones::default();
        for (sid, status) in [("a", Status::Delivered), ("b", Status::Undelivered), ("c", Status::Sent)] {
            phones.add_bubble("+1", bubble(sid, true, status));
        }
        phones.show_typing("+1", "c", Time(25_000));
        let statuses: Vec<_> = phones.conversation("+1").into_iter().map(|bubble| bubble.status).collect();
        assert_eq!(statuses, [Status::Read, Status::Undelivered, Status::Read]);
    }

    #[test]
    fn a_viewer_gets_only_what_it_has_not_seen() {
        let mut phones = Phones::default();
        phones.add_bubble("+1", bubble("a", true, Status::Sent));
        phones.add_bubble("+1", bubble("b", true, Status::Sent));
        let seen = phones.update_since("+1", 0);
        assert_eq!((seen.bubbles.len(), seen.latest), (2, 2));
        phones.set_status("+1", "a", Status::Delivered, None);
        let news = phones.update_since("+1", seen.latest);
        assert_eq!(news.bubbles.iter().map(|bubble| bubble.sid.as_str()).collect::<Vec<_>>(), ["a"]);
    }
}
