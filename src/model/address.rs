//! The addresses of a contact: a phone number or a business-scoped user ID.

use std::fmt;

use super::{NumberingError, Phone};

/// A business-scoped user ID, which WhatsApp sends instead of the phone number of a person who hides it: two capitals,
/// an optional `.ENT`, a dot, and up to 128 letters and digits (Meta, business-scoped user IDs). Prints masked.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bsuid(String);

/// One address of a contact.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// A phone number.
    Phone(Phone),
    /// A business-scoped user ID.
    Bsuid(Bsuid),
}

/// Why a text is not an address.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("neither a phone number (+15551234567) nor a business-scoped user ID (US.13491208655302741918)")]
pub struct AddressError;

/// Why a text that a person typed is not an address.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum AddressInputError {
    /// It is neither a phone number nor a user ID.
    #[error(transparent)]
    NotAnAddress(#[from] AddressError),
    /// It is not a valid phone number.
    #[error(transparent)]
    Phone(#[from] NumberingError),
}

impl Bsuid {
    /// Reads `US.13491208655302741918` or `US.ENT.11815799212886844830`.
    pub fn parse(text: &str) -> Result<Bsuid, AddressError> {
        let (country, rest) = text.split_once('.').ok_or(AddressError)?;
        let rest = rest.strip_prefix("ENT.").unwrap_or(rest);
        let plain = country.len() == 2
            && country.bytes().all(|byte| byte.is_ascii_uppercase())
            && (1..=128).contains(&rest.len())
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if plain { Ok(Bsuid(text.to_owned())) } else { Err(AddressError) }
    }

    /// Returns the whole ID, for the store and the provider; not for logs.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Bsuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…{}", &self.0[..2], &self.0[self.0.len() - 2..])
    }
}

impl fmt::Debug for Bsuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bsuid({self})")
    }
}

impl Address {
    /// Reads a phone number or a business-scoped user ID, without a channel's prefix.
    pub fn parse(text: &str) -> Result<Address, AddressError> {
        if text.starts_with('+') {
            Phone::parse(text).map(Address::Phone).map_err(|_| AddressError)
        } else {
            Bsuid::parse(text).map(Address::Bsuid)
        }
    }

    /// Reads an address as people write it; see [`Phone::parse_lenient`].
    pub fn parse_lenient(text: &str) -> Result<Address, AddressInputError> {
        if let Ok(bsuid) = Bsuid::parse(text) {
            return Ok(Address::Bsuid(bsuid));
        }
        match Phone::parse_lenient(text) {
            Ok(phone) => Ok(Address::Phone(phone)),
            Err(NumberingError::Malformed) => Err(AddressError.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the stored name of the kind: `phone` or `bsuid`.
    pub fn kind(&self) -> &'static str {
        match self {
            Address::Phone(_) => "phone",
            Address::Bsuid(_) => "bsuid",
        }
    }

    /// Returns the whole address, for the store and the provider; not for logs.
    pub fn as_str(&self) -> &str {
        match self {
            Address::Phone(phone) => phone.as_str(),
            Address::Bsuid(bsuid) => bsuid.as_str(),
        }
    }
}

/// Prints masked, as the phone number or the user ID does.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Phone(phone) => phone.fmt(f),
            Address::Bsuid(bsuid) => bsuid.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_is_a_phone_or_a_business_scoped_user_id() {
        for (text, kind) in
            [("+15551234567", "phone"), ("US.13491208655302741918", "bsuid"), ("US.ENT.11815799212886844830", "bsuid")]
        {
            let address = Address::parse(text).unwrap();
            assert_eq!((address.kind(), address.as_str()), (kind, text));
            assert!(!format!("{address} {address:?}").contains("34567"), "masked");
        }
        for bad in ["", "+1", "us.1", "USA.1", "US.", "US.ENT.", "US.12-3", "15551234567"] {
            assert_eq!(Address::parse(bad), Err(AddressError), "{bad}");
        }
    }
}
