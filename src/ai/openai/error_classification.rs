//! Classifies errors: a quirk of the model, a conversation that is too long, or a fault. The classes follow OpenAI's
//! guide to error codes and OpenRouter's page on errors.

use std::time::Duration;

use super::quirks::Quirk;
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
    /// The token limit left no room for an answer.
    TokenCapReached,
    /// A content filter refused the request.
    ContentFiltered,
    /// A changed request does not help; the call fails with this fault.
    Fault(Fault),
}

/// Codes that say that the account cannot be used until its owner acts. They come with 429. Gateways such as LiteLLM
/// wrap them in the messages of other errors.
const ACCOUNT_CODES: [&str; 6] = [
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "invalid_api_key",
];

/// Codes that say that the server is overloaded, with any status.
const OVERLOAD_CODES: [&str; 4] = ["rate_limit_exceeded", "slow_down", "server_is_overloaded", "overloaded_error"];

/// How servers say that the prompt does not fit: OpenAI, llama.cpp, vLLM, and servers that quote them.
const TOO_LONG_WORDINGS: [&str; 9] = [
    "context_length_exceeded",
    "exceed_context_size",
    "context length",
    "context size",
    "context window",
    "maximum model length",
    "prompt is too long",
    "input is too long",
    "too many tokens",
];

/// How servers say that they do not support a parameter or its value.
const UNSUPPORTED_WORDINGS: [&str; 10] = [
    "unsupported",
    "not support",
    "n't support",
    "unknown",
    "unrecognized",
    "unexpected",
    "deprecated",
    "not permitted",
    "not allowed",
    "only the default",
];

/// How a content filter says that it refused: Azure, OpenAI, and gateways that quote them or Anthropic.
const CONTENT_FILTER_WORDINGS: [&str; 6] = [
    "content_filter",
    "content_policy_violation",
    "content management policy",
    "content filtering policy",
    "moderation",
    "flagged",
];

/// Classifies `problem`, the error that answers `request`. `description` is for operators; the fault adds which of the
/// `settings` to check.
pub(super) fn classify_error(
    problem: &ApiError,
    request: &Request<'_>,
    roles_alternate: bool,
    settings: AiSettingNames,
    retry_after: Option<Duration>,
    description: String,
) -> ErrorClass {
    let AiSettingNames { model, base_url, api_key } = settings;
    let message = problem.message.to_lowercase();
    let mentions = |code: &str| problem.code == code || problem.kind == code || message.contains(code);
    let overload = matches!(problem.status, 429 | 503 | 529) || OVERLOAD_CODES.iter().any(|code| mentions(code));
    let outlook = if overload { RetryOutlook::Overload } else { RetryOutlook::Likely };
    let retry = |description| ErrorClass::Fault(Fault::Retry { retry_after, why: description, outlook });
    let operator = |description: String, remedy: &str| {
        ErrorClass::Fault(Fault::fail(FaultOwner::Operator, format!("{description}; {remedy}")))
    };
    let given_up = |description| ErrorClass::Fault(Fault::fail(FaultOwner::Message, description));

    if ACCOUNT_CODES.iter().any(|code| mentions(code)) {
        let remedy = format!("check {api_key}, and the balance and the spending limits of the account");
        return operator(description, &remedy);
    }
    if matches!(problem.status, 400 | 403 | 422)
        && (problem.flagged || CONTENT_FILTER_WORDINGS.iter().any(|wording| mentions(wording)))
    {
        return ErrorClass::ContentFiltered;
    }
    // This comes before all checks of the message, because llama.cpp may repeat the request in it. llama.cpp reports
    // missing vision with 500, OpenRouter with 404.
    if request.images() > 0 && matches!(problem.status, 400 | 404 | 413 | 415 | 422 | 500 | 501) {
        match classify_image_error(&message, &problem.code) {
            Some(ImageError::Limit(most)) if most < request.images() => {
                return ErrorClass::RetryWithQuirk(Quirk::MaxImages(most));
            }
            Some(_) if problem.status < 500 => return ErrorClass::UnreadableImages,
            _ => {}
        }
    }
    // "does not support tools" (Ollama), "requires --jinja" (llama.cpp, as 500), "requires --enable-auto-tool-choice"
    // (vLLM).
    if request.tools.is_some() && matches!(problem.status, 400 | 404 | 422 | 500) && message.contains("tool") {
        return ErrorClass::RetryWithQuirk(Quirk::NoTools);
    }
    // llama.cpp reports an error of its chat template with 500.
    if matches!(problem.status, 400 | 413 | 422 | 500) {
        if TOO_LONG_WORDINGS.iter().any(|wording| {
            problem.code.contains(wording) || problem.kind.contains(wording) || message.contains(wording)
        }) {
            return ErrorClass::TooLong;
        }
        if !roles_alternate && is_about_roles(&message) {
            return ErrorClass::RetryWithQuirk(Quirk::AlternatingRoles);
        }
    }
    if matches!(problem.status, 400 | 422) {
        if message.contains("output limit was reached") {
            return ErrorClass::TokenCapReached;
        }
        if let Some(lesson) = refused_parameter(problem, request, &message) {
            let known =
                ["unsupported_parameter", "unsupported_value", "unknown_parameter"].contains(&problem.code.as_str());
            if known || UNSUPPORTED_WORDINGS.iter().any(|wording| message.contains(wording)) {
                return ErrorClass::RetryWithQuirk(lesson);
            }
            return operator(description, "check MYNAH_AI_MAX_TOKENS and MYNAH_AI_TEMPERATURE");
        }
        if problem.param == "model" || mentions("model_not_found") || message.contains("not a valid model") {
            return operator(description, &format!("check {model}"));
        }
        return given_up(description);
    }
    match problem.status {
        300..=399 => operator(description, &format!("the server redirects to another address: check {base_url}")),
        401 => operator(description, &format!("check {api_key}")),
        // OpenRouter: a 402 is permanent unless it says when to retry.
        402 if retry_after.is_none() => operator(description, "check the balance of the account"),
        403 => operator(
            description,
            &format!("check the permissions of {api_key}, and whether the provider serves this country"),
        ),
        404 => operator(description, &format!("check {model}, and check {base_url}, which usually ends in /v1")),
        405 => operator(description, &format!("check {base_url}, which usually ends in /v1")),
        413 => ErrorClass::TooLong,
        402 | 408 | 409 | 425 | 429 | 500.. => retry(description),
        _ => given_up(description),
    }
}

/// Returns the quirk for the parameter in our request that the error names.
fn refused_parameter(problem: &ApiError, request: &Request<'_>, message: &str) -> Option<Quirk> {
    let sent = [
        (request.max_tokens.is_some(), "max_tokens", Quirk::NoMaxTokens),
        (request.max_completion_tokens.is_some(), "max_completion_tokens", Quirk::NoMaxCompletionTokens),
        (request.temperature.is_some(), "temperature", Quirk::NoTemperature),
    ];
    let sent = || sent.into_iter().filter(|(sent, ..)| *sent);
    let by_param = sent().find(|(_, name, _)| problem.param == *name);
    by_param.or_else(|| sent().find(|(_, name, _)| message.contains(name))).map(|(.., lesson)| lesson)
}

/// Returns whether the error is a chat template's complaint about roles: "System role not supported", "Conversation
/// roles must alternate user/assistant/…", "Only user and assistant roles are supported", "'messages\[0\].role' does not
/// support 'system'".
fn is_about_roles(message: &str) -> bool {
    message.contains("role")
        && (message.contains("alternat")
            || message.contains("only user")
            || (message.contains("system")
                && ["support", "not allowed", "invalid", "unexpected", "unknown"]
                    .iter()
                    .any(|word| message.contains(word))))
}
