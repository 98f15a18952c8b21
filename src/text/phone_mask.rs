//! Masks phone numbers in text that may come from anywhere, such as an address that a library logs.

use std::borrow::Cow;

/// The fewest digits of a phone number with its country code.
const MIN_DIGITS: usize = 7;

/// How a plus sign is written: plainly, or in a URL.
const PLUS_SIGNS: [&str; 3] = ["+", "%2B", "%2b"];

/// Masks what looks like a phone number in E.164 form, as [`Phone`](crate::model::Phone) prints itself: `+1…67`. A
/// number needs its plus sign, because digits alone may be anything.
pub fn mask_phones(text: &str) -> Cow<'_, str> {
    let (mut masked, mut rest) = (String::new(), text);
    while let Some((digits_at, digits)) = find_phone(rest) {
        masked.push_str(&rest[..=digits_at]);
        masked.push('…');
        rest = &rest[digits_at + digits - 2..];
    }
    if masked.is_empty() {
        return Cow::Borrowed(text);
    }
    masked.push_str(rest);
    Cow::Owned(masked)
}

/// Returns where the digits of the first phone number begin, and how many there are.
fn find_phone(text: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    // Both ways to write a plus sign begin with a character that lines seldom contain.
    while let Some(at) = text[from..].find(['+', '%']).map(|at| from + at) {
        from = at + 1;
        let Some(sign) = PLUS_SIGNS.iter().find(|sign| text[at..].starts_with(**sign)) else { continue };
        let digits_at = at + sign.len();
        let digits = text[digits_at..].bytes().take_while(u8::is_ascii_digit).count();
        if digits >= MIN_DIGITS {
            return Some((digits_at, digits));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phone_numbers_are_masked_wherever_they_stand() {
        for (text, masked) in [
            ("to +12025550101.", "to +1…01."),
            ("whatsapp:+12025550101", "whatsapp:+1…01"),
            (
                "/Messages.json?To=whatsapp%3A%2B12025550101&From=whatsapp%3a%2b14155238886",
                "/Messages.json?To=whatsapp%3A%2B1…01&From=whatsapp%3a%2b1…86",
            ),
            ("+12025550101+12025550102", "+1…01+1…02"),
            ("+1234567", "+1…67"),
            ("é+12025550101é", "é+1…01é"),
        ] {
            assert_eq!(mask_phones(text), masked, "{text}");
        }
    }

    #[test]
    fn other_text_stays_as_it_is() {
        for text in [
            "",
            "+",
            "%",
            "12025550101",
            "1.5e+10",
            "2026-11-01T10:00:00+00:00",
            "+1…01",
            "+123456",
            "100 %2B",
            "019a3f00-1234-7abc-8def-0123456789ab",
        ] {
            assert!(matches!(mask_phones(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }
}
