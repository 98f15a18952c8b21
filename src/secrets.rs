//! Secrets at rest: encrypted with age for an identity that lies in the data folder.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use age::x25519::Identity;
use secrecy::ExposeSecret;

/// The name of the identity file in the data folder.
pub const IDENTITY_FILE: &str = "identity.age.txt";

/// Encrypts and decrypts with the installation's identity.
pub struct Secrets {
    identity: Identity,
}

/// Why a secret cannot be encrypted or decrypted.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The identity file cannot be read or created.
    #[error("the age identity file {0} cannot be read or created: {1}")]
    File(PathBuf, std::io::Error),
    /// The identity file does not contain an identity.
    #[error("the age identity file {0} contains no identity (a line that begins with AGE-SECRET-KEY-1): {1}")]
    Identity(PathBuf, &'static str),
    /// The ciphertext is damaged or was encrypted for another identity.
    #[error("a secret cannot be decrypted with this installation's age identity: {0}")]
    Open(#[from] age::DecryptError),
    /// The value cannot be encrypted.
    #[error("a secret cannot be encrypted: {0}")]
    Seal(#[from] age::EncryptError),
}

impl Secrets {
    /// Reads `identity.age.txt` in the data folder, or creates it, readable by its owner only.
    pub fn open(folder: &Path) -> Result<Secrets, SecretsError> {
        let path = folder.join(IDENTITY_FILE);
        let file_error = |error| SecretsError::File(path.clone(), error);
        match fs::read_to_string(&path) {
            Ok(text) => {
                let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
                let identity = line.unwrap_or_default().parse();
                Ok(Secrets { identity: identity.map_err(|why| SecretsError::Identity(path.clone(), why))? })
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let identity = Identity::generate();
                // The file is written whole before it gets its name, so a crash leaves no half-written identity behind.
                let draft = path.with_extension("new");
                let mut file = OpenOptions::new()
                    .write(true)
                    .create(true)
                    .truncate(true)
                    .mode(0o600)
                    .open(&draft)
                    .map_err(file_error)?;
                writeln!(file, "# The secrets in this folder's database are encrypted for this identity. Keep a copy.")
                    .map_err(file_error)?;
                writeln!(file, "{}", identity.to_string().expose_secret()).map_err(file_error)?;
                file.sync_all().map_err(file_error)?;
                fs::rename(&draft, &path).map_err(file_error)?;
                fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(file_error)?;
                Ok(Secrets { identity })
            }
            Err(error) => Err(file_error(error)),
        }
    }

    /// Encrypts a value and returns it as ASCII armor.
    pub fn seal(&self, plain: &[u8]) -> Result<String, SecretsError> {
        Ok(age::encrypt_and_armor(&self.identity.to_public(), plain)?)
    }

    /// Decrypts what [`Secrets::seal`] returned.
    pub fn unseal(&self, sealed: &str) -> Result<Vec<u8>, SecretsError> {
        Ok(age::decrypt(&self.identity, sealed.as_bytes())?)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn an_encrypted_value_can_be_decrypted_after_a_restart_and_nowhere_else() {
        let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let sealed = Secrets::open(ours.path()).unwrap().seal(b"a key").unwrap();
        assert!(!sealed.contains("a key"));
        assert_eq!(Secrets::open(ours.path()).unwrap().unseal(&sealed).unwrap(), b"a key");
        assert!(matches!(Secrets::open(theirs.path()).unwrap().unseal(&sealed), Err(SecretsError::Open(_))));
    }

    #[test]
    fn the_identity_is_readable_by_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        Secrets::open(folder.path()).unwrap();
        let mode = fs::metadata(folder.path().join("identity.age.txt")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_spoilt_identity_is_an_error_that_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("identity.age.txt"), "# nothing\n").unwrap();
        let error = Secrets::open(folder.path()).err().unwrap().to_string();
        assert!(error.contains("identity.age.txt"), "{error}");
    }
}
