//! What an error means: a lesson, a conversation that is too long, or a fault. Classes by Anthropic's errors and rate
//! limits pages.

use std::time::Duration;

use super::wire::{ApiError, Request};
use crate::ai::vision::{ImageError, classify_image_error};
use crate::config::AiSettingNames;
use crate::fault::{Fault, FaultOwner, RetryOutlook};

/// What to do about an error.
#[derive(Debug, PartialEq)]
pub(super) enum ErrorClass {
    /// Ask again, otherwise.
    RetryWithQuirk(Quirk),
    /// Ask again with fewer lines.
    TooLong,
    /// Ask again without the images.
    UnreadableImages,
    /// A filter declined what was asked.
    ContentFiltered,
    /// Nothing to be done here.
    Fault(Fault),
}

/// One thing to learn about the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quirk {
    /// `temperature` is refused (Opus 4.7, Sonnet 5 and later).
    NoTemperature,
    /// The most tokens that the model can write.
    MaxTokens(u32),
    /// The server knows no tools.
    NoTools,
    /// The model takes so many images; 0 where it sees nothing.
    MaxImages(usize),
}

/// How an account is told that it has no money or may spend no more.
const ACCOUNT_WORDINGS: [&str; 5] = ["credit balance", "billing", "spend limit", "usage limit", "spending limit"];

/// How a prompt is told that it does not fit.
const TOO_LONG_WORDINGS: [&str; 4] = ["prompt is too long", "context limit", "context window", "context size"];

/// How a filter says that it declined: "Output blocked by content filtering policy".
const CONTENT_FILTER_WORDINGS: [&str; 2] = ["content filter", "content_filter"];

/// Judges `problem` as the answer to `request`. `words` tell it to operators, with the `settings` to look at.
pub(super) fn classify_error(
    problem: &ApiError,
    request: &Request<'_>,
    settings: AiSettingNames,
    retry_after: Option<Duration>,
    description: String,
) -> ErrorClass {
    let AiSettingNames { model, base_url, api_key } = settings;
    let message = problem.message.to_lowercase();
    let operator =
        |words: String, what: &str| ErrorClass::Fault(Fault::fail(FaultOwner::Operator, format!("{words}; {what}")));
    let balance = "check the credit and the spending limits of the account";

    if problem.code == "enforced_spend_limit_reached" {
        return operator(description, balance);
    }
    // llama.cpp and Ollama speak Messages, too, and tell their lack of eyes as they do elsewhere.
    if request.images() > 0 && matches!(problem.status, 400 | 404 | 413 | 415 | 422 | 500 | 501) {
        match classify_image_error(&message, &problem.code) {
            Some(ImageError::Limit(most)) if most < request.images() => {
                return ErrorClass::RetryWithQuirk(Quirk::MaxImages(most));
            }
            Some(_) if problem.status < 500 => return ErrorClass::UnreadableImages,
            _ => {}
        }
    }
    match problem.status {
        300..=399 => operator(description, &format!("the address has moved: check {base_url}")),
        400 | 422 => {
            if CONTENT_FILTER_WORDINGS.iter().any(|wording| message.contains(wording)) {
                ErrorClass::ContentFiltered
            } else if TOO_LONG_WORDINGS.iter().any(|wording| message.contains(wording)) {
                ErrorClass::TooLong
            } else if ACCOUNT_WORDINGS.iter().any(|wording| message.contains(wording)) {
                operator(description, balance)
            } else if let Some(lesson) = refused_parameter(request, &message) {
                ErrorClass::RetryWithQuirk(lesson)
            } else if message.contains("max_tokens") {
                operator(description, "check MYNAH_AI_MAX_TOKENS")
            } else {
                ErrorClass::Fault(Fault::fail(FaultOwner::Message, description))
            }
        }
        401 => operator(description, &format!("check {api_key}")),
        402 => operator(description, balance),
        403 => operator(description, &format!("check what {api_key} may do")),
        404 => operator(description, &format!("check {model}, and {base_url}, which is written without /v1")),
        405 => operator(description, &format!("check {base_url}, which is written without /v1")),
        413 => ErrorClass::TooLong,
        // A limit that passes says when; one that does not is a spending limit, and asking again never helps.
        429 if retry_after.is_none() => operator(description, balance),
        408 | 409 | 429 | 500.. => {
            let overload = matches!(problem.status, 429 | 503 | 529) || problem.kind == "overloaded_error";
            let hope = if overload { RetryOutlook::Overload } else { RetryOutlook::Likely };
            ErrorClass::Fault(Fault::Retry { retry_after, why: description, outlook: hope })
        }
        _ => ErrorClass::Fault(Fault::fail(FaultOwner::Message, description)),
    }
}

fn refused_parameter(request: &Request<'_>, message: &str) -> Option<Quirk> {
    if request.tools.is_some() && message.contains("tool") {
        return Some(Quirk::NoTools);
    }
    if request.temperature.is_some() && message.contains("temperature") {
        return Some(Quirk::NoTemperature);
    }
    // "max_tokens: 16384 > 4096, which is the maximum allowed number of output tokens for …"
    let (_, most) = message.split_once("max_tokens: ")?.1.split_once("> ")?;
    let digits = most.split(|char: char| !char.is_ascii_digit()).next()?;
    digits.parse().ok().filter(|most| (1..request.max_tokens).contains(most)).map(Quirk::MaxTokens)
}
