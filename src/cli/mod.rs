//! The commands, one file each.
//!
//! To add a command, add a file with its arguments and a `run`, a variant of [`Command`], and an arm in [`run`].

mod admin;
mod ai;
mod alert;
mod attachments;
mod backup;
mod chat;
mod check;
mod cleanup;
mod completions;
mod conversations;
mod demo;
mod findings;
mod init;
mod jobs;
mod man;
mod migrate;
mod number;
mod operator_messages;
mod personal_data;
mod progress;
mod read_file;
mod restore;
mod schedule;
mod secret;
mod secret_input;
mod send_test;
mod serve;
mod settings;
mod simulation;
mod table_columns;
mod terminal;
mod transcript;
mod undelivered;
mod who;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit, umask};

use crate::app::{LiveApp, finish_interrupted_restore, load_configuration, open_store};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, LogConfig, Sources};
use crate::store::Store;
use crate::telemetry;

const EXIT_STATUS_HELP: &str = "Examples:
  mynah demo                    # try it, without an account
  mynah init                    # set it up
  mynah serve                   # run it
  mynah conversations list      # works while it runs

Exit status:
  0   success
  1   failure; stderr shows the cause
  2   wrong usage
  74  the database is damaged or its disk fails; a restart does not help";

/// A business's own WhatsApp assistant. It needs one executable and one data folder, and no other service.
///
/// Settings come from flags, the environment, files and mynah.toml. docs/configuration.md lists them all.
#[derive(Debug, Parser)]
#[command(name = "mynah", version, propagate_version = true, max_term_width = 100, after_help = EXIT_STATUS_HELP)]
pub struct Cli {
    #[command(flatten)]
    global_flags: GlobalFlags,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct GlobalFlags {
    /// Configuration file [MYNAH_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<String>,
    /// Data folder [MYNAH_DATA_DIR]
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<String>,
    /// Log filter, such as info or mynah=debug [MYNAH_LOG]
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
    /// Log format, text or json [MYNAH_LOG_FORMAT]
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run mynah: the web server, the queue workers and the regular jobs
    Serve(serve::Arguments),
    /// Try mynah with a simulated phone on a web page; needs no account and no key
    Demo(demo::Arguments),
    /// Try mynah in the terminal; each message takes the path of a real one
    Chat(chat::Arguments),
    /// Set the password of the admin page
    Admin(admin::Arguments),
    /// Store AI configurations, choose the one that answers, and test it
    Ai(ai::Arguments),
    /// List alerts, such as: a person is wanted, a budget is spent, a model fails
    Alert(alert::Arguments),
    /// Make a backup: the database and the files, in one file
    Backup(backup::Arguments),
    /// Check the configuration, the database, Twilio and the models
    Check(check::Arguments),
    /// Run the regular jobs now: end idle conversations, delete old ones
    Cleanup(cleanup::Arguments),
    /// Print the completion script of a shell
    Completions(completions::Arguments),
    /// Show conversations, write to contacts as a person, block somebody
    Conversations(conversations::Arguments),
    /// Set mynah up: data folder, credentials, model, admin password
    Init(Box<init::Arguments>),
    /// Show the turns that wait or failed, and retry them or give them up
    Jobs(jobs::Arguments),
    /// Print the manual page
    Man(man::Arguments),
    /// Bring the database schema up to date; `serve` does this when it starts
    Migrate(migrate::Arguments),
    /// List our WhatsApp numbers, and store further ones
    Number(number::Arguments),
    /// Read one file from stdin; `serve` starts this command itself
    #[command(name = crate::file_reader::COMMAND, hide = true)]
    ReadFile(read_file::Arguments),
    /// Put a backup in the place of the data folder's data
    Restore(restore::Arguments),
    /// Show when the regular jobs last ran, with what result, and when they run next
    Schedule(schedule::Arguments),
    /// Store secrets encrypted in the database, list them, and change the age identity
    Secret(secret::Arguments),
    /// Send a real test message, follow it, and check the way back
    SendTest(send_test::Arguments),
    /// Show and change the settings that are stored in the database
    Settings(settings::Arguments),
}

impl Command {
    /// Whether the command opens the data folder, where a restore may have been interrupted.
    fn uses_data_folder(&self) -> bool {
        !matches!(
            self,
            Command::Chat(_) | Command::Completions(_) | Command::Demo(_) | Command::Man(_) | Command::ReadFile(_)
        )
    }
}

/// Runs a command. The first line of an error says what went wrong; the chain below it says why.
pub fn run(cli: Cli) -> Result<()> {
    restrict_umask();
    forbid_memory_dumps();
    let Cli { global_flags: settings, command } = cli;
    let mut flags = settings.flags();
    if command.uses_data_folder()
        && let Ok(data) = Config::load_data(Sources::of_process(flags.clone()))
    {
        finish_interrupted_restore(&data)?;
    }
    match command {
        Command::Serve(arguments) => {
            arguments.add_to(&mut flags);
            let sources = Sources::of_process(flags);
            let (config, revision) = load_configuration(sources.clone())?;
            let _log = start_log(&config.log)?;
            log_warnings(&config);
            block_on(serve::run(config, |app| LiveApp::new(app, sources, revision)))
        }
        Command::Demo(arguments) => {
            arguments.add_to(&mut flags);
            let config = load_simulation_config(flags, BTreeMap::new())?;
            let _log = start_log(&config.log)?;
            block_on(demo::run(config))
        }
        Command::Chat(_) => {
            // Log lines would mix with the conversation in the terminal.
            let config = load_simulation_config(flags, BTreeMap::from([("MYNAH_LOG", "error".to_owned())]))?;
            let _log = start_log(&config.log)?;
            block_on(chat::run(config))
        }
        Command::Admin(arguments) => block_on(admin::run(Sources::of_process(flags), arguments)),
        Command::Ai(arguments) => block_on(ai::run(Sources::of_process(flags), arguments)),
        Command::Alert(arguments) => block_on(alert::run(load(flags)?, arguments)),
        Command::Backup(arguments) => block_on(backup::run(Sources::of_process(flags), arguments)),
        Command::Check(arguments) => block_on(check::run(Sources::of_process(flags), arguments)),
        Command::Cleanup(arguments) => block_on(cleanup::run(load(flags)?, arguments)),
        Command::Completions(arguments) => completions::run(&arguments),
        Command::Conversations(arguments) => block_on(conversations::run(load(flags)?, arguments)),
        Command::Init(arguments) => block_on(init::run(Sources::of_process(flags), *arguments)),
        Command::Jobs(arguments) => block_on(jobs::run(load(flags)?, arguments)),
        Command::Man(arguments) => man::run(arguments),
        Command::Migrate(arguments) => migrate::run(&load(flags)?, &arguments),
        Command::Number(arguments) => block_on(number::run(Sources::of_process(flags), arguments)),
        Command::ReadFile(arguments) => read_file::run(&arguments),
        Command::Restore(arguments) => block_on(restore::run(Sources::of_process(flags), arguments)),
        Command::Schedule(arguments) => block_on(schedule::run(load(flags)?, arguments)),
        Command::Secret(arguments) => block_on(secret::run(Sources::of_process(flags), arguments)),
        Command::SendTest(arguments) => block_on(send_test::run(load(flags)?, arguments)),
        Command::Settings(arguments) => block_on(settings::run(Sources::of_process(flags), arguments)),
    }
}

/// Makes new files readable by this user only, whatever umask the shell or the service manager set: the database, its
/// journal and the logs hold what people have said.
fn restrict_umask() {
    let others = Mode::RWXG | Mode::RWXO;
    let before = umask(others);
    umask(before | others);
}

/// Keeps the memory of the process, which holds secrets, out of core dumps and from other processes of the same user. A
/// system that cannot do that still runs mynah.
fn forbid_memory_dumps() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none).ok();
    // A core dump that is piped to a program ignores the limit.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).ok();
}

impl GlobalFlags {
    fn flags(self) -> BTreeMap<String, String> {
        let pairs = [
            ("MYNAH_CONFIG", self.config),
            ("MYNAH_DATA_DIR", self.data_dir),
            ("MYNAH_LOG", self.log),
            ("MYNAH_LOG_FORMAT", self.log_format),
        ];
        pairs.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
    }
}

/// Loads the configuration, including the settings that are stored in the database. The other layers name that
/// database.
fn load(flags: BTreeMap<String, String>) -> Result<Config> {
    Ok(load_configuration(Sources::of_process(flags))?.0)
}

/// Loads the configuration of a command that runs in a simulation: it uses the configured model, but no Twilio account.
fn load_simulation_config(
    flags: BTreeMap<String, String>,
    command_defaults: BTreeMap<&'static str, String>,
) -> Result<Config> {
    Ok(Config::load(Sources { command_defaults, simulation: true, ..Sources::of_process(flags) })?)
}

/// Opens the store for a command that needs an existing database. With a wrong data folder, it returns an error and
/// creates nothing.
fn open_existing_store(config: &Config) -> Result<Store> {
    ensure_database_exists(&config.data.database)?;
    open_store(config)
}

fn ensure_database_exists(database: &Path) -> Result<()> {
    if !database.exists() {
        bail!("there is no database at {}; check MYNAH_DATA_DIR, or run `mynah serve` first", database.display());
    }
    Ok(())
}

fn start_log(config: &LogConfig) -> Result<telemetry::LogGuard> {
    Ok(telemetry::start(config)?)
}

fn log_warnings(config: &Config) {
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
}

fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    // The database writer has its own thread and takes about as much processor time as everything else together. Idle
    // threads cost processor time when there is little to do, because they wake each other to look for work.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads((cores / 2).clamp(1, 4)).enable_all();
    let runtime = runtime.build().context("cannot start the async runtime")?;
    let outcome = runtime.block_on(work);
    // A DNS lookup or a file read that hangs must not keep the process from ending.
    runtime.shutdown_background();
    outcome
}

/// Returns the clock for commands: the system's, or a fast one in the binary tests.
fn clock() -> Arc<dyn Clock> {
    #[cfg(feature = "failpoints")]
    if let Some(speed) = std::env::var("MYNAH_TEST_CLOCK_SPEED").ok().and_then(|speed| speed.parse().ok()) {
        return Arc::new(crate::clock::FastClock::new(speed));
    }
    Arc::new(SystemClock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_the_process_is_not_dumped() {
        forbid_memory_dumps();
        assert_eq!(rustix::process::dumpable_behavior(), Ok(DumpableBehavior::NotDumpable));
    }
}
