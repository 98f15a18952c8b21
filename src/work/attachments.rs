//! Reads a contact's attachments before the model is asked. Pictures are scaled for the model, voice notes are
//! transcribed, documents and vCards become text. If an attachment cannot be read, the model and the contact are told,
//! and the turn goes on.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::Instant;
use tracing::{error, warn};

use super::{alerts, retry_while_unavailable};
use crate::app::{App, Number};
use crate::channel::Channel;
use crate::fault::{Fault, FaultOwner};
use crate::file_reader::{Content, ReadOutcome};
use crate::file_store::FileStoreError;
use crate::media::{FileKind, Image};
use crate::metrics::TRANSCRIPTION;
use crate::model::{Charge, FileHash, Media, Role};
use crate::store::{AttachmentOutcome, Reservation, StoreError, StoredAttachment, TurnClaim, WindowLine};
use crate::text;

/// The largest file that is fetched, in bytes. This is WhatsApp's limit for media (Twilio, "WhatsApp media messages").
const MAX_FILE_BYTES: usize = 16 * 1024 * 1024;

/// The most files of one turn that are read.
const MAX_FILES: usize = 10;

/// The longest transcript, in characters: about a quarter of an hour of speech.
const MAX_TRANSCRIPT_CHARS: usize = 12_000;

/// The waits between the attempts to fetch or transcribe one file.
const RETRY_WAITS: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];

/// What follows the name of an attachment that could not be read.
const UNREADABLE_SUFFIX: &str = ", which cannot be read]";

/// The context window after the turn's attachments have been read.
pub(super) struct WindowWithAttachments {
    /// The window with the text of the attachments.
    pub(super) window: Vec<WindowLine>,
    /// Whether an attachment could not be read.
    pub(super) has_unreadable: bool,
    /// Whether the turn consists only of attachments that could not be read.
    pub(super) is_only_unreadable: bool,
}

/// Reads the turn's waiting attachments. Returns `None` if the claim was stale.
pub(super) async fn read_all(
    app: &App,
    claim: &TurnClaim,
    channel: &Arc<dyn Channel>,
    mut window: Vec<WindowLine>,
) -> Result<Option<WindowWithAttachments>, StoreError> {
    // Placeholders of attachments, and the texts that replace them, contain a bracket. Most messages have none, which
    // saves a query.
    let may_hold = |line: &WindowLine| line.role == Role::User && line.turn == claim.turn && line.content.contains('[');
    if !window.iter().any(may_hold) {
        return Ok(Some(WindowWithAttachments { window, has_unreadable: false, is_only_unreadable: false }));
    }
    let mut attached = retry_while_unavailable(|| app.store.turn_attachments(claim)).await?;
    let waiting: Vec<_> = attached.iter().filter(|one| one.waiting).collect();
    if !waiting.is_empty() {
        let (number, reservation) = (app.number_of(claim), claim.reservation.as_ref());
        let context = ReadContext { number, reservation, may_transcribe: true };
        let all = waiting.iter().enumerate().map(|(place, one)| read_attachment(app, &context, channel, place, one));
        let outcomes = join_all(all).await;
        let Some(revision) =
            retry_while_unavailable(|| app.store.record_attachments(claim, outcomes.clone(), app.clock.now())).await?
        else {
            return Ok(None);
        };
        let claim = TurnClaim { revision, ..claim.clone() };
        window = retry_while_unavailable(|| app.history(&claim)).await?;
        attached = retry_while_unavailable(|| app.store.turn_attachments(&claim)).await?;
    }
    let unreadable = attached.iter().any(|one| one.unreadable);
    let contact_lines = window.iter().filter(|line| line.role == Role::User && line.turn == claim.turn);
    let nothing_else =
        unreadable && contact_lines.flat_map(|line| line.content.lines()).all(|line| line.ends_with(UNREADABLE_SUFFIX));
    Ok(Some(WindowWithAttachments { window, has_unreadable: unreadable, is_only_unreadable: nothing_else }))
}

/// Loads the pictures that the model sees beside each line of the window.
pub(super) async fn load_pictures(
    app: &App,
    claim: &TurnClaim,
    window: &[WindowLine],
) -> Result<Vec<Vec<Image>>, StoreError> {
    let mut shown: Vec<Vec<Image>> = vec![Vec::new(); window.len()];
    let first = window.iter().find(|line| line.role == Role::User && line.content.contains(IMAGE_MARK));
    let (Some(first), true) = (first, app.config.media.vision) else { return Ok(shown) };
    let pictures =
        retry_while_unavailable(|| app.store.pictures(claim.conversation, (first.turn, claim.turn), MAX_PICTURES))
            .await?;
    for picture in pictures {
        let Some(place) = window.iter().position(|line| line.provider_id.as_ref() == Some(&picture.provider_id)) else {
            continue;
        };
        let files = app.files.clone();
        let loaded = run_blocking(move || {
            let bytes = files.read(&picture.image).map_err(|error| error.to_string())?;
            Image::from_stored(bytes.into()).map_err(|error| error.to_string())
        });
        match loaded.await {
            Ok(image) => shown[place].push(image),
            Err(why) => warn!(why, "cannot load a picture of the conversation"),
        }
    }
    Ok(shown)
}

/// The placeholder of a picture that the model sees.
const IMAGE_MARK: &str = "[image]";

/// The most pictures that the model sees at once: the latest.
const MAX_PICTURES: i64 = 5;

/// The number for which an attachment is read, and what reading it may cost.
pub(super) struct ReadContext<'a> {
    pub(super) number: &'a Number,
    /// The reservation that transcription calls are charged to.
    pub(super) reservation: Option<&'a Reservation>,
    /// Whether voice notes may be transcribed, which costs money.
    pub(super) may_transcribe: bool,
}

/// Fetches and reads an attachment. `index` is its position in the turn.
pub(super) async fn read_attachment(
    app: &App,
    context: &ReadContext<'_>,
    channel: &Arc<dyn Channel>,
    index: usize,
    stored: &StoredAttachment,
) -> AttachmentOutcome {
    let StoredAttachment { message, number, attachment, .. } = stored;
    let mut outcome = AttachmentOutcome {
        message: *message,
        number: *number,
        text: attachment.placeholder.clone(),
        file: None,
        model_image: None,
        error: None,
    };
    let read = if index >= MAX_FILES {
        Err(format!("the turn has more than {MAX_FILES} files"))
    } else if attachment.placeholder == "[video]" {
        Err("mynah does not read videos".to_owned())
    } else {
        fetch_and_describe(app, context, channel, stored, &mut outcome).await
    };
    if let Err(why) = read {
        warn!(why, "cannot read an attachment");
        let name = outcome.text.trim_start_matches('[').trim_end_matches(']').lines().next().unwrap_or("file");
        outcome.text = format!("[{name}{UNREADABLE_SUFFIX}");
        outcome.model_image = None;
        outcome.error = Some(why);
    }
    outcome
}

/// Fetches a file and describes it in `outcome`. The error is text for the operator.
async fn fetch_and_describe(
    app: &App,
    context: &ReadContext<'_>,
    channel: &Arc<dyn Channel>,
    stored: &StoredAttachment,
    outcome: &mut AttachmentOutcome,
) -> Result<(), String> {
    let mut time_limit = TimeLimit { remaining: app.attachment_timeout };
    let mark = outcome.text.clone();
    let (kind, content, file) = {
        let _place = app.fetch_slots.acquire().await;
        let bytes = match time_limit
            .run(with_retries(|| channel.fetch_attachment(&stored.attachment, MAX_FILE_BYTES)))
            .await?
        {
            Ok(bytes) => bytes,
            Err(fault) => return Err(report_fetch_fault(app, context, &fault).await),
        };
        if bytes.is_empty() {
            return Err("the file is empty".to_owned());
        }
        // The reader has a time limit of its own.
        let ReadOutcome { kind, content } = app.reader.read(&bytes, app.config.media.vision).await;
        let file = store_file(app, kind.media_type(), bytes).await?;
        outcome.file = Some(file.clone());
        (kind, content, file)
    };
    if kind.is_image() {
        outcome.text = IMAGE_MARK.to_owned();
    } else if kind.is_audio() && mark == FILE_MARK {
        outcome.text = "[voice message]".to_owned();
    }
    match content? {
        Content::Picture(image) => outcome.model_image = Some(store_file(app, image.media_type, image.bytes).await?),
        Content::Text(read) => {
            let ending = if read.truncated { "\n[the rest is left out]" } else { "" };
            outcome.text = match kind {
                // The text of a vCard needs no label.
                FileKind::VCard => read.text,
                _ if mark == FILE_MARK => format!("[document]\n{}{ending}", read.text.trim()),
                _ => format!("{mark}\n{}{ending}", read.text.trim()),
            };
        }
        Content::Other if kind.is_image() => {
            return Err("the model sees no pictures (MYNAH_AI_VISION)".to_owned());
        }
        Content::Other if kind.is_audio() => {
            let transcript = transcribe_voice(app, context, &mut time_limit, kind, file.hash).await?;
            outcome.text = format!("{}\n{}", outcome.text, text::truncate(&transcript, MAX_TRANSCRIPT_CHARS));
        }
        Content::Other => return Err(format!("mynah does not read files of this type ({})", kind.media_type())),
    }
    Ok(())
}

/// Transcribes a voice note or another sound.
async fn transcribe_voice(
    app: &App,
    context: &ReadContext<'_>,
    time_limit: &mut TimeLimit,
    kind: FileKind,
    hash: FileHash,
) -> Result<String, String> {
    let Some(transcriber) = app.transcriber_of(context.number) else {
        return Err("no transcription is configured for this number (MYNAH_TRANSCRIPTION_BASE_URL)".to_owned());
    };
    if !context.may_transcribe {
        return Err("the voice note was not transcribed, because its turn ended dead or expired".to_owned());
    }
    let _place = app.transcription_slots.acquire().await;
    let files = app.files.clone();
    // The sound is read only now, so that waiting transcriptions do not hold it in memory.
    let sound: Bytes = run_blocking(move || files.read(&hash).map_err(|error| error.to_string())).await?.into();
    let name = format!("voice.{}", kind.extension());
    let model = app.transcription_model();
    let transcribe = || async {
        // A transcription counts as a call. The server reports neither tokens nor a price.
        if let Some(reservation) = context.reservation {
            reservation.record_calls(Charge { calls: 1, ..Charge::default() }, 0);
        }
        let mut call = app.metrics.model_calls.begin(TRANSCRIPTION, model);
        let transcript = transcriber.transcribe(&name, kind.media_type(), sound.clone()).await;
        call.end(transcript.as_ref().err());
        transcript
    };
    let transcript = match time_limit.run(with_retries(transcribe)).await? {
        Ok(transcript) => {
            alerts::record_recovery(app, "model", "voice notes").await;
            transcript
        }
        Err(fault) => return Err(report_transcription_fault(app, &fault).await),
    };
    if text::sanitize(&transcript).trim().is_empty() {
        return Err("the recording contains no speech".to_owned());
    }
    Ok(transcript)
}

/// The time that remains for an attachment.
struct TimeLimit {
    remaining: Duration,
}

impl TimeLimit {
    /// Runs `work` within the remaining time.
    async fn run<T>(&mut self, work: impl Future<Output = T>) -> Result<T, String> {
        let began = Instant::now();
        let done = tokio::time::timeout(self.remaining, work).await;
        self.remaining = self.remaining.saturating_sub(began.elapsed());
        done.map_err(|_| "fetching or transcribing it took too long".to_owned())
    }
}

/// Returns why a transcription failed. Raises an alert if only the owner can fix the cause, such as a wrong key.
async fn report_transcription_fault(app: &App, fault: &Fault) -> String {
    if needs_operator(fault) {
        error!(why = fault.why(), "voice notes cannot be transcribed; the operator must act");
        record_alert(app, "model", "voice notes".to_owned(), fault).await;
    }
    fault.why().to_owned()
}

/// Returns why a file was not fetched. Raises an alert if only the owner can fix the cause, such as credentials that
/// Twilio refuses.
async fn report_fetch_fault(app: &App, context: &ReadContext<'_>, fault: &Fault) -> String {
    if needs_operator(fault) {
        let number = app.name_if_several(context.number);
        error!(why = fault.why(), "attachments cannot be fetched; the operator must act");
        let subject = number.map_or("attachments".to_owned(), |name| format!("attachments on {name}"));
        record_alert(app, "media", subject, fault).await;
    }
    fault.why().to_owned()
}

fn needs_operator(fault: &Fault) -> bool {
    matches!(fault, Fault::Fail { owner: FaultOwner::Operator, .. })
}

async fn record_alert(app: &App, cause: &'static str, subject: String, fault: &Fault) {
    if let Err(error) = app.store.record_alert(cause, subject, fault.why().to_owned(), app.clock.now()).await {
        error!(%error, "cannot store an alert");
    }
}

/// The placeholder of a file of unknown type.
const FILE_MARK: &str = "[file]";

/// Stores a file. The row that refers to it is written later.
async fn store_file(app: &App, media_type: &str, bytes: Bytes) -> Result<Media, String> {
    let (files, now, size) = (app.files.clone(), app.clock.now(), bytes.len() as u64);
    let put = move || files.put(&bytes, now).map_err(|error: FileStoreError| error.to_string());
    let hash: FileHash = run_blocking(put).await?;
    // WhatsApp does not tell the file's name.
    let name = media_type.split('/').next().unwrap_or_default().to_owned();
    Ok(Media { hash, media_type: media_type.to_owned(), name, size })
}

/// Retries a call that may succeed later, within a time that a contact hardly notices.
async fn with_retries<T, F: Future<Output = Result<T, Fault>>>(mut ask: impl FnMut() -> F) -> Result<T, Fault> {
    for wait in RETRY_WAITS {
        match ask().await {
            Err(Fault::Retry { .. } | Fault::Unknown { .. }) => tokio::time::sleep(wait).await,
            done => return done,
        }
    }
    ask().await
}

/// Runs slow disk work on a blocking thread, where it delays no other task.
async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err("the file store panicked".to_owned()))
}
