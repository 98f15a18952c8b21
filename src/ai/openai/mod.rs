//! OpenAI's Chat Completions, at OpenAI or any server that speaks it: Ollama, llama.cpp, vLLM, OpenRouter, LiteLLM, Groq.
//!
//! Servers differ in what they refuse and in what they silently ignore. A refusal teaches (`learned`): the request is
//! changed, sent again at once, and stays changed. An error is read in any of its shapes (`wire`) and judged in one
//! place (`judge`).

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use secrecy::SecretString;
use url::Url;

use super::answer::{capped, usage};
use super::call::{Caller, Reply, join};
use super::listing::{self, Listed, Models};
use super::sight::Sight;
use super::thinking::strip_thinking;
use super::window::Window;
use super::{Completion, Error, Finish, Line, Meter, Prompt, Provider, temperature};
use crate::config::{AiConfig, DEFAULT_MAX_TOKENS_COMPATIBLE, is_openai};
use crate::fault::{Fault, FaultOwner};
use crate::http::AllowedTargets;
use crate::model::Role;

mod first;
mod judge;
mod learned;
#[cfg(test)]
mod tests;
mod transcription;
mod wire;

pub(super) use first::first_model;
use judge::{Verdict, judge};
use learned::Learned;
pub use transcription::Transcriber;
use wire::{Answer, Problem, Request};

/// How often one call may change its request to please the server.
const LESSONS: u32 = 3;

/// One model at one server.
pub(super) struct OpenAi {
    caller: Caller,
    completions: Url,
    models: Url,
    host: String,
    /// Whether this is OpenAI's own server, where `max_tokens` is out of date.
    official: bool,
    name: String,
    model: String,
    max_tokens: Option<u32>,
    temperature: Option<f64>,
    learned: Mutex<Learned>,
}

impl OpenAi {
    pub(super) fn new(config: &AiConfig, base: &Url, key: Option<&SecretString>) -> Result<OpenAi, Error> {
        let host = base.host_str().unwrap_or_default().to_owned();
        let official = is_openai(&host);
        let Some(model) = config.effective_model() else {
            return Err(Error::NoModel { variable: config.setting_names.model, host });
        };
        let reach = if official { AllowedTargets::PublicHttps } else { AllowedTargets::Any };
        let mut caller = Caller::new(config.timeout, key, config.setting_names, reach);
        if official && !caller.has_key() {
            return Err(Error::NoKey { variable: config.setting_names.api_key, host });
        }
        caller.key_header("authorization", "Bearer ")?;
        Ok(OpenAi {
            caller,
            completions: join(base, &["/chat/completions"], "/chat/completions"),
            models: join(base, &["/chat/completions"], "/models"),
            host,
            official,
            name: format!("openai {model}"),
            model: model.to_owned(),
            max_tokens: config.max_tokens,
            temperature: temperature(config, "openai", 2.0)?,
            learned: Mutex::default(),
        })
    }

    fn learned(&self) -> Learned {
        *self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Only what the owner configured goes to OpenAI. Ollama reads `max_tokens` alone, and llama.cpp goes on for ever
    /// without it, so any other server gets one.
    fn request<'a>(
        &'a self,
        (system, offers): (&'a str, bool),
        window: &Window<'a>,
        (learned, blind): (Learned, bool),
        cap: Option<u32>,
    ) -> Request<'a> {
        let cap = cap.or(self.max_tokens).or((!self.official).then_some(DEFAULT_MAX_TOKENS_COMPATIBLE));
        let (max_tokens, max_completion_tokens) = learned.cap(cap, self.official);
        let sight = if blind { Sight::NONE } else { learned.sight() };
        Request {
            model: &self.model,
            messages: learned.messages(system, window, sight),
            max_tokens,
            max_completion_tokens,
            temperature: learned.temperature(self.temperature),
            tools: (offers && learned.takes_tools()).then(wire::tools),
        }
    }

    /// Asks until the server takes the request: with other parameters, once with half of the lines, and once without images.
    /// `None` where the
    /// cap was too small for any answer.
    async fn ask(
        &self,
        asked: (&str, bool),
        window: &mut Window<'_>,
        cap: Option<u32>,
        meter: &Meter,
    ) -> Result<(Option<Answer>, Reply), Fault> {
        let (mut lessons, mut halved, mut blind) = (0, false, false);
        loop {
            let learned = self.learned();
            let request = self.request(asked, window, (learned, blind), cap);
            let reply = self.caller.post(&self.completions, &request, meter).await?;
            let problem = match wire::read(&reply) {
                Some(Ok(answer)) => {
                    if let Some(figures) = answer.figures() {
                        meter.used(usage(Some(figures), 0, 0));
                    }
                    return Ok((Some(answer), reply));
                }
                Some(Err(problem)) => problem,
                None => return Err(self.unreadable(&reply)),
            };
            let words = self.words(&reply, &problem);
            let verdict =
                judge(&problem, &request, learned.merges, self.caller.names(), reply.retry_after, words.clone());
            if reply.refused() && verdict != Verdict::Spent {
                meter.refused();
            }
            match verdict {
                Verdict::Learn(lesson) if lessons < LESSONS => {
                    tracing::info!(
                        model = self.name,
                        ?lesson,
                        "the model's server refused a parameter; asking without it"
                    );
                    self.learned.lock().unwrap_or_else(PoisonError::into_inner).learn(lesson);
                    lessons += 1;
                }
                Verdict::Learn(_) => return Err(Fault::fail(FaultOwner::Operator, words)),
                Verdict::Unreadable => {
                    tracing::warn!(
                        model = self.name,
                        why = words,
                        "the model's server refused the images; asking without"
                    );
                    blind = true;
                }
                Verdict::TooLong if !halved && window.halve() => halved = true,
                Verdict::TooLong if request.images() > 0 => blind = true,
                Verdict::TooLong => {
                    let why = format!("the conversation is too long for the model, and cannot be cut further: {words}");
                    return Err(Fault::TooLong { why });
                }
                Verdict::Spent => return Ok((None, reply)),
                Verdict::Declined => {
                    tracing::warn!(model = self.name, why = words, "the model's server declined to answer");
                    return Ok((Some(Answer::declined()), reply));
                }
                Verdict::Fault(fault) => return Err(fault),
            }
        }
    }

    /// The answer in our form, or why there is none.
    fn read(&self, mut answer: Answer, reply: &Reply, sent: usize) -> Result<Completion, Fault> {
        let hand_over = answer.hand_over();
        let (raw, refusal) = answer.said();
        let text = strip_thinking(&raw);
        let reason = answer.choices.first().and_then(|choice| choice.finish_reason.as_deref()).unwrap_or_default();
        let finish = match reason {
            "error" => return Err(Fault::retry(self.caller.words(reply, "the model broke off with an error"))),
            wire::DECLINED => Finish::Refusal,
            _ if refusal.is_some() => Finish::Refusal,
            "length" => Finish::Length,
            _ => Finish::Stop,
        };
        let text = match (text.is_empty(), finish) {
            (false, _) => text.as_ref(),
            (true, Finish::Refusal) => refusal.as_deref().unwrap_or_default(),
            (true, _) if hand_over.is_some() => "",
            (true, Finish::Length) => return Err(self.spent(reply)),
            (true, Finish::Stop) => {
                let why = format!("the answer is empty (finish_reason `{reason}`)");
                return Err(Fault::retry(self.caller.words(reply, &why)));
            }
        };
        let (text, finish) = capped(text, finish);
        let usage = usage(answer.figures(), sent, raw.chars().count());
        let model = answer.model.filter(|model| !model.is_empty()).unwrap_or_else(|| self.model.clone());
        Ok(Completion { text, finish, usage, model, hand_over })
    }

    fn spent(&self, reply: &Reply) -> Fault {
        let why = "the limit of tokens was used up before the answer began, by reasoning that is not shown: raise \
                   MYNAH_AI_MAX_TOKENS";
        // The next message would fare alike.
        Fault::fail(FaultOwner::Operator, self.caller.words(reply, why))
    }

    fn unreadable(&self, reply: &Reply) -> Fault {
        if reply.page {
            let address = self.caller.names().base_url;
            let why = format!("a web page instead of an answer: check {address}, which mostly ends in /v1");
            Fault::fail(FaultOwner::Operator, self.caller.words(reply, &why))
        } else {
            Fault::retry(self.caller.words(reply, "the answer is no Chat Completions JSON"))
        }
    }

    fn words(&self, reply: &Reply, problem: &Problem) -> String {
        match problem.code.as_str() {
            "" => self.caller.words(reply, &problem.message),
            code => self.caller.words(reply, &format!("{} ({code})", problem.message)),
        }
    }

    /// Whether the model is among those listed, and how many are; `None` where the server lists none, or not to us.
    async fn listed(&self) -> Result<Option<Listed>, Fault> {
        let reply = self.caller.get(&self.models).await?;
        if reply.status == 200 {
            let models: Option<Models> = serde_json::from_slice(&reply.body).ok();
            return Ok(models.map(|models| {
                // Ollama lists `llama3.2:latest` for what is asked for as `llama3.2`.
                let fits = |id: &str| id == self.model || id.strip_suffix(":latest") == Some(&self.model);
                models.listed(fits)
            }));
        }
        let problem = wire::problem(&reply);
        // A restricted key may be allowed to ask a model and not to list them.
        if matches!(reply.status, 403..=405 | 501) || problem.message.to_lowercase().contains("scope") {
            return Ok(None);
        }
        let request = Request::empty(&self.model);
        let words = self.words(&reply, &problem);
        match judge(&problem, &request, true, self.caller.names(), reply.retry_after, words.clone()) {
            Verdict::Fault(fault) => Err(fault),
            _ => Err(Fault::fail(FaultOwner::Operator, words)),
        }
    }
}

#[async_trait]
impl Provider for OpenAi {
    fn name(&self) -> &str {
        &self.name
    }

    async fn complete(&self, prompt: &Prompt) -> Result<Completion, Fault> {
        self.complete_metered(prompt, &Meter::default()).await
    }

    async fn complete_metered(&self, prompt: &Prompt, meter: &Meter) -> Result<Completion, Fault> {
        let mut window = Window::of(&prompt.lines)?;
        let system = prompt.system.trim();
        let asked = self.ask((system, prompt.may_hand_over), &mut window, None, meter);
        let (answer, reply) = self.caller.within(asked).await?;
        let sent = system.chars().count() + window.characters();
        let Some(answer) = answer else { return Err(self.spent(&reply)) };
        let completion = self.read(answer, &reply, sent)?;
        if completion.usage.estimated {
            meter.used(completion.usage);
        }
        Ok(completion)
    }

    async fn check(&self) -> Result<String, Fault> {
        let listed = self.caller.within(self.listed()).await?;
        if !matches!(listed, Some((true, _))) {
            let lines = [Line::new(Role::User, "Hello")];
            let mut window = Window::of(&lines)?;
            self.caller.within(self.ask(("", false), &mut window, Some(1), &Meter::default())).await?;
        }
        Ok(listing::verdict(&self.model, &self.host, listed))
    }
}
