//! `mynah conversations export` and `erase`: everything that is held on one person. Both work while `serve` runs.

use std::collections::HashMap;
use std::io::{self, BufWriter};
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::who;
use crate::app;
use crate::config::Config;
use crate::model::PersonQuery;
use crate::personal_data;
use crate::store::Store;

pub(super) const EXPORT_EXAMPLES: &str = "Examples:
  mynah conversations export +15551234567
  mynah conversations export \"Ana María\" --output ana
  mynah conversations export 89ab --json > person.json";

#[derive(Debug, Args)]
pub(super) struct ExportArguments {
    /// The person: a phone number, a user ID, a name, or the id of one of their conversations
    #[arg(value_parser = who::parse)]
    who: PersonQuery,
    /// The folder to create [default: mynah-person-NUMBER-DATE in the current folder]
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

pub(super) async fn export(config: &Config, store: &Store, arguments: ExportArguments, json: bool) -> Result<()> {
    let person = who::find_person(store, &arguments.who).await?;
    let now = super::clock().now();
    if json && arguments.output.is_none() {
        let stdout = BufWriter::new(io::stdout());
        personal_data::write_document(store, person.contact, &HashMap::new(), now, stdout).await?;
        return Ok(());
    }
    let default = || personal_data::default_folder_name(person.contact, now).into();
    let folder = arguments.output.unwrap_or_else(default);
    let files = app::media_files(config);
    let summary = personal_data::export_to_folder(store, &files, person.contact, &folder, now).await?;
    if json {
        let mut document = serde_json::to_value(summary)?;
        document["folder"] = json!(folder);
        println!("{document:#}");
        return Ok(());
    }
    println!("exported {} to {}", who::display_person(&person), folder.display());
    println!(
        "person.json: {}, {}, {} of the webhook log",
        count(summary.conversations, "conversation"),
        count(summary.messages, "message"),
        count(summary.webhooks, "row"),
    );
    println!("files: {}", summary.files);
    if summary.missing_files > 0 {
        println!("{} lie no longer in the data folder", count(summary.missing_files, "further file"));
    }
    println!("whoever can read the folder can read what this person wrote: delete it once it is handed over");
    Ok(())
}

/// Formats a count with its noun.
pub(super) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
