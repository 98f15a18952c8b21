//! Serves the files that operators send, so that the provider can fetch them. The links are signed and expire after a
//! day.

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

/// How much of a file is read and sent at a time, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;

/// The characters to escape in a file name. The others are `attr-char` of RFC 8187.
const FILENAME_ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_');

/// The longest file name that Twilio accepts, in characters (Twilio, "Accepted content types for media").
const MAX_PLAIN_NAME: usize = 20;

/// Serves the file of a part. Every wrong link gets the same 404.
pub(super) async fn serve_file(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let links = app.media_links.as_ref();
    let part =
        links.and_then(|links| links.verified_part(&name, query.as_deref().unwrap_or_default(), app.clock.now()));
    let Some(part) = part else {
        debug!("refused a media link that is invalid or expired");
        return not_found();
    };
    let media = match app.store.file_of_part(part).await {
        Ok(Some(media)) => media,
        Ok(None) => {
            debug!(%part, "refused a media link whose file is deleted");
            return not_found();
        }
        Err(error) => {
            error!(%part, %error, "cannot look up the file of a media link");
            return (StatusCode::SERVICE_UNAVAILABLE, "try again\n").into_response();
        }
    };
    let (files, hash) = (app.files.clone(), media.hash);
    let opened = tokio::task::spawn_blocking(move || {
        let file = files.open(&hash)?;
        let size = file.metadata().map(|metadata| metadata.len()).unwrap_or(media.size);
        Ok::<_, crate::file_store::FileStoreError>((file, size))
    });
    match opened.await {
        Ok(Ok((file, size))) => {
            debug!(%part, size, "serving a file");
            file_response(file, size, &media)
        }
        Ok(Err(error)) => {
            error!(%part, %error, "cannot read the file of a media link");
            not_found()
        }
        Err(error) => {
            error!(%part, %error, "cannot read the file of a media link");
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

/// Streams the file in chunks. Each chunk is read on a blocking thread.
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

/// Builds the `Content-Disposition` header (RFC 6266). It holds the file name twice: in plain ASCII, and as it is.
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
        for (name, expected) in [
            ("menu.pdf", "inline; filename=\"menu.pdf\"; filename*=UTF-8''menu.pdf"),
            (
                "Speisekarte für Büro.pdf",
                "inline; filename=\"Speisekarte_f_r_.pdf\"; filename*=UTF-8''Speisekarte%20f%C3%BCr%20B%C3%BCro.pdf",
            ),
            ("a\"; x=\"b\r\nc", "inline; filename=\"a___x__b__c\"; filename*=UTF-8''a%22%3B%20x%3D%22b%0D%0Ac"),
            ("é.é", "inline; filename=\"_._\"; filename*=UTF-8''%C3%A9.%C3%A9"),
        ] {
            let disposition = content_disposition(name);
            assert_eq!(disposition, expected);
            assert!(HeaderValue::try_from(disposition).is_ok());
        }
    }
}
