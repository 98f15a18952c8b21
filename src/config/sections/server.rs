//! The web server and the data folder.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use url::Url;

use super::network;
use super::network::Network;
use crate::config::schema::parse;
use crate::config::sources::reader::{ReadSetting, SettingsReader};

/// The web server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// The address that it listens on.
    pub listen: SocketAddr,
    /// The address at which mynah is reached from outside, without a query. Its path (the prefix of a proxy) never ends
    /// in a slash.
    pub public_url: Option<Url>,
    /// The proxies whose `X-Forwarded-For` header mynah believes; if empty, it believes none.
    pub trusted_proxies: Vec<Network>,
}

/// The data folder and the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataConfig {
    /// The data folder, relative to the working directory unless it is absolute.
    pub dir: PathBuf,
    /// The SQLite file, likewise.
    pub database: PathBuf,
    /// The file of the age identity for which the secrets in the database are encrypted.
    pub age_key: AgeKeyFile,
}

impl DataConfig {
    /// Keeps everything in this data folder.
    pub fn in_folder(dir: PathBuf) -> DataConfig {
        let age_key = AgeKeyFile { path: dir.join(AGE_KEY_FILE_NAME), origin: AgeKeyOrigin::DataFolder };
        DataConfig { database: dir.join(DATABASE_FILE_NAME), age_key, dir }
    }
}

impl DataConfig {
    /// The folder of scheduled backups, if no setting names another.
    pub fn default_backup_dir(&self) -> PathBuf {
        self.dir.join("backups")
    }
}

/// The file of the installation's age identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgeKeyFile {
    /// Its path, likewise.
    pub path: PathBuf,
    /// Who named it.
    pub origin: AgeKeyOrigin,
}

/// Who named the file of the age identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgeKeyOrigin {
    /// `MYNAH_AGE_KEY_FILE`.
    Setting,
    /// systemd, which passes the credential `mynah.age`.
    Credential,
    /// Nobody: it lies in the data folder, where mynah may create it.
    DataFolder,
}

/// The systemd credential that holds the age identity.
const AGE_KEY_CREDENTIAL: &str = "mynah.age";

/// The name of the database in the data folder.
const DATABASE_FILE_NAME: &str = "mynah.db";

/// The file of the age identity in the data folder.
const AGE_KEY_FILE_NAME: &str = "identity.age.txt";

pub(in crate::config) fn read(reader: &mut SettingsReader) -> ServerConfig {
    ServerConfig {
        listen: reader.read_or_default("MYNAH_LISTEN", parse::socket),
        public_url: reader.read("MYNAH_PUBLIC_URL", parse::public_url).valid(),
        trusted_proxies: reader.read_or_default("MYNAH_TRUSTED_PROXIES", network::parse_networks),
    }
}

pub(in crate::config) fn read_data(reader: &mut SettingsReader) -> DataConfig {
    let dir = reader.read_path("MYNAH_DATA_DIR").unwrap_or_else(|| reader.layers.sources.default_data_dir());
    // The simulation keeps its data in a folder of its own. DATABASE_URL is a common variable, and may name the database
    // of another program.
    if reader.layers.is_simulation() {
        return DataConfig::in_folder(dir);
    }
    let database = match reader.read("DATABASE_URL", parse::database) {
        ReadSetting::Valid(path) => reader.layers.sources.resolve_path(&path),
        ReadSetting::Absent | ReadSetting::Invalid => dir.join(DATABASE_FILE_NAME),
    };
    let age_key = read_age_key(reader, &dir);
    DataConfig { dir, database, age_key }
}

fn read_age_key(reader: &mut SettingsReader, dir: &Path) -> AgeKeyFile {
    if let Some(path) = reader.read_path("MYNAH_AGE_KEY_FILE") {
        return AgeKeyFile { path, origin: AgeKeyOrigin::Setting };
    }
    let credential = reader.layers.sources.credential(AGE_KEY_CREDENTIAL).filter(|path| path.exists());
    match credential {
        Some(path) => AgeKeyFile { path, origin: AgeKeyOrigin::Credential },
        None => AgeKeyFile { path: dir.join(AGE_KEY_FILE_NAME), origin: AgeKeyOrigin::DataFolder },
    }
}
