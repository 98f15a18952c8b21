//! `mynah settings`: shows and changes the settings that are stored in the database. They rank below the configuration
//! file. Works while `serve` runs, which uses a changed setting within two seconds.

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::table_columns::{Cell, columns};
use super::terminal::Tone;
use crate::administration::Administration;
use crate::config::{Sources, StoredSetting, StoredSettingState};
use crate::text;

/// The most characters of a value that the list shows.
const MAX_SHOWN_CHARS: usize = 60;

const EXAMPLES: &str = "Examples:
  mynah settings list
  mynah settings set MYNAH_TYPING false
  mynah settings unset MYNAH_TYPING";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
    /// Print one JSON document on stdout
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the stored settings, and whether each is in effect
    #[command(after_help = "Examples:\n  mynah settings list\n  mynah settings list --json")]
    List,
    /// Print a stored value
    #[command(after_help = "Example:\n  mynah settings get MYNAH_TYPING")]
    Get {
        /// The setting's environment variable, such as MYNAH_TYPING
        key: String,
    },
    /// Store a value; a running `mynah serve` uses it within two seconds
    #[command(after_help = "Examples:
  mynah settings set MYNAH_TYPING false
  mynah settings set MYNAH_SYSTEM_PROMPT \"You answer for Ana's bakery.\"

The database ranks below the environment and the file mynah.toml. Secrets are stored with `mynah secret set`.")]
    Set {
        /// The setting's environment variable, such as MYNAH_TYPING
        key: String,
        /// The value, in the form that the environment variable takes
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// Delete a stored value
    #[command(after_help = "Example:\n  mynah settings unset MYNAH_TYPING")]
    Unset {
        /// The setting's environment variable, such as MYNAH_TYPING
        key: String,
    },
}

/// Takes the sources and not a loaded configuration: if a stored setting breaks the configuration, this command has to
/// be able to repair it.
pub(super) async fn run(sources: Sources, arguments: Arguments) -> Result<()> {
    let administration = Administration::open(sources, super::clock())?;
    let json = arguments.json;
    match arguments.action {
        Action::List => print_list(administration.settings()?, json),
        Action::Get { key } => {
            let stored = administration.setting(&key)?;
            match &stored.value {
                _ if json => println!("{:#}", setting_json(&stored)),
                Some(value) => println!("{value}"),
                None => {
                    bail!(
                        "{key} is a secret, so it is not shown and has no effect here; delete it with \
                         `mynah settings unset {key}`"
                    )
                }
            }
            if let (false, Some(why)) = (json, why_ineffective(&stored.state)) {
                eprintln!("note: this value is not in effect: {why}");
            }
        }
        Action::Set { key, value } => {
            let stored = administration.set_setting(&key, value).await?;
            match why_ineffective(&stored.state) {
                _ if json => println!("{:#}", setting_json(&stored)),
                None => println!("{key} is stored; a running `mynah serve` uses it within two seconds"),
                Some(why) => println!("{key} is stored, but is not in effect: {why}"),
            }
        }
        Action::Unset { key } => {
            let problems = administration.unset_setting(&key).await?;
            if json {
                println!("{:#}", json!({ "key": key, "stored": false }));
            } else {
                println!("{key} is deleted; a running `mynah serve` does without it within two seconds");
            }
            if let Some(problems) = problems {
                eprintln!("note: with this configuration, mynah does not start: {problems}");
            }
        }
    }
    Ok(())
}

/// Returns why a stored setting is not in effect, or `None` if it is.
fn why_ineffective(state: &StoredSettingState) -> Option<String> {
    match state {
        StoredSettingState::Counts => None,
        StoredSettingState::Hidden(by) => Some(format!("overridden by {by}")),
        StoredSettingState::LeftOut(why) => Some(format!("ignored: {why}")),
    }
}

fn setting_json(stored: &StoredSetting) -> Value {
    let state = match &stored.state {
        StoredSettingState::Counts => "counts",
        StoredSettingState::Hidden(_) => "hidden",
        StoredSettingState::LeftOut(_) => "left_out",
    };
    json!({ "key": stored.key, "value": stored.value, "state": state, "why": why_ineffective(&stored.state) })
}

fn print_list(all: Vec<StoredSetting>, json: bool) {
    if json {
        println!("{:#}", Value::from(all.iter().map(setting_json).collect::<Vec<_>>()));
        return;
    }
    if all.is_empty() {
        println!("no settings are stored; docs/configuration.md lists all settings");
    }
    let row = |stored: StoredSetting| {
        let why = match why_ineffective(&stored.state) {
            None => "in effect".to_owned().into(),
            Some(why) => Cell::toned(why, Some(Tone::Warning)),
        };
        let value = stored.value.unwrap_or_else(|| "(not shown)".to_owned());
        [stored.key.into(), why, text::truncate(&value, MAX_SHOWN_CHARS).into_owned().into()]
    };
    print!("{}", columns(all.into_iter().map(row).collect()));
}
