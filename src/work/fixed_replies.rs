//! Texts of our own: the answers to what no model is asked, and what a contact reads instead of an error.

use crate::app::App;
use crate::fault::{Fault, RetryOutlook};
use crate::model::{Command, Role};
use crate::store::{BuiltInRequest, HandOver, Reply, TurnClaim, WindowLine};

/// What is said to a request, as it is stored and as it is sent.
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
    let hand_over = wanted.then(|| hand_over(app, "the contact asked for one".to_owned(), None));
    (Reply::OwnText { text: text.clone(), hand_over }, text.clone())
}

/// That a person takes over, until the assistant returns.
pub(super) fn hand_over(app: &App, why: String, tell: Option<String>) -> HandOver {
    HandOver {
        until: app.config.contact_policy.human_return.map(|after| app.clock.now() + after),
        why,
        contact_notice: tell,
    }
}

/// Whether the turn holds, beside a word, something that the model has to answer. Words are not in the window.
pub(super) fn also_needs_model(app: &App, request: BuiltInRequest, claim: &TurnClaim, window: &[WindowLine]) -> bool {
    request.also_answers_question()
        && !claim.human_mode
        && !app.number_of(claim).assistants.is_empty()
        && window.iter().any(|line| line.turn == claim.turn && line.role == Role::User)
}

/// What a contact reads when the model gave no answer, by what went wrong. Never the error itself.
pub(super) fn apology<'a>(app: &'a App, claim: &TurnClaim, fault: &Fault) -> &'a str {
    let texts = &app.number_of(claim).config.texts;
    match fault {
        Fault::Retry { outlook: RetryOutlook::Overload, .. } => &texts.busy,
        Fault::Retry { outlook: RetryOutlook::Timeout, .. } => &texts.timeout,
        Fault::TooLong { .. } => &texts.too_long,
        _ => &texts.sorry,
    }
}
