//! Style sheets, scripts and pictures of the admin page. An address contains a hash of the content, so that a browser may
//! keep a file for good, and never uses that of an older version.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};

#[derive(RustEmbed)]
#[folder = "assets/"]
#[include = "admin/*"]
#[include = "look.css"]
#[include = "mark.svg"]
#[include = "favicon.svg"]
struct Files;

/// Each file's name, with the name that its address has.
static ADDRESSES: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    let with_hash = |name: &str| {
        let content = Files::get(name)?.data;
        let hash = hex::encode(&Sha256::digest(content)[..6]);
        let file = name.rsplit('/').next().unwrap_or(name);
        Some((name.to_owned(), format!("{hash}-{file}")))
    };
    Files::iter().filter_map(|name| with_hash(&name)).collect()
});

/// Returns the address of a file, such as `look.css`.
pub(super) fn asset_path(name: &str) -> String {
    let address = ADDRESSES.get(name);
    debug_assert!(address.is_some(), "there is no file {name}");
    format!("/admin/assets/{}", address.map_or(name, String::as_str))
}

pub(super) async fn serve(Path(address): Path<String>) -> Response {
    let name = ADDRESSES.iter().find(|(_, with_hash)| **with_hash == address).map(|(name, _)| name);
    let Some((name, file)) = name.and_then(|name| Some((name, Files::get(name)?))) else {
        return (StatusCode::NOT_FOUND, "there is no such file\n").into_response();
    };
    let media_type = match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
    ];
    (headers, file.data).into_response()
}
