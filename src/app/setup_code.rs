//! The code that opens the first page of the admin page, on which the first password is set. Whoever can read the log or
//! the terminal of `serve` has it; nobody else can take a new installation over.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::clock::Time;

/// How long the code opens the page.
pub const SETUP_CODE_LIFETIME: Duration = Duration::from_secs(30 * 60);

/// No letter or digit that is taken for another.
const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789x";

/// The code, if there is one.
#[derive(Default)]
pub struct SetupCode(Mutex<Option<([u8; 32], Time)>>);

impl SetupCode {
    /// Makes a code that is valid from now on, instead of the one before. Returns it, such as `k7fm-2qpx-9cda-t3hr`.
    ///
    /// # Errors
    /// If the system returns no random bytes.
    pub fn issue(&self, now: Time) -> Result<String, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        let letters: Vec<char> = bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect();
        let code = letters.chunks(4).map(|four| four.iter().collect::<String>()).collect::<Vec<_>>().join("-");
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((digest(&code), now + SETUP_CODE_LIFETIME));
        Ok(code)
    }

    /// Whether this is the code, and it is still valid.
    pub fn opens(&self, code: &str, now: Time) -> bool {
        let current = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        current.is_some_and(|(known, until)| now < until && bool::from(known.ct_eq(&digest(code))))
    }

    /// Makes the code invalid: it was used.
    pub fn use_up(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// People leave out the dashes, and write capitals.
fn digest(code: &str) -> [u8; 32] {
    let plain: String =
        code.chars().filter(char::is_ascii_alphanumeric).map(|char| char.to_ascii_lowercase()).collect();
    Sha256::digest(plain).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_793_527_200_000);

    #[test]
    fn a_code_opens_the_page_for_half_an_hour_and_once() {
        let setup = SetupCode::default();
        assert!(!setup.opens("", NOW) && !setup.opens("k7fm-2qpx-9cda-t3hr", NOW));
        let code = setup.issue(NOW).unwrap();
        assert_eq!(code.len(), 19);
        let typed = code.replace('-', " ").to_uppercase();
        assert!(setup.opens(&code, NOW) && setup.opens(&typed, NOW + SETUP_CODE_LIFETIME - Duration::from_millis(1)));
        assert!(!setup.opens(&code, NOW + SETUP_CODE_LIFETIME) && !setup.opens(&code[1..], NOW));
        let newer = setup.issue(NOW).unwrap();
        assert!(newer != code && !setup.opens(&code, NOW) && setup.opens(&newer, NOW));
        setup.use_up();
        assert!(!setup.opens(&newer, NOW));
    }
}
