//! `mynah admin`: the accounts of the admin page. Works while `serve` runs.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::json;

use super::secret_input;
use crate::administration::{Administration, OWNER};
use crate::config::Sources;

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mynah admin set-password")]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
    /// Print one JSON document on stdout
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Set the password of an account of the admin page, read from the terminal or from stdin
    #[command(after_help = "Examples:
  mynah admin set-password                    # asks for the password twice
  mynah admin set-password < password.txt

The password has at least ten characters. If the account does not exist, it is created.")]
    SetPassword {
        /// The name of the account
        #[arg(long, default_value = OWNER)]
        name: String,
        /// Read the password from this file
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

pub(super) async fn run(sources: Sources, arguments: Arguments) -> Result<()> {
    let Action::SetPassword { name, file } = arguments.action;
    let administration = Administration::open(sources, super::clock())?;
    let password = match &file {
        None if secret_input::can_ask() => secret_input::ask_twice(&format!("Password of {name}"))?,
        file => secret_input::read("the password", file.as_deref())?,
    };
    administration.set_admin_password(&name, &password).await?;
    if arguments.json {
        println!("{:#}", json!({ "name": name, "password": "set" }));
    } else {
        println!("the password of {name} is set");
    }
    Ok(())
}
