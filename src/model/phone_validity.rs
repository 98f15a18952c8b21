//! The numbering plans of the world, from Google's libphonenumber: which phone numbers can exist, and how people write
//! them.
//!
//! On first use the plans take 4 MiB and 130 ms on a busy machine, and the patterns of each country up to 1 MB and 15
//! ms. They stay in memory. So numbers are checked only where a person reads or types them, not for each message.

use phonenumber::{Mode, PhoneNumber};

use super::Phone;

/// The characters that people put between digits.
const SEPARATORS: [char; 8] = [' ', '\u{a0}', '-', '.', '/', '(', ')', '\u{2011}'];

/// Why a text that a person typed is not a phone number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberingError {
    /// It does not start with a country code.
    #[error("the phone number has no country code: write it with + and the country code, such as +49 30 901820")]
    MissingCountry,
    /// It contains characters other than digits and separators.
    #[error("not a phone number: expected + and digits, optionally with spaces, dashes and brackets between them")]
    Malformed,
    /// No country assigns such a number.
    #[error("no country assigns such a phone number: check its digits")]
    NotAssigned,
}

impl Phone {
    /// Returns whether a numbering plan has a place for the number. Numbers that do not validate can still exist: test
    /// numbers, numbers from ranges assigned after the plans were written, and forms that only WhatsApp uses, such as
    /// +52 1 for Mexico. The first call is slow.
    pub fn is_valid(&self) -> bool {
        parse_with_plan(self.as_str()).is_some_and(|number| number.is_valid())
    }

    /// Reads a number as people write it: `+49 (0)151 1234-5678` is +4915112345678. A number in E.164 form is taken as
    /// it is, whether or not it validates.
    pub fn parse_lenient(text: &str) -> Result<Phone, NumberingError> {
        let text = text.trim();
        if let Ok(phone) = Phone::parse(text) {
            return Ok(phone);
        }
        let plain = |sign: char| sign.is_ascii_digit() || SEPARATORS.contains(&sign);
        let Some(behind) = text.strip_prefix('+') else {
            let national =
                text.starts_with(|sign: char| sign.is_ascii_digit() || sign == '(') && text.chars().all(plain);
            return Err(if national { NumberingError::MissingCountry } else { NumberingError::Malformed });
        };
        if !behind.starts_with(|sign: char| sign.is_ascii_digit()) || !behind.chars().all(plain) {
            return Err(NumberingError::Malformed);
        }
        let number = parse_with_plan(text).filter(PhoneNumber::is_valid).ok_or(NumberingError::NotAssigned)?;
        Phone::parse(&number.format().mode(Mode::E164).to_string()).map_err(|_| NumberingError::NotAssigned)
    }
}

fn parse_with_plan(text: &str) -> Option<PhoneNumber> {
    phonenumber::parse(None, text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_as_people_write_it() {
        for (written, expected) in [
            ("+49 (0)151 1234-5678", "+4915112345678"),
            (" +1 (202) 555-0101 ", "+12025550101"),
            ("+1.202.555.0101", "+12025550101"),
            ("+39 06 1234 5678", "+390612345678"),
            ("+44\u{a0}7911\u{a0}123456", "+447911123456"),
            ("+12025550101", "+12025550101"),
        ] {
            assert_eq!(Phone::parse_lenient(written).map(|phone| phone.as_str().to_owned()).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn a_number_without_its_country_is_not_guessed() {
        for national in ["0151 12345678", "(202) 555-0101", "2025550101", "0049 151 12345678"] {
            assert_eq!(Phone::parse_lenient(national), Err(NumberingError::MissingCountry), "{national}");
        }
    }

    #[test]
    fn text_that_is_not_clearly_a_phone_number_is_refused() {
        let shape = [
            "",
            "+",
            "bob",
            "+1-800-FLOWERS",
            "+1 202 555 0101 ext. 5",
            "+;phone-context=é",
            "tel:+12025550101",
            "+ 1 2",
        ];
        for text in shape {
            assert_eq!(Phone::parse_lenient(text), Err(NumberingError::Malformed), "{text}");
        }
        for text in ["+1 555 000 0001", "+999 123 456 789", "+49 1", "+1 (202) 555-010"] {
            assert_eq!(Phone::parse_lenient(text), Err(NumberingError::NotAssigned), "{text}");
        }
    }

    #[test]
    fn a_number_in_e164_form_stands_for_itself_and_may_not_validate() {
        for (number, valid) in
            [("+12025550101", true), ("+4915112345678", true), ("+15550000001", false), ("+5215512345678", false)]
        {
            let phone = Phone::parse_lenient(number).unwrap();
            assert_eq!((phone.as_str(), phone.is_valid()), (number, valid));
        }
    }
}
