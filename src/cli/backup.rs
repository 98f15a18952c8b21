//! `mynah backup`: makes a backup. Works while `serve` runs.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use age::x25519::Recipient;
use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;

use super::personal_data::count;
use super::progress::Bar;
use crate::app::load_sources;
use crate::backup::{self, BackupOptions, BackupReport};
use crate::config::{Config, DataConfig, Sources};
use crate::disk_space::in_units;

const EXAMPLES: &str = "Examples:
  mynah backup mynah.tar
  mynah backup /mnt/usb/mynah.tar.age \\
      --recipient age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p

The file is a tar archive with the database and the files of the conversations. `mynah restore` puts
it back. `serve` makes one each day by itself (MYNAH_BACKUP_EVERY).";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The file to write
    file: PathBuf,
    /// Encrypt for this age recipient; may be given several times [MYNAH_BACKUP_RECIPIENTS]
    #[arg(long, value_name = "AGE1…", value_parser = parse_recipient)]
    recipient: Vec<Recipient>,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

fn parse_recipient(text: &str) -> Result<Recipient, String> {
    if text.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") {
        return Err("this is an age identity, which is secret; a recipient begins with age1".to_owned());
    }
    text.parse().map_err(|_| "a recipient begins with age1, as `age-keygen -y` prints it".to_owned())
}

pub(super) async fn run(sources: Sources, arguments: Arguments) -> Result<()> {
    let (data, config) = Config::load_backup(load_sources(sources)?.0)?;
    let recipients = if arguments.recipient.is_empty() { config.recipients } else { arguments.recipient };
    let options = BackupOptions { file: arguments.file, recipients, overwrite: arguments.force };
    let stop = Arc::new(AtomicBool::new(false));
    let bar = Bar::new();
    let making = {
        let (data, stop, bar) = (data.clone(), Arc::clone(&stop), bar.clone());
        tokio::task::spawn_blocking(move || {
            backup::create(&data, &options, super::clock().as_ref(), &mut |state| {
                bar.show(state.doing, state.done, state.total);
                !stop.load(Ordering::Relaxed)
            })
        })
    };
    let interrupted = crate::daemon::stop_on_signal()?;
    tokio::spawn(async move {
        interrupted.cancelled().await;
        stop.store(true, Ordering::Relaxed);
    });
    let report = making.await.context("the backup panicked, which is a bug in mynah")?;
    bar.finish();
    let report = report?;
    if arguments.json {
        println!("{:#}", report_json(&report, &data));
    } else {
        print_report(&report, &data);
    }
    Ok(())
}

fn rows(report: &BackupReport, table: &str) -> u64 {
    report.contents.manifest.rows.get(table).copied().unwrap_or_default()
}

fn print_report(report: &BackupReport, data: &DataConfig) {
    let end = &report.contents.end;
    let kind = if report.encrypted { ", encrypted" } else { "" };
    println!("backed up to {} ({}{kind})", report.file.display(), in_units(report.bytes));
    println!(
        "  in it: {}, {}, {}, {}, the stored settings, {} (encrypted)",
        count(rows(report, "contacts"), "contact"),
        count(rows(report, "conversations"), "conversation"),
        count(rows(report, "messages"), "message"),
        count(end.files, "file"),
        count(rows(report, "secrets"), "secret"),
    );
    if !end.missing_files.is_empty() {
        println!("  {} of the conversations are missing or damaged, and are not in it", end.missing_files.len());
    }
    println!("  not in it: the age identity ({}), without which nobody can read", data.age_key.path.display());
    println!("    the secrets; mynah.toml and the files of numbers. Keep copies of them in another place");
    if !report.encrypted {
        println!("  whoever can read this file can read what people wrote");
    }
    println!("to put it back: mynah restore {}", report.file.display());
}

fn report_json(report: &BackupReport, data: &DataConfig) -> serde_json::Value {
    let (manifest, end) = (&report.contents.manifest, &report.contents.end);
    json!({
        "file": report.file,
        "bytes": report.bytes,
        "made_at": report.made_at.to_string(),
        "encrypted": report.encrypted,
        "program": manifest.program,
        "schema": manifest.schema,
        "rows": manifest.rows,
        "files": end.files,
        "file_bytes": end.file_bytes,
        "missing_files": end.missing_files,
        "age_identity_to_keep": data.age_key.path,
    })
}
