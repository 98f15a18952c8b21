//! Passwords of the admin page, hashed with Argon2id.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use secrecy::{ExposeSecret, SecretString};

/// The shortest password, in characters.
const MIN_CHARS: usize = 10;

/// The longest password, in bytes. A longer one would only cost time.
const MAX_BYTES: usize = 1024;

/// Why a password was not hashed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// It is too short.
    #[error("the password has fewer than {MIN_CHARS} characters")]
    TooShort,
    /// It is too long.
    #[error("the password has more than {MAX_BYTES} bytes")]
    TooLong,
    /// It could not be hashed.
    #[error("the password cannot be hashed: {0}")]
    Hash(String),
}

/// Hashes a password with Argon2id and a salt of its own. Returns a PHC string. This takes some hundredths of a second
/// and 19 MiB of memory, by the parameters that OWASP recommends (Password Storage Cheat Sheet).
pub fn hash(password: &SecretString) -> Result<String, PasswordError> {
    let text = password.expose_secret();
    if text.chars().count() < MIN_CHARS {
        return Err(PasswordError::TooShort);
    }
    if text.len() > MAX_BYTES {
        return Err(PasswordError::TooLong);
    }
    let hashed = Argon2::default().hash_password(text.as_bytes());
    hashed.map(|hash| hash.to_string()).map_err(|error| PasswordError::Hash(error.to_string()))
}

/// Whether this is the password of the hash. `false` for a hash that cannot be read.
pub fn verify(password: &SecretString, hash: &str) -> bool {
    let text = password.expose_secret();
    text.len() <= MAX_BYTES
        && PasswordHash::new(hash).is_ok_and(|hash| Argon2::default().verify_password(text.as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_fits_its_hash_and_no_other_does() {
        let password = SecretString::from("correct horse battery");
        let hashed = hash(&password).unwrap();
        assert!(hashed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hashed}");
        assert!(verify(&password, &hashed) && !verify(&SecretString::from("correct horse batterz"), &hashed));
        assert_ne!(hash(&password).unwrap(), hashed, "each hash has a salt of its own");
        assert!(!verify(&password, "") && !verify(&password, "$argon2id$nonsense"));
    }

    #[test]
    fn a_password_that_is_too_short_or_too_long_is_refused() {
        assert_eq!(hash(&SecretString::from("äöüäöüäöü")), Err(PasswordError::TooShort));
        assert!(hash(&SecretString::from("äöüäöüäöüä")).is_ok());
        assert_eq!(hash(&SecretString::from("x".repeat(1025))), Err(PasswordError::TooLong));
    }
}
