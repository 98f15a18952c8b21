//! `mynah send-test`: sends a real test message, follows it, and checks the way back.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;

use super::operator_messages::check_sendable_text;
use super::{findings, who};
use crate::app::{App, Number};
use crate::channel::twilio::TEXT_LIMIT;
use crate::config::Config;
use crate::diagnosis::{DEFAULT_TEXT, send_test_message};
use crate::model::Address;

const DETAILS: &str = "Sends one WhatsApp message, asks Twilio how far it has come until it is on the phone, has failed, or \
the time is over, and sends a signed request to MYNAH_PUBLIC_URL to see that it reaches this mynah. The message belongs \
to no conversation. A contact who opted out or is blocked is sent nothing.

Examples:
  mynah send-test --to +15551234567
  mynah send-test --to +15551234567 --number sales \\
      --text \"Can you read this?\" --json";

#[derive(Debug, Args)]
#[command(after_help = DETAILS)]
pub(super) struct Arguments {
    /// Who gets the message: a phone number such as +15551234567, or a business-scoped user ID
    #[arg(long, value_name = "ADDRESS", value_parser = who::parse_address)]
    to: Address,
    /// The text of the message
    #[arg(long, default_value = DEFAULT_TEXT)]
    text: String,
    /// The name of the number to send from, if there are several
    #[arg(long, value_name = "NAME")]
    number: Option<String>,
    /// How many seconds to wait until the message is on the phone
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(0..=600))]
    wait: u64,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(config: Config, arguments: Arguments) -> Result<()> {
    check_sendable_text(&arguments.text, 0)?;
    if arguments.text.encode_utf16().count() > TEXT_LIMIT {
        bail!("the text is longer than the {TEXT_LIMIT} characters of one message; shorten it");
    }
    let app = Arc::new(App::build(config, super::clock()).await?);
    let number = choose_number(&app, arguments.number.as_deref())?;
    let wait = Duration::from_secs(arguments.wait);
    let report = send_test_message(&app, number, &arguments.to, &arguments.text, wait).await;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        findings::print(&report.findings);
    }
    findings::ensure_none_failed(&report.findings)
}

/// Returns the number of that name, or the only one that has a sender.
fn choose_number<'a>(app: &'a App, name: Option<&str>) -> Result<&'a Number> {
    let names =
        |numbers: &[&Number]| numbers.iter().map(|number| number.config.name.as_str()).collect::<Vec<_>>().join(", ");
    let all: Vec<_> = app.numbers.iter().collect();
    if let Some(name) = name {
        return match all.iter().find(|number| number.config.name == name) {
            Some(number) => Ok(number),
            None => bail!("there is no number {name}; the numbers are: {}", names(&all)),
        };
    }
    let senders: Vec<_> = app.numbers.iter().filter(|number| number.channel.is_some()).collect();
    match senders.as_slice() {
        [] => bail!(
            "no number can send: set TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and TWILIO_WHATSAPP_FROM, and see `mynah check`"
        ),
        [number] => Ok(number),
        several => bail!("several numbers can send: choose one with --number ({})", names(several)),
    }
}
