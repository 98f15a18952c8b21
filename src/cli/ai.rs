//! `mynah ai`: the stored AI configurations. Works while `serve` runs, which uses a change within two seconds.

use std::path::PathBuf;

use anyhow::{Result, anyhow};
use clap::{Args, Subcommand};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::secret_input;
use super::table_columns::columns;
use crate::administration::{Administration, AiEntry, AiRole, AiTest, SettingChanges};
use crate::ai::{CallForm, TemperatureUse};
use crate::config::Sources;

const EXAMPLES: &str = "Examples:
  mynah ai add main --provider openai --model gpt-5-mini --key-file key.txt \\
      --use
  mynah ai add local --provider openai \\
      --base-url http://127.0.0.1:11434/v1 --model llama3.2
  mynah ai use main --fallback local
  mynah ai test

What the environment or the configuration file says of a model is the configuration `environment`.
It goes before the stored ones.";

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
    /// List the AI configurations, and how each is used
    #[command(after_help = "Example:\n  mynah ai list --json")]
    List,
    /// Store a new AI configuration
    #[command(after_help = "Examples:
  mynah ai add main --provider anthropic --model claude-sonnet-5 \\
      --key-file key.txt --use
  mynah ai add local --provider openai \\
      --base-url http://127.0.0.1:11434/v1 --model llama3.2

On a terminal, it asks for the key if you name neither a base URL nor a file.")]
    Add {
        /// A name for it: letters, digits, - and _
        name: String,
        /// The protocol: openai (also for compatible servers), anthropic or offline
        #[arg(long)]
        provider: String,
        #[command(flatten)]
        model: ModelArguments,
        /// Have it answer
        #[arg(long = "use")]
        use_it: bool,
    },
    /// Change a stored AI configuration; what is not named stays, and an empty value takes the default
    #[command(after_help = "Example:\n  mynah ai update main --model gpt-5 --timeout 60s")]
    Update {
        /// Its name
        name: String,
        /// The protocol: openai, anthropic or offline
        #[arg(long)]
        provider: Option<String>,
        #[command(flatten)]
        model: ModelArguments,
    },
    /// Choose the stored AI configuration that answers, and those that stand in
    #[command(after_help = "Example:\n  mynah ai use main --fallback local")]
    Use {
        /// The configuration that answers
        name: String,
        /// A configuration that stands in if the one before it cannot answer; may be given several times
        #[arg(long = "fallback", value_name = "NAME")]
        fallbacks: Vec<String>,
    },
    /// Ask a model for one word, and tell what its server needs
    #[command(after_help = "Example:\n  mynah ai test local")]
    Test {
        /// The configuration; that in use if none is named
        name: Option<String>,
    },
    /// Delete a stored AI configuration and its key
    #[command(after_help = "Example:\n  mynah ai remove local")]
    Remove {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Args)]
struct ModelArguments {
    /// The model's name
    #[arg(long)]
    model: Option<String>,
    /// The address of the API: with /v1 for openai, without for anthropic
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// The file that holds the key, or - for stdin
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The most tokens that an answer may take
    #[arg(long, value_name = "TOKENS")]
    max_tokens: Option<String>,
    /// The sampling temperature, from 0 to 2
    #[arg(long)]
    temperature: Option<String>,
    /// The time limit for one call, such as 120s
    #[arg(long, value_name = "DURATION")]
    timeout: Option<String>,
    /// How many calls may run at once
    #[arg(long, value_name = "CALLS")]
    concurrency: Option<String>,
    /// The size of the context window
    #[arg(long, value_name = "TOKENS")]
    context_tokens: Option<String>,
    /// The folder of Markdown files from which the provider offline answers
    #[arg(long, value_name = "DIR")]
    offline_dir: Option<String>,
}

impl ModelArguments {
    /// Returns the changes. An empty value takes the default.
    fn changes(&self, provider: Option<&str>) -> SettingChanges {
        let base_url = if provider == Some("anthropic") { "ANTHROPIC_BASE_URL" } else { "OPENAI_BASE_URL" };
        let named = [
            ("MYNAH_AI_PROVIDER", provider.map(str::to_owned)),
            ("MYNAH_AI_MODEL", self.model.clone()),
            (base_url, self.base_url.clone()),
            ("MYNAH_AI_MAX_TOKENS", self.max_tokens.clone()),
            ("MYNAH_AI_TEMPERATURE", self.temperature.clone()),
            ("MYNAH_AI_TIMEOUT", self.timeout.clone()),
            ("MYNAH_AI_CONCURRENCY", self.concurrency.clone()),
            ("MYNAH_AI_CONTEXT_TOKENS", self.context_tokens.clone()),
            ("MYNAH_OFFLINE_DIR", self.offline_dir.clone()),
        ];
        let changed = named.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
        changed.map(|(key, value)| (key, Some(value).filter(|value| !value.is_empty()))).collect()
    }

    /// Reads the key, if one is named.
    fn key(&self, name: &str) -> Result<Option<SecretString>> {
        let Some(path) = &self.key_file else { return Ok(None) };
        let from_stdin = path.as_os_str() == "-";
        secret_input::read(&format!("the key of {name}"), Some(path.as_path()).filter(|_| !from_stdin)).map(Some)
    }
}

pub(super) async fn run(sources: Sources, arguments: Arguments) -> Result<()> {
    let administration = Administration::open(sources, super::clock())?;
    let json = arguments.json;
    match arguments.action {
        Action::List => print_list(&administration.ai_configurations()?, json),
        Action::Add { name, provider, model, use_it } => {
            let mut key = model.key(&name)?;
            let own_server = model.base_url.is_some() || provider == "offline";
            if key.is_none() && !own_server && secret_input::can_ask() {
                key = Some(secret_input::read(&format!("API key of {name}"), None)?);
            }
            administration.add_ai(&name, model.changes(Some(&provider)), key).await?;
            let overridden = if use_it { administration.use_ai(&name).await? } else { None };
            report(&administration, &name, "is stored", json)?;
            if !json && !use_it {
                println!("`mynah ai use {name}` has it answer");
            }
            note_override(&name, overridden);
        }
        Action::Update { name, provider, model } => {
            let entries = administration.ai_configurations()?;
            let stored = entries.into_iter().find(|entry| entry.name == name).map(|entry| entry.provider);
            let key = model.key(&name)?;
            let mut changes = model.changes(provider.as_deref().or(stored.as_deref()));
            if provider.is_none() {
                changes.remove("MYNAH_AI_PROVIDER");
            }
            administration.update_ai(&name, changes, key).await?;
            report(&administration, &name, "is changed", json)?;
        }
        Action::Use { name, fallbacks } => {
            let overridden = administration.use_ai(&name).await?;
            administration.set_ai_fallbacks(&fallbacks).await?;
            report(&administration, &name, "answers", json)?;
            note_override(&name, overridden);
        }
        Action::Test { name } => {
            let tested = administration.test_ai(name.as_deref()).await?;
            let tested = tested.map_err(|fault| anyhow!("the model does not answer: {}", fault.why()))?;
            print_test(&tested, json);
        }
        Action::Remove { name } => {
            administration.remove_ai(&name).await?;
            if json {
                println!("{:#}", json!({ "name": name, "stored": false }));
            } else {
                println!("the AI configuration {name} is deleted");
            }
        }
    }
    Ok(())
}

fn report(administration: &Administration, name: &str, what: &str, json: bool) -> Result<()> {
    let entry = administration.ai_configurations()?.into_iter().find(|entry| entry.name == name);
    match entry {
        Some(entry) if json => println!("{:#}", entry_json(&entry)),
        _ => println!("the AI configuration {name} {what}; a running `mynah serve` uses it within two seconds"),
    }
    Ok(())
}

fn note_override(name: &str, overridden: Option<String>) {
    if let Some(place) = overridden {
        eprintln!("note: {name} does not answer, because {place} goes before it");
    }
}

fn entry_json(entry: &AiEntry) -> Value {
    let (in_use, fallback) = match entry.role {
        AiRole::InUse => (true, None),
        AiRole::Fallback(position) => (false, Some(position)),
        AiRole::Unused => (false, None),
    };
    json!({
        "name": entry.name,
        "provider": entry.provider,
        "model": entry.model,
        "base_url": entry.base_url,
        "has_key": entry.has_key,
        "in_use": in_use,
        "fallback": fallback,
        "numbers": entry.numbers,
    })
}

fn print_list(entries: &[AiEntry], json: bool) {
    if json {
        println!("{:#}", Value::from(entries.iter().map(entry_json).collect::<Vec<_>>()));
        return;
    }
    if entries.is_empty() {
        println!("no AI configuration; `mynah ai add main --provider openai` stores one");
    }
    let row = |entry: &AiEntry| {
        let role = match entry.role {
            AiRole::InUse => "in use".to_owned(),
            AiRole::Fallback(position) => format!("fallback {position}"),
            AiRole::Unused if entry.numbers.is_empty() => "not used".to_owned(),
            AiRole::Unused => String::new(),
        };
        let numbers = if entry.numbers.is_empty() { String::new() } else { format!("on {}", entry.numbers.join(", ")) };
        let uses = [role, numbers].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; ");
        let default = if entry.provider == "offline" { "" } else { "(the server's default)" };
        let model = entry.model.clone().unwrap_or_else(|| default.to_owned());
        [entry.name.clone(), uses, entry.provider.clone(), model, entry.base_url.clone().unwrap_or_default()]
    };
    print!("{}", columns(entries.iter().map(row).collect()));
}

fn print_test(test: &AiTest, json: bool) {
    let took_ms = u64::try_from(test.took.as_millis()).unwrap_or(u64::MAX);
    if json {
        println!(
            "{:#}",
            json!({
                "provider": test.provider,
                "model": test.model,
                "answer": test.answer,
                "took_ms": took_ms,
                "input_tokens": test.usage.input_tokens,
                "output_tokens": test.usage.output_tokens,
                "tokens_estimated": test.usage.estimated,
                "token_limit": test.form.and_then(|form| form.token_limit),
                "temperature": test.form.map(|form| temperature_word(form.temperature)),
                "system_role": test.form.map(|form| form.has_system_role),
            })
        );
        return;
    }
    let mut rows = vec![
        ["answered by".to_owned(), format!("{} ({})", test.provider, test.model)],
        ["answer".to_owned(), super::table_columns::one_line(&test.answer)],
        ["time".to_owned(), format!("{took_ms} ms")],
        ["tokens".to_owned(), {
            let estimated = if test.usage.estimated { " (estimated)" } else { "" };
            format!("{} read, {} written{estimated}", test.usage.input_tokens, test.usage.output_tokens)
        }],
    ];
    rows.extend(test.form.iter().flat_map(form_rows));
    print!("{}", columns(rows));
}

fn form_rows(form: &CallForm) -> [[String; 2]; 3] {
    let temperature = match form.temperature {
        TemperatureUse::Sent => "accepted",
        TemperatureUse::NotConfigured => "none set, none sent",
        TemperatureUse::Refused => "refused by the model, not sent",
    };
    let role = if form.has_system_role { "yes" } else { "no: the instructions go before the first message" };
    [
        ["token limit".to_owned(), form.token_limit.unwrap_or("refused, none sent").to_owned()],
        ["temperature".to_owned(), temperature.to_owned()],
        ["system role".to_owned(), role.to_owned()],
    ]
}

fn temperature_word(temperature: TemperatureUse) -> &'static str {
    match temperature {
        TemperatureUse::Sent => "sent",
        TemperatureUse::NotConfigured => "not_configured",
        TemperatureUse::Refused => "refused",
    }
}
