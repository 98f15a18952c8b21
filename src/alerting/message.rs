//! What an alert says.

use serde::{Deserialize, Serialize};

/// A message about an alert. It holds nothing of a contact unless the owner allows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertMessage {
    /// The cause: a word such as `model`.
    pub cause: String,
    /// What it is about, such as a model or the id of a conversation; may be empty.
    pub subject: String,
    /// How bad it is.
    pub severity: Severity,
    /// What happened, in a few words.
    pub title: String,
    /// What happened, in a sentence or more.
    pub text: String,
    /// What to do about it.
    pub remedy: String,
    /// How often it happened, those that were held back included.
    pub count: i64,
    /// When it first happened, as RFC 3339.
    pub first_at: String,
    /// When it last happened.
    pub last_at: String,
    /// Which installation tells it: the host of the public URL, or the data folder.
    pub installation: String,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Somebody should act soon.
    Warning,
    /// mynah does not answer, or not everybody.
    Critical,
    /// It is well again.
    Resolved,
}

impl AlertMessage {
    /// Returns the subject line: `mynah on bot.example.org: the model fails`.
    pub fn headline(&self) -> String {
        let again = if self.severity == Severity::Resolved { "well again: " } else { "" };
        format!("mynah on {}: {again}{}", self.installation, self.title)
    }

    /// Returns the text with everything that is known, in lines.
    pub fn body(&self) -> String {
        let mut lines = vec![self.text.clone()];
        if !self.subject.is_empty() {
            lines.push(format!("About: {}", self.subject));
        }
        if self.severity == Severity::Resolved {
            lines.push(format!("It had happened {} since {}.", times(self.count), self.first_at));
        } else {
            lines.push(format!(
                "Happened {}, first at {}, last at {}.",
                times(self.count),
                self.first_at,
                self.last_at
            ));
            if !self.remedy.is_empty() {
                lines.push(format!("What to do: {}", self.remedy));
            }
        }
        lines.join("\n")
    }
}

fn times(count: i64) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}
