//! What an error means: a lesson, a conversation that is too long, or a fault. Classes by Anthropic's errors and rate
//! limits pages.

use std::time::Duration;

use super::wire::{Problem, Request};
use crate::ai::sight::{Complaint, complaint};
use crate::config::AiSettingNames;
use crate::fault::{Fault, FaultOwner, RetryOutlook};

/// What to do about an error.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// Ask again, otherwise.
    Learn(Lesson),
    /// Ask again with fewer lines.
    TooLong,
    /// Ask again without the images.
    Unreadable,
    /// A filter declined what was asked.
    Declined,
    /// Nothing to be done here.
    Fault(Fault),
}

/// One thing to learn about the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lesson {
    /// `temperature` is refused (Opus 4.7, Sonnet 5 and later).
    NoTemperature,
    /// The most tokens that the model can write.
    MostTokens(u32),
    /// The server knows no tools.
    NoTools,
    /// The model takes so many images; 0 where it sees nothing.
    MostImages(usize),
}

/// How an account is told that it has no money or may spend no more.
const ACCOUNT: [&str; 5] = ["credit balance", "billing", "spend limit", "usage limit", "spending limit"];

/// How a prompt is told that it does not fit.
const TOO_LONG: [&str; 4] = ["prompt is too long", "context limit", "context window", "context size"];

/// How a filter says that it declined: "Output blocked by content filtering policy".
const DECLINED: [&str; 2] = ["content filter", "content_filter"];

/// Judges `problem` as the answer to `request`. `words` tell it to operators, with the `settings` to look at.
pub(super) fn judge(
    problem: &Problem,
    request: &Request<'_>,
    settings: AiSettingNames,
    retry_after: Option<Duration>,
    words: String,
) -> Verdict {
    let AiSettingNames { model, base_url, api_key } = settings;
    let message = problem.message.to_lowercase();
    let operator =
        |words: String, what: &str| Verdict::Fault(Fault::fail(FaultOwner::Operator, format!("{words}; {what}")));
    let balance = "check the credit and the spending limits of the account";

    if problem.code == "enforced_spend_limit_reached" {
        return operator(words, balance);
    }
    // llama.cpp and Ollama speak Messages, too, and tell their lack of eyes as they do elsewhere.
    if request.images() > 0 && matches!(problem.status, 400 | 404 | 413 | 415 | 422 | 500 | 501) {
        match complaint(&message, &problem.code) {
            Some(Complaint::Most(most)) if most < request.images() => return Verdict::Learn(Lesson::MostImages(most)),
            Some(_) if problem.status < 500 => return Verdict::Unreadable,
            _ => {}
        }
    }
    match problem.status {
        300..=399 => operator(words, &format!("the address has moved: check {base_url}")),
        400 | 422 => {
            if DECLINED.iter().any(|wording| message.contains(wording)) {
                Verdict::Declined
            } else if TOO_LONG.iter().any(|wording| message.contains(wording)) {
                Verdict::TooLong
            } else if ACCOUNT.iter().any(|wording| message.contains(wording)) {
                operator(words, balance)
            } else if let Some(lesson) = lesson(request, &message) {
                Verdict::Learn(lesson)
            } else if message.contains("max_tokens") {
                operator(words, "check MYNAH_AI_MAX_TOKENS")
            } else {
                Verdict::Fault(Fault::fail(FaultOwner::Message, words))
            }
        }
        401 => operator(words, &format!("check {api_key}")),
        402 => operator(words, balance),
        403 => operator(words, &format!("check what {api_key} may do")),
        404 => operator(words, &format!("check {model}, and {base_url}, which is written without /v1")),
        405 => operator(words, &format!("check {base_url}, which is written without /v1")),
        413 => Verdict::TooLong,
        // A limit that passes says when; one that does not is a spending limit, and asking again never helps.
        429 if retry_after.is_none() => operator(words, balance),
        408 | 409 | 429 | 500.. => {
            let overload = matches!(problem.status, 429 | 503 | 529) || problem.kind == "overloaded_error";
            let hope = if overload { RetryOutlook::Overload } else { RetryOutlook::Likely };
            Verdict::Fault(Fault::Retry { retry_after, why: words, outlook: hope })
        }
        _ => Verdict::Fault(Fault::fail(FaultOwner::Message, words)),
    }
}

fn lesson(request: &Request<'_>, message: &str) -> Option<Lesson> {
    if request.tools.is_some() && message.contains("tool") {
        return Some(Lesson::NoTools);
    }
    if request.temperature.is_some() && message.contains("temperature") {
        return Some(Lesson::NoTemperature);
    }
    // "max_tokens: 16384 > 4096, which is the maximum allowed number of output tokens for …"
    let (_, most) = message.split_once("max_tokens: ")?.1.split_once("> ")?;
    let digits = most.split(|char: char| !char.is_ascii_digit()).next()?;
    digits.parse().ok().filter(|most| (1..request.max_tokens).contains(most)).map(Lesson::MostTokens)
}
