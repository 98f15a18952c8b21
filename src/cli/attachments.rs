//! The attachments of a message, as text and as JSON.

use serde_json::{Value, json};

use super::table_columns::one_line;
use crate::file_store::FileStore;
use crate::store::AttachmentRow;

pub(super) fn to_json(attachments: &[AttachmentRow], files: &FileStore) -> Vec<Value> {
    let facts = |one: &AttachmentRow| {
        json!({
            "type": one.media_type,
            "state": one.state,
            "size": one.file.as_ref().map(|(_, size)| size),
            "file": one.file.as_ref().map(|(hash, _)| files.path(hash).display().to_string()),
            "error": one.error,
        })
    };
    attachments.iter().map(facts).collect()
}

/// Returns one line for each attachment.
pub(super) fn lines<'a>(attachments: &'a [AttachmentRow], files: &'a FileStore) -> impl Iterator<Item = String> + 'a {
    attachments.iter().map(|one| {
        let kind = one_line(&one.media_type);
        let kind = if kind.is_empty() { "a file" } else { &kind };
        let file = one.file.as_ref().map(|(hash, size)| format!(", {size} bytes in {}", files.path(hash).display()));
        let unread_note = match &one.error {
            Some(error) => format!("; not read: {}", one_line(error)),
            None if one.state == "waiting" => "; not fetched".to_owned(),
            None => String::new(),
        };
        format!("{kind}{}{unread_note}", file.unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::FileHash;

    #[test]
    fn an_attachment_is_listed_with_its_file_or_the_reason_why_there_is_none() {
        let hash = FileHash::new([0xab; 32]);
        let row = |media_type: &str, state: &str, file: bool, error: Option<&str>| AttachmentRow {
            media_type: media_type.into(),
            state: state.into(),
            file: file.then(|| (FileHash::new([0xab; 32]), 9)),
            error: error.map(str::to_owned),
        };
        let rows = [
            row("image/jpeg", "read", true, None),
            row("application/pdf", "unreadable", true, Some("it is locked\nwith a password")),
            row("image/png", "unreadable", false, Some("the file is gone at Twilio")),
            row("", "waiting", false, None),
        ];
        let files = FileStore::new("media");
        let place = format!("media/ab/{hash}");
        let printed: Vec<_> = lines(&rows, &files).collect();
        assert_eq!(
            printed,
            [
                format!("image/jpeg, 9 bytes in {place}"),
                format!("application/pdf, 9 bytes in {place}; not read: it is locked with a password"),
                "image/png; not read: the file is gone at Twilio".to_owned(),
                "a file; not fetched".to_owned(),
            ]
        );
        let facts = to_json(&rows, &files);
        assert_eq!(facts[0], json!({ "type": "image/jpeg", "state": "read", "size": 9, "file": place, "error": null }));
        let gone = "the file is gone at Twilio";
        assert_eq!(
            facts[2],
            json!({ "type": "image/png", "state": "unreadable", "size": null, "file": null, "error": gone })
        );
    }
}
