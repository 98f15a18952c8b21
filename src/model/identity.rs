//! The identity of a sender: every address that a message carries.

use super::{Address, Bsuid, Phone};

/// The addresses of one person, as far as a message carries them: a business-scoped user ID, a phone number, or both.
/// Prints masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    first: Address,
    second: Option<Address>,
}

impl Identity {
    /// Returns the identity with another address. An address of a kind that is there already changes nothing.
    #[must_use]
    pub fn with_address(self, other: Option<Address>) -> Identity {
        let second = self.second.or(other.filter(|other| other.kind() != self.first.kind()));
        Identity { second, ..self }
    }

    /// Returns the business-scoped user ID, which stays the same while the person keeps their number.
    pub fn bsuid(&self) -> Option<&Bsuid> {
        self.addresses().find_map(|address| match address {
            Address::Bsuid(bsuid) => Some(bsuid),
            Address::Phone(_) => None,
        })
    }

    /// Returns the phone number.
    pub fn phone(&self) -> Option<&Phone> {
        self.addresses().find_map(|address| match address {
            Address::Phone(phone) => Some(phone),
            Address::Bsuid(_) => None,
        })
    }

    /// Returns the one or two addresses.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        std::iter::once(&self.first).chain(&self.second)
    }
}

impl From<Address> for Identity {
    fn from(address: Address) -> Identity {
        Identity { first: address, second: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_has_one_address_of_a_kind() {
        let of = |text| Address::parse(text).unwrap();
        let both = Identity::from(of("+12025550101"))
            .with_address(Some(of("US.1")))
            .with_address(Some(of("US.2")))
            .with_address(None);
        assert_eq!(both.phone().map(Phone::as_str), Some("+12025550101"));
        assert_eq!(both.bsuid().map(Bsuid::as_str), Some("US.1"));
        let one = Identity::from(of("+12025550101")).with_address(Some(of("+12025550102")));
        assert_eq!((one.addresses().count(), one.bsuid()), (1, None));
        assert!(!format!("{both:?}").contains("5550101"), "masked");
    }
}
