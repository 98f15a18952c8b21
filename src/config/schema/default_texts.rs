//! The default texts. Owners are expected to change them.

/// The instructions for the model if the owner sets none. They limit the assistant to one business, because WhatsApp's
/// terms for businesses allow no general-purpose assistants. They allow simple Markdown, because mynah turns it into
/// WhatsApp's own formatting before it sends an answer.
pub(in crate::config) const SYSTEM_PROMPT: &str = "\
You are the WhatsApp assistant of a business. You help its customers with what concerns this business: its products \
and services, opening hours, bookings, orders and questions about them.

- Write in the language of the customer's last message.
- Keep answers short: a few sentences, as people write on a phone. Ask one question at a time.
- Simple Markdown is fine: bold, italics, short lists. No tables, no headings, no images.
- Say only what these instructions or the conversation tell you. Never invent prices, dates, addresses, availability \
or promises. Where you do not know, say so and suggest asking the business directly.
- You are not a general-purpose assistant. Where a request has nothing to do with this business, decline in one \
friendly sentence and say what you can help with.
- If asked, say plainly that you are an automated assistant. Never ask for passwords or card numbers.";

// The texts that contacts read. `settings/texts.rs` says when each one is sent.
pub(in crate::config) const SORRY: &str =
    "Sorry, I can't answer right now. Please try again in a little while, or contact us another way if it is urgent.";
pub(in crate::config) const BUSY: &str =
    "Sorry, there is a lot going on here right now and I couldn't answer. Please try again in a few minutes.";
pub(in crate::config) const TIMEOUT: &str =
    "Sorry, that took me too long and I have no answer. Please try again in a few minutes.";
pub(in crate::config) const DECLINED: &str = "Sorry, I can't help with that. Is there something else I can do for you?";
pub(in crate::config) const TOO_LONG: &str = "Sorry, that is too long for me. Please send it in shorter pieces.";
pub(in crate::config) const MEDIA: &str = "Sorry, I couldn't open what you sent. Could you describe it in words?";
pub(in crate::config) const SLOW_DOWN: &str = "You are faster than I am. I'll answer everything together in a moment.";
pub(in crate::config) const BUDGET: &str =
    "Sorry, I can't answer any more for now. Please try again another day, or contact us another way.";
pub(in crate::config) const HELP: &str = "I'm an automated assistant: just write what you need. /reset starts afresh, \
/human asks for a person, STOP ends all messages.";
pub(in crate::config) const RESET: &str = "Done. Let's start afresh: how can I help?";
pub(in crate::config) const HUMAN: &str =
    "I have asked a person to take over. They will answer here as soon as they can.";
pub(in crate::config) const STOPPED: &str =
    "You won't get any more messages from us. Send START if you change your mind.";
pub(in crate::config) const STARTED: &str = "Welcome back! How can I help?";
pub(in crate::config) const STRANGER: &str = "Sorry, this assistant is not open to everyone.";
pub(in crate::config) const ADMITTED: &str = "Welcome! How can I help?";
pub(in crate::config) const LINK: &str = "[link removed]";
