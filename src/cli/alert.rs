//! `mynah alert`: lists alerts. Works while `serve` runs.

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::table_columns::columns;
use crate::config::Config;
use crate::store::Alert;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List alerts, the latest first
    ///
    /// Each line shows when the alert last happened, how often, its cause, its subject and a sentence about it.
    List {
        /// The maximum number of alerts
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=1000))]
        limit: i64,
        /// Print one JSON document on stdout
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(config: Config, arguments: Arguments) -> Result<()> {
    let Action::List { limit, json } = arguments.action;
    let alerts = super::open_existing_store(&config)?.alerts(limit).await?;
    if json {
        println!("{:#}", Value::from(alerts.iter().map(alert_json).collect::<Vec<_>>()));
    } else if alerts.is_empty() {
        println!("no alerts");
    } else {
        print!("{}", columns(alerts.into_iter().map(row).collect()));
    }
    Ok(())
}

fn alert_json(alert: &Alert) -> Value {
    json!({
        "cause": alert.cause,
        "subject": alert.subject,
        "message": alert.message,
        "first_at": alert.first_at.to_string(),
        "last_at": alert.last_at.to_string(),
        "count": alert.count,
    })
}

fn row(alert: Alert) -> [String; 5] {
    [alert.last_at.to_string(), format!("{}×", alert.count), alert.cause, alert.subject, alert.message]
}
