//! The app: everything that the parts of a running process share.
//!
//! An [`App`] is a snapshot. Half of it is derived from one configuration and never changes; the other half lasts, and
//! all snapshots share it. [`LiveApp`] replaces the snapshot when the configuration changes.

mod admission;
mod confidential_content;
mod history;
mod installation_key;
mod live_app;
mod media_links;
mod numbers;
mod probe_key;
mod restored_data;
mod running_turns;
mod service_state;
mod setup_code;

pub use self::confidential_content::ConfidentialContent;
pub use self::installation_key::is_installation_key;
pub use self::live_app::{LiveApp, ReloadError, ReloadOutcome, load_configuration, load_sources};
pub use self::media_links::MediaLinks;
pub use self::numbers::Number;
pub use self::probe_key::ProbeKey;
pub use self::restored_data::{RestoredData, finish_interrupted_restore};
pub use self::running_turns::RunningTurns;
pub use self::setup_code::{SETUP_CODE_LIFETIME, SetupCode};

use std::borrow::Cow;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rust_embed::RustEmbed;
use tokio::sync::{Notify, RwLock, Semaphore};

use self::numbers::ModelRegistry;
use crate::ai::{self, Provider, Transcriber};
use crate::alerting::Alerter;
use crate::cache::{Cache, MemoryCache};
use crate::channel::Channel;
use crate::channel::twilio::Twilio;
use crate::circuit_breaker::CircuitBreaker;
use crate::clock::Clock;
use crate::concurrency_limit::ConcurrencyLimit;
use crate::config::{AiConfig, Config, DataConfig, NumberDirectory};
use crate::file_reader::FileReader;
use crate::file_store::FileStore;
use crate::metrics::Metrics;
use crate::model::{Charge, ContentSid};
use crate::store::{ErasureKey, PerNumber, Store, StoreOptions};

/// What the web server, the workers and the schedule share. Whoever begins a piece of work takes one snapshot and keeps
/// it to the end, so that nothing is done half by an old and half by a new configuration.
pub struct App {
    /// The configuration that the snapshot was made from.
    pub config: Config,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The database.
    pub store: Store,
    /// The cache, whose contents may be lost at any time.
    pub cache: Arc<dyn Cache>,
    /// Counts the refused webhooks of each client. Separate from `cache`, because anybody can fill it, and it must not
    /// displace what is known of contacts.
    pub refusal_cache: Arc<dyn Cache>,
    /// Our numbers, that of the main configuration first. Never empty.
    pub numbers: Vec<Number>,
    /// Tells which of the numbers a conversation is on.
    pub number_directory: NumberDirectory,
    /// The files that contacts attach and operators send.
    pub files: FileStore,
    /// The links under which the provider fetches what operators send; `None` if there is no channel.
    pub media_links: Option<MediaLinks>,
    /// Authenticates the probes of `mynah check`; `None` if there is no channel.
    pub probe_key: Option<ProbeKey>,
    /// Sends alerts in the configured ways.
    pub alerter: Arc<Alerter>,
    /// Transcribes voice notes; `None` if nothing does. Does not serve every number: see [`App::transcriber_of`].
    pub transcriber: Option<Transcriber>,
    /// Reads files in a child process.
    pub reader: Arc<FileReader>,
    /// How many attachments are fetched and read at once. Each one is in memory meanwhile.
    pub fetch_slots: Arc<Semaphore>,
    /// How many voice notes are transcribed at once. Separate from the fetches, because a transcription server may be
    /// slow.
    pub transcription_slots: Arc<Semaphore>,
    /// How long one attachment may take, by the runtime's clock and without its waits for a slot.
    pub attachment_timeout: Duration,
    /// The turns that are being answered.
    pub running_turns: Arc<RunningTurns>,
    /// What is counted and measured.
    pub metrics: Arc<Metrics>,
    /// Opens the page on which the first password of the admin page is set.
    pub setup_code: Arc<SetupCode>,
    /// Wakes the worker when something is queued.
    pub wake: Arc<Notify>,
    /// Held in common by everybody who claims work, and exclusively while missed messages are stored, so that no turn
    /// is claimed while some of its messages are still to come.
    pub claim_lock: Arc<RwLock<()>>,
}

/// A model, with the limits under which it is called.
pub struct Assistant {
    /// The provider to call.
    pub provider: Arc<dyn Provider>,
    /// How many calls may run at once. Shared by configurations that call the same model with other settings.
    pub limit: Arc<ConcurrencyLimit>,
    /// The circuit breaker of the model. Shared in the same way.
    pub breaker: Arc<CircuitBreaker>,
    /// How many tokens the model reads and writes in one call.
    pub context_tokens: usize,
    /// How many of those tokens its answer may take.
    pub answer_tokens: usize,
    /// The model's name, if it is known before the model answers.
    pub model: Option<String>,
}

impl Assistant {
    /// Creates an assistant for a model of this provider.
    pub fn new(provider: Arc<dyn Provider>, config: &AiConfig) -> Assistant {
        Assistant {
            provider,
            limit: Arc::new(ConcurrencyLimit::new(config.concurrency)),
            breaker: Arc::default(),
            context_tokens: config.context_tokens,
            answer_tokens: config.answer_tokens(),
            model: config.effective_model().map(str::to_owned),
        }
    }

    /// Returns how many tokens a prompt may take.
    pub fn max_prompt_tokens(&self) -> usize {
        self.context_tokens - self.answer_tokens
    }
}

/// The business of the demo. The offline provider uses it if no folder is configured.
#[derive(RustEmbed)]
#[folder = "assets/example"]
struct ExampleBusiness;

/// How many attachments are fetched at once, and how many are transcribed. Each has at most 16 MB.
const MAX_FETCHES: usize = 8;
const MAX_TRANSCRIPTIONS: usize = 8;

/// How long one attachment may take. A contact waits no longer than this for an answer to what they wrote beside it.
const ATTACHMENT_TIMEOUT: Duration = Duration::from_secs(90);

/// How long a transcription may take if no model is configured, whose timeout would apply.
const DEFAULT_TRANSCRIPTION_TIMEOUT: Duration = Duration::from_secs(120);

impl App {
    /// Opens the data folder, the database, and everything that the configuration names. Sends no requests.
    pub async fn build(config: Config, clock: Arc<dyn Clock>) -> Result<App> {
        let folder = &config.data.dir;
        fs::create_dir_all(folder)
            .with_context(|| format!("the data folder {} cannot be created (MYNAH_DATA_DIR)", folder.display()))?;
        let store = open_store(&config)?;
        let derived = Derived::from_config(&config, &store, clock.as_ref(), &[]).await?;
        let cache = Arc::new(MemoryCache::new(Arc::clone(&clock)));
        let refusals = Arc::new(MemoryCache::new(Arc::clone(&clock)));
        Ok(App {
            files: media_files(&config),
            config,
            clock,
            store: match derived.erasure_key {
                Some(key) => store.with_erasure_key(key),
                None => store,
            },
            cache,
            refusal_cache: refusals,
            numbers: derived.numbers,
            number_directory: derived.number_directory,
            alerter: derived.alerter,
            transcriber: derived.transcriber,
            reader: Arc::new(
                FileReader::from_current_executable().context("mynah cannot find the path of its own executable")?,
            ),
            fetch_slots: Arc::new(Semaphore::new(MAX_FETCHES)),
            transcription_slots: Arc::new(Semaphore::new(MAX_TRANSCRIPTIONS)),
            attachment_timeout: ATTACHMENT_TIMEOUT,
            media_links: derived.media_links,
            probe_key: derived.probe_key,
            running_turns: Arc::default(),
            metrics: Arc::default(),
            setup_code: Arc::default(),
            wake: Arc::default(),
            claim_lock: Arc::default(),
        })
    }

    /// Makes the next snapshot, from a configuration with the same data folder and database. Models that are called as
    /// before keep their concurrency limit, their circuit breaker, and what mynah learned of their server.
    pub async fn with_config(&self, config: Config) -> Result<App> {
        let derived = Derived::from_config(&config, &self.store, self.clock.as_ref(), &self.numbers).await?;
        Ok(App {
            store: match derived.erasure_key {
                Some(key) => configure_store(self.store.clone(), &config).with_erasure_key(key),
                None => configure_store(self.store.clone(), &config),
            },
            config,
            clock: Arc::clone(&self.clock),
            cache: Arc::clone(&self.cache),
            refusal_cache: Arc::clone(&self.refusal_cache),
            numbers: derived.numbers,
            number_directory: derived.number_directory,
            files: self.files.clone(),
            media_links: derived.media_links,
            probe_key: derived.probe_key,
            alerter: derived.alerter,
            transcriber: derived.transcriber,
            reader: Arc::clone(&self.reader),
            fetch_slots: Arc::clone(&self.fetch_slots),
            transcription_slots: Arc::clone(&self.transcription_slots),
            attachment_timeout: self.attachment_timeout,
            running_turns: Arc::clone(&self.running_turns),
            metrics: Arc::clone(&self.metrics),
            setup_code: Arc::clone(&self.setup_code),
            wake: Arc::clone(&self.wake),
            claim_lock: Arc::clone(&self.claim_lock),
        })
    }

    /// Returns the texts that contacts get if no answer is available, as set for the number that they wrote to.
    pub fn apology_texts(&self) -> PerNumber<String> {
        let (directory, numbers) = (self.number_directory.clone(), &self.numbers);
        let texts: Vec<String> = numbers.iter().map(|number| number.config.texts.sorry.clone()).collect();
        PerNumber::new(move |account, ours| texts[directory.find(account, ours).0].clone())
    }
}

/// The part of a snapshot that is derived from the configuration.
struct Derived {
    numbers: Vec<Number>,
    number_directory: NumberDirectory,
    media_links: Option<MediaLinks>,
    probe_key: Option<ProbeKey>,
    erasure_key: Option<ErasureKey>,
    transcriber: Option<Transcriber>,
    alerter: Arc<Alerter>,
}

impl Derived {
    /// `previous` are the numbers of the snapshot before; their models are kept where they are called as before.
    async fn from_config(config: &Config, store: &Store, clock: &dyn Clock, previous: &[Number]) -> Result<Derived> {
        let number_configs = config.every_number();
        // One key for all numbers: a callback names the turn, and the turn's number is known.
        let key = if number_configs.iter().any(|number| number.twilio.is_some()) {
            Some(installation_key::get_or_create(installation_key::CALLBACK_KEY, store, &config.data, clock).await?)
        } else {
            None
        };
        let mut models = ModelRegistry::new(
            number_configs.iter().flat_map(|own| own.ai.iter().chain(&own.fallbacks)).cloned().collect(),
            previous,
        );
        let mut numbers = Vec::with_capacity(number_configs.len());
        for own in &number_configs {
            let channel = own.twilio.clone().zip(key);
            let channel = channel.map(|(twilio, key)| Arc::new(Twilio::new(twilio, key)) as Arc<dyn Channel>);
            let asked = own.ai.iter().chain(&own.fallbacks);
            let assistants =
                asked.map(|ai| models.get_or_connect(ai, |ai| Ok(Assistant::new(connect_provider(ai)?, ai))));
            let assistants = assistants.collect::<Result<_>>()?;
            let confidence = ConfidentialContent::collect(config, &number_configs, own);
            numbers.push(Number { config: own.clone(), channel, assistants, confidential: confidence });
        }
        // A transcription may take as long as an answer of the model.
        let timeout = config.ai.as_ref().map_or(DEFAULT_TRANSCRIPTION_TIMEOUT, |ai| ai.timeout);
        let transcription = config.media.transcription.as_ref();
        Ok(Derived {
            numbers,
            number_directory: config.directory(),
            media_links: key.map(|key| MediaLinks::new(config.server.public_url.as_ref(), &key)),
            probe_key: key.map(|key| ProbeKey::new(&key)),
            erasure_key: key.map(|key| ErasureKey::derive(&key)),
            alerter: Arc::new(Alerter::new(
                config.alerts.clone(),
                config.server.public_url.as_ref().and_then(|url| url.host_str()).map(str::to_owned),
            )),
            transcriber: transcription.map(|config| ai::build_transcriber(config, timeout)).transpose()?,
        })
    }
}

/// Returns the same store, which recognizes erased persons from now on. For commands that erase or that change what is
/// kept of erased persons; the store of an [`App`] recognizes them already.
///
/// # Errors
/// If the age identity is lost or does not belong to this database.
pub async fn with_erasure_key(store: Store, data: &DataConfig, clock: &dyn Clock) -> Result<Store> {
    let key = installation_key::get_or_create(installation_key::CALLBACK_KEY, &store, data, clock).await?;
    Ok(store.with_erasure_key(ErasureKey::derive(&key)))
}

/// Returns the store for the files in the data folder.
pub fn media_files(config: &Config) -> FileStore {
    FileStore::new(config.data.dir.join("media"))
}

/// Opens and migrates the database that the configuration names.
pub fn open_store(config: &Config) -> Result<Store> {
    let store = Store::open(&config.data.database, store_options(config))?;
    Ok(configure_store(store, config))
}

fn store_options(config: &Config) -> StoreOptions {
    let numbers = config.every_number();
    // Which model will answer, and how long the prompt will be, is not known yet, so the reservation is the highest of
    // all.
    let models = numbers.iter().flat_map(|number| number.ai.iter().chain(&number.fallbacks));
    let each = models.map(|ai| {
        let (input, output) = ai.max_call_tokens();
        let price = ai.effective_model().and_then(|model| config.contact_policy.price(model)).unwrap_or_default();
        (i64::from(input) + i64::from(output), price.cost_micros(input, output))
    });
    let (tokens, micros) = each.fold((0, 0), |most, call| (most.0.max(call.0), most.1.max(call.1)));
    StoreOptions {
        budgets: config.contact_policy.budgets,
        call_reservation: Charge { calls: 1, tokens, micros },
        ..StoreOptions::new(config.work.merge_window, config.conversation.ttl)
    }
}

/// Returns the same database with the settings of this configuration.
fn configure_store(store: Store, config: &Config) -> Store {
    let (numbers, directory) = (config.every_number(), config.directory());
    let templates: Vec<Option<ContentSid>> = numbers.iter().map(|number| number.reopen_template).collect();
    let number_of = directory.clone();
    let templates = PerNumber::new(move |account, ours| templates[number_of.find(account, ours).0]);
    let accounts: Vec<Option<String>> =
        numbers.iter().map(|number| Some(number.twilio.as_ref()?.account_sid.clone())).collect();
    let posting = PerNumber::new(move |account, ours| {
        accounts[directory.find(account, ours).0].clone().unwrap_or_else(|| account.to_owned())
    });
    store.with_options(store_options(config)).with_reopen_templates(templates).with_posting_accounts(posting)
}

/// Creates the provider of a model. Sends no request.
pub fn connect_provider(config: &AiConfig) -> Result<Arc<dyn Provider>> {
    let files: Vec<(Cow<'static, str>, Cow<'static, [u8]>)> =
        ExampleBusiness::iter().filter_map(|name| ExampleBusiness::get(&name).map(|file| (name, file.data))).collect();
    let texts = files
        .iter()
        .map(|(name, data)| Ok((name.as_ref(), std::str::from_utf8(data)?)))
        .collect::<Result<Vec<_>, std::str::Utf8Error>>()?;
    Ok(ai::build_provider(config, &texts)?)
}
