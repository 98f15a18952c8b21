//! Phone numbers in E.164 form.

use std::fmt;

/// A phone number in E.164 form: a plus sign and 7 to 15 digits, the first not zero. Prints masked.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Phone(String);

/// Why a text is not a phone number.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a phone number in E.164 form: expected + and 7 to 15 digits, such as +15551234567")]
pub struct PhoneError;

impl Phone {
    /// Reads `+15551234567`. Nothing is guessed: spaces, brackets and a missing plus sign are errors.
    pub fn parse(text: &str) -> Result<Phone, PhoneError> {
        let digits = text.strip_prefix('+').ok_or(PhoneError)?;
        let plain = (7..=15).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0');
        if plain { Ok(Phone(text.to_owned())) } else { Err(PhoneError) }
    }

    /// Returns the whole number, for the store and the provider; not for logs.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Prints `+1…67`: enough to tell two numbers apart in a log, not enough to call one.
impl fmt::Display for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…{}", &self.0[..2], &self.0[self.0.len() - 2..])
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Phone({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_e164_is_a_phone() {
        assert!(Phone::parse("+15551234567").is_ok());
        for bad in ["", "+", "15551234567", "+0555123456", "+1 555 123", "+1234567890123456", "+12345a7", "+١٢٣٤٥٦٧٨"]
        {
            assert_eq!(Phone::parse(bad), Err(PhoneError), "{bad}");
        }
    }

    #[test]
    fn a_phone_prints_masked() {
        let phone = Phone::parse("+15551234567").unwrap();
        assert_eq!(format!("{phone} {phone:?}"), "+1…67 Phone(+1…67)");
    }
}
