//! Checks `X-Twilio-Signature`, which proves that Twilio sent a request (Twilio, "Webhooks security"; twilio-python
//! `request_validator`).
//!
//! The signature covers the URL that Twilio is configured to call. It is therefore checked over the configured public
//! URL and never over `Host` or `X-Forwarded-*`, which a proxy of ours may set.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use url::{Position, Url};

use super::form::Form;
use crate::model::{WebhookError, WebhookRequest};

type HmacSha1 = Hmac<Sha1>;

/// The header with the signature.
pub(super) const HEADER: &str = "x-twilio-signature";

const NO_URL: &str = "no public URL is set, so mynah cannot check signatures: set MYNAH_PUBLIC_URL";
const NO_TOKEN: &str = "no auth token is set, so mynah cannot check signatures: set TWILIO_AUTH_TOKEN";
const NO_HEADER: &str = "the request has no X-Twilio-Signature";
const MALFORMED_SIGNATURE: &str = "the X-Twilio-Signature is not a valid signature";
const WRONG_HASH: &str = "the body does not match its bodySHA256";
const WRONG_SIGNATURE: &str = "the X-Twilio-Signature does not match: check that TWILIO_AUTH_TOKEN belongs to the \
                     account that owns the sender, and that MYNAH_PUBLIC_URL is exactly the URL that Twilio calls";

/// Checks signatures. It prepares its keys once and never prints them.
pub(super) struct Verifier {
    /// The public URL up to and including its path, without and with a port.
    base_urls: Option<[String; 2]>,
    keys: Vec<HmacSha1>,
}

impl Verifier {
    /// Creates a verifier. Without a URL or a token it refuses every request.
    pub(super) fn new(public_url: Option<&Url>, tokens: &[SecretString]) -> Verifier {
        let tokens = tokens.iter().map(ExposeSecret::expose_secret);
        Verifier {
            base_urls: public_url.and_then(base_urls_without_and_with_port),
            // An empty key would let anyone sign.
            keys: tokens.filter(|token| !token.trim().is_empty()).map(hmac_key).collect(),
        }
    }

    /// Checks that one of our tokens signed this request.
    pub(super) fn verify(&self, delivery: &WebhookRequest) -> Result<(), WebhookError> {
        let bases = self.base_urls.as_ref().ok_or_else(|| forged(NO_URL))?;
        if self.keys.is_empty() {
            return Err(forged(NO_TOKEN));
        }
        let header = delivery.header(HEADER).ok_or_else(|| forged(NO_HEADER))?;
        let mut buffer = [0; 24];
        let given = match STANDARD.decode_slice(header.trim(), &mut buffer) {
            Ok(20) => &buffer[..20],
            _ => return Err(forged(MALFORMED_SIGNATURE)),
        };

        let path = delivery.path_and_query.as_str();
        let form;
        let mut pairs = Vec::new();
        match body_hash_in_query(path).filter(|_| !is_form(delivery)) {
            // The hash in the signed URL covers a body that is not a form.
            Some(hash) => check_hash(hash, &delivery.body)?,
            None => {
                form = Form::decode(&delivery.body);
                pairs.reserve_exact(form.len());
                pairs.extend(form.pairs());
                sort_and_dedup(&mut pairs);
            }
        }

        for base in bases {
            for key in &self.keys {
                let expected = mac(key, [base, path], &pairs).finalize().into_bytes();
                if bool::from(expected.ct_eq(given)) {
                    return Ok(());
                }
            }
        }
        Err(forged(WRONG_SIGNATURE))
    }
}

/// Signs a request as Twilio does, for the simulator and for tests. `url` is the one configured at Twilio, `params` are
/// decoded, and `token` is the account's auth token.
pub fn sign(url: &str, params: &[(String, String)], token: &str) -> String {
    let mut pairs: Vec<_> = params.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    sort_and_dedup(&mut pairs);
    STANDARD.encode(mac(&hmac_key(token), [url, ""], &pairs).finalize().into_bytes())
}

/// Returns whether the body is declared as form-urlencoded.
pub(super) fn is_form(delivery: &WebhookRequest) -> bool {
    delivery.header("content-type").is_some_and(|kind| {
        kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
    })
}

fn hmac_key(token: &str) -> HmacSha1 {
    HmacSha1::new_from_slice(token.as_bytes()).expect("HMAC accepts a key of any length")
}

/// Sorts by name, and within a name by value, and removes duplicates, as twilio-python and twilio-node do.
fn sort_and_dedup(pairs: &mut Vec<(&[u8], &[u8])>) {
    pairs.sort_unstable();
    pairs.dedup();
}

fn mac(key: &HmacSha1, url: [&str; 2], pairs: &[(&[u8], &[u8])]) -> HmacSha1 {
    let mut code = key.clone();
    code.update(url[0].as_bytes());
    code.update(url[1].as_bytes());
    for (name, value) in pairs {
        code.update(name);
        code.update(value);
    }
    code
}

/// Returns the URL without and with its port. Twilio's back end is not consistent about the port, so its libraries
/// accept both forms.
fn base_urls_without_and_with_port(url: &Url) -> Option<[String; 2]> {
    let port = url.port_or_known_default()?;
    let origin = &url[..Position::AfterHost];
    let path = url.path().trim_end_matches('/');
    Some([format!("{origin}{path}"), format!("{origin}:{port}{path}")])
}

fn body_hash_in_query(path_and_query: &str) -> Option<&str> {
    let (_, query) = path_and_query.split_once('?')?;
    query.split('&').find_map(|pair| pair.strip_prefix("bodySHA256="))
}

fn check_hash(given: &str, body: &[u8]) -> Result<(), WebhookError> {
    let mut hash = [0; 32];
    hex::decode_to_slice(given, &mut hash).map_err(|_| forged(WRONG_HASH))?;
    if bool::from(Sha256::digest(body).ct_eq(&hash)) { Ok(()) } else { Err(forged(WRONG_HASH)) }
}

fn forged(why: &str) -> WebhookError {
    WebhookError::Forged(why.to_owned())
}

#[cfg(test)]
#[path = "signature_tests.rs"]
mod tests;
