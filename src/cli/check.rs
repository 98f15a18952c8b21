//! `mynah check`: prints a line per check. The exit status is 1 if a check fails.

use std::sync::Arc;

use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;

use crate::app::{App, Assistant, Number};
use crate::config::Config;
use crate::fault::Fault;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Skip the checks that call Twilio or a model
    #[arg(long)]
    offline: bool,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

/// A check and its result.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    /// `ok`, `failed` or `skipped`.
    outcome: &'static str,
    /// The number that was checked, if there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<String>,
    detail: String,
}

impl Finding {
    fn from_result(check: &'static str, outcome: Result<String, String>) -> Finding {
        match outcome {
            Ok(detail) => Finding { check, outcome: "ok", number: None, detail },
            Err(detail) => Finding { check, outcome: "failed", number: None, detail },
        }
    }

    fn skipped(check: &'static str, why: &str) -> Finding {
        Finding { check, outcome: "skipped", number: None, detail: why.into() }
    }
}

pub(super) fn run(config: Result<Config>, arguments: &Arguments) -> Result<()> {
    let findings = match config {
        Err(error) => vec![Finding::from_result("configuration", Err(format!("{error:#}")))],
        Ok(config) => {
            let offline = arguments.offline;
            super::block_on(async move { Ok(run_checks(config, offline).await) })?
        }
    };
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&findings)?);
    } else {
        for finding in &findings {
            let number = finding.number.iter().map(|name| format!("{name}: ")).collect::<String>();
            println!("{:<8} {:<14} {number}{}", finding.outcome, finding.check, finding.detail);
        }
    }
    match findings.iter().filter(|finding| finding.outcome == "failed").count() {
        0 => Ok(()),
        1 => bail!("one check failed"),
        failed => bail!("{failed} checks failed"),
    }
}

async fn run_checks(config: Config, offline: bool) -> Vec<Finding> {
    let mut findings = vec![Finding::from_result("configuration", Ok("read without errors".into()))];
    findings.extend(config.warnings.iter().map(|warning| Finding::skipped("warning", warning)));
    let public = match &config.server.public_url {
        Some(url) => Ok(format!(
            "Twilio's webhook address is {}",
            url.as_str().trim_end_matches('/').to_owned() + "/webhooks/twilio"
        )),
        None => Err("MYNAH_PUBLIC_URL is not set: mynah cannot check signatures, so it refuses every webhook".into()),
    };
    findings.push(Finding::from_result("public URL", public));
    let database = config.data.database.clone();
    let app = match App::build(config, super::clock()).await {
        Ok(app) => app,
        Err(error) => {
            findings.push(Finding::from_result("set-up", Err(format!("{error:#}"))));
            return findings;
        }
    };
    let backlog = app.store.backlog().await;
    findings.push(Finding::from_result(
        "database",
        backlog
            .map_err(|error| error.to_string())
            .map(|backlog| format!("{} is up to date, {} turns wait", database.display(), backlog.waiting)),
    ));
    let mut checked_models = CheckedModels::default();
    for number in &app.numbers {
        let name = app.name_if_several(number).map(str::to_owned);
        let findings_of = check_number(&app, number, offline, &mut checked_models).await;
        findings.extend(findings_of.into_iter().map(|finding| Finding { number: name.clone(), ..finding }));
    }
    if let Some(transcriber) = &app.transcriber {
        let lacks_transcription = |number: &&Number| number.channel.is_some() && app.transcriber_of(number).is_none();
        for number in app.numbers.iter().filter(lacks_transcription) {
            let why = "voice notes are not transcribed here: this number has a model of its own; set \
                       MYNAH_TRANSCRIPTION_BASE_URL or MYNAH_TRANSCRIPTION_API_KEY";
            let name = app.name_if_several(number).map(str::to_owned);
            findings.push(Finding { number: name, ..Finding::skipped("transcription", why) });
        }
        findings.push(if offline {
            Finding::skipped("transcription", "configured, not called (--offline)")
        } else {
            Finding::from_result("transcription", fault_as_text(transcriber.check().await))
        });
    }
    findings
}

/// The results of models that were checked already. Numbers can share a model.
type CheckedModels = Vec<(Arc<Assistant>, Result<String, String>)>;

async fn check_number(app: &App, number: &Number, offline: bool, checked_models: &mut CheckedModels) -> Vec<Finding> {
    let mut findings = vec![match &number.channel {
        None if app.channels().next().is_some() => Finding::skipped("Twilio", "no account and no sender are set"),
        None => Finding::from_result(
            "Twilio",
            Err("not configured: set TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and a sender".into()),
        ),
        Some(_) if offline => Finding::skipped("Twilio", "configured, not called (--offline)"),
        Some(channel) => {
            Finding::from_result("Twilio", fault_as_text(channel.check().await.map(|accepted| accepted.found)))
        }
    }];
    if number.channel.is_none() && number.assistants.is_empty() && app.has_any_model() {
        findings.push(Finding::skipped(
            "model",
            "no model is set; nobody can write to this number, because it has no sender",
        ));
    } else if number.assistants.is_empty() {
        let why = "not configured: set MYNAH_AI_PROVIDER, OPENAI_API_KEY or ANTHROPIC_API_KEY";
        findings.push(Finding::from_result("model", Err(why.into())));
    }
    let checks = std::iter::once("model").chain(std::iter::repeat("fallback"));
    for (check, assistant) in checks.zip(&number.assistants) {
        if offline {
            findings.push(Finding::skipped(check, "configured, not called (--offline)"));
            continue;
        }
        let known =
            checked_models.iter().find(|(other, _)| Arc::ptr_eq(other, assistant)).map(|(_, outcome)| outcome.clone());
        let outcome = match known {
            Some(outcome) => outcome,
            None => fault_as_text(assistant.provider.check().await),
        };
        checked_models.push((Arc::clone(assistant), outcome.clone()));
        findings.push(Finding::from_result(check, outcome));
    }
    findings
}

fn fault_as_text(outcome: Result<String, Fault>) -> Result<String, String> {
    outcome.map_err(|fault| fault.why().to_owned())
}
