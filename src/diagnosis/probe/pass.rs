//! The header that proves that a request is a probe of this installation.

use std::time::Duration;

use crate::app::ProbeKey;
use crate::clock::Time;

/// The header of a probe. No proxy is known to drop it, except those that drop every header that they do not know.
pub(super) const HEADER: &str = "x-mynah-probe";

/// How long a pass is valid. A pass that somebody recorded on the way shows them, for this long, what their own requests
/// look like when they arrive.
const LIFETIME: Duration = Duration::from_secs(15 * 60);

const PURPOSE: &str = "pass";

/// A pass for one probe.
pub(super) struct Pass {
    /// Differs for each probe, so that an answer belongs to one of them.
    pub(super) nonce: String,
    /// The value of the header.
    pub(super) header: String,
}

impl Pass {
    /// Issues a pass that is valid from now on.
    pub(super) fn issue(key: &ProbeKey, now: Time) -> Pass {
        let nonce = uuid::Uuid::now_v7().simple().to_string();
        let text = format!("{nonce}.{}", (now + LIFETIME).millis());
        let header = format!("{text}.{}", key.mac(PURPOSE, &text));
        Pass { nonce, header }
    }

    /// Returns the nonce of a pass that this installation issued and that has not expired.
    pub(super) fn verified_nonce<'a>(header: &'a str, key: &ProbeKey, now: Time) -> Option<&'a str> {
        let (text, mac) = header.trim().rsplit_once('.')?;
        let (nonce, until) = text.split_once('.')?;
        let valid = key.verify(PURPOSE, text, mac) && until.parse().is_ok_and(|until| now < Time(until));
        valid.then_some(nonce)
    }
}
