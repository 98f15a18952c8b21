//! Anthropic's Messages API.
//!
//! mynah sends nothing that current models refuse: no temperature unless the owner sets one, no empty text, and no
//! message by the assistant first. If a model refuses a parameter anyway, mynah learns that quirk from the 400 and
//! remembers it as long as the process runs.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use secrecy::SecretString;
use url::Url;

use super::api_client::{ApiClient, ApiResponse, join_url};
use super::completion::{cap_answer, usage_or_estimate};
use super::model_list::{self, ListingResult, ModelList};
use super::prompt_window::Window;
use super::vision::{ImagePolicy, MAX_IMAGES};
use super::{
    CallForm, Completion, Error, Finish, Meter, Prompt, PromptMessage, Provider, TemperatureUse, checked_temperature,
};
use crate::config::{AiConfig, DEFAULT_MAX_TOKENS_ANTHROPIC};
use crate::fault::{Fault, FaultOwner};
use crate::http::AllowedTargets;
use crate::model::Role;

mod error_classification;
#[cfg(test)]
mod tests;
mod wire;

use error_classification::{ErrorClass, Quirk, classify_error};
use wire::{Answer, ApiError, Request};

/// Anthropic's own server.
const OFFICIAL_HOST: &str = "api.anthropic.com";

/// The version of the API that this file speaks.
const API_VERSION: &str = "2023-06-01";
/// How many quirks one call may learn, each with a changed request.
const MAX_QUIRKS_PER_CALL: u32 = 3;

/// One model at one server.
pub(super) struct Anthropic {
    client: ApiClient,
    messages_url: Url,
    models_url: Url,
    host: String,
    name: String,
    model: String,
    max_tokens: u32,
    temperature: Option<f64>,
    quirks: Mutex<ModelQuirks>,
}

#[derive(Clone, Copy)]
struct ModelQuirks {
    no_temperature: bool,
    no_tools: bool,
    max_tokens: Option<u32>,
    max_images: usize,
}

impl Default for ModelQuirks {
    fn default() -> ModelQuirks {
        ModelQuirks { no_temperature: false, no_tools: false, max_tokens: None, max_images: MAX_IMAGES }
    }
}

impl Anthropic {
    pub(super) fn new(config: &AiConfig, base: &Url, key: &SecretString) -> Result<Anthropic, Error> {
        let host = base.host_str().unwrap_or_default().to_owned();
        let Some(model) = config.effective_model() else {
            return Err(Error::NoModel { variable: config.setting_names.model, host });
        };
        let reach = if host == OFFICIAL_HOST { AllowedTargets::PublicHttps } else { AllowedTargets::Any };
        let mut caller = ApiClient::new(config.timeout, Some(key), config.setting_names, reach);
        // Other servers with this API (llama.cpp) may need no key.
        if host == OFFICIAL_HOST && !caller.has_key() {
            return Err(Error::NoKey { variable: config.setting_names.api_key, host });
        }
        caller.set_key_header("x-api-key", "")?;
        caller.set_header("anthropic-version", API_VERSION);
        let known = ["/v1/messages", "/v1"];
        let mut models = join_url(base, &known, "/v1/models");
        models.query_pairs_mut().append_pair("limit", "1000");
        Ok(Anthropic {
            client: caller,
            messages_url: join_url(base, &known, "/v1/messages"),
            models_url: models,
            host,
            name: format!("anthropic {model}"),
            model: model.to_owned(),
            max_tokens: config.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS_ANTHROPIC),
            temperature: checked_temperature(config, "anthropic", 1.0)?,
            quirks: Mutex::default(),
        })
    }

    fn request<'a>(
        &'a self,
        (system, offer_tools): (&'a str, bool),
        window: &Window<'a>,
        without_images: bool,
        cap: Option<u32>,
    ) -> Request<'a> {
        let quirks = *self.quirks.lock().unwrap_or_else(PoisonError::into_inner);
        let cap = cap.unwrap_or(self.max_tokens);
        Request {
            model: &self.model,
            max_tokens: quirks.max_tokens.map_or(cap, |most| most.min(cap)),
            system,
            messages: window.messages_merged_by_role(if without_images {
                ImagePolicy::AFTER_REFUSAL
            } else {
                ImagePolicy::show_up_to(quirks.max_images)
            }),
            temperature: self.temperature.filter(|_| !quirks.no_temperature),
            tools: (offer_tools && !quirks.no_tools).then(wire::tools),
        }
    }

    fn record_quirk(&self, lesson: Quirk) {
        tracing::info!(model = self.name, ?lesson, "the model refused a parameter; asking again without it");
        let mut quirks = self.quirks.lock().unwrap_or_else(PoisonError::into_inner);
        match lesson {
            Quirk::NoTemperature => quirks.no_temperature = true,
            Quirk::NoTools => quirks.no_tools = true,
            Quirk::MaxTokens(most) => quirks.max_tokens = Some(most),
            Quirk::MaxImages(most) => quirks.max_images = most,
        }
    }

    /// Asks until the model accepts the request: with changed parameters, once with half of the messages, and once
    /// without images.
    async fn ask(
        &self,
        system_and_tools: (&str, bool),
        window: &mut Window<'_>,
        cap: Option<u32>,
        meter: &Meter,
    ) -> Result<(Answer, ApiResponse), Fault> {
        let (mut quirks_learned, mut halved, mut without_images) = (0, false, false);
        loop {
            let request = self.request(system_and_tools, window, without_images, cap);
            let mut reply = self.client.post(&self.messages_url, &request, meter).await?;
            if reply.is_client_error() {
                meter.record_refused();
            }
            let read = wire::parse_response(&reply);
            if let Some(Ok(answer)) = &read
                && let Some(figures) = answer.token_counts()
            {
                meter.record_usage(usage_or_estimate(Some(figures), 0, 0));
            }
            let problem = match read {
                // The context window was full before the answer began.
                Some(Ok(answer)) if is_context_full(&answer) && !halved && window.drop_older_half() => {
                    halved = true;
                    continue;
                }
                Some(Ok(answer)) => return Ok((answer, reply)),
                Some(Err(problem)) => problem,
                None => return Err(self.malformed_response_fault(&reply)),
            };
            let (retry_after, description) = (reply.retry_after, self.describe_error(&mut reply, &problem));
            match classify_error(&problem, &request, self.client.setting_names(), retry_after, description.clone()) {
                ErrorClass::RetryWithQuirk(lesson) if quirks_learned < MAX_QUIRKS_PER_CALL => {
                    self.record_quirk(lesson);
                    quirks_learned += 1;
                }
                ErrorClass::RetryWithQuirk(_) => return Err(Fault::fail(FaultOwner::Operator, description)),
                ErrorClass::UnreadableImages => {
                    tracing::warn!(
                        model = self.name,
                        why = description,
                        "the model refused the images; asking again without them"
                    );
                    without_images = true;
                }
                ErrorClass::TooLong if !halved && window.drop_older_half() => halved = true,
                ErrorClass::TooLong if request.images() > 0 => without_images = true,
                ErrorClass::TooLong => {
                    let why = format!(
                        "the conversation is too long for the model and cannot be shortened further: {description}"
                    );
                    return Err(Fault::TooLong { why });
                }
                ErrorClass::ContentFiltered => {
                    tracing::warn!(model = self.name, why = description, "the model's server refused to answer");
                    return Ok((Answer::declined(), reply));
                }
                ErrorClass::Fault(fault) => return Err(fault),
            }
        }
    }

    /// Converts the answer, or returns why there is none.
    fn completion_from(&self, answer: Answer, reply: &ApiResponse, sent: usize) -> Result<Completion, Fault> {
        let reason = answer.stop_reason.as_deref().unwrap_or_default();
        let finish = match reason {
            "max_tokens" | "model_context_window_exceeded" => Finish::Length,
            wire::REFUSAL_STOP_REASON => Finish::Refusal,
            _ => Finish::Stop,
        };
        let (said, hand_over) = (answer.text(), answer.hand_over());
        let text = match (said.trim(), finish) {
            ("", _) if hand_over.is_some() => "",
            ("", Finish::Refusal) => "",
            ("", Finish::Length) if reason == "max_tokens" => {
                let why = "thinking used up the token limit before the answer began: raise MYNAH_AI_MAX_TOKENS";
                // The next message would fail in the same way.
                return Err(Fault::fail(FaultOwner::Operator, self.client.describe_error(reply, why)));
            }
            ("", Finish::Length) => {
                let why = "the conversation is too long for the model and cannot be shortened further";
                return Err(Fault::TooLong { why: self.client.describe_error(reply, why) });
            }
            ("", Finish::Stop) => {
                let why = format!("the answer is empty (stop_reason `{reason}`)");
                return Err(Fault::retry(self.client.describe_error(reply, &why)));
            }
            (text, _) => text,
        };
        let (text, finish) = cap_answer(text, finish);
        let usage = usage_or_estimate(answer.token_counts(), sent, said.chars().count());
        let model = answer.model.filter(|model| !model.is_empty()).unwrap_or_else(|| self.model.clone());
        Ok(Completion { text, finish, usage, model, hand_over })
    }

    fn malformed_response_fault(&self, reply: &ApiResponse) -> Fault {
        if reply.is_html {
            let address = self.client.setting_names().base_url;
            let why = format!("a web page instead of an answer: check {address}, which needs no /v1 at the end");
            Fault::fail(FaultOwner::Operator, self.client.describe_error(reply, &why))
        } else {
            Fault::retry(self.client.describe_error(reply, "the answer is not Messages JSON"))
        }
    }

    fn describe_error(&self, reply: &mut ApiResponse, problem: &ApiError) -> String {
        if reply.request_id.is_none() {
            reply.request_id.clone_from(&problem.request_id);
        }
        let code = if problem.code.is_empty() { &problem.kind } else { &problem.code };
        match code.as_str() {
            "" => self.client.describe_error(reply, &problem.message),
            code => self.client.describe_error(reply, &format!("{} ({code})", problem.message)),
        }
    }

    /// Returns whether the server lists the model, and how many models it lists. `None` if it has no list.
    async fn look_up_listing(&self) -> Result<Option<ListingResult>, Fault> {
        let mut reply = self.client.get(&self.models_url).await?;
        if reply.status == 200 {
            let models: Option<ModelList> = serde_json::from_slice(&reply.body).ok();
            return Ok(models.map(|models| models.find(|id| id == self.model)));
        }
        if matches!(reply.status, 403..=405 | 501) {
            return Ok(None);
        }
        let problem = wire::parse_error(&reply);
        let request = Request {
            model: &self.model,
            max_tokens: self.max_tokens,
            system: "",
            messages: Vec::new(),
            temperature: None,
            tools: None,
        };
        let (retry_after, words) = (reply.retry_after, self.describe_error(&mut reply, &problem));
        match classify_error(&problem, &request, self.client.setting_names(), retry_after, words.clone()) {
            ErrorClass::Fault(fault) => Err(fault),
            _ => Err(Fault::fail(FaultOwner::Operator, words)),
        }
    }
}

fn is_context_full(answer: &Answer) -> bool {
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
        let mut window = Window::from_prompt(&prompt.messages)?;
        let system = prompt.system.trim();
        let asked = self.ask((system, prompt.may_hand_over), &mut window, None, meter);
        let (answer, reply) = self.client.with_timeout(asked).await?;
        let completion = self.completion_from(answer, &reply, system.chars().count() + window.characters())?;
        if completion.usage.estimated {
            meter.record_usage(completion.usage);
        }
        Ok(completion)
    }

    fn call_form(&self) -> Option<CallForm> {
        let refused = self.quirks.lock().unwrap_or_else(PoisonError::into_inner).no_temperature;
        Some(CallForm {
            token_limit: Some("max_tokens"),
            temperature: TemperatureUse::of(self.temperature, self.temperature.filter(|_| !refused)),
            has_system_role: true,
        })
    }

    async fn check(&self) -> Result<String, Fault> {
        let listed = self.client.with_timeout(self.look_up_listing()).await?;
        if !matches!(listed, Some((true, _))) {
            let lines = [PromptMessage::new(Role::User, "Hello")];
            let mut window = Window::from_prompt(&lines)?;
            self.client.with_timeout(self.ask(("", false), &mut window, Some(1), &Meter::default())).await?;
        }
        Ok(model_list::check_report(&self.model, &self.host, listed))
    }
}
