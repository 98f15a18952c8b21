//! The outgoing HTTP client: TLS by rustls on ring with roots of its own, so that a static executable needs no system
//! files; no redirects; bodies read up to a limit.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Response};

/// How long one connection may take to stand, TLS included.
const CONNECT: Duration = Duration::from_secs(10);

fn tls() -> rustls::ClientConfig {
    static CONFIG: OnceLock<rustls::ClientConfig> = OnceLock::new();
    CONFIG
        .get_or_init(|| {
            let roots = rustls::RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("ring supports the default protocol versions")
                .with_root_certificates(roots)
                .with_no_client_auth()
        })
        .clone()
}

/// A client whose calls end after `timeout`, all told, and after `idle` without a byte.
pub fn client(timeout: Duration, idle: Duration) -> Client {
    Client::builder()
        .tls_backend_preconfigured(tls())
        .user_agent(concat!("mynah/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT)
        .read_timeout(idle)
        .timeout(timeout)
        .pool_idle_timeout(Duration::from_secs(50))
        .build()
        .expect("a client of fixed settings is built")
}

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is larger than allowed.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The connection broke or timed out.
    #[error(transparent)]
    Broken(#[from] reqwest::Error),
}

/// The body, if it holds no more than `limit` bytes.
pub async fn body(mut response: Response, limit: usize) -> Result<Vec<u8>, BodyError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if bytes.len() + chunk.len() > limit {
            return Err(BodyError::TooLarge(limit));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// What went wrong with a call, in words without its URL (which may hold a secret).
pub fn explain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
