//! An export in a folder of its own: the document and, beside it, the files that it names.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::export::{ExportSummary, write_document};
use crate::clock::Time;
use crate::file_store::FileStore;
use crate::model::FileHash;
use crate::store::{FileRecord, Store};

/// The document's name in the folder.
const DOCUMENT: &str = "person.json";

/// The longest file name, in characters, without what makes it unique.
const MAX_NAME_CHARS: usize = 80;

/// Returns the name of the folder for an export of this contact, such as `mynah-person-17-2026-11-01`.
pub fn default_folder_name(contact: i64, now: Time) -> String {
    format!("mynah-person-{contact}-{}", now.to_string().chars().take(10).collect::<String>())
}

/// Exports the contact to `folder`, which must not exist yet or be empty. Only its owner may read it. The export is
/// written to a folder beside it, which gets its name once it is complete.
///
/// # Errors
/// If the folder has something in it, or cannot be written. Nothing is left behind then.
pub async fn export_to_folder(
    store: &Store,
    files: &FileStore,
    contact: i64,
    folder: &Path,
    now: Time,
) -> Result<ExportSummary> {
    let shown = folder.display();
    match fs::read_dir(folder) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                bail!("the folder {shown} is not empty; name another with --output, or move it away");
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("the folder {shown} cannot be used")),
    }
    let draft = draft_path(folder)?;
    DirBuilder::new()
        .recursive(false)
        .mode(0o700)
        .create(&draft)
        .with_context(|| format!("the folder {} cannot be created", draft.display()))?;
    let written = write_folder(store, files, contact, &draft, now).await;
    let written = written.and_then(|summary| {
        // Takes the place of an empty folder, too.
        fs::rename(&draft, folder).with_context(|| format!("the export cannot be given its name {shown}"))?;
        Ok(summary)
    });
    if written.is_err() {
        drop(fs::remove_dir_all(&draft));
    }
    written
}

/// Returns the path under which the export is written, beside its folder.
fn draft_path(folder: &Path) -> Result<PathBuf> {
    let Some(name) = folder.file_name() else {
        bail!("{} cannot be the folder of an export; name a new folder with --output", folder.display())
    };
    let mut draft = name.to_owned();
    draft.push(format!(".{:08x}.new", fastrand::u32(..)));
    Ok(folder.with_file_name(draft))
}

async fn write_folder(
    store: &Store,
    files: &FileStore,
    contact: i64,
    folder: &Path,
    now: Time,
) -> Result<ExportSummary> {
    let held = held_files(store, contact).await?;
    let mut paths = HashMap::new();
    let mut missing_files = 0;
    if !held.is_empty() {
        DirBuilder::new().mode(0o700).create(folder.join("files")).context("the folder for files cannot be created")?;
    }
    for (hash, file) in held {
        let path = format!("files/{}", safe_name(&file));
        let (files, target) = (files.clone(), folder.join(&path));
        let copied = tokio::task::spawn_blocking(move || copy_file(&files, &hash, &target)).await?;
        if copied? {
            paths.insert(hash, path);
        } else {
            missing_files += 1;
        }
    }
    let document = folder.join(DOCUMENT);
    let file = create_private_file(&document).with_context(|| format!("{} cannot be created", document.display()))?;
    let (summary, out) = write_document(store, contact, &paths, now, BufWriter::new(file)).await?;
    out.into_inner().map_err(io::IntoInnerError::into_error).and_then(|file| file.sync_all())?;
    Ok(ExportSummary { missing_files, ..summary })
}

/// Returns the files of all the contact's conversations, each once.
async fn held_files(store: &Store, contact: i64) -> Result<BTreeMap<FileHash, FileRecord>> {
    let mut held = BTreeMap::new();
    for id in store.person_record(contact).await?.map(|person| person.conversations).unwrap_or_default() {
        let found = store.conversation_record(id).await?;
        for file in found.map(|found| found.files).unwrap_or_default() {
            held.entry(file.hash).or_insert(file);
        }
    }
    Ok(held)
}

/// Copies a file. Returns `false` if it lies no longer in the data folder.
fn copy_file(files: &FileStore, hash: &FileHash, target: &Path) -> Result<bool> {
    let mut source = match files.open(hash) {
        Ok(source) => source,
        Err(error) if error.is_missing() => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let copied = create_private_file(target).and_then(|mut copy| io::copy(&mut source, &mut copy));
    copied.with_context(|| format!("the file {} cannot be written", target.display()))?;
    Ok(true)
}

fn create_private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Returns a name for the copy that no other file of the export has and that is harmless in every shell and on every
/// file system: the beginning of its hash, and what is plain in its own name.
fn safe_name(file: &FileRecord) -> String {
    let id = &file.hash.to_string()[..16];
    let own = file.name.as_deref().unwrap_or_default();
    let plain: String = own
        .chars()
        .map(|sign| if sign.is_ascii_alphanumeric() || matches!(sign, '.' | '-' | '_') { sign } else { '_' })
        .collect();
    let plain = plain.trim_matches(['.', '_', '-']);
    if plain.is_empty() {
        let kind = file.media_type.split([';', ' ']).next().and_then(|media_type| media_type.split_once('/'));
        let ending = kind.map(|(_, kind)| kind).filter(|kind| kind.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        return ending.map_or(id.to_owned(), |ending| format!("{id}.{ending}"));
    }
    // The end of a name says what kind of file it is.
    let from = plain.len().saturating_sub(MAX_NAME_CHARS);
    format!("{id}-{}", &plain[from..])
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_copied_file_has_a_plain_name_that_no_other_file_has() {
        let name = |name: Option<&str>, media_type: &str| {
            let hash = FileHash::new([0xab; 32]);
            let name = name.map(str::to_owned);
            safe_name(&FileRecord { hash, media_type: media_type.into(), name, record: Value::Null })
        };
        assert_eq!(name(Some("menu.pdf"), "application/pdf"), "abababababababab-menu.pdf");
        assert_eq!(name(Some("../../etc/passwd"), "text/plain"), "abababababababab-etc_passwd");
        assert_eq!(name(Some("-rf $(x).pdf\n"), "application/pdf"), "abababababababab-rf___x_.pdf");
        assert_eq!(name(Some("…"), "image/jpeg"), "abababababababab.jpeg");
        assert_eq!(name(None, "audio/ogg; codecs=opus"), "abababababababab.ogg");
        assert_eq!(name(None, "application/vnd.ms-excel"), "abababababababab");
        assert_eq!(name(Some(&format!("{}.pdf", "x".repeat(300))), "").len(), 17 + MAX_NAME_CHARS);
    }
}
