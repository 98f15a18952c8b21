//! The name of a stored file.

use std::fmt;

/// A file by its content: its SHA-256, written as 64 hexadecimal digits in lower case. It cannot hold a path, so no
/// name from outside ever becomes one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileHash([u8; 32]);

impl FileHash {
    /// Creates a hash from its bytes.
    pub const fn new(digest: [u8; 32]) -> FileHash {
        FileHash(digest)
    }

    /// Reads 64 hexadecimal digits in lower case; returns `None` for anything else.
    pub fn parse(text: &str) -> Option<FileHash> {
        let mut digest = [0; 32];
        hex::decode_to_slice(text, &mut digest).ok()?;
        (!text.bytes().any(|byte| byte.is_ascii_uppercase())).then_some(FileHash(digest))
    }

    /// Returns the first byte, which selects one of the 256 subfolders.
    pub const fn shard(&self) -> u8 {
        self.0[0]
    }
}

impl fmt::Display for FileHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for FileHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileHash({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_by_64_digits_and_nothing_else() {
        let digits = "00ff".repeat(16);
        assert_eq!(FileHash::parse(&digits).unwrap().to_string(), digits);
        let path = format!("../{}", &digits[3..]);
        for bad in ["", &digits[1..], &format!("{digits}0"), &digits.to_uppercase(), &path, &"é".repeat(32)] {
            assert_eq!(FileHash::parse(bad), None, "{bad}");
        }
    }
}
