//! The metrics: strangers cannot read them through the proxy.

use std::time::Duration;

use super::finding::Finding;
use crate::app::App;
use crate::config::ServerConfig;
use crate::http::{self, AllowedTargets};

pub(super) const NAME: &str = "metrics";

const TIMEOUT: Duration = Duration::from_secs(15);

/// The most of an answer that is read.
const MAX_BYTES: usize = 1 << 20;

/// A metric that only mynah has.
const OWN_METRIC: &str = "mynah_build_info";

/// Asks for the metrics at the public address, without a token. Returns a finding only if they are served there.
pub(super) async fn check(app: &App, offline: bool) -> Vec<Finding> {
    let server = &app.config.server;
    let Some(url) = server.public_url.as_ref().filter(|_| !offline && !leads_straight_here(server)) else {
        return Vec::new();
    };
    let address = format!("{}/metrics", url.as_str().trim_end_matches('/'));
    if !are_served_at(&address).await {
        return Vec::new();
    }
    vec![Finding::warning(
        NAME,
        format!("everybody can read the metrics at {address}: the proxy does not show that it forwards the request"),
        "set a token (`mynah secret set MYNAH_METRICS_TOKEN`), or let the proxy pass only /webhooks/ and /media/ on",
    )]
}

/// Returns whether the public address is the one on which mynah listens, without a proxy in between.
fn leads_straight_here(server: &ServerConfig) -> bool {
    let url = server.public_url.as_ref();
    url.is_some_and(|url| url.scheme() == "http" && url.port_or_known_default() == Some(server.listen.port()))
}

async fn are_served_at(address: &str) -> bool {
    let Ok(response) = http::client(TIMEOUT, TIMEOUT, AllowedTargets::Any).get(address).send().await else {
        return false;
    };
    let is_success = response.status().is_success();
    let body = http::read_body(response, MAX_BYTES).await.unwrap_or_default();
    is_success && String::from_utf8_lossy(&body).contains(OWN_METRIC)
}
