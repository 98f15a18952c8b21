//! The fields of a webhook.

use serde_json::{Map, Value};

use super::form::Form;
use crate::model::WebhookError;

/// Twilio sends 15 to 30.
const MAX_FIELDS: usize = 200;

/// Fields that are stored elsewhere or have no use, and so are not in the metadata.
const NOT_METADATA: [&str; 8] =
    ["Body", "From", "To", "MessageSid", "SmsMessageSid", "SmsSid", "AccountSid", "ApiVersion"];

/// The fields of a webhook, all of them valid UTF-8 without NUL, in the order received.
pub(super) struct WebhookFields<'a>(Vec<(&'a str, &'a str)>);

impl<'a> WebhookFields<'a> {
    pub(super) fn from_form(form: &'a Form) -> Result<WebhookFields<'a>, WebhookError> {
        if form.len() > MAX_FIELDS {
            let count = form.len();
            return Err(malformed(format!("the request has {count} fields, more than the limit of {MAX_FIELDS}")));
        }
        let mut fields = Vec::with_capacity(form.len());
        for (name, value) in form.pairs() {
            let name = decode_field(name, name)?;
            fields.push((name, decode_field(value, name.as_bytes())?));
        }
        Ok(WebhookFields(fields))
    }

    /// Returns the first value of that name that is not empty.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(key, value)| *key == name && !value.is_empty()).map(|(_, value)| *value)
    }

    #[cfg(test)]
    pub(super) fn from_pairs(list: &[(&'a str, &'a str)]) -> WebhookFields<'a> {
        WebhookFields(list.to_vec())
    }

    pub(super) fn metadata(&self) -> Map<String, Value> {
        let mut map = Map::new();
        for (name, value) in &self.0 {
            if value.is_empty() || NOT_METADATA.contains(name) {
                continue;
            }
            let value = Value::from(*value);
            match map.get_mut(*name) {
                None => {
                    map.insert((*name).to_owned(), value);
                }
                Some(Value::Array(values)) => values.push(value),
                Some(first) => *first = Value::Array(vec![first.take(), value]),
            }
        }
        map
    }
}

/// Decodes a field's name or value. Errors identify the field by `name`, which need not be valid UTF-8.
fn decode_field<'a>(bytes: &'a [u8], name: &[u8]) -> Result<&'a str, WebhookError> {
    let field = || String::from_utf8_lossy(&name[..name.len().min(64)]).escape_debug().to_string();
    let text = std::str::from_utf8(bytes).map_err(|_| malformed(format!("the field {} is not UTF-8", field())))?;
    if text.contains('\0') { Err(malformed(format!("the field {} contains a NUL", field()))) } else { Ok(text) }
}

pub(super) fn malformed(why: impl Into<String>) -> WebhookError {
    WebhookError::Malformed(why.into())
}
