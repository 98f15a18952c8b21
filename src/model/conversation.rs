//! Conversations: the messages between one contact and one of our numbers.

use std::fmt;

use uuid::Uuid;

/// The id of a conversation: a UUIDv7, so that ids sort by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConversationId(pub Uuid);

impl fmt::Display for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a person types to name a conversation: its id, or at least four characters of its beginning or its end. Ids
/// that were created within an hour begin alike, so people copy the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShortId {
    /// The typed characters in lower case, without hyphens.
    digits: String,
}

/// The number of digits in an id.
const DIGITS: usize = 32;

/// The fewest digits that are accepted, as in git.
const MIN_DIGITS: usize = 4;

impl ShortId {
    /// Reads hexadecimal digits, with or without hyphens. Returns `None` for anything else, and for too few or too many
    /// digits.
    pub fn parse(text: &str) -> Option<ShortId> {
        let digits = text.trim().replace('-', "").to_ascii_lowercase();
        let fits = (MIN_DIGITS..=DIGITS).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        fits.then_some(ShortId { digits })
    }

    /// Returns the id if all of it was typed.
    pub fn full_id(&self) -> Option<ConversationId> {
        Uuid::try_parse(&self.digits).ok().map(ConversationId)
    }

    /// Returns the lowest and the highest id that begin like this.
    pub fn prefix_range(&self) -> (ConversationId, ConversationId) {
        let filled = |with: &str| {
            let text = format!("{}{}", self.digits, with.repeat(DIGITS - self.digits.len()));
            ConversationId(Uuid::try_parse(&text).expect("32 hexadecimal digits are a UUID"))
        };
        (filled("0"), filled("f"))
    }

    /// Returns whether that id ends like this.
    pub fn is_suffix_of(&self, id: ConversationId) -> bool {
        id.0.simple().encode_lower(&mut Uuid::encode_buffer()).ends_with(&self.digits)
    }
}

impl fmt::Display for ShortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.digits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "019a3f00-1234-7abc-8def-0123456789ab";

    fn id() -> ConversationId {
        ConversationId(ID.parse().unwrap())
    }

    #[test]
    fn an_id_is_written_in_whole_or_by_four_characters_of_either_end() {
        assert_eq!(ShortId::parse(ID).unwrap().full_id(), Some(id()));
        assert_eq!(ShortId::parse(&ID.to_uppercase().replace('-', "")).unwrap().full_id(), Some(id()));
        for wrong in ["", "89a", "xyz1", "+12025550123", "019a3f00-1234-7abc-8def-0123456789ab0", "{019a}"] {
            assert_eq!(ShortId::parse(wrong), None, "{wrong}");
        }
        for (text, begins, ends) in [
            ("019a", true, false),
            ("019A3f00-1234-7", true, false),
            ("89ab", false, true),
            ("8def-0123456789AB", false, true),
            ("1234", false, false),
        ] {
            let short = ShortId::parse(text).unwrap();
            let (low, high) = short.prefix_range();
            assert_eq!(
                (low <= id() && id() <= high, short.is_suffix_of(id()), short.full_id()),
                (begins, ends, None),
                "{text}"
            );
        }
    }
}
