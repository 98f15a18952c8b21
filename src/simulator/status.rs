//! What became of a message, in Twilio's words.

/// A message's status, in the order in which it moves (Twilio, "Messages resource", status values).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// From a contact: taken by the stand-in.
    Received,
    /// Taken for a Messaging Service; the sender is not chosen yet.
    Accepted,
    /// Waits to be sent.
    Queued,
    /// Handed to WhatsApp. On a contact's bubble: the webhook is being called.
    Sent,
    /// On the handset. On a contact's bubble: the webhook was taken.
    Delivered,
    /// Seen. On a contact's bubble: the other side has shown that it writes.
    Read,
    /// Refused after all. On a contact's bubble: the webhook was not taken.
    Undelivered,
}

impl Status {
    /// Twilio's name of it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Status::Received => "received",
            Status::Accepted => "accepted",
            Status::Queued => "queued",
            Status::Sent => "sent",
            Status::Delivered => "delivered",
            Status::Read => "read",
            Status::Undelivered => "undelivered",
        }
    }
}
