//! The status of a message, as Twilio names it.

/// A message's status, in the order in which it moves (Twilio, "Messages resource", status values).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// From a contact: received by the simulator.
    Received,
    /// Accepted for a Messaging Service; the sender is not chosen yet.
    Accepted,
    /// Waiting to be sent.
    Queued,
    /// Handed to WhatsApp. On a contact's bubble: the simulator is calling the webhook.
    Sent,
    /// On the phone. On a contact's bubble: the webhook accepted the message.
    Delivered,
    /// Read. On a contact's bubble: the business has shown a typing indicator.
    Read,
    /// Refused after it was accepted. On a contact's bubble: the webhook did not accept the message.
    Undelivered,
}

impl Status {
    /// Returns Twilio's name of the status.
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
