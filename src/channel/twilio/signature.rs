//! `X-Twilio-Signature`: whether Twilio sent this (Twilio, "Webhooks security"; twilio-python `request_validator`).
//!
//! The signature covers the URL that Twilio was told to call, so it is checked over the configured public URL and
//! never over `Host` or `X-Forwarded-*`, which behind a proxy are ours and not theirs.

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

const NO_URL: &str = "no public URL is set, so no signature can be checked: set MYNAH_PUBLIC_URL";
const NO_TOKEN: &str = "no auth token is set, so no signature can be checked: set TWILIO_AUTH_TOKEN";
const NO_HEADER: &str = "the request bears no X-Twilio-Signature";
const MALFORMED_SIGNATURE: &str = "the X-Twilio-Signature is not a signature";
const WRONG_HASH: &str = "the body does not fit its bodySHA256";
const WRONG_SIGNATURE: &str = "the X-Twilio-Signature does not fit: check that TWILIO_AUTH_TOKEN belongs to the account that owns \
                     the sender, and that MYNAH_PUBLIC_URL is the address that Twilio calls, letter for letter";

/// Checks signatures. Its keys are prepared once; it prints nothing of them.
pub(super) struct Verifier {
    /// The public URL up to its path, without and with a port.
    base_urls: Option<[String; 2]>,
    keys: Vec<HmacSha1>,
}

impl Verifier {
    /// A verifier that refuses everything where there is no URL or no token.
    pub(super) fn new(public_url: Option<&Url>, tokens: &[SecretString]) -> Verifier {
        let tokens = tokens.iter().map(ExposeSecret::expose_secret);
        Verifier {
            base_urls: public_url.and_then(base_urls_without_and_with_port),
            // An empty key would let anyone sign.
            keys: tokens.filter(|token| !token.trim().is_empty()).map(hmac_key).collect(),
        }
    }

    /// Whether one of our tokens signed this delivery.
    pub(super) fn verify(&self, delivery: &WebhookRequest) -> Result<(), WebhookError> {
        let bases = self.base_urls.as_ref().ok_or_else(|| forged(NO_URL))?;
        if self.keys.is_empty() {
            return Err(forged(NO_TOKEN));
        }
        let header = delivery.header("x-twilio-signature").ok_or_else(|| forged(NO_HEADER))?;
        let mut buffer = [0; 24];
        let given = match STANDARD.decode_slice(header.trim(), &mut buffer) {
            Ok(20) => &buffer[..20],
            _ => return Err(forged(MALFORMED_SIGNATURE)),
        };

        let path = delivery.path_and_query.as_str();
        let form;
        let mut pairs = Vec::new();
        match body_hash_in_query(path).filter(|_| !is_form(delivery)) {
            // A body that is no form is covered by its hash in the signed URL.
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

/// Signs a request as Twilio does: `url` as configured there, `params` decoded, the account's auth token. For the
/// simulator and for tests.
pub fn sign(url: &str, params: &[(String, String)], token: &str) -> String {
    let mut pairs: Vec<_> = params.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    sort_and_dedup(&mut pairs);
    STANDARD.encode(mac(&hmac_key(token), [url, ""], &pairs).finalize().into_bytes())
}

/// Whether the body is declared to be form-urlencoded.
pub(super) fn is_form(delivery: &WebhookRequest) -> bool {
    delivery.header("content-type").is_some_and(|kind| {
        kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
    })
}

fn hmac_key(token: &str) -> HmacSha1 {
    HmacSha1::new_from_slice(token.as_bytes()).expect("HMAC takes a key of any length")
}

/// Sorted by name, each name with the sorted set of its values, as twilio-python and twilio-node do.
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

/// Twilio's own back end does not always treat a port alike, so its libraries accept the URL without and with one.
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
