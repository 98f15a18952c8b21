//! The ids of approved message templates.

use std::fmt;

/// Twilio's id for a template that WhatsApp has approved: `HX` and 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentSid([u8; 34]);

impl ContentSid {
    /// Reads `HX…`.
    pub fn parse(text: &str) -> Option<ContentSid> {
        let right = text.strip_prefix("HX").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
        text.as_bytes().try_into().ok().filter(|_| right).map(ContentSid)
    }

    /// Returns the id as Twilio writes it.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("it was read from ASCII")
    }
}

impl fmt::Debug for ContentSid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_named_by_hx_and_32_digits() {
        let sid = "HX0123456789abcdef0123456789ABCDEF";
        assert_eq!(ContentSid::parse(sid).unwrap().as_str(), sid);
        for bad in [
            "",
            "HX",
            "HX0123456789abcdef0123456789ABCDE",
            "MG0123456789abcdef0123456789ABCDEF",
            "HX0123456789abcdef0123456789ABCDEG",
        ] {
            assert_eq!(ContentSid::parse(bad), None, "{bad}");
        }
    }
}
