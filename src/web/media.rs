//! Files that an operator sends, for the provider to fetch: under a signed address that ends with a day.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{Stream, stream};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tracing::{debug, error};

use crate::app::App;
use crate::model::Media;

/// Read and sent at a time, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;

/// What a file's name may hold as it is (RFC 8187, `attr-char`).
const FILENAME_ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_');

/// Twilio wants no more in a file's name (Twilio, "Accepted content types for media").
const MAX_PLAIN_NAME: usize = 20;

/// The file of a part. Whatever is wrong with the address, there is nothing there.
pub(super) async fn serve_file(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let links = app.media_links.as_ref();
    let part =
        links.and_then(|links| links.verified_part(&name, query.as_deref().unwrap_or_default(), app.clock.now()));
    let Some(part) = part else {
        debug!("a file was asked for under an address that is not ours, or whose time is over");
        return not_found();
    };
    let media = match app.store.file_of_part(part).await {
        Ok(Some(media)) => media,
        Ok(None) => {
            debug!(%part, "a file was asked for that is gone");
            return not_found();
        }
        Err(error) => {
            error!(%part, %error, "a file that was asked for could not be looked up");
            return (StatusCode::SERVICE_UNAVAILABLE, "try again\n").into_response();
        }
    };
    let (files, hash) = (app.files.clone(), media.hash);
    let opened = tokio::task::spawn_blocking(move || {
        let file = files.open(&hash)?;
        let size = file.metadata().map(|metadata| metadata.len()).unwrap_or(media.size);
        Ok::<_, crate::files::FileStoreError>((file, size))
    });
    match opened.await {
        Ok(Ok((file, size))) => {
            debug!(%part, size, "a file is fetched");
            file_response(file, size, &media)
        }
        Ok(Err(error)) => {
            error!(%part, %error, "a file that is to be sent cannot be read");
            not_found()
        }
        Err(error) => {
            error!(%part, %error, "a file that is to be sent cannot be read");
            not_found()
        }
    }
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "there is nothing here\n").into_response()
}

fn file_response(file: File, size: u64, media: &Media) -> Response {
    let mut response = Body::from_stream(file_chunks(file)).into_response();
    let headers = response.headers_mut();
    let media_type = HeaderValue::try_from(&media.media_type);
    headers.insert(CONTENT_TYPE, media_type.unwrap_or(HeaderValue::from_static("application/octet-stream")));
    headers.insert(CONTENT_LENGTH, size.into());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    if let Ok(disposition) = HeaderValue::try_from(content_disposition(&media.name)) {
        headers.insert(CONTENT_DISPOSITION, disposition);
    }
    response
}

/// The file, piece by piece. Each is read on a thread that may wait.
fn file_chunks(file: File) -> impl Stream<Item = io::Result<Bytes>> {
    stream::try_unfold(file, |mut file| async move {
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = Vec::with_capacity(CHUNK_BYTES);
            (&mut file).take(CHUNK_BYTES as u64).read_to_end(&mut piece)?;
            Ok::<_, io::Error>((Bytes::from(piece), file))
        });
        let (piece, file) = read.await.map_err(io::Error::other)??;
        Ok((!piece.is_empty()).then_some((piece, file)))
    })
}

/// The name that the file is shown under (RFC 6266): once in plain letters, once as it is.
fn content_disposition(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '.' { c } else { '_' };
    let (stem, ending) = match name.rsplit_once('.') {
        Some((stem, ending)) if (1..=5).contains(&ending.len()) => (stem, format!(".{ending}")),
        _ => (name, String::new()),
    };
    let ending: String = ending.chars().map(plain).collect();
    let stem: String = stem.chars().map(plain).take(MAX_PLAIN_NAME - ending.len()).collect();
    format!("inline; filename=\"{stem}{ending}\"; filename*=UTF-8''{}", utf8_percent_encode(name, FILENAME_ESCAPED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_can_end_no_header() {
        for (name, told) in [
            ("menu.pdf", "inline; filename=\"menu.pdf\"; filename*=UTF-8''menu.pdf"),
            (
                "Speisekarte für Büro.pdf",
                "inline; filename=\"Speisekarte_f_r_.pdf\"; filename*=UTF-8''Speisekarte%20f%C3%BCr%20B%C3%BCro.pdf",
            ),
            ("a\"; x=\"b\r\nc", "inline; filename=\"a___x__b__c\"; filename*=UTF-8''a%22%3B%20x%3D%22b%0D%0Ac"),
            ("é.é", "inline; filename=\"_._\"; filename*=UTF-8''%C3%A9.%C3%A9"),
        ] {
            let disposition = content_disposition(name);
            assert_eq!(disposition, told);
            assert!(HeaderValue::try_from(disposition).is_ok());
        }
    }
}
