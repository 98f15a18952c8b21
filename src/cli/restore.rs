//! `mynah restore`: puts a backup in the place of the data folder's data. `serve` must not run.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::personal_data::count;
use super::progress;
use crate::backup::{self, IdentityState, RestoreOptions, RestoreReport};
use crate::clock::Time;
use crate::config::{Config, DataConfig, Sources};
use crate::store::RestoredWork;

const EXAMPLES: &str = "Examples:
  mynah restore mynah.tar                  # into an empty data folder
  mynah restore mynah.tar --force          # the old data gets another name
  mynah restore mynah.tar.age --identity backup-identity.txt

The backup is checked before anything changes. Then nothing that was unfinished in it is sent before
Twilio's list has shown that it was not sent already, so an old backup repeats no reply.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The backup
    file: PathBuf,
    /// The file of the age identity that opens an encrypted backup
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// Put the backup in the place of an existing database, which gets another name
    #[arg(long)]
    force: bool,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(sources: Sources, arguments: Arguments) -> Result<()> {
    let data = Config::load_data(sources)?;
    let options = RestoreOptions { file: arguments.file, identity: arguments.identity, overwrite: arguments.force };
    let running = progress::spinner("checking and restoring the backup");
    let stop = crate::daemon::stop_on_signal()?;
    let report = backup::restore(&data, &options, super::clock().as_ref(), &|| !stop.is_cancelled()).await;
    running.finish_and_clear();
    let report = report?;
    if arguments.json {
        println!("{:#}", report_json(&report));
    } else {
        print_report(&report, &data);
    }
    Ok(())
}

fn print_report(report: &RestoreReport, data: &DataConfig) {
    let manifest = &report.contents.manifest;
    println!("restored the backup of {} into {}", Time(manifest.made_at), data.dir.display());
    println!(
        "  {}, {}",
        count(manifest.rows.get("messages").copied().unwrap_or_default(), "message"),
        count(report.contents.end.files, "file")
    );
    for old in &report.replaced {
        println!("  the old data is kept as {}", old.display());
    }
    if report.work == RestoredWork::default() {
        println!("  nothing was unfinished in it");
    } else {
        let (turns, replies) = (count(report.work.turns, "turn"), count(report.work.replies, "reply part"));
        println!(
            "  {turns} and {replies} were unfinished: mynah looks at Twilio's list before it sends anything for them"
        );
    }
    if report.erased_again > 0 {
        println!("  {} erased since the backup, erased again", count(report.erased_again as u64, "person"));
    }
    if let Some(why) = &report.erasures_unknown {
        println!("  whoever was erased since the backup is back, because the old database cannot be read ({why}):");
        println!("    erase them again with `mynah conversations erase`");
    }
    match &report.identity {
        IdentityState::NotNeeded | IdentityState::Fits => {}
        IdentityState::Missing(path) => {
            println!("  the age identity is missing: put your copy of it at {}", path.display());
        }
        IdentityState::DoesNotFit(path, why) => {
            println!("  the age identity {} does not open the secrets ({why}):", path.display());
            println!("    put the one in its place that the backup was made with");
        }
    }
    println!("next: `mynah check`, then `mynah serve`");
}

fn report_json(report: &RestoreReport) -> serde_json::Value {
    let (manifest, end) = (&report.contents.manifest, &report.contents.end);
    let (identity, why) = match &report.identity {
        IdentityState::NotNeeded => ("not_needed", None),
        IdentityState::Fits => ("fits", None),
        IdentityState::Missing(_) => ("missing", None),
        IdentityState::DoesNotFit(_, why) => ("does_not_fit", Some(why)),
    };
    json!({
        "made_at": Time(manifest.made_at).to_string(),
        "program": manifest.program,
        "rows": manifest.rows,
        "files": end.files,
        "missing_files": end.missing_files,
        "replaced": report.replaced,
        "unfinished_turns": report.work.turns,
        "unfinished_parts": report.work.replies,
        "erased_again": report.erased_again,
        "erasures_unknown": report.erasures_unknown,
        "age_identity": identity,
        "age_identity_error": why,
    })
}
