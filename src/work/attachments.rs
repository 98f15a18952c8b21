//! Reading what a contact attached, before the model is asked: pictures are shown to it, voice notes are written down, documents
//! and contact cards are put into words. What cannot be read is told, to the model and to the contact, and holds up nothing.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::Instant;
use tracing::{error, warn};

use super::retry_while_unavailable;
use crate::app::{App, Number};
use crate::channel::Channel;
use crate::fault::{Fault, FaultOwner};
use crate::files::FileStoreError;
use crate::media::{FileKind, Image};
use crate::model::{Charge, FileHash, Media, Role, TurnId};
use crate::reader::{Content, ReadOutcome};
use crate::store::{AttachmentOutcome, Reservation, StoreError, StoredAttachment, TurnClaim, WindowLine};
use crate::text;

/// The largest file that is fetched, in bytes: what WhatsApp takes of media (Twilio, "WhatsApp media messages").
const MAX_FILE_BYTES: usize = 16 * 1024 * 1024;

/// Files of one turn that are read.
const MAX_FILES: usize = 10;

/// As much of a transcript, in characters: a quarter of an hour of speech.
const MAX_TRANSCRIPT_CHARS: usize = 12_000;

/// Tries at one file or transcript, with these waits between them.
const RETRY_WAITS: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];

/// What stands behind the name of what could not be read.
const UNREADABLE_SUFFIX: &str = ", which cannot be read]";

/// What a turn's attachments came to.
pub(super) struct WindowWithAttachments {
    /// The window with their words.
    pub(super) window: Vec<WindowLine>,
    /// Whether something could not be read.
    pub(super) has_unreadable: bool,
    /// Whether the contact said nothing but that.
    pub(super) is_only_unreadable: bool,
}

/// Reads what waits to be read. `None`: the claim was stale.
pub(super) async fn read_all(
    app: &App,
    claim: &TurnClaim,
    channel: &Arc<dyn Channel>,
    mut window: Vec<WindowLine>,
) -> Result<Option<WindowWithAttachments>, StoreError> {
    // Marks of attachments, and what took their place, end so; most messages are asked about for nothing else.
    let may_hold = |line: &WindowLine| line.role == Role::User && line.turn == claim.turn && line.content.contains('[');
    if !window.iter().any(may_hold) {
        return Ok(Some(WindowWithAttachments { window, has_unreadable: false, is_only_unreadable: false }));
    }
    let mut attached = retry_while_unavailable(|| app.store.turn_attachments(claim)).await?;
    let waiting: Vec<_> = attached.iter().filter(|one| one.waiting).collect();
    if !waiting.is_empty() {
        let (turn, number, reservation) = (claim.turn, app.number_of(claim), claim.reservation.as_ref());
        let context = ReadContext { turn, number, reservation, may_transcribe: true };
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

/// The pictures that the model is shown beside each line of the window.
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
        let seen = run_blocking(move || {
            let bytes = files.read(&picture.image).map_err(|error| error.to_string())?;
            Image::from_stored(bytes.into()).map_err(|error| error.to_string())
        });
        match seen.await {
            Ok(image) => shown[place].push(image),
            Err(why) => warn!(turn = claim.turn.0, why, "a picture of the conversation cannot be shown"),
        }
    }
    Ok(shown)
}

/// What stands for a picture that the model is shown.
const IMAGE_MARK: &str = "[image]";

/// Pictures that the model is shown at once, the latest.
const MAX_PICTURES: i64 = 5;

/// For whom an attachment is read.
pub(super) struct ReadContext<'a> {
    pub(super) turn: TurnId,
    pub(super) number: &'a Number,
    /// What calls are put down to.
    pub(super) reservation: Option<&'a Reservation>,
    /// Whether what is said may be written down, which costs.
    pub(super) may_transcribe: bool,
}

/// What becomes of the attachment at that place of its turn.
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
        Err(format!("more than {MAX_FILES} files came at once"))
    } else if attachment.placeholder == "[video]" {
        Err("videos are not read".to_owned())
    } else {
        fetch_and_describe(app, context, channel, stored, &mut outcome).await
    };
    if let Err(why) = read {
        warn!(turn = context.turn.0, why, "an attachment cannot be read");
        let name = outcome.text.trim_start_matches('[').trim_end_matches(']').lines().next().unwrap_or("file");
        outcome.text = format!("[{name}{UNREADABLE_SUFFIX}");
        outcome.model_image = None;
        outcome.error = Some(why);
    }
    outcome
}

/// Fetches a file and puts it into words. The error says why that cannot be done, for the operator.
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
        // It has its own time.
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
            let rest = if read.truncated { "\n[the rest is left out]" } else { "" };
            outcome.text = match kind {
                // It says itself what it is.
                FileKind::VCard => read.text,
                _ if mark == FILE_MARK => format!("[document]\n{}{rest}", read.text.trim()),
                _ => format!("{mark}\n{}{rest}", read.text.trim()),
            };
        }
        Content::Other if kind.is_image() => {
            return Err("the model is shown no pictures (MYNAH_AI_VISION)".to_owned());
        }
        Content::Other if kind.is_audio() => {
            let said = transcribe_voice(app, context, &mut time_limit, kind, file.hash).await?;
            outcome.text = format!("{}\n{}", outcome.text, text::truncate(&said, MAX_TRANSCRIPT_CHARS));
        }
        Content::Other => return Err(format!("files of this type are not read ({})", kind.media_type())),
    }
    Ok(())
}

/// What is said in a sound.
async fn transcribe_voice(
    app: &App,
    context: &ReadContext<'_>,
    time_limit: &mut TimeLimit,
    kind: FileKind,
    hash: FileHash,
) -> Result<String, String> {
    let Some(transcriber) = app.transcriber_of(context.number) else {
        return Err("nothing is set that writes down what is said (MYNAH_TRANSCRIPTION_BASE_URL)".to_owned());
    };
    if !context.may_transcribe {
        return Err("it was not written down: its message was not answered either".to_owned());
    }
    let _place = app.transcription_slots.acquire().await;
    let files = app.files.clone();
    // Those who wait for a place do not hold their sound in memory.
    let sound: Bytes = run_blocking(move || files.read(&hash).map_err(|error| error.to_string())).await?.into();
    let name = format!("voice.{}", kind.extension());
    let transcribe = || {
        // It is a call like any other, of which nobody tells tokens or a price.
        if let Some(reservation) = context.reservation {
            reservation.record_calls(Charge { calls: 1, ..Charge::default() }, 0);
        }
        transcriber.transcribe(&name, kind.media_type(), sound.clone())
    };
    let said = match time_limit.run(with_retries(transcribe)).await? {
        Ok(said) => said,
        Err(fault) => return Err(report_transcription_fault(app, &fault).await),
    };
    if text::sanitize(&said).trim().is_empty() {
        return Err("nothing is said in it".to_owned());
    }
    Ok(said)
}

/// What is left of an attachment's time.
struct TimeLimit {
    remaining: Duration,
}

impl TimeLimit {
    /// Works for as long as there is time.
    async fn run<T>(&mut self, work: impl Future<Output = T>) -> Result<T, String> {
        let began = Instant::now();
        let done = tokio::time::timeout(self.remaining, work).await;
        self.remaining = self.remaining.saturating_sub(began.elapsed());
        done.map_err(|_| "it took too long to fetch it, or to write it down".to_owned())
    }
}

/// Why nothing was written down. What only the owner can mend, such as a wrong key, is told them.
async fn report_transcription_fault(app: &App, fault: &Fault) -> String {
    if needs_operator(fault) {
        error!(why = fault.why(), "voice notes cannot be written down; the operator must act");
        record_alert(app, "model", "voice notes".to_owned(), fault).await;
    }
    fault.why().to_owned()
}

/// Why a file was not fetched. What only the owner can mend, such as credentials that Twilio does not take, is told them.
async fn report_fetch_fault(app: &App, context: &ReadContext<'_>, fault: &Fault) -> String {
    if needs_operator(fault) {
        let number = app.name_if_several(context.number);
        error!(number, why = fault.why(), "what contacts attach cannot be fetched; the operator must act");
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
        error!(%error, "an alert could not be recorded");
    }
}

/// Stands for a file of which nothing is known.
const FILE_MARK: &str = "[file]";

/// Stores a file, before a row names it.
async fn store_file(app: &App, media_type: &str, bytes: Bytes) -> Result<Media, String> {
    let (files, now, size) = (app.files.clone(), app.clock.now(), bytes.len() as u64);
    let put = move || files.put(&bytes, now).map_err(|error: FileStoreError| error.to_string());
    let hash: FileHash = run_blocking(put).await?;
    // What WhatsApp hands on has no name.
    let name = media_type.split('/').next().unwrap_or_default().to_owned();
    Ok(Media { hash, media_type: media_type.to_owned(), name, size })
}

/// Tries again where that may help, for as long as a contact does not notice.
async fn with_retries<T, F: Future<Output = Result<T, Fault>>>(mut ask: impl FnMut() -> F) -> Result<T, Fault> {
    for wait in RETRY_WAITS {
        match ask().await {
            Err(Fault::Retry { .. } | Fault::Unknown { .. }) => tokio::time::sleep(wait).await,
            done => return done,
        }
    }
    ask().await
}

/// Runs what takes the disk for a while where it holds up nobody.
async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err("what keeps the files panicked".to_owned()))
}
