//! Anthropic's Messages.
//!
//! Nothing is sent that current models refuse: no temperature unless the owner sets one, no empty text, no assistant's
//! line first. What a model refuses all the same is learned from its 400 and kept as long as the process runs.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use secrecy::SecretString;
use url::Url;

use super::answer::{capped, usage};
use super::call::{Caller, Reply, join};
use super::listing::{self, Listed, Models};
use super::sight::{MOST_IMAGES, Sight};
use super::window::Window;
use super::{Completion, Error, Finish, Line, Meter, Prompt, Provider, temperature};
use crate::config::{AiConfig, DEFAULT_MAX_TOKENS_ANTHROPIC};
use crate::fault::{Fault, FaultOwner};
use crate::http::AllowedTargets;
use crate::model::Role;

mod judge;
#[cfg(test)]
mod tests;
mod wire;

use judge::{Lesson, Verdict, judge};
use wire::{Answer, Problem, Request};

/// Anthropic's own server.
const OFFICIAL: &str = "api.anthropic.com";

/// The version of the API that this file speaks.
const VERSION: &str = "2023-06-01";
/// How often one call may change its request to please the model.
const LESSONS: u32 = 3;

/// One model.
pub(super) struct Anthropic {
    caller: Caller,
    messages: Url,
    models: Url,
    host: String,
    name: String,
    model: String,
    max_tokens: u32,
    temperature: Option<f64>,
    learned: Mutex<Learned>,
}

#[derive(Clone, Copy)]
struct Learned {
    no_temperature: bool,
    no_tools: bool,
    most_tokens: Option<u32>,
    most_images: usize,
}

impl Default for Learned {
    fn default() -> Learned {
        Learned { no_temperature: false, no_tools: false, most_tokens: None, most_images: MOST_IMAGES }
    }
}

impl Anthropic {
    pub(super) fn new(config: &AiConfig, base: &Url, key: &SecretString) -> Result<Anthropic, Error> {
        let host = base.host_str().unwrap_or_default().to_owned();
        let Some(model) = config.effective_model() else {
            return Err(Error::NoModel { variable: config.setting_names.model, host });
        };
        let reach = if host == OFFICIAL { AllowedTargets::PublicHttps } else { AllowedTargets::Any };
        let mut caller = Caller::new(config.timeout, Some(key), config.setting_names, reach);
        // Other servers that speak Messages (llama.cpp) may need none.
        if host == OFFICIAL && !caller.has_key() {
            return Err(Error::NoKey { variable: config.setting_names.api_key, host });
        }
        caller.key_header("x-api-key", "")?;
        caller.header("anthropic-version", VERSION);
        let known = ["/v1/messages", "/v1"];
        let mut models = join(base, &known, "/v1/models");
        models.query_pairs_mut().append_pair("limit", "1000");
        Ok(Anthropic {
            caller,
            messages: join(base, &known, "/v1/messages"),
            models,
            host,
            name: format!("anthropic {model}"),
            model: model.to_owned(),
            max_tokens: config.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS_ANTHROPIC),
            temperature: temperature(config, "anthropic", 1.0)?,
            learned: Mutex::default(),
        })
    }

    fn request<'a>(
        &'a self,
        (system, offers): (&'a str, bool),
        window: &Window<'a>,
        blind: bool,
        cap: Option<u32>,
    ) -> Request<'a> {
        let learned = *self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        let cap = cap.unwrap_or(self.max_tokens);
        Request {
            model: &self.model,
            max_tokens: learned.most_tokens.map_or(cap, |most| most.min(cap)),
            system,
            messages: window.merged(if blind { Sight::NONE } else { Sight::of(learned.most_images) }),
            temperature: self.temperature.filter(|_| !learned.no_temperature),
            tools: (offers && !learned.no_tools).then(wire::tools),
        }
    }

    fn learn(&self, lesson: Lesson) {
        tracing::info!(model = self.name, ?lesson, "the model refused a parameter; asking without it");
        let mut learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        match lesson {
            Lesson::NoTemperature => learned.no_temperature = true,
            Lesson::NoTools => learned.no_tools = true,
            Lesson::MostTokens(most) => learned.most_tokens = Some(most),
            Lesson::MostImages(most) => learned.most_images = most,
        }
    }

    /// Asks until the model takes the request: with other parameters, once with half of the lines, and once
    /// without images.
    async fn ask(
        &self,
        asked: (&str, bool),
        window: &mut Window<'_>,
        cap: Option<u32>,
        meter: &Meter,
    ) -> Result<(Answer, Reply), Fault> {
        let (mut lessons, mut halved, mut blind) = (0, false, false);
        loop {
            let request = self.request(asked, window, blind, cap);
            let mut reply = self.caller.post(&self.messages, &request, meter).await?;
            if reply.refused() {
                meter.refused();
            }
            let read = wire::read(&reply);
            if let Some(Ok(answer)) = &read
                && let Some(figures) = answer.figures()
            {
                meter.used(usage(Some(figures), 0, 0));
            }
            let problem = match read {
                // The window was full before a word was said.
                Some(Ok(answer)) if full(&answer) && !halved && window.halve() => {
                    halved = true;
                    continue;
                }
                Some(Ok(answer)) => return Ok((answer, reply)),
                Some(Err(problem)) => problem,
                None => return Err(self.unreadable(&reply)),
            };
            let (retry_after, words) = (reply.retry_after, self.words(&mut reply, &problem));
            match judge(&problem, &request, self.caller.names(), retry_after, words.clone()) {
                Verdict::Learn(lesson) if lessons < LESSONS => {
                    self.learn(lesson);
                    lessons += 1;
                }
                Verdict::Learn(_) => return Err(Fault::fail(FaultOwner::Operator, words)),
                Verdict::Unreadable => {
                    tracing::warn!(model = self.name, why = words, "the model refused the images; asking without them");
                    blind = true;
                }
                Verdict::TooLong if !halved && window.halve() => halved = true,
                Verdict::TooLong if request.images() > 0 => blind = true,
                Verdict::TooLong => {
                    let why = format!("the conversation is too long for the model, and cannot be cut further: {words}");
                    return Err(Fault::TooLong { why });
                }
                Verdict::Declined => {
                    tracing::warn!(model = self.name, why = words, "the model's server declined to answer");
                    return Ok((Answer::declined(), reply));
                }
                Verdict::Fault(fault) => return Err(fault),
            }
        }
    }

    /// The answer in our form, or why there is none.
    fn read(&self, answer: Answer, reply: &Reply, sent: usize) -> Result<Completion, Fault> {
        let reason = answer.stop_reason.as_deref().unwrap_or_default();
        let finish = match reason {
            "max_tokens" | "model_context_window_exceeded" => Finish::Length,
            wire::DECLINED => Finish::Refusal,
            _ => Finish::Stop,
        };
        let (said, hand_over) = (answer.text(), answer.hand_over());
        let text = match (said.trim(), finish) {
            ("", _) if hand_over.is_some() => "",
            ("", Finish::Refusal) => "",
            ("", Finish::Length) if reason == "max_tokens" => {
                let why =
                    "the limit of tokens was used up by thinking before the answer began: raise MYNAH_AI_MAX_TOKENS";
                // The next message would fare alike.
                return Err(Fault::fail(FaultOwner::Operator, self.caller.words(reply, why)));
            }
            ("", Finish::Length) => {
                let why = "the conversation is too long for the model, and cannot be cut further";
                return Err(Fault::TooLong { why: self.caller.words(reply, why) });
            }
            ("", Finish::Stop) => {
                let why = format!("the answer is empty (stop_reason `{reason}`)");
                return Err(Fault::retry(self.caller.words(reply, &why)));
            }
            (text, _) => text,
        };
        let (text, finish) = capped(text, finish);
        let usage = usage(answer.figures(), sent, said.chars().count());
        let model = answer.model.filter(|model| !model.is_empty()).unwrap_or_else(|| self.model.clone());
        Ok(Completion { text, finish, usage, model, hand_over })
    }

    fn unreadable(&self, reply: &Reply) -> Fault {
        if reply.page {
            let address = self.caller.names().base_url;
            let why = format!("a web page instead of an answer: check {address}, which is written without /v1");
            Fault::fail(FaultOwner::Operator, self.caller.words(reply, &why))
        } else {
            Fault::retry(self.caller.words(reply, "the answer is no Messages JSON"))
        }
    }

    fn words(&self, reply: &mut Reply, problem: &Problem) -> String {
        if reply.request_id.is_none() {
            reply.request_id.clone_from(&problem.request_id);
        }
        let code = if problem.code.is_empty() { &problem.kind } else { &problem.code };
        match code.as_str() {
            "" => self.caller.words(reply, &problem.message),
            code => self.caller.words(reply, &format!("{} ({code})", problem.message)),
        }
    }

    /// Whether the model is among those listed, and how many are; `None` where the server lists none.
    async fn listed(&self) -> Result<Option<Listed>, Fault> {
        let mut reply = self.caller.get(&self.models).await?;
        if reply.status == 200 {
            let models: Option<Models> = serde_json::from_slice(&reply.body).ok();
            return Ok(models.map(|models| models.listed(|id| id == self.model)));
        }
        if matches!(reply.status, 403..=405 | 501) {
            return Ok(None);
        }
        let problem = wire::problem(&reply);
        let request = Request {
            model: &self.model,
            max_tokens: self.max_tokens,
            system: "",
            messages: Vec::new(),
            temperature: None,
            tools: None,
        };
        let (retry_after, words) = (reply.retry_after, self.words(&mut reply, &problem));
        match judge(&problem, &request, self.caller.names(), retry_after, words.clone()) {
            Verdict::Fault(fault) => Err(fault),
            _ => Err(Fault::fail(FaultOwner::Operator, words)),
        }
    }
}

fn full(answer: &Answer) -> bool {
    answer.stop_reason.as_deref() == Some("model_context_window_exceeded") && answer.text().trim().is_empty()
}

#[async_trait]
impl Provider for Anthropic {
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
        let completion = self.read(answer, &reply, system.chars().count() + window.characters())?;
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
