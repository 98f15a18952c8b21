//! `mynah check`: a line per check; exit status 1 if any fails.

use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;

use crate::app::App;
use crate::config::Config;
use crate::fault::Fault;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Skip the checks that call out
    #[arg(long)]
    offline: bool,
    /// One JSON document on stdout
    #[arg(long)]
    json: bool,
}

/// One check and what came of it.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    /// `ok`, `failed` or `skipped`.
    outcome: &'static str,
    detail: String,
}

impl Finding {
    fn of(check: &'static str, outcome: Result<String, String>) -> Finding {
        match outcome {
            Ok(detail) => Finding { check, outcome: "ok", detail },
            Err(detail) => Finding { check, outcome: "failed", detail },
        }
    }

    fn skipped(check: &'static str, why: &str) -> Finding {
        Finding { check, outcome: "skipped", detail: why.into() }
    }
}

pub(super) fn run(config: Result<Config>, arguments: &Arguments) -> Result<()> {
    let findings = match config {
        Err(error) => vec![Finding::of("configuration", Err(format!("{error:#}")))],
        Ok(config) => {
            let offline = arguments.offline;
            super::block_on(async move { Ok(examine(config, offline).await) })?
        }
    };
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&findings)?);
    } else {
        for finding in &findings {
            println!("{:<8} {:<14} {}", finding.outcome, finding.check, finding.detail);
        }
    }
    match findings.iter().filter(|finding| finding.outcome == "failed").count() {
        0 => Ok(()),
        1 => bail!("one check failed"),
        failed => bail!("{failed} checks failed"),
    }
}

async fn examine(config: Config, offline: bool) -> Vec<Finding> {
    let mut findings = vec![Finding::of("configuration", Ok("read, no errors".into()))];
    findings.extend(config.warnings.iter().map(|warning| Finding::skipped("warning", warning)));
    let public = match &config.server.public_url {
        Some(url) => Ok(format!(
            "Twilio's webhook address is {}",
            url.as_str().trim_end_matches('/').to_owned() + "/webhooks/twilio"
        )),
        None => Err("MYNAH_PUBLIC_URL is not set: no signature can be checked, so every webhook is refused".into()),
    };
    findings.push(Finding::of("public URL", public));
    let database = config.data.database.clone();
    let app = match App::build(config, super::clock()).await {
        Ok(app) => app,
        Err(error) => {
            findings.push(Finding::of("set-up", Err(format!("{error:#}"))));
            return findings;
        }
    };
    let backlog = app.store.backlog().await;
    findings.push(Finding::of(
        "database",
        backlog
            .map_err(|error| error.to_string())
            .map(|backlog| format!("{} is up to date, {} turns wait", database.display(), backlog.waiting)),
    ));
    findings.push(match &app.main().channel {
        None => {
            Finding::of("Twilio", Err("not configured: set TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and a sender".into()))
        }
        Some(_) if offline => Finding::skipped("Twilio", "configured, not called (--offline)"),
        Some(channel) => Finding::of("Twilio", told(channel.check().await)),
    });
    findings.push(match app.main().assistants.first() {
        None => Finding::of(
            "model",
            Err("not configured: set MYNAH_AI_PROVIDER, OPENAI_API_KEY or ANTHROPIC_API_KEY".into()),
        ),
        Some(_) if offline => Finding::skipped("model", "configured, not called (--offline)"),
        Some(assistant) => Finding::of("model", told(assistant.provider.check().await)),
    });
    for fallback in app.main().assistants.iter().skip(1) {
        findings.push(if offline {
            Finding::skipped("fallback", "configured, not called (--offline)")
        } else {
            Finding::of("fallback", told(fallback.provider.check().await))
        });
    }
    findings
}

fn told(outcome: Result<String, Fault>) -> Result<String, String> {
    outcome.map_err(|fault| fault.why().to_owned())
}
