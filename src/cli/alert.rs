//! `mynah alert`: lists alerts, and tests the ways in which they reach somebody. Works while `serve` runs.

use std::sync::Arc;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::table_columns::columns;
use super::terminal;
use crate::app::App;
use crate::config::Config;
use crate::store::{Alert, DeliveryRow};
use crate::work::alerts;

/// How many messages about one alert the JSON document shows.
const MAX_SHOWN_DELIVERIES: i64 = 20;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  mynah alert list\n  mynah alert test")]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List alerts, the latest first
    ///
    /// Each line shows when the alert last happened, how often, whether it is well again, its cause, its subject and a
    /// sentence about it. A message that did not reach anybody is named below.
    #[command(after_help = "Example:\n  mynah alert list --limit 10")]
    List {
        /// The maximum number of alerts
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=1000))]
        limit: i64,
        /// Print one JSON document on stdout
        #[arg(long)]
        json: bool,
    },
    /// Send a test message in every configured way, and tell each result
    #[command(after_help = "Example:\n  mynah alert test")]
    Test {
        /// Print one JSON document on stdout
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(config: Config, arguments: Arguments) -> Result<()> {
    match arguments.action {
        Action::List { limit, json } => list(&config, limit, json).await,
        Action::Test { json } => test(config, json).await,
    }
}

async fn list(config: &Config, limit: i64, json: bool) -> Result<()> {
    let store = super::open_existing_store(config)?;
    let mut rows = Vec::new();
    for alert in store.alerts(limit).await? {
        let deliveries = store.alert_deliveries(&alert, MAX_SHOWN_DELIVERIES).await?;
        rows.push((alert, deliveries));
    }
    if json {
        println!("{:#}", Value::from(rows.iter().map(alert_json).collect::<Vec<_>>()));
    } else if rows.is_empty() {
        println!("no alerts");
    } else {
        let failed = rows.iter().flat_map(|(alert, deliveries)| {
            let failed = deliveries.iter().filter(|delivery| delivery.error.is_some());
            failed.map(move |delivery| undelivered_line(alert, delivery))
        });
        let failed: Vec<String> = failed.collect();
        print!("{}", columns(rows.into_iter().map(|(alert, _)| row(alert)).collect()));
        if !failed.is_empty() {
            println!("\nMessages that were not taken:\n{}", failed.join("\n"));
        }
    }
    Ok(())
}

async fn test(config: Config, json: bool) -> Result<()> {
    super::ensure_database_exists(&config.data.database)?;
    let app = Arc::new(App::build(config, super::clock()).await?);
    let results = alerts::send_test(&app).await;
    if results.is_empty() {
        bail!(
            "no way is configured in which an alert could reach anybody; set MYNAH_ALERT_EMAIL_TO and SMTP_URL, \
             MYNAH_ALERT_SLACK_URL, MYNAH_ALERT_WEBHOOK_URL or MYNAH_ALERT_NTFY_URL"
        );
    }
    if json {
        let results = results.iter().map(
            |(way, result)| json!({ "way": way.as_str(), "sent": result.is_ok(), "error": result.as_ref().err() }),
        );
        println!("{:#}", Value::from(results.collect::<Vec<_>>()));
    } else {
        let row = |(way, result): &(_, Result<(), String>)| {
            let way: &crate::alerting::Way = way;
            let (word, text) = match result {
                Ok(()) => ("ok", "sent; it should arrive now"),
                Err(why) => ("failed", why.as_str()),
            };
            [word.to_owned(), way.as_str().to_owned(), text.to_owned()]
        };
        print!("{}", columns(results.iter().map(row).collect()));
    }
    match results.iter().filter(|(_, result)| result.is_err()).count() {
        0 => Ok(()),
        1 => bail!("one way failed"),
        failed => bail!("{failed} ways failed"),
    }
}

fn alert_json((alert, deliveries): &(Alert, Vec<DeliveryRow>)) -> Value {
    json!({
        "cause": alert.cause,
        "subject": alert.subject,
        "message": alert.message,
        "first_at": alert.first_at.to_string(),
        "last_at": alert.last_at.to_string(),
        "count": alert.count,
        "resolved_at": alert.resolved_at.map(|at| at.to_string()),
        "deliveries": deliveries.iter().map(delivery_json).collect::<Vec<_>>(),
    })
}

fn delivery_state(delivery: &DeliveryRow) -> &'static str {
    match (delivery.due_at, &delivery.error) {
        (Some(_), _) => "waiting",
        (None, None) => "sent",
        (None, Some(_)) => "given_up",
    }
}

fn delivery_json(delivery: &DeliveryRow) -> Value {
    json!({
        "way": delivery.way,
        "state": delivery_state(delivery),
        "attempts": delivery.attempts,
        "next_at": delivery.due_at.map(|at| at.to_string()),
        "finished_at": delivery.finished_at.map(|at| at.to_string()),
        "error": delivery.error,
    })
}

fn undelivered_line(alert: &Alert, delivery: &DeliveryRow) -> String {
    let next = match delivery.due_at {
        Some(at) => format!("next try {at}"),
        None => "given up".to_owned(),
    };
    let why = delivery.error.as_deref().unwrap_or_default();
    format!("  {} {}, by {}: {} tries, {next}: {why}", alert.cause, alert.subject, delivery.way, delivery.attempts)
}

fn row(alert: Alert) -> [String; 6] {
    let state = if alert.resolved_at.is_some() { "well again".to_owned() } else { String::new() };
    let count = format!("{}×", alert.count);
    [terminal::time(alert.last_at), count, state, alert.cause, alert.subject, alert.message]
}
