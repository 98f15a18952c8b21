//! Why a file cannot be read.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why a file is not shown or read. Each is a sentence about "it", the file, for the model, the contact and the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// No bytes.
    #[error("it is empty")]
    Empty,
    /// Not what it seems to be, or broken.
    #[error("it is damaged, or no {0} at all")]
    Damaged(&'static str),
    /// Above one of the limits, packed or unpacked.
    #[error("it is too large: {0}")]
    TooLarge(&'static str),
    /// Encrypted.
    #[error("it is locked with a password")]
    PasswordProtected,
    /// A scan, or pictures alone.
    #[error("there is no text in it, only pictures perhaps")]
    NoText,
    /// A kind of file that nobody reads here.
    #[error("{0} cannot be read here")]
    Unsupported(&'static str),
}

/// Runs a reader of other people's files; where it panics, the file was made to break it, or found a defect of its own.
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
        assert_eq!(Unreadable::Damaged("PDF").to_string(), "it is damaged, or no PDF at all");
    }
}
