//! `mynah conversations export` and `erase`: everything that is held on one person. Both work while `serve` runs.

use std::collections::HashMap;
use std::io::{self, BufWriter, IsTerminal};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use dialoguer::Confirm;
use serde_json::json;

use super::table_columns::{Cell, row_lines};
use super::terminal::Tone;
use super::{progress, who};
use crate::app;
use crate::config::Config;
use crate::model::PersonQuery;
use crate::personal_data::{self, ErasureReport, Proof};
use crate::store::{Person, Store};

pub(super) const EXPORT_EXAMPLES: &str = "Examples:
  mynah conversations export +15551234567
  mynah conversations export \"Ana María\" --output ana
  mynah conversations export 89ab --json > person.json";

pub(super) const ERASE_EXAMPLES: &str = "Examples:
  mynah conversations erase +15551234567
  mynah conversations erase \"Ana María\" --yes --json";

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
    let running = progress::spinner("exporting");
    let summary = personal_data::export_to_folder(store, &files, person.contact, &folder, now).await;
    running.finish_and_clear();
    let summary = summary?;
    if json {
        let mut document = serde_json::to_value(summary)?;
        document["folder"] = json!(folder);
        println!("{document:#}");
        return Ok(());
    }
    println!("exported {} to {}", who::display_person(&person), folder.display());
    println!(
        "person.json: {}, {}, {} of the webhook log",
        count(summary.conversations as u64, "conversation"),
        count(summary.messages as u64, "message"),
        count(summary.webhooks as u64, "row"),
    );
    println!("files: {}", summary.files);
    if summary.missing_files > 0 {
        println!("{} lie no longer in the data folder", count(summary.missing_files as u64, "further file"));
    }
    println!("whoever can read the folder can read what this person wrote: delete it once it is handed over");
    Ok(())
}

#[derive(Debug, Args)]
pub(super) struct EraseArguments {
    /// The person: a phone number, a user ID, a name, or the id of one of their conversations
    #[arg(value_parser = who::parse)]
    who: PersonQuery,
    /// Erase without asking
    #[arg(long)]
    yes: bool,
}

pub(super) async fn erase(config: &Config, store: Store, arguments: EraseArguments, json: bool) -> Result<()> {
    let person = who::find_person(&store, &arguments.who).await?;
    if !arguments.yes && !is_confirmed(&person)? {
        bail!("nothing was erased");
    }
    // The bytes of the database are searched while nothing here has it open.
    drop(store);
    let running = progress::spinner("erasing, and searching the database");
    let report = personal_data::erase(config, super::clock().as_ref(), person.contact).await;
    running.finish_and_clear();
    let report = report?;
    if json {
        println!("{:#}", serde_json::to_value(&report)?);
    } else {
        print_report(&person, &report);
    }
    if report.proof.iter().any(|proof| proof.is_residue) && report.log_is_empty {
        bail!("the person is erased, but the database file still contains copies in its free space");
    }
    Ok(())
}

/// Asks on the terminal.
fn is_confirmed(person: &Person) -> Result<bool> {
    let shown = who::display_person(person);
    if !io::stdin().is_terminal() {
        bail!("this erases {shown} for good: add --yes to confirm it, because there is no terminal to ask on");
    }
    let conversations = u64::try_from(person.conversations).unwrap_or(0);
    eprintln!("This erases {shown} for good, with {}.", count(conversations, "conversation"));
    eprintln!("If the person wants a copy, run `mynah conversations export` before.");
    let question = Confirm::new().with_prompt("Erase this person?").default(false);
    question.interact().context("the answer cannot be read")
}

fn print_report(person: &Person, report: &ErasureReport) {
    println!("erased {}", who::display_person(person));
    let deleted = &report.deleted;
    let counts = [
        count(deleted.conversations as u64, "conversation"),
        count(deleted.messages as u64, "message"),
        count(report.files_removed as u64, "file"),
        count(deleted.webhooks as u64, "logged webhook"),
        count(deleted.alerts as u64, "alert"),
    ];
    println!("  {}", counts.join(", "));
    if report.files_shared > 0 {
        println!("  {} kept, which others sent or received too", count(report.files_shared as u64, "file"));
    }
    println!("searched the bytes of the database, its log and its index:");
    for line in row_lines(report.proof.iter().map(proof_row).collect()) {
        print!("  {line}");
    }
    for sentence in &report.remaining {
        println!("not done yet: {sentence}");
    }
    println!("backups from before still hold this person; mynah erases the person again when it restores one");
}

fn proof_row(proof: &Proof) -> [Cell; 2] {
    let (found, tone) = match (proof.found, proof.mentions.as_slice()) {
        (0, _) => ("not found".to_owned(), Some(Tone::Good)),
        (found, []) => (format!("found {found} times in the free space of the file"), Some(Tone::Bad)),
        (_, mentions) => {
            let places: Vec<_> = mentions.iter().map(|mention| format!("{} {}", mention.rows, mention.place)).collect();
            (format!("only in {}", places.join(", ")), None)
        }
    };
    [proof.searched_for.to_owned().into(), Cell::toned(found, tone)]
}

/// Formats a count with its noun.
pub(super) fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
