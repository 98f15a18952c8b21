//! Classifies errors: a quirk of the model, a conversation that is too long, or a fault. The classes follow Anthropic's
//! pages on errors and rate limits.

use std::time::Duration;

use super::wire::{ApiError, Request};
use crate::ai::vision::{ImageError, classify_image_error};
use crate::config::AiSettingNames;
use crate::fault::{Fault, FaultOwner, RetryOutlook};

/// What to do about an error.
#[derive(Debug, PartialEq)]
pub(super) enum ErrorClass {
    /// Ask again with a changed request.
    RetryWithQuirk(Quirk),
    /// Ask again with fewer messages.
    TooLong,
    /// Ask again without the images.
    UnreadableImages,
    /// A content filter refused the request.
    ContentFiltered,
    /// A changed request does not help; the call fails with this fault.
    Fault(Fault),
}

/// One quirk of the model that an error reveals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quirk {
    /// The model refuses `temperature` (Opus 4.7, Sonnet 5 and later).
    NoTemperature,
    /// The most tokens that the model can write.
    MaxTokens(u32),
    /// The server does not support tools.
    NoTools,
    /// The most images that the model takes; 0 if it has no vision.
    MaxImages(usize),
}

/// How the server says that the account has no credit left or has reached a spending limit.
const ACCOUNT_WORDINGS: [&str; 5] = ["credit balance", "billing", "spend limit", "usage limit", "spending limit"];

/// How the server says that the prompt does not fit.
const TOO_LONG_WORDINGS: [&str; 4] = ["prompt is too long", "context limit", "context window", "context size"];

/// How a content filter says that it refused: "Output blocked by content filtering policy".
const CONTENT_FILTER_WORDINGS: [&str; 2] = ["content filter", "content_filter"];

/// Classifies `problem`, the error that answers `request`. `description` is for operators; the fault adds which of the
/// `settings` to check.
pub(super) fn classify_error(
    problem: &ApiError,
    request: &Request<'_>,
    settings: AiSettingNames,
    retry_after: Option<Duration>,
    description: String,
) -> ErrorClass {
    let AiSettingNames { model, base_url, api_key } = settings;
    let message = problem.message.to_lowercase();
    let operator = |description: String, remedy: &str| {
        ErrorClass::Fault(Fault::fail(FaultOwner::Operator, format!("{description}; {remedy}")))
    };
    let balance = "check the credit and the spending limits of the account";

    if problem.code == "enforced_spend_limit_reached" {
        return operator(description, balance);
    }
    // llama.cpp and Ollama also implement Messages. They report missing vision in the same words as in Chat
    // Completions.
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
        300..=399 => operator(description, &format!("the server redirects to another address: check {base_url}")),
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
        403 => operator(description, &format!("check the permissions of {api_key}")),
        404 => operator(description, &format!("check {model}, and check {base_url}, which needs no /v1 at the end")),
        405 => operator(description, &format!("check {base_url}, which needs no /v1 at the end")),
        413 => ErrorClass::TooLong,
        // A temporary limit says when to retry. One that does not is a spending limit, and a retry does not help.
        429 if retry_after.is_none() => operator(description, balance),
        408 | 409 | 429 | 500.. => {
            let overload = matches!(problem.status, 429 | 503 | 529) || problem.kind == "overloaded_error";
            let outlook = if overload { RetryOutlook::Overload } else { RetryOutlook::Likely };
            ErrorClass::Fault(Fault::Retry { retry_after, why: description, outlook })
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
