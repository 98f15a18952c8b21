//! Sends probes, and says what came back.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use reqwest::header::{CONTENT_TYPE, LOCATION, SERVER};
use reqwest::{Body, Client, Response};
use rustls::CertificateError;
use serde_json::Value;
use url::Url;

use super::answer::INSTALLATION_MEMBER;
use super::pass::{HEADER, Pass};
use super::report::ProbeReport;
use super::request::ProbeRequest;
use crate::app::App;
use crate::channel::Channel;
use crate::http::{self, AllowedTargets};

/// How long one probe may take. The provider gives up after 15 s.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Much more than a report takes.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// The address that a probe claims to come from, in `X-Forwarded-For`. It belongs to a network for examples (RFC 5737).
pub(in crate::diagnosis) const CLAIMED_CLIENT: &str = "192.0.2.77";

/// What came back.
#[derive(Debug)]
pub(in crate::diagnosis) enum Reply {
    /// Our own report.
    Report(Box<ProbeReport>, Option<String>),
    /// Another installation of mynah answered, and this is its id.
    OtherInstallation(String),
    /// A redirect to this address.
    Redirect(u16, String),
    /// Any other answer.
    Other(OtherAnswer),
}

/// An answer that is not ours.
#[derive(Debug)]
pub(in crate::diagnosis) struct OtherAnswer {
    pub(in crate::diagnosis) status: u16,
    /// The header `Server`.
    pub(in crate::diagnosis) server: Option<String>,
    /// Whether it is a web page.
    pub(in crate::diagnosis) is_html: bool,
    /// The beginning of its text, on one line.
    pub(in crate::diagnosis) excerpt: String,
}

/// Why there is no answer.
#[derive(Debug)]
pub(in crate::diagnosis) enum Unsent {
    /// Nothing listens there.
    Refused,
    /// The certificate is not valid; why.
    Certificate(String),
    /// Anything else; what happened.
    Failed(String),
}

/// Sends probes for one channel.
pub(in crate::diagnosis) struct ProbeSender<'a> {
    app: &'a App,
    channel: &'a Arc<dyn Channel>,
    /// The public address, without a trailing slash.
    public_url: String,
    client: Client,
}

impl<'a> ProbeSender<'a> {
    /// Creates a sender that signs with the channel's credentials, over the public URL.
    pub(in crate::diagnosis) fn new(app: &'a App, channel: &'a Arc<dyn Channel>, public_url: &Url) -> ProbeSender<'a> {
        let client = http::client(TIMEOUT, TIMEOUT, AllowedTargets::Any);
        ProbeSender { app, channel, public_url: public_url.as_str().trim_end_matches('/').to_owned(), client }
    }

    /// Sends the probe to the public address.
    pub(in crate::diagnosis) async fn send(&self, probe: &ProbeRequest) -> Result<Reply, Unsent> {
        self.send_to(&self.public_url, probe).await
    }

    /// Sends the probe to another address than it is signed for.
    pub(in crate::diagnosis) async fn send_to(&self, base: &str, probe: &ProbeRequest) -> Result<Reply, Unsent> {
        let key = self.app.probe_key.as_ref().ok_or_else(|| Unsent::Failed("no account is configured".to_owned()))?;
        let pass = Pass::issue(key, self.app.clock.now());
        let signed_url = format!("{}{}", self.public_url, probe.target);
        let signature = self.channel.sign_webhook(&signed_url, &probe.fields());
        let (name, signature) = signature.ok_or_else(|| Unsent::Failed("no auth token can sign".to_owned()))?;
        let body = Bytes::from_static(probe.body.as_bytes());
        let request = self
            .client
            .post(format!("{base}{}", probe.target))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded; charset=UTF-8")
            .header("x-forwarded-for", CLAIMED_CLIENT)
            .header(name, signature)
            .header(HEADER, pass.header)
            .body(if probe.chunked { in_chunks(&body) } else { Body::from(body) });
        let response = request.send().await.map_err(classify)?;
        let status = response.status().as_u16();
        let header = |name| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
        let (server, location, content_type) = (header(SERVER), header(LOCATION), header(CONTENT_TYPE));
        if let (300..=399, Some(location)) = (status, location) {
            return Ok(Reply::Redirect(status, location));
        }
        let body = read_answer(response).await?;
        if let Some(report) = ProbeReport::open(&body, key, &pass.nonce) {
            return Ok(Reply::Report(Box::new(report), server));
        }
        let json: Option<Value> = serde_json::from_slice(&body).ok();
        if let Some(id) = json.as_ref().and_then(|json| json[INSTALLATION_MEMBER].as_str()) {
            return Ok(Reply::OtherInstallation(id.chars().take(64).collect()));
        }
        let text = String::from_utf8_lossy(&body);
        let is_html = content_type.is_some_and(|kind| kind.contains("html")) || text.trim_start().starts_with("<!");
        let excerpt = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(120).collect();
        Ok(Reply::Other(OtherAnswer { status, server, is_html, excerpt }))
    }
}

async fn read_answer(response: Response) -> Result<Vec<u8>, Unsent> {
    http::read_body(response, MAX_ANSWER_BYTES).await.map_err(|error| match error {
        http::BodyError::Broken(error) => classify(error),
        too_large @ http::BodyError::TooLarge(_) => Unsent::Failed(too_large.to_string()),
    })
}

/// Returns a body whose length is not known before it ends.
fn in_chunks(body: &Bytes) -> Body {
    let middle = body.len() / 2;
    let chunks = [body.slice(..middle), body.slice(middle..)];
    Body::wrap(StreamBody::new(stream::iter(chunks.map(|chunk| Ok::<_, io::Error>(Frame::data(chunk))))))
}

fn classify(error: reqwest::Error) -> Unsent {
    if let Some(rustls::Error::InvalidCertificate(why)) = find_cause(&error) {
        return Unsent::Certificate(describe_certificate(why));
    }
    if find_cause(&error).is_some_and(|error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused) {
        return Unsent::Refused;
    }
    Unsent::Failed(http::describe_error(error))
}

/// Returns the first error of that type among an error and its causes.
fn find_cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    if let Some(found) = error.downcast_ref() {
        return Some(found);
    }
    // An io::Error that wraps another error names that error's source as its own, not the error.
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    wrapped.and_then(|wrapped| find_cause(wrapped)).or_else(|| error.source().and_then(|source| find_cause(source)))
}

fn describe_certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet, by this machine's clock".to_owned()
        }
        CertificateError::UnknownIssuer => "no public authority issued it (it may be self-signed)".to_owned(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for another host name".to_owned()
        }
        CertificateError::Revoked => "it was revoked".to_owned(),
        // What a certificate that somebody makes for themselves with `openssl req -x509` looks like: it is an authority's.
        CertificateError::Other(why) if format!("{why:?}").contains("CaUsedAsEndEntity") => {
            "it is the certificate of an authority, not of a host (it may be self-signed)".to_owned()
        }
        other => format!("{other:?}"),
    }
}
