//! What a turn asks for that no model answers.

use crate::model::Command;

/// What a turn asks for that no model answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// A word of the contact's.
    Command(Command),
    /// The contact sent the pairing code.
    Admitted,
    /// An operator's messages are to be sent.
    Operator,
}

impl Request {
    /// The stored name.
    pub(in crate::store) fn as_str(self) -> &'static str {
        match self {
            Request::Command(command) => command.as_str(),
            Request::Admitted => "admitted",
            Request::Operator => "operator",
        }
    }

    /// What a turn asks for in which this was said after that: the later, but who wants a person gets one whatever else they
    /// ask for, unless they want to begin anew or nothing more. An operator's turn stays one: what the contact asks for
    /// is answered after it.
    pub(in crate::store) fn after(self, before: Option<Request>) -> Request {
        let gives_way = match self {
            Request::Command(Command::OptOut | Command::Reset | Command::Human) | Request::Operator => false,
            Request::Command(Command::Help | Command::OptIn) | Request::Admitted => true,
        };
        match before {
            Some(Request::Operator) => Request::Operator,
            Some(Request::Command(Command::Human)) if gives_way => Request::Command(Command::Human),
            _ => self,
        }
    }

    /// Whether a question beside it is answered, too. Whoever wants to begin anew, or a person, or nothing more, does not
    /// wait for the model.
    pub fn takes_a_question(self) -> bool {
        matches!(self, Request::Admitted | Request::Command(Command::Help | Command::OptIn))
    }

    pub(in crate::store) fn parse(text: &str) -> Option<Request> {
        match text {
            "admitted" => Some(Request::Admitted),
            "operator" => Some(Request::Operator),
            _ => Command::parse(text).map(Request::Command),
        }
    }
}
