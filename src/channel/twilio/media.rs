//! Fetches files that contacts send (Twilio, "Media resource").
//!
//! A file's URL comes from a webhook and requires our credentials, so it is called only if it is a file of our own
//! account at Twilio's own address. Twilio answers with one redirect to the storage that holds the file. The storage
//! gets no credentials: with them it answers with an error, and it may belong to anyone.

use bytes::Bytes;
use reqwest::Response;
use reqwest::header::LOCATION;
use serde::Deserialize;
use url::Url;

use super::api::{self, Api};
use crate::fault::{Fault, FaultOwner};
use crate::http;
use crate::model::{Attachment, ProviderId};

/// The size limit for the list of one message's files.
const MAX_LIST_BYTES: usize = 256 * 1024;

#[derive(Deserialize)]
struct MediaList {
    media_list: Vec<MediaEntry>,
}

#[derive(Deserialize)]
struct MediaEntry {
    uri: String,
}

/// Returns the attachments of a listed message, for which Twilio gives only their count. Each URL names the attachment
/// by its index in the message's own media list.
pub(super) fn attachments_of_listed(api: &Api, message: &ProviderId, count: usize) -> Vec<Attachment> {
    let list = format!("{}/Messages/{}/Media.json", api.account_url, message.0);
    let all = (0..count.min(super::inbound_text::MAX_MEDIA)).map(|number| Attachment {
        url: format!("{list}#{number}"),
        media_type: String::new(),
        placeholder: super::inbound_text::FILE_MARK.to_owned(),
    });
    all.collect()
}

/// Fetches a file of at most `max_bytes` bytes.
pub(super) async fn fetch_attachment(api: &Api, attachment: &Attachment, max_bytes: usize) -> Result<Bytes, Fault> {
    let url = require_own_file(api, &attachment.url)?;
    let url = match (url.path().ends_with("/Media.json"), url.fragment()) {
        (true, Some(number)) => listed_file_url(api, &url, number.parse().unwrap_or(0)).await?,
        _ => url,
    };
    let mut response = api.open_file(url).await?;
    if response.status().is_redirection() {
        response = follow_redirect(api, &response).await?;
    }
    match http::read_body(response, max_bytes).await {
        Ok(bytes) => Ok(bytes.into()),
        Err(http::BodyError::TooLarge(_)) => Err(too_large_fault(max_bytes)),
        Err(http::BodyError::Broken(error)) => {
            Err(Fault::retry(format!("the download of the file was cut short ({})", http::describe_error(error))))
        }
    }
}

/// Returns the URL if it is that of a file of our own account. Each Twilio region has its own hosts.
fn require_own_file(api: &Api, address: &str) -> Result<Url, Fault> {
    let elsewhere = || {
        Fault::fail(
            FaultOwner::Message,
            "the file's URL is not one of our account at Twilio's own address, so mynah did not fetch it",
        )
    };
    let url = Url::parse(address).map_err(|_| elsewhere())?;
    let base = Url::parse(&api.account_url).map_err(|_| elsewhere())?;
    let twilio = |url: &Url| url.scheme() == "https" && url.port().is_none() && url.host_str().is_some_and(is_api_host);
    let host = url.origin() == base.origin() || (twilio(&url) && base.host_str().is_some_and(api::is_twilio));
    // A replacement server for Twilio may have a path prefix. Twilio's hosts have none.
    let folder = format!("{}/Messages/", base.path());
    let bare = url.username().is_empty() && url.password().is_none();
    if host && bare && url.path().starts_with(&folder) { Ok(url) } else { Err(elsewhere()) }
}

/// Returns whether a host is one of Twilio's API hosts, such as `api.twilio.com` or `api.dublin.ie1.twilio.com`.
fn is_api_host(host: &str) -> bool {
    host.starts_with("api.") && api::is_twilio(host)
}

/// Returns the URL of the message's file at that index.
async fn listed_file_url(api: &Api, list: &Url, number: usize) -> Result<Url, Fault> {
    let unreadable = || Fault::retry("mynah cannot read Twilio's list of the message's files");
    let body = http::read_body(api.open_file(list.clone()).await?, MAX_LIST_BYTES).await.map_err(|_| unreadable())?;
    let list: MediaList = serde_json::from_slice(&body).map_err(|_| unreadable())?;
    let Some(entry) = list.media_list.get(number) else {
        return Err(Fault::fail(FaultOwner::Message, "Twilio does not list the file: it was deleted there"));
    };
    let uri = entry.uri.strip_suffix(".json").unwrap_or(&entry.uri);
    require_own_file(api, &format!("{}{uri}", api.base_url))
}

/// Follows one redirect, without credentials.
async fn follow_redirect(api: &Api, response: &Response) -> Result<Response, Fault> {
    let location = response.headers().get(LOCATION).and_then(|to| response.url().join(to.to_str().ok()?).ok());
    let Some(location) = location else {
        return Err(Fault::retry("Twilio's redirect has no valid location"));
    };
    let sent = api.storage_client.get(location).timeout(api.file_timeout).send().await;
    let response = sent.map_err(|error| {
        let refused = error.is_builder();
        let why = format!("mynah cannot reach Twilio's storage for the file ({})", http::describe_error(error));
        if refused { Fault::fail(FaultOwner::Message, why) } else { Fault::retry(why) }
    })?;
    match response.status().as_u16() {
        200..300 => Ok(response),
        status @ 300..400 => {
            Err(Fault::fail(FaultOwner::Message, format!("mynah does not follow a second redirect (HTTP {status})")))
        }
        status @ (408 | 429 | 500..) => Err(Fault::retry(format!("Twilio's storage answers HTTP {status}"))),
        status => Err(Fault::fail(FaultOwner::Message, format!("Twilio's storage answers HTTP {status}"))),
    }
}

fn too_large_fault(most: usize) -> Fault {
    Fault::fail(FaultOwner::Message, format!("the file is larger than {} MB", most / 1_000_000))
}

#[cfg(test)]
#[path = "media_tests.rs"]
mod tests;
