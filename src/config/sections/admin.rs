//! The admin page.

use secrecy::SecretString;

use crate::config::schema::parse;
use crate::config::schema::parse::Parsed;
use crate::config::schema::problem::Rejected;
use crate::config::sources::reader::SettingsReader;

/// As short as `mynah admin set-password` takes it, in characters.
const MIN_PASSWORD_CHARS: usize = 10;

const MAX_PASSWORD_BYTES: usize = 1024;

/// The admin page.
#[derive(Clone, Debug)]
pub struct AdminConfig {
    /// Whether there is one.
    pub enabled: bool,
    /// The password of the first account, set at the first start.
    pub first_password: Option<SecretString>,
}

pub(in crate::config) fn read(reader: &mut SettingsReader) -> AdminConfig {
    let simulation = reader.layers.is_simulation();
    let enabled =
        reader.read_or_default("MYNAH_ADMIN", |text| parse::choice(text, &[("true", true), ("false", false)]));
    let first_password = reader.read("MYNAH_ADMIN_PASSWORD", parse_password).valid();
    AdminConfig { enabled: enabled && !simulation, first_password }
}

fn parse_password(text: &str) -> Parsed<SecretString> {
    let is_long = text.chars().count() >= MIN_PASSWORD_CHARS && text.len() <= MAX_PASSWORD_BYTES;
    if is_long { Ok(SecretString::from(text)) } else { Err(Rejected::default()) }
}
