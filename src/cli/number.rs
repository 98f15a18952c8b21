//! `mynah number`: our WhatsApp numbers, and those that are stored in the database. Works while `serve` runs, which uses
//! a change within two seconds.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::secret_input;
use super::table_columns::columns;
use crate::administration::{Administration, NumberEntry, NumberSource, SettingChanges};
use crate::config::{Config, Sources};

const EXAMPLES: &str = "Examples:
  mynah number add sales --from +14155550002 \\
      --set MYNAH_SYSTEM_PROMPT=\"You answer for our sales desk.\"
  mynah number add support --from +14155550003 --ai local
  mynah number list

A number takes what it does not set from the main configuration; docs/numbers.md has the rules.";

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
    /// List our numbers: the first, those in files, and those in the database
    #[command(after_help = "Example:\n  mynah number list --json")]
    List,
    /// Store a new number
    #[command(after_help = "Examples:
  mynah number add sales --from +14155550002
  mynah number add clinic --from +14155550003 \\
      --account-sid AC00000000000000000000000000000002 \\
      --secret TWILIO_AUTH_TOKEN=token.txt")]
    Add {
        /// A name for it: letters, digits, - and _
        name: String,
        #[command(flatten)]
        settings: NumberArguments,
    },
    /// Change a stored number; what is not named stays
    #[command(after_help = "Example:\n  mynah number update sales --ai local --unset MYNAH_SYSTEM_PROMPT")]
    Update {
        /// Its name
        name: String,
        #[command(flatten)]
        settings: NumberArguments,
        /// Take this setting from the main configuration again; may be given several times
        #[arg(long, value_name = "VARIABLE")]
        unset: Vec<String>,
    },
    /// Delete a stored number; its conversations stay
    #[command(after_help = "Example:\n  mynah number remove sales")]
    Remove {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Args)]
struct NumberArguments {
    /// The WhatsApp number that sends, such as +14155550002
    #[arg(long, value_name = "NUMBER")]
    from: Option<String>,
    /// The Messaging Service that sends, instead of a number
    #[arg(long, value_name = "SID")]
    messaging_service_sid: Option<String>,
    /// The Twilio account, if it is not the main one
    #[arg(long, value_name = "SID")]
    account_sid: Option<String>,
    /// The stored AI configuration that answers
    #[arg(long, value_name = "NAME")]
    ai: Option<String>,
    /// Another setting of its own, such as MYNAH_TEXT_SORRY=Sorry; may be given several times
    #[arg(long, value_name = "VARIABLE=VALUE")]
    set: Vec<String>,
    /// A secret of its own, read from a file (- for stdin); may be given several times
    #[arg(long, value_name = "VARIABLE=FILE")]
    secret: Vec<String>,
}

impl NumberArguments {
    fn changes(&self) -> Result<SettingChanges> {
        let named = [
            ("TWILIO_WHATSAPP_FROM", &self.from),
            ("TWILIO_MESSAGING_SERVICE_SID", &self.messaging_service_sid),
            ("TWILIO_ACCOUNT_SID", &self.account_sid),
            ("MYNAH_AI_CONFIGURATION", &self.ai),
        ];
        let mut changes: SettingChanges =
            named.into_iter().filter_map(|(key, value)| Some((key.to_owned(), Some(value.clone()?)))).collect();
        for pair in &self.set {
            let (key, value) = split(pair, "VARIABLE=VALUE")?;
            let setting = Config::find_setting(key)?;
            if setting.secret {
                bail!("{key} is a secret: name a file that holds it with --secret {key}=FILE");
            }
            changes.insert(key.to_owned(), Some(value.to_owned()));
        }
        Ok(changes)
    }

    fn secrets(&self) -> Result<BTreeMap<String, SecretString>> {
        let mut secrets = BTreeMap::new();
        for pair in &self.secret {
            let (key, path) = split(pair, "VARIABLE=FILE")?;
            if !Config::find_setting(key)?.can_be_stored_as_secret() {
                bail!("{key} is not a secret: use --set {key}=VALUE");
            }
            let path = PathBuf::from(path);
            let from_stdin = path.as_os_str() == "-";
            let value = secret_input::read(key, Some(path.as_path()).filter(|_| !from_stdin))?;
            secrets.insert(key.to_owned(), value);
        }
        Ok(secrets)
    }
}

fn split<'a>(pair: &'a str, form: &str) -> Result<(&'a str, &'a str)> {
    match pair.split_once('=') {
        Some((key, value)) if !key.is_empty() && !value.is_empty() => Ok((key, value)),
        // The value may be a secret that belongs elsewhere, so it is not shown.
        _ => bail!("expected {form}"),
    }
}

pub(super) async fn run(sources: Sources, arguments: Arguments) -> Result<()> {
    let administration = Administration::open(sources, super::clock())?;
    let json = arguments.json;
    match arguments.action {
        Action::List => print_list(&administration.numbers()?, json),
        Action::Add { name, settings } => {
            administration.add_number(&name, settings.changes()?, settings.secrets()?).await?;
            report(&administration, &name, "is stored", json)?;
        }
        Action::Update { name, settings, unset } => {
            let mut changes = settings.changes()?;
            changes.extend(unset.into_iter().map(|key| (key, None)));
            administration.update_number(&name, changes, settings.secrets()?).await?;
            report(&administration, &name, "is changed", json)?;
        }
        Action::Remove { name } => {
            administration.remove_number(&name).await?;
            if json {
                println!("{:#}", json!({ "name": name, "stored": false }));
            } else {
                println!("the number {name} is deleted; its conversations stay");
            }
        }
    }
    Ok(())
}

fn report(administration: &Administration, name: &str, what: &str, json: bool) -> Result<()> {
    let entry = administration.numbers()?.into_iter().find(|entry| entry.name == name);
    match entry {
        Some(entry) if json => println!("{:#}", entry_json(&entry)),
        _ => println!("the number {name} {what}; a running `mynah serve` uses it within two seconds"),
    }
    Ok(())
}

fn source_word(source: NumberSource) -> &'static str {
    match source {
        NumberSource::Main => "main",
        NumberSource::File => "file",
        NumberSource::Stored => "stored",
    }
}

fn entry_json(entry: &NumberEntry) -> Value {
    json!({
        "name": entry.name,
        "source": source_word(entry.source),
        "sender": entry.sender,
        "account": entry.account,
        "models": entry.models,
    })
}

fn print_list(entries: &[NumberEntry], json: bool) {
    if json {
        println!("{:#}", Value::from(entries.iter().map(entry_json).collect::<Vec<_>>()));
        return;
    }
    let row = |entry: &NumberEntry| {
        let models = if entry.models.is_empty() { "no model".to_owned() } else { entry.models.join(", then ") };
        let sender = entry.sender.clone().unwrap_or_else(|| "no sender".to_owned());
        let from = match entry.source {
            NumberSource::Main => "main configuration",
            NumberSource::File => "file",
            NumberSource::Stored => "stored",
        };
        [entry.name.clone(), sender, from.to_owned(), models]
    };
    print!("{}", columns(entries.iter().map(row).collect()));
}
