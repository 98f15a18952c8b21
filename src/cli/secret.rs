//! `mynah secret`: the secrets that are stored encrypted in the database, and their age identity. Works while `serve`
//! runs, which uses a changed secret within two seconds.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::secret_input;
use super::table_columns::columns;
use crate::administration::{Administration, KeptSecret, SecretState};
use crate::config::Sources;

const EXAMPLES: &str = "Examples:
  mynah secret set TWILIO_AUTH_TOKEN                 # asks for the value
  mynah secret set OPENAI_API_KEY < key.txt
  mynah secret list
  mynah secret rotate

A stored secret ranks below the environment and the configuration file. Each value is encrypted with
age for this installation's identity (identity.age.txt in the data folder). Keep a copy of that file
somewhere else: without it, no stored secret can be read again.";

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
    /// Encrypt and store a secret, read from the terminal or from stdin
    #[command(after_help = "Example:\n  mynah secret set OPENAI_API_KEY < key.txt")]
    Set {
        /// The setting's environment variable, such as TWILIO_AUTH_TOKEN
        name: String,
        /// Read the value from this file
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// List the stored secrets, without their values
    #[command(after_help = "Example:\n  mynah secret list --json")]
    List,
    /// Delete a stored secret
    #[command(after_help = "Example:\n  mynah secret remove OPENAI_API_KEY")]
    Remove {
        /// Its name, as `mynah secret list` shows it
        name: String,
    },
    /// Encrypt all stored secrets for a new age identity
    #[command(after_help = "Examples:
  mynah secret rotate
  age-keygen -o new-identity.txt; mynah secret rotate --to new-identity.txt

Backups that were made before hold secrets for the old identity.")]
    Rotate {
        /// Use the identity in this file, and leave it to you to put it in place
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
}

pub(super) async fn run(sources: Sources, arguments: Arguments) -> Result<()> {
    let administration = Administration::open(sources, super::clock())?;
    let json = arguments.json;
    match arguments.action {
        Action::Set { name, file } => {
            let value = secret_input::read(&name, file.as_deref())?;
            let change = administration.set_secret(&name, value).await?;
            if json {
                println!("{:#}", secret_json(&change.secret));
            } else {
                match why_ineffective(&change.secret.state) {
                    None => println!("{name} is stored; a running `mynah serve` uses it within two seconds"),
                    Some(why) => println!("{name} is stored, but is not in effect: {why}"),
                }
            }
            if let Some(path) = change.created_identity {
                eprintln!("note: made the age identity {}; keep a copy of it somewhere else", path.display());
            }
            for name in change.unreadable {
                eprintln!(
                    "note: the stored secret {name} cannot be decrypted; set it again with `mynah secret set {name}`, or \
                     delete it with `mynah secret remove {name}`"
                );
            }
        }
        Action::List => print_list(&administration.secrets().await?, json),
        Action::Remove { name } => {
            let problems = administration.remove_secret(&name).await?;
            if json {
                println!("{:#}", json!({ "name": name, "stored": false }));
            } else {
                println!("{name} is deleted; a running `mynah serve` does without it within two seconds");
            }
            if let Some(problems) = problems {
                eprintln!("note: with this configuration, mynah does not start: {problems}");
            }
        }
        Action::Rotate { to } => {
            let rotation = administration.rotate_identity(to.as_deref()).await?;
            let file = rotation.identity_file.display().to_string();
            if json {
                println!(
                    "{:#}",
                    json!({
                        "secrets": rotation.secrets,
                        "recipient": rotation.recipient,
                        "identity_file": file,
                        "must_be_put_in_place": rotation.must_be_put_in_place,
                    })
                );
            } else if rotation.must_be_put_in_place {
                println!(
                    "{} secrets are encrypted for {}\nPut {file} in the place of the old identity now: mynah cannot read \
                     the secrets until then.",
                    rotation.secrets, rotation.recipient
                );
            } else {
                println!(
                    "{} secrets are encrypted for {}\nThe new identity is {file}. Keep a copy of it somewhere else; \
                     keep the old one as long as you keep backups that were made with it.",
                    rotation.secrets, rotation.recipient
                );
            }
        }
    }
    Ok(())
}

/// Returns why a stored secret is not in effect, or `None` if it is.
fn why_ineffective(state: &SecretState) -> Option<String> {
    match state {
        SecretState::Counts | SecretState::InstallationKey => None,
        SecretState::Hidden(by) => Some(format!("overridden by {by}")),
        SecretState::Unknown => Some("ignored: no setting has this name".to_owned()),
        SecretState::Unreadable(why) => Some(format!("unreadable: {why}")),
    }
}

fn secret_json(secret: &KeptSecret) -> Value {
    let state = match secret.state {
        SecretState::Counts => "counts",
        SecretState::Hidden(_) => "hidden",
        SecretState::Unknown => "left_out",
        SecretState::Unreadable(_) => "unreadable",
        SecretState::InstallationKey => "installation_key",
    };
    json!({
        "name": secret.name,
        "updated_at": secret.updated_at.to_string(),
        "state": state,
        "why": why_ineffective(&secret.state),
    })
}

fn print_list(secrets: &[KeptSecret], json: bool) {
    if json {
        println!("{:#}", Value::from(secrets.iter().map(secret_json).collect::<Vec<_>>()));
    } else if secrets.is_empty() {
        println!("no secrets are stored; `mynah secret set TWILIO_AUTH_TOKEN` stores one");
    }
    if !json {
        let row = |secret: &KeptSecret| {
            let effect = match &secret.state {
                SecretState::InstallationKey => "made by mynah".to_owned(),
                state => why_ineffective(state).unwrap_or_else(|| "in effect".to_owned()),
            };
            [secret.name.clone(), secret.updated_at.to_string(), effect]
        };
        print!("{}", columns(secrets.iter().map(row).collect()));
    }
}
