//! What a person at the shell types to name somebody: a conversation's id, a phone number, a user ID or a name.

use std::fmt;

use super::{Address, AddressInputError, Phone, ShortId};

/// A text that names a contact. Which kind it is shows only when it is looked up: `cafe` may be the end of an id or a
/// name.
#[derive(Clone)]
pub struct PersonQuery {
    text: String,
    short_id: Option<ShortId>,
    addresses: Vec<Address>,
    address_error: Option<AddressInputError>,
}

/// Prints nothing of what was typed, which may be a phone number.
impl fmt::Debug for PersonQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonQuery(…)")
    }
}

impl PersonQuery {
    /// Reads what was typed. Returns `None` if it is blank.
    pub fn parse(text: &str) -> Option<PersonQuery> {
        let text = text.trim();
        let address = text.strip_prefix("whatsapp:").unwrap_or(text);
        let (mut addresses, mut address_error) = (Vec::new(), None);
        match Address::parse_lenient(address) {
            Ok(address) => addresses.push(address),
            Err(error @ AddressInputError::Phone(_)) => address_error = Some(error),
            // No name begins like that.
            Err(error) if address.starts_with('+') => address_error = Some(error),
            Err(AddressInputError::NotAnAddress(_)) => {}
        }
        // A number is only looked up here, so its digits may be compared whether or not a country assigns it.
        if let Some(phone) = phone_of_digits(address).map(Address::Phone).filter(|phone| !addresses.contains(phone)) {
            addresses.push(phone);
        }
        (!text.is_empty()).then(|| PersonQuery {
            text: text.to_owned(),
            short_id: ShortId::parse(text),
            addresses,
            address_error,
        })
    }

    /// Returns the text as it was typed, without blanks around it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the text as a conversation's id or a part of one, if it can be one.
    pub fn short_id(&self) -> Option<&ShortId> {
        self.short_id.as_ref()
    }

    /// Returns the addresses that the text can stand for.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// Returns why the text is not the phone number that it looks like.
    pub fn address_error(&self) -> Option<AddressInputError> {
        self.address_error
    }

    /// Returns how well a name fits: whole, by the beginning of one of its words, or not at all. Case does not count.
    pub fn matches_name(&self, name: &str) -> Option<NameMatch> {
        let (name, wanted) = (name.trim().to_lowercase(), self.text.to_lowercase());
        if name == wanted {
            return Some(NameMatch::Whole);
        }
        let starts_word = |at: usize| name[..at].chars().next_back().is_none_or(|before| !before.is_alphanumeric());
        name.match_indices(&wanted).any(|(at, _)| starts_word(at)).then_some(NameMatch::Part)
    }
}

/// How a name fits what was typed, the better first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NameMatch {
    /// It is the whole name.
    Whole,
    /// A word of the name begins with it.
    Part,
}

/// Reads `+1 (555) 123-4567`, `001 555 123 4567` and `15551234567` by their digits alone.
fn phone_of_digits(text: &str) -> Option<Phone> {
    let is_separator = |sign: char| matches!(sign, ' ' | '\u{a0}' | '-' | '.' | '/' | '(' | ')' | '\u{2011}');
    let behind = text.strip_prefix('+').or_else(|| text.strip_prefix("00")).unwrap_or(text);
    let digits: String = behind.chars().filter(|sign| !is_separator(*sign)).collect();
    Phone::parse(&format!("+{digits}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(text: &str) -> Vec<String> {
        PersonQuery::parse(text).unwrap().addresses().iter().map(|address| address.as_str().to_owned()).collect()
    }

    #[test]
    fn a_phone_number_is_found_in_any_of_its_spellings() {
        for text in [
            "+15551234567",
            "whatsapp:+15551234567",
            "+1 (555) 123-4567",
            "15551234567",
            "1 555 123 4567",
            "001 555 123-4567",
        ] {
            assert_eq!(addresses(text), ["+15551234567"], "{text}");
        }
        assert_eq!(addresses("US.13491208655302741918"), ["US.13491208655302741918"]);
        assert!(addresses("+49 (0)151 1234-5678").contains(&"+4915112345678".to_owned()));
        assert!(addresses("0151 12345678").is_empty() && addresses("Ana").is_empty());
        assert_eq!(
            PersonQuery::parse("0151 12345678").unwrap().address_error().unwrap().to_string(),
            "the phone number has no country code: write it with + and the country code, such as +49 30 901820"
        );
        assert!(PersonQuery::parse("+1-800-FLOWERS").unwrap().address_error().is_some());
        assert!(PersonQuery::parse(" ").is_none());
    }

    #[test]
    fn a_name_fits_as_a_whole_or_by_the_beginning_of_a_word() {
        let query = PersonQuery::parse(" ana ").unwrap();
        assert_eq!(query.matches_name("Ana"), Some(NameMatch::Whole));
        assert_eq!(query.matches_name("Ana María"), Some(NameMatch::Part));
        assert_eq!(query.matches_name("Doña Ana"), Some(NameMatch::Part));
        assert_eq!(query.matches_name("Diana"), None);
        assert!(NameMatch::Whole < NameMatch::Part);
    }
}
