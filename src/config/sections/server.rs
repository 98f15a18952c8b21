//! The web server and the data folder.

use std::net::SocketAddr;
use std::path::PathBuf;

use url::Url;

use super::network;
use super::network::Network;
use crate::config::schema::parse;
use crate::config::sources::reader::ReadSetting;
use crate::config::sources::reader::SettingsReader;

/// The web server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The address that the world calls, without query; a path in it (a proxy's prefix) never ends in a slash.
    pub public_url: Option<Url>,
    /// The proxies whose `X-Forwarded-*` headers are believed; empty believes nobody.
    pub trusted_proxies: Vec<Network>,
}

/// Where data is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataConfig {
    /// The data folder, relative to the working directory unless absolute.
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
    // A stage keeps its data in a folder of its own; the variable is a common one, and may name something else's database.
    if reader.layers.is_sandbox() {
        return DataConfig { database: dir.join("mynah.db"), dir };
    }
    let database = match reader.read("DATABASE_URL", parse::database) {
        ReadSetting::Valid(path) => reader.layers.sources.resolve_path(&path),
        ReadSetting::Absent | ReadSetting::Invalid => dir.join("mynah.db"),
    };
    DataConfig { dir, database }
}
