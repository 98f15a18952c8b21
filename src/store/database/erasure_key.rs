//! The key under which erased persons are recognized.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::model::Address;

/// The key of the hashes. Without it, a phone number could be found by trying all of them.
#[derive(Clone)]
pub struct ErasureKey(Hmac<Sha256>);

impl ErasureKey {
    /// Derives the key from a secret of the installation.
    pub fn derive(secret: &[u8; 32]) -> ErasureKey {
        let key = |bytes: &[u8]| Hmac::<Sha256>::new_from_slice(bytes).expect("HMAC accepts a key of any length");
        ErasureKey(key(&mac(&key(secret), &[b"erased persons"])))
    }

    pub(in crate::store) fn address_hash(&self, address: &Address) -> [u8; 32] {
        mac(&self.0, &[b"address", address.kind().as_bytes(), address.as_str().as_bytes()])
    }

    pub(in crate::store) fn message_hash(&self, channel: &str, id: &str) -> [u8; 32] {
        mac(&self.0, &[b"message", channel.as_bytes(), id.as_bytes()])
    }
}

/// Prints nothing of the key.
impl std::fmt::Debug for ErasureKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ErasureKey(…)")
    }
}

fn mac(key: &Hmac<Sha256>, fields: &[&[u8]]) -> [u8; 32] {
    let mut code = key.clone();
    for field in fields {
        code.update(field);
        // No field contains it.
        code.update(&[0]);
    }
    code.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_needs_the_key_and_tells_kinds_apart() {
        let (ours, theirs) = (ErasureKey::derive(&[7; 32]), ErasureKey::derive(&[8; 32]));
        let phone = Address::parse("+15551234567").unwrap();
        assert_eq!(ours.address_hash(&phone), ErasureKey::derive(&[7; 32]).address_hash(&phone));
        assert_ne!(ours.address_hash(&phone), theirs.address_hash(&phone));
        assert_ne!(ours.address_hash(&phone), ours.message_hash("phone", "+15551234567"));
        // printf '…' | openssl dgst -sha256 -mac HMAC -macopt hexkey:…, once for the key and once with it.
        assert_eq!(
            hex::encode(ours.address_hash(&phone)),
            "66eea6b42fad82f2ff75aff72f55ca473b2d3c5f093e57b7906015ed3b80e763"
        );
        assert_eq!(format!("{ours:?}"), "ErasureKey(…)");
    }
}
