//! The reasons why a file cannot be read.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why a file is not shown or read. Each message is about "it", the file, for the model, the contact and the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// No bytes.
    #[error("it is empty")]
    Empty,
    /// The file is damaged, or not of the kind that it seems to be.
    #[error("it is damaged or not a valid {0}")]
    Damaged(&'static str),
    /// The file exceeds one of the limits, compressed or decompressed.
    #[error("it is too large: {0}")]
    TooLarge(&'static str),
    /// Encrypted.
    #[error("it is locked with a password")]
    PasswordProtected,
    /// A scan, or a file with only images.
    #[error("it contains no text, perhaps only images")]
    NoText,
    /// A kind of file that mynah does not read.
    #[error("{0} are not supported")]
    Unsupported(&'static str),
}

/// Runs a function that reads a file. If the function panics, the file counts as damaged: it was made to break the
/// library, or it triggers a bug in it.
pub(super) fn catch_panic<T>(
    what: &'static str,
    read: impl FnOnce() -> Result<T, Unreadable>,
) -> Result<T, Unreadable> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or(Err(Unreadable::Damaged(what)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_panics_has_met_a_damaged_file() {
        let outcome: Result<(), _> = catch_panic("PDF", || panic!("index out of bounds"));
        assert_eq!(outcome, Err(Unreadable::Damaged("PDF")));
        assert_eq!(Unreadable::Damaged("PDF").to_string(), "it is damaged or not a valid PDF");
    }
}
