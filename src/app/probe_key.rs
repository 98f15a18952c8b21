//! The key with which `mynah check` asks a running `serve` what arrives there, and recognizes its answer.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

type HmacSha256 = Hmac<Sha256>;

/// Authenticates probes and their answers. Every process on one data folder has the same key. Has no `Debug`.
pub struct ProbeKey {
    key: HmacSha256,
    installation: String,
}

impl ProbeKey {
    /// Derives a key from that of the installation, which has other purposes as well.
    pub(super) fn new(installation: &[u8; 32]) -> ProbeKey {
        let keyed = |key: &[u8]| HmacSha256::new_from_slice(key).expect("HMAC takes a key of any length");
        let derived = keyed(installation).chain_update(b"key of probes").finalize().into_bytes();
        let key = keyed(&derived);
        let id = key.clone().chain_update(b"installation").finalize().into_bytes();
        ProbeKey { key, installation: hex::encode(&id[..6]) }
    }

    /// Returns the id of the installation, 12 hexadecimal digits. It tells two installations apart and says nothing
    /// about the key.
    pub fn installation(&self) -> &str {
        &self.installation
    }

    /// Returns the MAC over the text, in hexadecimal digits. `purpose` keeps MACs apart that serve different purposes.
    pub fn mac(&self, purpose: &str, text: &str) -> String {
        hex::encode(self.whole(purpose, text).finalize().into_bytes())
    }

    /// Returns whether this is the MAC over the text, in constant time.
    pub fn verify(&self, purpose: &str, text: &str, mac: &str) -> bool {
        hex::decode(mac).is_ok_and(|mac| self.whole(purpose, text).verify_slice(&mac).is_ok())
    }

    fn whole(&self, purpose: &str, text: &str) -> HmacSha256 {
        // A purpose contains no colon.
        self.key.clone().chain_update(purpose).chain_update(b":").chain_update(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_holds_for_one_text_one_purpose_and_one_installation() {
        let (ours, theirs) = (ProbeKey::new(&[7; 32]), ProbeKey::new(&[8; 32]));
        let mac = ours.mac("answer", "a text");
        assert!(ours.verify("answer", "a text", &mac));
        assert!(!ours.verify("answer", "a tex", &mac) && !ours.verify("request", "a text", &mac));
        assert!(!theirs.verify("answer", "a text", &mac) && !ours.verify("answer", "a text", &mac[..32]));
        assert!(!ours.verify("answer", "a text", "") && !ours.verify("answer", "a text", "no digits"));
        assert_ne!(ours.installation(), theirs.installation());
        assert_eq!(ours.installation().len(), 12);
    }
}
