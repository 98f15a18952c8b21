//! What a turn asks for that no model answers.

use crate::model::Command;

/// What a turn asks for that no model answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltInRequest {
    /// A word of the contact's.
    Command(Command),
    /// The contact sent the pairing code.
    Admitted,
    /// An operator's messages are to be sent.
    Operator,
}

impl BuiltInRequest {
    /// The stored name.
    pub(in crate::store) fn as_str(self) -> &'static str {
        match self {
            BuiltInRequest::Command(command) => command.as_str(),
            BuiltInRequest::Admitted => "admitted",
            BuiltInRequest::Operator => "operator",
        }
    }

    /// What a turn asks for in which this was said after that: the later, but who wants a person gets one whatever else they
    /// ask for, unless they want to begin anew or nothing more. An operator's turn stays one: what the contact asks for
    /// is answered after it.
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

    /// Whether a question beside it is answered, too. Whoever wants to begin anew, or a person, or nothing more, does not
    /// wait for the model.
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
