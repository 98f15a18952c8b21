//! What arrived at `serve`, as it tells `check`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::app::ProbeKey;

const PURPOSE: &str = "report";

/// What arrived of a probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::diagnosis) struct ProbeReport {
    /// The id of the process that answers.
    pub(in crate::diagnosis) process: u32,
    /// Whether `check` answers itself, because no `serve` runs.
    pub(in crate::diagnosis) stand_in: bool,
    /// The HTTP method.
    pub(in crate::diagnosis) method: String,
    /// The HTTP version, such as `HTTP/1.0`.
    pub(in crate::diagnosis) version: String,
    /// Path and query, exactly as they arrived.
    pub(in crate::diagnosis) target: String,
    /// The body in Base64, exactly as it arrived.
    pub(super) body: String,
    /// The header `Content-Type`.
    pub(in crate::diagnosis) content_type: Option<String>,
    /// The header `Transfer-Encoding`.
    pub(in crate::diagnosis) transfer_encoding: Option<String>,
    /// The headers `X-Forwarded-For`, in the order of their arrival.
    pub(in crate::diagnosis) forwarded_for: Vec<String>,
    /// Why the provider's signature does not hold; `None` if it does.
    pub(in crate::diagnosis) signature_error: Option<String>,
    /// The public address over which the process checks signatures.
    pub(in crate::diagnosis) public_url: Option<String>,
}

/// A report on the wire.
#[derive(Serialize, Deserialize)]
struct Sealed {
    report: String,
    mac: String,
}

impl ProbeReport {
    /// Sets the body.
    #[must_use]
    pub(super) fn with_body(self, body: &[u8]) -> ProbeReport {
        ProbeReport { body: STANDARD.encode(body), ..self }
    }

    /// Returns the body that arrived.
    pub(in crate::diagnosis) fn body(&self) -> Vec<u8> {
        STANDARD.decode(&self.body).unwrap_or_default()
    }

    /// Returns the report with a MAC over it and the probe's nonce, as JSON.
    pub(super) fn seal(&self, key: &ProbeKey, nonce: &str) -> String {
        let report = serde_json::to_string(self).expect("a report is plain data");
        let mac = key.mac(PURPOSE, &format!("{nonce} {report}"));
        serde_json::to_string(&Sealed { report, mac }).expect("two strings are plain data")
    }

    /// Reads a report on the probe with that nonce. `None` if this is not one, or another process wrote it.
    pub(super) fn open(body: &[u8], key: &ProbeKey, nonce: &str) -> Option<ProbeReport> {
        let Sealed { report, mac } = serde_json::from_slice(body).ok()?;
        let ours = key.verify(PURPOSE, &format!("{nonce} {report}"), &mac);
        serde_json::from_str(&report).ok().filter(|_| ours)
    }

    /// Returns an empty report of this process.
    pub(super) fn of_this_process(stand_in: bool) -> ProbeReport {
        ProbeReport {
            process: std::process::id(),
            stand_in,
            method: String::new(),
            version: String::new(),
            target: String::new(),
            body: String::new(),
            content_type: None,
            transfer_encoding: None,
            forwarded_for: Vec::new(),
            signature_error: None,
            public_url: None,
        }
    }
}
