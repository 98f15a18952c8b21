//! The metrics: who may read them.

use secrecy::{ExposeSecret, SecretString};

use crate::config::schema::parse;
use crate::config::schema::parse::Parsed;
use crate::config::schema::problem::Rejected;
use crate::config::sources::reader::SettingsReader;

/// Anybody who reaches mynah can try tokens, so a short one is refused.
const MIN_TOKEN_LENGTH: usize = 16;

/// Who may read the metrics.
#[derive(Clone, Debug, Default)]
pub struct MetricsConfig {
    /// The bearer token that a request must carry; `None` serves metrics to this machine and trusted networks only.
    pub token: Option<SecretString>,
}

pub(in crate::config) fn read(reader: &mut SettingsReader) -> MetricsConfig {
    MetricsConfig { token: reader.read("MYNAH_METRICS_TOKEN", parse_token).valid() }
}

fn parse_token(text: &str) -> Parsed<SecretString> {
    let token = parse::secret(text)?;
    if token.expose_secret().len() < MIN_TOKEN_LENGTH { Err(Rejected::default()) } else { Ok(token) }
}
