//! How late mynah sends, and in how many parts.

use std::time::Duration;

/// mynah sends nothing later than this after the contact's last message, because WhatsApp refuses free text after 24 h.
pub const SEND_WITHIN: Duration = Duration::from_secs(23 * 3600);

/// The most messages that one text is split into, be it a model's answer or an operator's text.
pub const MAX_PARTS_PER_TEXT: usize = 5;

/// The most parts that one turn can have: a part's number takes four bits of its id.
pub(in crate::store) const MAX_PARTS_PER_TURN: usize = 15;
