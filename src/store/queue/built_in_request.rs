//! Requests that mynah answers without a model.

use crate::model::Command;

/// A request that mynah answers without a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltInRequest {
    /// A command word from the contact.
    Command(Command),
    /// The contact sent the pairing code.
    Admitted,
    /// An operator's messages wait to be sent.
    Operator,
}

impl BuiltInRequest {
    /// Returns the name that is stored.
    pub(in crate::store) fn as_str(self) -> &'static str {
        match self {
            BuiltInRequest::Command(command) => command.as_str(),
            BuiltInRequest::Admitted => "admitted",
            BuiltInRequest::Operator => "operator",
        }
    }

    /// Returns the request of a turn in which `self` came after `before`. The later request counts, with two
    /// exceptions. A request for a person stays, unless the contact later resets the conversation or opts out. An
    /// operator's turn stays one, and what the contact asks for is answered after it.
    pub(in crate::store) fn merged_with_earlier(self, before: Option<BuiltInRequest>) -> BuiltInRequest {
        let gives_way = match self {
            BuiltInRequest::Command(Command::OptOut | Command::Reset | Command::Human) | BuiltInRequest::Operator => {
                false
            }
            BuiltInRequest::Command(Command::Help | Command::OptIn) | BuiltInRequest::Admitted => true,
        };
        match before {
            Some(BuiltInRequest::Operator) => BuiltInRequest::Operator,
            Some(BuiltInRequest::Command(Command::Human)) if gives_way => BuiltInRequest::Command(Command::Human),
            _ => self,
        }
    }

    /// Returns whether a question beside the request is answered too. A contact who resets the conversation, asks for a
    /// person or opts out does not wait for the model.
    pub fn also_answers_question(self) -> bool {
        matches!(self, BuiltInRequest::Admitted | BuiltInRequest::Command(Command::Help | Command::OptIn))
    }

    pub(in crate::store) fn parse(text: &str) -> Option<BuiltInRequest> {
        match text {
            "admitted" => Some(BuiltInRequest::Admitted),
            "operator" => Some(BuiltInRequest::Operator),
            _ => Command::parse(text).map(BuiltInRequest::Command),
        }
    }
}
