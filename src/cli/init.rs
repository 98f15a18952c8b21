//! `mynah init`: the first set-up. Asks on a terminal, and takes flags without one. Run again, it changes only what is
//! answered anew.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{findings, secret_input};
use crate::administration::{Administration, Created, OWNER, SettingChanges};
use crate::app::App;
use crate::channel::WebhookChange;
use crate::config::{Config, Sources};
use crate::diagnosis::{self, Finding, Outcome};

const EXAMPLES: &str = "Examples:
  mynah init
  mynah init --public-url https://bot.example.org \\
      --account-sid AC00000000000000000000000000000001 \\
      --auth-token-file token.txt --from +14155550001 --ai-provider openai --ai-key-file key.txt

On a terminal, it asks for what no flag says. Enter keeps what is stored, or skips the question.";

/// The name of the AI configuration that this command stores.
const AI_NAME: &str = "main";

/// The checks whose results are shown: those of what was answered.
const SHOWN_CHECKS: [&str; 5] = ["configuration", "Twilio", "sender", "model", "fallback"];

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The address that Twilio calls, such as https://bot.example.org
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// The Twilio account: AC and 32 hexadecimal digits
    #[arg(long, value_name = "SID")]
    account_sid: Option<String>,
    /// The file that holds the account's auth token
    #[arg(long, value_name = "FILE")]
    auth_token_file: Option<PathBuf>,
    /// The WhatsApp number that sends, such as +14155550001
    #[arg(long, value_name = "NUMBER")]
    from: Option<String>,
    /// The model's protocol: openai (also for compatible servers), anthropic or offline
    #[arg(long, value_name = "NAME")]
    ai_provider: Option<String>,
    /// The model's name
    #[arg(long, value_name = "NAME")]
    ai_model: Option<String>,
    /// The address of the model's server, such as http://127.0.0.1:11434/v1
    #[arg(long, value_name = "URL")]
    ai_base_url: Option<String>,
    /// The file that holds the key of the model's API
    #[arg(long, value_name = "FILE")]
    ai_key_file: Option<PathBuf>,
    /// The file that holds the password of the admin page
    #[arg(long, value_name = "FILE")]
    admin_password_file: Option<PathBuf>,
    /// Set the webhook address at Twilio
    #[arg(long)]
    set_webhook: bool,
    /// Overwrite another webhook address at Twilio
    #[arg(long, requires = "set_webhook")]
    force: bool,
    /// Ask nothing
    #[arg(long)]
    no_input: bool,
    /// Do not call Twilio or the model to test the credentials
    #[arg(long)]
    offline: bool,
    /// Print one JSON document on stdout; asks nothing
    #[arg(long)]
    json: bool,
}

/// What was answered: by a flag or by a person.
#[derive(Default)]
struct Answers {
    settings: BTreeMap<String, String>,
    secrets: BTreeMap<String, SecretString>,
    ai: SettingChanges,
    ai_key: Option<SecretString>,
    admin_password: Option<SecretString>,
    set_webhook: bool,
}

pub(super) async fn run(sources: Sources, arguments: Arguments) -> Result<()> {
    let (administration, created) = Administration::create(sources.clone(), super::clock())?;
    let asks = !arguments.no_input && !arguments.json && secret_input::can_ask() && std::io::stderr().is_terminal();
    let has_account = administration.has_admin_account(OWNER).await?;
    let answers = Questions { asks, sources: administration.sources()? }.answer(&arguments, has_account)?;
    let stored: Vec<String> = answers.settings.keys().chain(answers.secrets.keys()).cloned().collect();
    administration.store_together(answers.settings, answers.secrets).await?;
    let has_ai = !answers.ai.is_empty() || answers.ai_key.is_some();
    if has_ai {
        store_ai(&administration, answers.ai, answers.ai_key).await?;
    }
    if let Some(password) = &answers.admin_password {
        administration.set_admin_password(OWNER, password).await?;
    }
    let findings = diagnosis::run(sources, super::clock(), arguments.offline, &|_| ()).await;
    let shown = |finding: &Finding| {
        SHOWN_CHECKS.contains(&finding.check) && (finding.check != "configuration" || finding.outcome != Outcome::Ok)
    };
    let findings: Vec<Finding> = findings.into_iter().filter(shown).collect();
    let config = Config::load(administration.sources()?);
    let webhook = match &config {
        Ok(config) => webhook(config.clone(), answers.set_webhook && !arguments.offline, arguments.force).await?,
        Err(_) => Webhook::default(),
    };
    if arguments.json {
        println!("{:#}", report_json(&created, &stored, has_ai, answers.admin_password.is_some(), &webhook, &findings));
    } else {
        print_report(&created, &stored, has_ai, &webhook, &findings);
    }
    match findings.iter().filter(|finding| finding.outcome == Outcome::Failed).count() {
        0 => Ok(()),
        _ => bail!("what was answered is stored, but not all of it works yet; `mynah check` shows the rest"),
    }
}

async fn store_ai(administration: &Administration, settings: SettingChanges, key: Option<SecretString>) -> Result<()> {
    let entries = administration.ai_configurations()?;
    if entries.iter().any(|entry| entry.name == AI_NAME) {
        administration.update_ai(AI_NAME, settings, key).await?;
    } else {
        administration.add_ai(AI_NAME, settings, key).await?;
    }
    if let Some(place) = administration.use_ai(AI_NAME).await? {
        eprintln!("note: the AI configuration {AI_NAME} does not answer, because {place} goes before it");
    }
    Ok(())
}

struct Questions {
    /// Whether a person is asked.
    asks: bool,
    sources: Sources,
}

impl Questions {
    fn answer(&self, arguments: &Arguments, has_account: bool) -> Result<Answers> {
        let mut answers = Answers::default();
        if self.asks {
            eprintln!("Enter keeps what is stored, or skips the question.\n");
        }
        for (key, flag, question) in [
            ("MYNAH_PUBLIC_URL", &arguments.public_url, "Address that Twilio calls, such as https://bot.example.org"),
            ("TWILIO_ACCOUNT_SID", &arguments.account_sid, "Twilio account SID (AC…)"),
            ("TWILIO_WHATSAPP_FROM", &arguments.from, "WhatsApp number that sends, such as +14155550001"),
        ] {
            if let Some(value) = self.text(key, flag.as_deref(), question)? {
                answers.settings.insert(key.to_owned(), value);
            }
        }
        let token = arguments.auth_token_file.as_deref();
        if let Some(token) = self.secret("TWILIO_AUTH_TOKEN", token, "Twilio auth token")? {
            answers.secrets.insert("TWILIO_AUTH_TOKEN".to_owned(), token);
        }
        self.answer_ai(arguments, &mut answers)?;
        answers.admin_password = match &arguments.admin_password_file {
            Some(path) => Some(secret_input::read("the password", Some(path))?),
            None if self.asks && !has_account && self.confirm("Set a password for the admin page?", true)? => {
                Some(secret_input::ask_twice("Password, at least ten characters")?)
            }
            None => None,
        };
        answers.set_webhook = arguments.set_webhook
            || (self.asks && self.confirm("Set the webhook address at Twilio, if none is set there?", false)?);
        Ok(answers)
    }

    fn answer_ai(&self, arguments: &Arguments, answers: &mut Answers) -> Result<()> {
        if let Some(place) = Config::model_on_machine(&self.sources).filter(|_| self.asks) {
            eprintln!("The model is set by {place}.");
            return Ok(());
        }
        let stored = self.sources.ai_configurations.get(AI_NAME);
        let current = |key: &str| stored.and_then(|values| values.get(key)).map(String::as_str);
        let provider = match &arguments.ai_provider {
            Some(provider) => Some(provider.clone()),
            None => self.ask(
                "Model: openai (also for compatible servers), anthropic or offline",
                current("MYNAH_AI_PROVIDER"),
            )?,
        };
        let chosen = provider.as_deref().or(current("MYNAH_AI_PROVIDER")).map(str::to_owned);
        let asks_more = chosen.is_some() && chosen.as_deref() != Some("offline");
        let base_key = if chosen.as_deref() == Some("anthropic") { "ANTHROPIC_BASE_URL" } else { "OPENAI_BASE_URL" };
        let base_url = match &arguments.ai_base_url {
            Some(url) => Some(url.clone()),
            None if asks_more => {
                self.ask("Address of a server of your own, such as http://127.0.0.1:11434/v1", current(base_key))?
            }
            None => None,
        };
        let model = match &arguments.ai_model {
            Some(model) => Some(model.clone()),
            None if asks_more => self.ask("Model's name (empty: the provider's default)", current("MYNAH_AI_MODEL"))?,
            None => None,
        };
        let has_key = self.sources.secrets.contains_key(&format!("ai.{AI_NAME}"));
        answers.ai_key = match &arguments.ai_key_file {
            Some(path) => Some(secret_input::read("the API key", Some(path))?),
            None if asks_more && self.asks => secret_input::ask("API key", has_key)?,
            None => None,
        };
        let named = [("MYNAH_AI_PROVIDER", provider), (base_key, base_url), ("MYNAH_AI_MODEL", model)];
        answers.ai = named.into_iter().filter_map(|(key, value)| Some((key.to_owned(), Some(value?)))).collect();
        Ok(())
    }

    /// Returns a setting's new value, if it is answered anew.
    fn text(&self, key: &str, flag: Option<&str>, question: &str) -> Result<Option<String>> {
        if let Some(value) = flag {
            return Ok(Some(value.to_owned()));
        }
        match Config::overriding_layer(&self.sources, key)? {
            Some(place) if self.asks => {
                eprintln!("{key} is set by {place}.");
                Ok(None)
            }
            Some(_) => Ok(None),
            None => self.ask(question, self.sources.stored.get(key).map(String::as_str)),
        }
    }

    /// The same for a secret.
    fn secret(&self, key: &str, file: Option<&Path>, question: &str) -> Result<Option<SecretString>> {
        if let Some(path) = file {
            return secret_input::read(key, Some(path)).map(Some);
        }
        if !self.asks || Config::overriding_layer(&self.sources, key)?.is_some() {
            return Ok(None);
        }
        secret_input::ask(question, self.sources.secrets.contains_key(key))
    }

    fn ask(&self, question: &str, current: Option<&str>) -> Result<Option<String>> {
        if !self.asks {
            return Ok(None);
        }
        let question = match current {
            Some(current) => format!("{question} [{current}]"),
            None => question.to_owned(),
        };
        let asked = dialoguer::Input::<String>::new().with_prompt(question).allow_empty(true).interact_text();
        let answer = asked.context("cannot read from the terminal")?.trim().to_owned();
        Ok(Some(answer).filter(|answer| !answer.is_empty()))
    }

    fn confirm(&self, question: &str, default: bool) -> Result<bool> {
        let asked = dialoguer::Confirm::new().with_prompt(question).default(default).interact();
        asked.context("cannot read from the terminal")
    }
}

/// The webhook address, and what was changed at Twilio.
#[derive(Default)]
struct Webhook {
    address: Option<String>,
    change: Option<WebhookChange>,
}

async fn webhook(config: Config, set: bool, force: bool) -> Result<Webhook> {
    let app = Arc::new(App::build(config, super::clock()).await?);
    let Some(channel) = &app.main_number().channel else { return Ok(Webhook::default()) };
    let change = if set {
        match channel.set_webhook_address(force).await {
            Ok(change) => Some(change),
            Err(fault) => {
                let (found, remedy) = (fault.why().to_owned(), "set it in Twilio's console".to_owned());
                Some(WebhookChange::NotPossible { found, remedy })
            }
        }
    } else {
        None
    };
    Ok(Webhook { address: channel.recommended_webhook_address(), change })
}

/// Returns what became of the address at Twilio, in a word and a sentence.
fn describe_change(change: &WebhookChange) -> (&'static str, String) {
    match change {
        WebhookChange::Unchanged { .. } => ("unchanged", "Twilio calls this address already.".to_owned()),
        WebhookChange::Set { before: None, .. } => ("set", "Twilio calls this address from now on.".to_owned()),
        WebhookChange::Set { before: Some(before), .. } => {
            ("set", format!("Twilio calls this address from now on; before, it called {before}."))
        }
        WebhookChange::CallsElsewhere { current } => {
            let text = format!("Twilio calls {current}; nothing was changed. --force overwrites it.");
            ("calls_elsewhere", text)
        }
        WebhookChange::NotPossible { found, remedy } => {
            ("not_possible", format!("It could not be set: {found}. What to do: {remedy}."))
        }
    }
}

fn print_report(created: &Created, stored: &[String], has_ai: bool, webhook: &Webhook, findings: &[Finding]) {
    let made = [("data folder", &created.folder), ("database", &created.database), ("age identity", &created.identity)];
    for (what, path) in made {
        if let Some(path) = path {
            println!("created the {what} {}", path.display());
        }
    }
    if created.identity.is_some() {
        println!("Keep a copy of the age identity somewhere else: nothing else decrypts the stored secrets.");
    }
    if !stored.is_empty() {
        println!("stored {}", stored.join(", "));
    }
    if has_ai {
        println!("stored the AI configuration {AI_NAME}, which answers");
    }
    findings::print(findings);
    match (&webhook.address, &webhook.change) {
        (Some(address), None) => {
            println!("\nPaste this as the webhook address of your WhatsApp sender in Twilio's console:\n  {address}");
        }
        (Some(address), Some(change)) => println!("\nThe webhook address: {address}\n{}", describe_change(change).1),
        (None, _) => println!("\nWithout a public URL and a Twilio account, no message can arrive yet."),
    }
    println!("`mynah check` looks at the whole set-up; `mynah serve` answers.");
}

fn report_json(
    created: &Created,
    stored: &[String],
    has_ai: bool,
    has_password: bool,
    webhook: &Webhook,
    findings: &[Finding],
) -> Value {
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    json!({
        "created": {
            "data_folder": path(&created.folder),
            "database": path(&created.database),
            "identity": path(&created.identity),
        },
        "stored": stored,
        "ai_configuration": has_ai.then_some(AI_NAME),
        "admin_password_set": has_password,
        "webhook_address": webhook.address,
        "webhook_at_twilio": webhook.change.as_ref().map(|change| describe_change(change).0),
        "checks": findings,
    })
}
