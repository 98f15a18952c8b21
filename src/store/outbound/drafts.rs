//! What one outbound message holds: a text, a file, or a template.

use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::model::{ContentSid, FileHash, Media, Template, Variables};
use crate::store::database::{Row, Store, StoreError, args};
use crate::store::queue::limits::SEND_WITHIN;
use crate::store::queue::turns::TurnClaim;

const OWN_MESSAGES: &str = "
    SELECT content, metadata, created_at FROM messages
    WHERE conversation_id = ?1 AND turn_id = ?2 AND role <> 'user' ORDER BY id";

/// One message to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// The text; it may be empty if there is a file.
    pub text: String,
    /// The file to send with the text.
    pub file: Option<FileHash>,
    /// The template to send instead of the text.
    pub template: Option<Template>,
    /// After this time the message is not sent; `None` means as long as WhatsApp accepts free text.
    pub expires_at: Option<Time>,
}

impl From<String> for Draft {
    fn from(text: String) -> Draft {
        Draft { text, ..Draft::default() }
    }
}

/// What an operator's message holds beside its text in the history. It is stored with the message.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::store) struct OperatorMetadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    caption: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variables: Option<String>,
}

impl OperatorMetadata {
    pub(in crate::store) fn file(file: &Media, caption: &str) -> OperatorMetadata {
        OperatorMetadata {
            file: Some(file.hash.to_string()),
            caption: Some(caption.to_owned()),
            ..OperatorMetadata::default()
        }
    }

    pub(in crate::store) fn template(template: &Template) -> OperatorMetadata {
        let sid = template.sid.as_str().to_owned();
        OperatorMetadata { template: Some(sid), variables: template.variables.json(), ..OperatorMetadata::default() }
    }

    pub(in crate::store) fn json(&self) -> String {
        serde_json::to_string(self).expect("writing strings to memory cannot fail")
    }
}

impl Store {
    /// Returns our own messages in a claimed turn, one draft for each message.
    pub async fn turn_drafts(&self, claim: &TurnClaim) -> Result<Vec<Draft>, StoreError> {
        let (conversation, turn) = (claim.conversation, claim.turn);
        self.read(move |tx| tx.fetch_all(OWN_MESSAGES, args![&conversation, turn], draft)).await
    }
}

fn draft(row: &dyn Row) -> Result<Draft, StoreError> {
    let OperatorMetadata { file, caption, template, variables } =
        serde_json::from_str(row.text(1)?).unwrap_or_default();
    if let Some(file) = file.as_deref().and_then(FileHash::parse) {
        return Ok(Draft { text: caption.unwrap_or_default(), file: Some(file), ..Draft::default() });
    }
    if let Some(sid) = template.as_deref().and_then(ContentSid::parse) {
        let variables = variables.as_deref().and_then(Variables::parse).unwrap_or_default();
        let expires_at = Some(Time(row.int(2)?) + SEND_WITHIN);
        return Ok(Draft { template: Some(Template { sid, variables }), expires_at, ..Draft::default() });
    }
    Ok(row.text(0)?.to_owned().into())
}
