//! Which conversation holds which files. The files themselves lie in a folder, named by their content. A row here keeps
//! a file there.

use crate::clock::Time;
use crate::model::{ConversationId, FileHash, Media, PartRef};
use crate::store::database::{Store, StoreError, Tx, args};

/// The same content under another name is the same file.
const UPSERT_FILE: &str = "
    INSERT INTO files (conversation_id, hash, media_type, name, size, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT (conversation_id, hash) DO UPDATE SET media_type = excluded.media_type, name = excluded.name";

const IS_USED: &str = "SELECT 1 FROM files WHERE hash = ?1 LIMIT 1";

const FILE_OF_PART: &str = "
    SELECT f.hash, f.media_type, f.name, f.size
    FROM parts p JOIN files f ON f.conversation_id = p.conversation_id AND f.hash = p.file
    WHERE p.id = ?1 * 16 + ?2";

impl Store {
    /// Returns those of the files that no conversation holds.
    pub async fn unused_files(&self, files: Vec<FileHash>) -> Result<Vec<FileHash>, StoreError> {
        self.read(move |tx| {
            let mut unowned = Vec::new();
            for hash in &files {
                if tx.fetch_optional(IS_USED, args![hash.to_string().as_str()], |_| Ok(()))?.is_none() {
                    unowned.push(*hash);
                }
            }
            Ok(unowned)
        })
        .await
    }

    /// Returns the file that is sent with a part.
    pub async fn file_of_part(&self, part: PartRef) -> Result<Option<Media>, StoreError> {
        self.read(move |tx| {
            tx.fetch_optional(FILE_OF_PART, args![part.turn, part.number], |row| {
                Ok(Media {
                    hash: FileHash::parse(row.text(0)?).ok_or_else(|| StoreError::unexpected(0, "a hash"))?,
                    media_type: row.text(1)?.to_owned(),
                    name: row.text_or_null(2)?.unwrap_or("file").to_owned(),
                    size: u64::try_from(row.int(3)?).unwrap_or(0),
                })
            })
        })
        .await
    }
}

/// Records that the conversation holds a file. The file must already lie in the folder.
pub(in crate::store) fn add_file(
    tx: &mut dyn Tx,
    conversation: &ConversationId,
    file: &Media,
    now: Time,
) -> Result<(), StoreError> {
    let (hash, size) = (file.hash.to_string(), i64::try_from(file.size).unwrap_or(i64::MAX));
    let (media_type, name) = (file.media_type.as_str(), file.name.as_str());
    tx.execute(UPSERT_FILE, args![conversation, hash.as_str(), media_type, name, size, now])?;
    Ok(())
}
