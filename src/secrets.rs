//! Secrets at rest: encrypted with age for this installation's identity.
//!
//! The identity is a file of its own, so that a copy of the database alone opens nothing. The files are in the format of
//! the `age` tool (age-encryption.org), which opens what is encrypted here, and the other way round.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use age::x25519::{Identity, Recipient};
use secrecy::{ExposeSecret, SecretString};

use crate::config::{AgeKeyFile, AgeKeyOrigin};

/// The permissions that let every user of the machine read a file.
const READABLE_BY_EVERYBODY: u32 = 0o007;

/// Encrypts and decrypts with the installation's identity.
pub struct Secrets {
    /// The first encrypts; all decrypt. There are several only in the middle of a rotation.
    identities: Vec<Identity>,
}

/// Why a secret cannot be encrypted or decrypted.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// There is no identity file.
    #[error("there is no age identity at {}{}", .0.path.display(), named_by(.0))]
    Missing(AgeKeyFile),
    /// The identity file cannot be read or written.
    #[error("the age identity file {} cannot be read or written: {}", .0.display(), .1)]
    File(PathBuf, std::io::Error),
    /// Other users of the machine can read the identity file.
    #[error("{}", world_readable(.0))]
    Permissions(PathBuf),
    /// The identity file does not contain an identity.
    #[error("the age identity file {} contains no identity that mynah can use: {}", .0.display(), .1)]
    Identity(PathBuf, String),
    /// The ciphertext is damaged or was encrypted for another identity.
    #[error("a secret cannot be decrypted with this installation's age identity: {0}")]
    Open(#[from] age::DecryptError),
    /// The value cannot be encrypted.
    #[error("a secret cannot be encrypted: {0}")]
    Seal(#[from] age::EncryptError),
    /// The decrypted value is not text.
    #[error("a secret that was decrypted is not text in UTF-8")]
    Text,
}

fn world_readable(path: &Path) -> String {
    let path = path.display();
    format!(
        "every user of this machine may read the age identity file {path}: make it private with `chmod 600 {path}`; if \
         somebody may have copied it, make a new one with `mynah secret rotate`"
    )
}

fn named_by(file: &AgeKeyFile) -> &'static str {
    match file.origin {
        AgeKeyOrigin::Setting => " (MYNAH_AGE_KEY_FILE)",
        AgeKeyOrigin::Credential => " (systemd credential mynah.age)",
        AgeKeyOrigin::DataFolder => "",
    }
}

impl Secrets {
    /// Reads the identity file.
    pub fn open(file: &AgeKeyFile) -> Result<Secrets, SecretsError> {
        let path = &file.path;
        let file_error = |error| SecretsError::File(path.clone(), error);
        let text = match fs::read_to_string(path) {
            Ok(text) => SecretString::from(text),
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(SecretsError::Missing(file.clone())),
            Err(error) => return Err(file_error(error)),
        };
        // systemd puts credentials where only the service can reach them.
        let mode = fs::metadata(path).map_err(file_error)?.permissions().mode();
        if file.origin != AgeKeyOrigin::Credential && mode & READABLE_BY_EVERYBODY != 0 {
            return Err(SecretsError::Permissions(path.clone()));
        }
        let identities = parse_identities(text.expose_secret());
        Ok(Secrets { identities: identities.map_err(|why| SecretsError::Identity(path.clone(), why))? })
    }

    /// Reads the identity file. If it would lie in the data folder and does not exist, this creates it, readable by its
    /// owner only.
    pub fn open_or_create(file: &AgeKeyFile) -> Result<Secrets, SecretsError> {
        match Secrets::open(file) {
            Err(SecretsError::Missing(_)) if file.origin == AgeKeyOrigin::DataFolder => {
                let secrets = Secrets::generate();
                secrets.save(&file.path)?;
                Ok(secrets)
            }
            opened => opened,
        }
    }

    /// Makes a new identity, which is not saved yet.
    pub fn generate() -> Secrets {
        Secrets { identities: vec![Identity::generate()] }
    }

    /// Writes the identity file, readable by its owner only. The file is written whole before it gets its name, so a
    /// crash leaves either the old or the new one.
    pub fn save(&self, path: &Path) -> Result<(), SecretsError> {
        save_identities(&self.identities, path)
    }

    /// Writes the identity file with older identities behind the new one, so that everything can be decrypted in the
    /// middle of a rotation.
    pub fn save_with_older(&self, older: &Secrets, path: &Path) -> Result<(), SecretsError> {
        let all: Vec<_> = self.identities.iter().chain(&older.identities).cloned().collect();
        save_identities(&all, path)
    }

    /// Returns the recipient that secrets are encrypted for: `age1…`.
    pub fn recipient(&self) -> Recipient {
        self.identities.first().expect("there is always an identity").to_public()
    }

    /// Encrypts a value and returns it as ASCII armor.
    pub fn seal(&self, plain: &[u8]) -> Result<String, SecretsError> {
        Ok(age::encrypt_and_armor(&self.recipient(), plain)?)
    }

    /// Decrypts what [`Secrets::seal`] or the `age` tool returned.
    pub fn unseal(&self, sealed: &str) -> Result<Vec<u8>, SecretsError> {
        let mut last = None;
        for identity in &self.identities {
            match age::decrypt(identity, sealed.trim_start().as_bytes()) {
                Ok(plain) => return Ok(plain),
                Err(error) => last = Some(error),
            }
        }
        Err(last.map_or(SecretsError::Text, SecretsError::Open))
    }

    /// Decrypts a file of any length while it is read.
    pub fn decrypt_stream<R: std::io::BufRead>(
        &self,
        source: R,
    ) -> Result<age::stream::StreamReader<R>, age::DecryptError> {
        let identities = self.identities.iter().map(|identity| identity as &dyn age::Identity);
        age::Decryptor::new_buffered(source)?.decrypt(identities)
    }

    /// Decrypts a text.
    pub fn unseal_text(&self, sealed: &str) -> Result<SecretString, SecretsError> {
        String::from_utf8(self.unseal(sealed)?).map(SecretString::from).map_err(|_| SecretsError::Text)
    }
}

fn save_identities(identities: &[Identity], path: &Path) -> Result<(), SecretsError> {
    let file_error = |error| SecretsError::File(path.to_owned(), error);
    let draft = path.with_extension("new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft).map_err(file_error)?;
    writeln!(file, "# The secrets in mynah's database are encrypted for this identity. Keep a copy elsewhere.")
        .map_err(file_error)?;
    for identity in identities {
        writeln!(file, "# public key: {}\n{}", identity.to_public(), identity.to_string().expose_secret())
            .map_err(file_error)?;
    }
    file.sync_all().map_err(file_error)?;
    fs::rename(&draft, path).map_err(file_error)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(file_error)
}

/// Parses an identity file: a line for each identity, comments with `#`.
fn parse_identities(text: &str) -> Result<Vec<Identity>, String> {
    let text = text.trim_start_matches('\u{feff}');
    let lines = text.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let parse = |line: &str| {
        line.parse::<Identity>().map_err(|why| {
            let upper = line.to_ascii_uppercase();
            if upper.starts_with("AGE-SECRET-KEY-PQ-") {
                "it is a post-quantum key (AGE-SECRET-KEY-PQ-…); make an X25519 key with `age-keygen` without -pq"
                    .into()
            } else if upper.starts_with("AGE-PLUGIN-") {
                "it is a key of an age plugin (AGE-PLUGIN-…); mynah needs an X25519 key, as `age-keygen` makes it"
                    .into()
            } else if line.starts_with("age1") {
                "it is a public key (age1…); mynah needs the line that begins with AGE-SECRET-KEY-1".into()
            } else if line.starts_with("-----BEGIN") {
                "it is encrypted or armored; mynah needs the plain key file".into()
            } else {
                format!("expected a line that begins with AGE-SECRET-KEY-1 ({why})")
            }
        })
    };
    let identities = lines.map(parse).collect::<Result<Vec<_>, String>>()?;
    if identities.is_empty() {
        return Err("it is empty; expected a line that begins with AGE-SECRET-KEY-1".into());
    }
    Ok(identities)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_folder(folder: &Path) -> AgeKeyFile {
        AgeKeyFile { path: folder.join("identity.age.txt"), origin: AgeKeyOrigin::DataFolder }
    }

    /// Writes an identity file with these permissions.
    fn write(folder: &Path, text: &str, mode: u32) -> AgeKeyFile {
        let file = in_folder(folder);
        fs::write(&file.path, text).unwrap();
        fs::set_permissions(&file.path, fs::Permissions::from_mode(mode)).unwrap();
        file
    }

    #[test]
    fn an_encrypted_value_can_be_decrypted_after_a_restart_and_nowhere_else() {
        let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let sealed = Secrets::open_or_create(&in_folder(ours.path())).unwrap().seal(b"a key").unwrap();
        assert!(!sealed.contains("a key"));
        assert_eq!(Secrets::open(&in_folder(ours.path())).unwrap().unseal(&sealed).unwrap(), b"a key");
        let elsewhere = Secrets::open_or_create(&in_folder(theirs.path())).unwrap();
        assert!(matches!(elsewhere.unseal(&sealed), Err(SecretsError::Open(_))));
    }

    #[test]
    fn an_identity_is_created_only_in_the_data_folder() {
        let folder = tempfile::tempdir().unwrap();
        for origin in [AgeKeyOrigin::Setting, AgeKeyOrigin::Credential] {
            let named = AgeKeyFile { origin, ..in_folder(folder.path()) };
            let error = Secrets::open_or_create(&named).err().unwrap();
            assert!(matches!(error, SecretsError::Missing(_)) && !named.path.exists(), "{error}");
        }
        Secrets::open_or_create(&in_folder(folder.path())).unwrap();
        let mode = fs::metadata(in_folder(folder.path()).path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_rotation_is_readable_at_each_of_its_steps() {
        let folder = tempfile::tempdir().unwrap();
        let file = in_folder(folder.path());
        let old = Secrets::open_or_create(&file).unwrap();
        let sealed_before = old.seal(b"a key").unwrap();
        Secrets::generate().save_with_older(&old, &file.path).unwrap();
        let opened = Secrets::open(&file).unwrap();
        let sealed_after = opened.seal(b"a key").unwrap();
        assert_eq!(opened.unseal(&sealed_before).unwrap(), b"a key");
        assert_eq!(opened.unseal(&sealed_after).unwrap(), b"a key");
        assert!(old.unseal(&sealed_after).is_err(), "it is encrypted for the new identity");
    }

    #[test]
    fn a_file_that_everybody_may_read_is_refused_with_the_command_to_run() {
        let folder = tempfile::tempdir().unwrap();
        let key = Identity::generate().to_string();
        for (mode, refused) in [(0o600, false), (0o400, false), (0o640, false), (0o644, true), (0o604, true)] {
            let file = write(folder.path(), key.expose_secret(), mode);
            let error = Secrets::open(&file).err().map(|error| error.to_string());
            assert_eq!(error.is_some(), refused, "{mode:o} {error:?}");
            let told = error.is_none_or(|error| error.contains(&format!("chmod 600 {}", file.path.display())));
            assert!(told, "{mode:o}");
        }
    }

    #[test]
    fn an_identity_that_cannot_be_used_is_an_error_that_says_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        for (text, expected) in [
            ("", "it is empty"),
            ("# nothing\r\n", "it is empty"),
            ("AGE-SECRET-KEY-PQ-1QQQ", "post-quantum"),
            ("AGE-PLUGIN-YUBIKEY-1QQQ", "plugin"),
            ("age1xyz", "a public key"),
            ("-----BEGIN AGE ENCRYPTED FILE-----", "encrypted or armored"),
            ("a letter", "AGE-SECRET-KEY-1"),
        ] {
            let error = Secrets::open(&write(folder.path(), text, 0o600)).err().unwrap().to_string();
            assert!(error.contains("identity.age.txt") && error.contains(expected), "{text:?}: {error}");
        }
    }

    #[test]
    fn an_identity_may_come_from_an_editor() {
        let folder = tempfile::tempdir().unwrap();
        let key = Identity::generate().to_string();
        let key = key.expose_secret();
        for text in [format!("\u{feff}# made\r\n\r\n  {key}  \r\n"), format!("# made\r{key}\r")] {
            Secrets::open(&write(folder.path(), &text, 0o600)).unwrap();
        }
    }
}
