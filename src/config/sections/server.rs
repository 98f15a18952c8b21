//! The web server and the data folder.

use std::net::SocketAddr;
use std::path::PathBuf;

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
}

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
        return DataConfig { database: dir.join("mynah.db"), dir };
    }
    let database = match reader.read("DATABASE_URL", parse::database) {
        ReadSetting::Valid(path) => reader.layers.sources.resolve_path(&path),
        ReadSetting::Absent | ReadSetting::Invalid => dir.join("mynah.db"),
    };
    DataConfig { dir, database }
}
