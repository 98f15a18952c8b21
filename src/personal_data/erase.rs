//! Erases a person for good, and proves it: from the database, from its files on the disk, and from the folder of files.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use serde::Serialize;

use super::search::{SearchTerm, count_in_files, search_terms};
use crate::app::{self, media_files, open_store};
use crate::clock::{Clock, Time};
use crate::config::Config;
use crate::file_store::FileStore;
use crate::model::FileHash;
use crate::store::{Deleted, FolderLock, Mention, Store};

/// How old a file must be to be removed while `serve` runs. It is written before the row that names it, and the row
/// follows within the 90 seconds that reading an attachment may take.
pub const FILE_GRACE: Duration = Duration::from_secs(120);

/// How often emptying the database's log is tried, and how long the wait between two tries is.
const LOG_TRIES: u32 = 20;
const LOG_RETRY_WAIT: Duration = Duration::from_millis(250);

/// The largest database that is rewritten beside a running `serve`, whose webhooks wait meanwhile.
const MAX_REWRITE_BESIDE_SERVER: u64 = 256 * 1024 * 1024;

/// What an erasure did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErasureReport {
    /// What was deleted from the database.
    pub deleted: Deleted,
    /// How many files were removed.
    pub files_removed: usize,
    /// How many files stay because other conversations hold the same ones.
    pub files_shared: usize,
    /// How many files `serve` removes within minutes, because they are too new to be sure that nobody else is about to
    /// hold them.
    pub files_left_to_serve: usize,
    /// The search of the database's bytes for each address and the name.
    pub proof: Vec<Proof>,
    /// Whether the database's log was emptied, in which older versions of rows stand. If not, `serve` does it.
    pub log_is_empty: bool,
    /// Whether nothing of the person is left, and nothing is left to `serve`.
    pub complete: bool,
    /// What is left to do and who does it, a sentence each.
    pub remaining: Vec<String>,
}

/// The result of the search for one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// `phone number`, `user ID` or `name`.
    pub searched_for: &'static str,
    /// How often the bytes of the database, its log and its index contain it.
    pub found: u64,
    /// Where it stands in what belongs to others or in the configuration.
    pub mentions: Vec<Mention>,
    /// How often it occurs in bytes that no row accounts for, if it stands nowhere else.
    pub is_residue: bool,
}

/// Erases the contact. Opens the database itself and has it closed while its bytes are searched, so this process must
/// have no other connection to it. Works beside a running `serve`, which forgets what it has cached within seconds and
/// finishes what could not be done at once.
///
/// # Errors
/// If there is no such contact, or if the database cannot be written; nothing is erased then. If the search fails, the
/// person is erased, and the error says so.
pub async fn erase(config: &Config, clock: &dyn Clock, contact: i64) -> Result<ErasureReport> {
    let database = config.data.database.as_path();
    let store = app::with_erasure_key(open_store(config)?, &config.data, clock).await?;
    let erasure = store
        .erase_person(contact, clock.now())
        .await?
        .ok_or_else(|| anyhow!("the contact was deleted at this moment"))?;
    let beside_server = is_served(&config.data.dir);
    let done = async {
        let files = remove_files(&store, &media_files(config), erasure.files, clock.now(), beside_server).await?;
        let log_is_empty = empty_log(&store).await?;
        drop(store);
        let terms = search_terms(&erasure.person);
        let mut proof = prove(config, &terms).await?;
        if log_is_empty && proof.iter().any(|proof| proof.is_residue || !proof.mentions.is_empty()) {
            proof = prove_after_rewriting(config, &terms, proof, beside_server).await?;
        }
        let mut report = ErasureReport {
            deleted: erasure.deleted,
            files_removed: files.removed,
            files_shared: files.shared,
            files_left_to_serve: files.left,
            log_is_empty,
            complete: log_is_empty && files.left == 0 && !proof.iter().any(|proof| proof.is_residue),
            proof,
            remaining: Vec::new(),
        };
        report.remaining = remaining(&report, log_is_empty, database);
        if log_is_empty && files.left == 0 {
            open_store(config)?.finish_erasure(erasure.id).await?;
        }
        Ok::<_, anyhow::Error>(report)
    };
    done.await.context("the person is erased from the database, but what is left on the disk could not be checked")
}

/// What became of the files.
#[derive(Default)]
struct RemovedFiles {
    removed: usize,
    shared: usize,
    left: usize,
}

async fn remove_files(
    store: &Store,
    files: &FileStore,
    held: Vec<FileHash>,
    now: Time,
    beside_server: bool,
) -> Result<RemovedFiles> {
    let all = held.len();
    let unused = store.unused_files(held).await?;
    let mut outcome = RemovedFiles { shared: all - unused.len(), ..RemovedFiles::default() };
    // Without a server, nobody is about to hold a new file.
    let before = if beside_server { now - FILE_GRACE } else { Time(i64::MAX) };
    let files = files.clone();
    let (removed, left) = tokio::task::spawn_blocking(move || {
        let (mut removed, mut left) = (0, 0);
        for hash in &unused {
            match files.remove_if_older(hash, before)? {
                true => removed += 1,
                false => left += usize::from(files.open(hash).is_ok()),
            }
        }
        Ok::<_, crate::file_store::FileStoreError>((removed, left))
    })
    .await??;
    (outcome.removed, outcome.left) = (removed, left);
    Ok(outcome)
}

/// Empties the database's log, in which older versions of the person's rows may stand. Returns `false` if readers kept
/// it for too long.
async fn empty_log(store: &Store) -> Result<bool> {
    for attempt in 0..LOG_TRIES {
        if attempt > 0 {
            tokio::time::sleep(LOG_RETRY_WAIT).await;
        }
        if store.empty_log().await? {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn prove(config: &Config, terms: &[SearchTerm]) -> Result<Vec<Proof>> {
    let counts = count_in_files(&config.data.database, terms)?;
    let store = open_store(config)?;
    let mut proof = Vec::with_capacity(terms.len());
    for (term, found) in terms.iter().zip(counts) {
        let mentions = if found > 0 { store.mentions(term.forms.clone()).await? } else { Vec::new() };
        proof.push(Proof { searched_for: term.what, found, is_residue: found > 0 && mentions.is_empty(), mentions });
    }
    Ok(proof)
}

/// Rewrites the database, so that every byte in it belongs to a row, and searches again. Earlier versions of a row may
/// have left copies in the free space of pages.
async fn prove_after_rewriting(
    config: &Config,
    terms: &[SearchTerm],
    before: Vec<Proof>,
    beside_server: bool,
) -> Result<Vec<Proof>> {
    let size = std::fs::metadata(&config.data.database).map_or(0, |file| file.len());
    if beside_server && size > MAX_REWRITE_BESIDE_SERVER {
        return Ok(before);
    }
    let store = open_store(config)?;
    store.rewrite().await?;
    let emptied = empty_log(&store).await?;
    drop(store);
    if emptied { prove(config, terms).await } else { Ok(before) }
}

fn remaining(report: &ErasureReport, log_is_empty: bool, database: &Path) -> Vec<String> {
    let mut remaining = Vec::new();
    if report.files_left_to_serve > 0 {
        let count = report.files_left_to_serve;
        remaining.push(format!("{count} files are newer than two minutes; `mynah serve` removes them within minutes"));
    }
    if !log_is_empty {
        remaining.push(
            "another process kept the database's log, in which older versions of the rows stand; `mynah serve` empties \
             it within minutes"
                .to_owned(),
        );
    } else if report.proof.iter().any(|proof| proof.is_residue) {
        remaining.push(format!(
            "free space in {} still contains copies; stop `mynah serve` and run `sqlite3 {} VACUUM`",
            database.display(),
            database.display()
        ));
    }
    remaining
}

/// Returns whether a process serves the data folder at this moment.
fn is_served(folder: &Path) -> bool {
    FolderLock::take(folder).is_err()
}
