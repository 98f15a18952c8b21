//! Replies without a model: the answers to commands, and the texts that a contact reads instead of an error.

use crate::app::App;
use crate::fault::{Fault, RetryOutlook};
use crate::model::{Command, Role};
use crate::store::{BuiltInRequest, HandOver, Reply, TurnClaim, WindowLine};

/// Returns the reply to a request, in the form that is stored, and its text.
pub(super) fn fixed_reply(app: &App, claim: &TurnClaim, request: BuiltInRequest) -> (Reply, String) {
    let texts = &app.number_of(claim).config.texts;
    let text = match request {
        BuiltInRequest::Command(Command::OptOut) => &texts.stopped,
        BuiltInRequest::Command(Command::OptIn) => &texts.started,
        BuiltInRequest::Command(Command::Reset) => &texts.reset,
        BuiltInRequest::Command(Command::Help) => &texts.help,
        BuiltInRequest::Command(Command::Human) => &texts.human,
        BuiltInRequest::Admitted | BuiltInRequest::Operator => &texts.admitted,
    };
    let wanted = request == BuiltInRequest::Command(Command::Human);
    let hand_over = wanted.then(|| hand_over(app, "the contact asked for a person".to_owned(), None));
    (Reply::OwnText { text: text.clone(), hand_over }, text.clone())
}

/// Builds a handover to a person that lasts until the assistant returns (`MYNAH_HUMAN_RETURN`).
pub(super) fn hand_over(app: &App, why: String, tell: Option<String>) -> HandOver {
    HandOver {
        until: app.config.contact_policy.human_return.map(|after| app.clock.now() + after),
        why,
        contact_notice: tell,
    }
}

/// Returns whether the turn contains a question for the model beside the command. Commands are not in the window.
pub(super) fn also_needs_model(app: &App, request: BuiltInRequest, claim: &TurnClaim, window: &[WindowLine]) -> bool {
    request.also_answers_question()
        && !claim.human_mode
        && !app.number_of(claim).assistants.is_empty()
        && window.iter().any(|line| line.turn == claim.turn && line.role == Role::User)
}

/// Returns the text that the contact reads if the model gave no answer. It depends on the fault, but never shows the
/// error.
pub(super) fn apology<'a>(app: &'a App, claim: &TurnClaim, fault: &Fault) -> &'a str {
    let texts = &app.number_of(claim).config.texts;
    match fault {
        Fault::Retry { outlook: RetryOutlook::Overload, .. } => &texts.busy,
        Fault::Retry { outlook: RetryOutlook::Timeout, .. } => &texts.timeout,
        Fault::TooLong { .. } => &texts.too_long,
        _ => &texts.sorry,
    }
}
