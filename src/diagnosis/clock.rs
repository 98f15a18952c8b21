//! The clock: it agrees with the provider's.
//!
//! mynah dates messages by its own clock and finds them in Twilio's list by Twilio's. With a clock that is a minute
//! off, it may take a message that was sent for one that was not.

use std::time::Duration;

use reqwest::header::DATE;
use url::Url;

use super::finding::Finding;
use crate::app::App;
use crate::clock::Time;
use crate::config::ProviderConfig;
use crate::http::{self, AllowedTargets};

pub(super) const NAME: &str = "clock";

/// From here on, a message that was sent may count as not sent.
const MAX_OFFSET: Duration = Duration::from_secs(60);

/// From here on, the clock is not kept in step by anything.
const NOTABLE_OFFSET: Duration = Duration::from_secs(10);

/// The `Date` header is cut to seconds.
const RESOLUTION: Duration = Duration::from_secs(1);

const TIMEOUT: Duration = Duration::from_secs(15);

/// Compares the clock with Twilio's, or with the model server's where no account is set.
pub(super) async fn check(app: &App, offline: bool) -> Vec<Finding> {
    if offline {
        return vec![Finding::skipped(NAME, "not compared with another clock (--offline)")];
    }
    for channel in app.channels() {
        let before = app.clock.now();
        if let Ok(Some(there)) = channel.check().await.map(|accepted| accepted.provider_time) {
            return vec![judge(before, there, app.clock.now(), "Twilio's")];
        }
    }
    if app.channels().next().is_some() {
        return vec![Finding::skipped(NAME, "Twilio did not tell the time")];
    }
    for url in model_servers(app) {
        let before = app.clock.now();
        if let Some(there) = server_time(&url).await {
            let whose = format!("that of {}", url.host_str().unwrap_or_default());
            return vec![judge(before, there, app.clock.now(), &whose)];
        }
    }
    vec![Finding::skipped(NAME, "no server told the time")]
}

/// Judges the clock by another one that was read between two moments.
fn judge(before: Time, there: Time, after: Time, whose: &str) -> Finding {
    let behind = there.since(after);
    let ahead = before.since(there + RESOLUTION);
    let (offset, direction) = if ahead > behind { (ahead, "ahead of") } else { (behind, "behind") };
    let remedy = "let the system keep the time: run `timedatectl set-ntp true`, or install chrony";
    let found = format!("this machine's clock is {} s {direction} {whose}", offset.as_secs());
    if offset > MAX_OFFSET {
        Finding::failed(NAME, found, remedy)
    } else if offset > NOTABLE_OFFSET {
        Finding::warning(NAME, found, remedy)
    } else {
        Finding::ok(NAME, format!("this machine's clock agrees with {whose}"))
    }
}

fn model_servers(app: &App) -> impl Iterator<Item = Url> {
    app.numbers.iter().flat_map(|number| &number.config.ai).filter_map(|ai| match &ai.provider {
        ProviderConfig::OpenAi { base_url, .. } | ProviderConfig::Anthropic { base_url, .. } => Some(base_url.clone()),
        ProviderConfig::Offline { .. } => None,
    })
}

/// Returns a server's time. Every answer has a `Date`, also a refusal, so no key is sent.
async fn server_time(url: &Url) -> Option<Time> {
    let response = http::client(TIMEOUT, TIMEOUT, AllowedTargets::Any).get(url.clone()).send().await.ok()?;
    http::parse_date(response.headers().get(DATE)?.to_str().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::Outcome;

    #[test]
    fn the_clock_is_off_only_by_more_than_the_call_and_the_cut_seconds_explain() {
        let there = Time(1_000_000);
        for (before, after, outcome, word) in [
            (1_000_000, 1_000_100, Outcome::Ok, "agrees"),
            // The call took half a minute, and the answer may have been written at any moment of it.
            (980_000, 1_015_000, Outcome::Ok, "agrees"),
            (1_010_900, 1_010_950, Outcome::Ok, "agrees"),
            (1_012_000, 1_012_050, Outcome::Warning, "11 s ahead of"),
            (980_000, 985_000, Outcome::Warning, "15 s behind"),
            (4_600_000, 4_600_050, Outcome::Failed, "3599 s ahead of"),
            (0, 50, Outcome::Failed, "999 s behind"),
        ] {
            let finding = judge(Time(before), there, Time(after), "Twilio's");
            assert!(finding.outcome == outcome && finding.found.contains(word), "{before} {after} {finding:?}");
        }
    }
}
