//! The app: everything that runs shares, built once.

mod admission;
mod confidential_content;
mod history;
mod media_links;
mod numbers;
mod running_turns;

pub use self::confidential_content::ConfidentialContent;
pub use self::media_links::MediaLinks;
pub use self::numbers::Number;
pub use self::running_turns::RunningTurns;

use std::borrow::Cow;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rust_embed::RustEmbed;
use tokio::sync::{Notify, RwLock, Semaphore};

use self::numbers::ModelRegistry;
use crate::ai::{self, Provider, Transcriber};
use crate::breaker::Breaker;
use crate::cache::{Cache, MemoryCache};
use crate::channel::Channel;
use crate::channel::twilio::Twilio;
use crate::clock::Clock;
use crate::concurrency_limit::ConcurrencyLimit;
use crate::config::{AiConfig, Config, NumberDirectory};
use crate::files::FileStore;
use crate::model::{Charge, ContentSid};
use crate::reader::Reader;
use crate::secrets::Secrets;
use crate::store::{ByNumber, Store, StoreOptions};

/// What web, workers and schedule share.
pub struct App {
    /// The configuration it was built from.
    pub config: Config,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The database.
    pub store: Store,
    /// What may be forgotten.
    pub cache: Arc<dyn Cache>,
    /// How often whom was refused. Apart, since anybody can fill it, and what is known of contacts must not give way.
    pub refusal_cache: Arc<dyn Cache>,
    /// Our numbers, that of the main configuration first; never none.
    pub numbers: Vec<Number>,
    /// Which of them a conversation is on.
    pub number_directory: NumberDirectory,
    /// What contacts attach and operators send.
    pub files: FileStore,
    /// Where the provider fetches what operators send; `None` where there is no channel.
    pub media_links: Option<MediaLinks>,
    /// Who writes down what is said in voice notes; `None` where nobody does. Not on every number: see [`App::transcriber_of`].
    pub transcriber: Option<Transcriber>,
    /// Who finds out what is in a file.
    pub reader: Reader,
    /// How many attachments are fetched and read at once: each is in memory meanwhile.
    pub fetch_slots: Semaphore,
    /// How many are written down at once, apart from those: a server that listens may be slow.
    pub transcription_slots: Semaphore,
    /// How long one attachment may take, by the runtime's clock and without its waits for a place.
    pub attachment_timeout: Duration,
    /// The turns that are being answered.
    pub running_turns: RunningTurns,
    /// Wakes the worker when something was queued.
    pub wake: Notify,
    /// Shared by whoever claims work; held alone while missed messages are stored, so that no turn is claimed of which a part
    /// is still to come.
    pub claim_lock: RwLock<()>,
}

/// A model, as it is asked.
pub struct Assistant {
    /// Where to ask.
    pub provider: Arc<dyn Provider>,
    /// How many may ask at once. Shared by those who ask the same model otherwise.
    pub limit: Arc<ConcurrencyLimit>,
    /// Whether it is asked at all just now. Shared alike.
    pub breaker: Arc<Breaker>,
    /// How many tokens it reads and writes in one call.
    pub context_tokens: usize,
    /// How many of those its answer may take.
    pub answer_tokens: usize,
    /// The model's name, where it is known before it answers.
    pub model: Option<String>,
}

impl Assistant {
    /// A model behind this provider.
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

    /// The tokens that a prompt may take.
    pub fn max_prompt_tokens(&self) -> usize {
        self.context_tokens - self.answer_tokens
    }
}

/// The business of the demo, which the offline provider knows when it is given no folder.
#[derive(RustEmbed)]
#[folder = "assets/example"]
struct ExampleBusiness;

/// Attachments that are fetched at once, and those that are written down: of 16 MB at the most.
const MAX_FETCHES: usize = 8;
const MAX_TRANSCRIPTIONS: usize = 8;

/// How long one attachment may take. A contact waits no longer than that for an answer to what they wrote beside it.
const ATTACHMENT_TIMEOUT: Duration = Duration::from_secs(90);

/// How long a transcript may take where no model tells.
const DEFAULT_TRANSCRIPTION_TIMEOUT: Duration = Duration::from_secs(120);

/// The name under which the key for references in status callbacks is stored.
const CALLBACK_KEY_NAME: &str = "status-callback-key";

impl App {
    /// Opens the data folder, the database and what the configuration names. Calls nobody.
    pub async fn build(config: Config, clock: Arc<dyn Clock>) -> Result<App> {
        let folder = &config.data.dir;
        fs::create_dir_all(folder)
            .with_context(|| format!("the data folder {} cannot be made (MYNAH_DATA_DIR)", folder.display()))?;
        let store = open_store(&config)?;
        let files = media_files(&config);
        let number_configs = config.every_number();
        // One for all: a callback names the turn, whose number is known.
        let key = if number_configs.iter().any(|number| number.twilio.is_some()) {
            Some(callback_key(&store, &Secrets::open(folder)?, clock.as_ref()).await?)
        } else {
            None
        };
        let media_links = key.map(|key| MediaLinks::new(config.server.public_url.as_ref(), &key));
        let mut models = ModelRegistry::new(
            number_configs.iter().flat_map(|own| own.ai.iter().chain(&own.fallbacks)).cloned().collect(),
        );
        let mut numbers = Vec::with_capacity(number_configs.len());
        for own in &number_configs {
            let channel = own.twilio.clone().zip(key);
            let channel = channel.map(|(twilio, key)| Arc::new(Twilio::new(twilio, key)) as Arc<dyn Channel>);
            let asked = own.ai.iter().chain(&own.fallbacks);
            let assistants =
                asked.map(|ai| models.get_or_connect(ai, |ai| Ok(Assistant::new(connect_provider(ai)?, ai))));
            let assistants = assistants.collect::<Result<_>>()?;
            let confidence = ConfidentialContent::collect(&config, &number_configs, own);
            numbers.push(Number { config: own.clone(), channel, assistants, confidential: confidence });
        }
        let directory = config.directory();
        // As long as an answer of the model may take.
        let timeout = config.ai.as_ref().map_or(DEFAULT_TRANSCRIPTION_TIMEOUT, |ai| ai.timeout);
        let transcription = config.media.transcription.as_ref();
        let transcriber = transcription.map(|config| ai::build_transcriber(config, timeout)).transpose()?;
        let cache = Arc::new(MemoryCache::new(Arc::clone(&clock)));
        let refusals = Arc::new(MemoryCache::new(Arc::clone(&clock)));
        Ok(App {
            config,
            clock,
            store,
            cache,
            refusal_cache: refusals,
            numbers,
            number_directory: directory,
            files,
            transcriber,
            reader: Reader::from_current_executable().context("this program does not find its own file")?,
            fetch_slots: Semaphore::new(MAX_FETCHES),
            transcription_slots: Semaphore::new(MAX_TRANSCRIPTIONS),
            attachment_timeout: ATTACHMENT_TIMEOUT,
            media_links,
            running_turns: RunningTurns::default(),
            wake: Notify::new(),
            claim_lock: RwLock::new(()),
        })
    }

    /// What a contact reads where no answer can be had, in the words of the number that they wrote to.
    pub fn apology_texts(&self) -> ByNumber<String> {
        let (directory, numbers) = (self.number_directory.clone(), &self.numbers);
        let texts: Vec<String> = numbers.iter().map(|number| number.config.texts.sorry.clone()).collect();
        ByNumber::new(move |account, ours| texts[directory.find(account, ours).0].clone())
    }
}

/// The files of the data folder.
pub fn media_files(config: &Config) -> FileStore {
    FileStore::new(config.data.dir.join("media"))
}

/// The database that the configuration names, opened and migrated.
pub fn open_store(config: &Config) -> Result<Store> {
    let numbers = config.every_number();
    // Nobody knows yet which of the models will answer, nor how long the prompt will be.
    let models = numbers.iter().flat_map(|number| number.ai.iter().chain(&number.fallbacks));
    let each = models.map(|ai| {
        let (input, output) = ai.max_call_tokens();
        let price = ai.effective_model().and_then(|model| config.contact_policy.price(model)).unwrap_or_default();
        (i64::from(input) + i64::from(output), price.cost_micros(input, output))
    });
    let (tokens, micros) = each.fold((0, 0), |most, call| (most.0.max(call.0), most.1.max(call.1)));
    let options = StoreOptions {
        budgets: config.contact_policy.budgets,
        call_reservation: Charge { calls: 1, tokens, micros },
        ..StoreOptions::new(config.work.merge_window, config.conversation.ttl)
    };
    let directory = config.directory();
    let templates: Vec<Option<ContentSid>> = numbers.iter().map(|number| number.reopen_template).collect();
    let number_of = directory.clone();
    let templates = ByNumber::new(move |account, ours| templates[number_of.find(account, ours).0]);
    let accounts: Vec<Option<String>> =
        numbers.iter().map(|number| Some(number.twilio.as_ref()?.account_sid.clone())).collect();
    let posting = ByNumber::new(move |account, ours| {
        accounts[directory.find(account, ours).0].clone().unwrap_or_else(|| account.to_owned())
    });
    Ok(Store::open(&config.data.database, options)?.with_reopen_templates(templates).with_posting_accounts(posting))
}

fn connect_provider(config: &AiConfig) -> Result<Arc<dyn Provider>> {
    let files: Vec<(Cow<'static, str>, Cow<'static, [u8]>)> =
        ExampleBusiness::iter().filter_map(|name| ExampleBusiness::get(&name).map(|file| (name, file.data))).collect();
    let texts = files
        .iter()
        .map(|(name, data)| Ok((name.as_ref(), std::str::from_utf8(data)?)))
        .collect::<Result<Vec<_>, std::str::Utf8Error>>()?;
    Ok(ai::build_provider(config, &texts)?)
}

/// The key that proves a status callback's reference ours: made once for each installation, sealed in the database.
async fn callback_key(store: &Store, secrets: &Secrets, clock: &dyn Clock) -> Result<[u8; 32]> {
    if let Some(sealed) = store.sealed_secret(CALLBACK_KEY_NAME).await? {
        let key = secrets.unseal(&sealed).context(
            "the data folder's age identity does not fit its database; restore identity.age.txt from the same backup",
        )?;
        return key.try_into().map_err(|_| anyhow!("the stored {CALLBACK_KEY_NAME} is not 32 bytes"));
    }
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| anyhow!("no random numbers: {error}"))?;
    store.put_sealed_secret(CALLBACK_KEY_NAME, secrets.seal(&key)?, clock.now()).await?;
    Ok(key)
}
