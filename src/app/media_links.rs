//! The links under which the provider fetches what an operator sends. Each link names a part, expires, and carries a
//! MAC over both, so that nobody can guess another one.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use url::{Position, Url};

use crate::clock::Time;
use crate::model::PartRef;

type HmacSha256 = Hmac<Sha256>;

/// How long a link is valid. The provider fetches the file when it sends the message, which may be hours after it
/// accepted the message (Twilio, "WhatsApp": queued for up to four), and WhatsApp may fetch the file again.
const LINK_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// Half of the MAC is enough: 128 bits, and a shorter URL.
const MAC_BYTES: usize = 16;

/// Creates and verifies the links.
pub struct MediaLinks {
    /// The public URL without a trailing slash.
    base_url: Option<String>,
    key: HmacSha256,
}

impl MediaLinks {
    /// Derives a key from that of the installation, which has another purpose as well.
    pub(super) fn new(public_url: Option<&Url>, installation: &[u8; 32]) -> MediaLinks {
        let keyed = |key: &[u8]| HmacSha256::new_from_slice(key).expect("HMAC takes a key of any length");
        let derived = keyed(installation).chain_update(b"key of media links").finalize().into_bytes();
        let base_url = public_url.map(|url| url[..Position::AfterPath].trim_end_matches('/').to_owned());
        MediaLinks { base_url, key: keyed(&derived) }
    }

    /// Returns the URL of the part's file, valid from now on; `None` without a public URL.
    pub fn url(&self, part: PartRef, now: Time) -> Option<String> {
        let base = self.base_url.as_ref()?;
        let until = (now + LINK_LIFETIME).millis();
        let code = hex::encode(self.mac(&part.to_string(), &until.to_string()));
        Some(format!("{base}/media/{part}?e={until}&m={code}"))
    }

    /// Returns the part that a link names, if the MAC in its query is ours and the link has not expired.
    pub fn verified_part(&self, name: &str, query: &str, now: Time) -> Option<PartRef> {
        let field = |name| query.split('&').find_map(|pair| pair.strip_prefix(name));
        let (until, given) = (field("e=")?, field("m=")?);
        let mut code = [0; MAC_BYTES];
        hex::decode_to_slice(given, &mut code).ok()?;
        let ours = bool::from(self.mac(name, until).ct_eq(&code));
        let good = ours && until.parse().is_ok_and(|until| now < Time(until));
        good.then(|| PartRef::parse(name)).flatten()
    }

    fn mac(&self, name: &str, until: &str) -> [u8; MAC_BYTES] {
        // Neither a name nor a time contains a space.
        let whole = self.key.clone().chain_update(name).chain_update(b" ").chain_update(until).finalize().into_bytes();
        let mut half = [0; MAC_BYTES];
        half.copy_from_slice(&whole[..MAC_BYTES]);
        half
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TurnId;

    const NOW: Time = Time(1_800_000_000_000);
    const PART: PartRef = PartRef { turn: TurnId(12), number: 3 };

    fn links(url: &str, key: u8) -> MediaLinks {
        MediaLinks::new(Url::parse(url).ok().as_ref(), &[key; 32])
    }

    #[test]
    fn an_address_is_good_for_a_day_and_for_its_part_alone() {
        let links = links("https://bot.example.org/wa/", 7);
        let url = links.url(PART, NOW).unwrap();
        let query = url.strip_prefix("https://bot.example.org/wa/media/12.3?").unwrap();
        assert_eq!(links.verified_part("12.3", query, NOW), Some(PART));
        assert_eq!(links.verified_part("12.3", query, NOW + LINK_LIFETIME - Duration::from_millis(1)), Some(PART));
        assert_eq!(links.verified_part("12.3", query, NOW + LINK_LIFETIME), None, "the link has expired");
        assert_eq!(links.verified_part("12.2", query, NOW), None);
        let later =
            query.replace(&(NOW + LINK_LIFETIME).millis().to_string(), &(NOW + LINK_LIFETIME * 2).millis().to_string());
        assert!(later != query && links.verified_part("12.3", &later, NOW).is_none());
        let (time, code) = query.split_once("&m=").unwrap();
        for bad in ["", time, &format!("m={code}"), &format!("{time}&m="), &format!("{time}&m={}", "0".repeat(32))] {
            assert_eq!(links.verified_part("12.3", bad, NOW), None, "{bad}");
        }
    }

    #[test]
    fn another_key_or_no_address_makes_no_link() {
        let url = links("https://bot.example.org", 7).url(PART, NOW).unwrap();
        let query = url.split_once('?').unwrap().1;
        assert_eq!(links("https://bot.example.org", 8).verified_part("12.3", query, NOW), None);
        assert_eq!(links("", 7).url(PART, NOW), None);
    }
}
