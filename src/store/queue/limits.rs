//! How late something is sent, and in how many parts.

use std::time::Duration;

/// Nothing is sent later than this after the contact's last message: WhatsApp refuses free text after 24 h.
pub const SEND_WITHIN: Duration = Duration::from_secs(23 * 3600);

/// Messages into which one text is cut, at the most: a model's answer, or what an operator wrote.
pub const MAX_PARTS_PER_TEXT: usize = 5;

/// Parts that one turn can have: a part's number has four bits of its id.
pub(in crate::store) const MAX_PARTS_PER_TURN: usize = 15;
