//! OpenAI's Chat Completions API, at OpenAI or any compatible server: Ollama, llama.cpp, vLLM, OpenRouter, LiteLLM,
//! Groq.
//!
//! Servers differ in what they refuse and in what they silently ignore. mynah learns from a refusal (`quirks`): it
//! changes the request, sends it again at once, and keeps the change. Errors are parsed in all their shapes (`wire`)
//! and classified in one place (`error_classification`).

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use secrecy::SecretString;
use url::Url;

use super::api_client::{ApiClient, ApiResponse, join_url};
use super::completion::{cap_answer, usage_or_estimate};
use super::model_list::{self, ListingResult, ModelList};
use super::prompt_window::Window;
use super::thinking::strip_thinking;
use super::vision::ImagePolicy;
use super::{
    CallForm, Completion, Error, Finish, Meter, Prompt, PromptMessage, Provider, TemperatureUse, checked_temperature,
};
use crate::config::{AiConfig, DEFAULT_MAX_TOKENS_COMPATIBLE, is_openai};
use crate::fault::{Fault, FaultOwner};
use crate::http::AllowedTargets;
use crate::model::Role;

mod default_model;
mod error_classification;
mod quirks;
#[cfg(test)]
mod tests;
mod transcription;
mod wire;

pub(super) use default_model::first_model;
use error_classification::{ErrorClass, classify_error};
use quirks::ModelQuirks;
pub use transcription::Transcriber;
use wire::{Answer, ApiError, Request};

/// How many quirks one call may learn, each with a changed request.
const MAX_QUIRKS_PER_CALL: u32 = 3;

/// One model at one server.
pub(super) struct OpenAi {
    client: ApiClient,
    completions_url: Url,
    models_url: Url,
    host: String,
    /// Whether this is OpenAI's own server, where `max_tokens` is deprecated.
    is_official: bool,
    name: String,
    model: String,
    max_tokens: Option<u32>,
    temperature: Option<f64>,
    quirks: Mutex<ModelQuirks>,
}

impl OpenAi {
    pub(super) fn new(config: &AiConfig, base: &Url, key: Option<&SecretString>) -> Result<OpenAi, Error> {
        let host = base.host_str().unwrap_or_default().to_owned();
        let official = is_openai(&host);
        let Some(model) = config.effective_model() else {
            return Err(Error::NoModel { variable: config.setting_names.model, host });
        };
        let reach = if official { AllowedTargets::PublicHttps } else { AllowedTargets::Any };
        let mut caller = ApiClient::new(config.timeout, key, config.setting_names, reach);
        if official && !caller.has_key() {
            return Err(Error::NoKey { variable: config.setting_names.api_key, host });
        }
        caller.set_key_header("authorization", "Bearer ")?;
        Ok(OpenAi {
            client: caller,
            completions_url: join_url(base, &["/chat/completions"], "/chat/completions"),
            models_url: join_url(base, &["/chat/completions"], "/models"),
            host,
            is_official: official,
            name: format!("openai {model}"),
            model: model.to_owned(),
            max_tokens: config.max_tokens,
            temperature: checked_temperature(config, "openai", 2.0)?,
            quirks: Mutex::default(),
        })
    }

    /// Returns the limit of an answer: that of the call, else the configured one. Ollama has none of its own.
    fn token_cap(&self, of_call: Option<u32>) -> Option<u32> {
        of_call.or(self.max_tokens).or((!self.is_official).then_some(DEFAULT_MAX_TOKENS_COMPATIBLE))
    }

    fn quirks(&self) -> ModelQuirks {
        *self.quirks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Builds a request. OpenAI is sent only what the owner configured. Any other server is always sent a token limit:
    /// Ollama reads only `max_tokens`, and llama.cpp never stops without it.
    fn request<'a>(
        &'a self,
        (system, offer_tools): (&'a str, bool),
        window: &Window<'a>,
        (quirks, without_images): (ModelQuirks, bool),
        cap: Option<u32>,
    ) -> Request<'a> {
        let cap = self.token_cap(cap);
        let (max_tokens, max_completion_tokens) = quirks.token_cap_parameters(cap, self.is_official);
        let image_policy = if without_images { ImagePolicy::AFTER_REFUSAL } else { quirks.image_policy() };
        Request {
            model: &self.model,
            messages: quirks.messages(system, window, image_policy),
            max_tokens,
            max_completion_tokens,
            temperature: quirks.temperature(self.temperature),
            tools: (offer_tools && quirks.takes_tools()).then(wire::tools),
        }
    }

    /// Asks until the server accepts the request: with changed parameters, once with half of the messages, and once
    /// without images. Returns `None` if the token limit was too small for any answer.
    async fn ask(
        &self,
        system_and_tools: (&str, bool),
        window: &mut Window<'_>,
        cap: Option<u32>,
        meter: &Meter,
    ) -> Result<(Option<Answer>, ApiResponse), Fault> {
        let (mut quirks_learned, mut halved, mut without_images) = (0, false, false);
        loop {
            let quirks = self.quirks();
            let request = self.request(system_and_tools, window, (quirks, without_images), cap);
            let reply = self.client.post(&self.completions_url, &request, meter).await?;
            let problem = match wire::parse_response(&reply) {
                Some(Ok(answer)) => {
                    if let Some(figures) = answer.token_counts() {
                        meter.record_usage(usage_or_estimate(Some(figures), 0, 0));
                    }
                    return Ok((Some(answer), reply));
                }
                Some(Err(problem)) => problem,
                None => return Err(self.malformed_response_fault(&reply)),
            };
            let description = self.describe_error(&reply, &problem);
            let verdict = classify_error(
                &problem,
                &request,
                quirks.needs_alternating_roles,
                self.client.setting_names(),
                reply.retry_after,
                description.clone(),
            );
            if reply.is_client_error() && verdict != ErrorClass::TokenCapReached {
                meter.record_refused();
            }
            match verdict {
                ErrorClass::RetryWithQuirk(lesson) if quirks_learned < MAX_QUIRKS_PER_CALL => {
                    tracing::info!(
                        model = self.name,
                        ?lesson,
                        "the model's server refused a parameter; asking again without it"
                    );
                    self.quirks.lock().unwrap_or_else(PoisonError::into_inner).record(lesson);
                    quirks_learned += 1;
                }
                ErrorClass::RetryWithQuirk(_) => return Err(Fault::fail(FaultOwner::Operator, description)),
                ErrorClass::UnreadableImages => {
                    tracing::warn!(
                        model = self.name,
                        why = description,
                        "the model's server refused the images; asking again without them"
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
                ErrorClass::TokenCapReached => return Ok((None, reply)),
                ErrorClass::ContentFiltered => {
                    tracing::warn!(model = self.name, why = description, "the model's server refused to answer");
                    return Ok((Some(Answer::declined()), reply));
                }
                ErrorClass::Fault(fault) => return Err(fault),
            }
        }
    }

    /// Converts the answer, or returns why there is none.
    fn completion_from(&self, mut answer: Answer, reply: &ApiResponse, sent: usize) -> Result<Completion, Fault> {
        let hand_over = answer.hand_over();
        let (raw, refusal) = answer.take_text_and_refusal();
        let text = strip_thinking(&raw);
        let reason = answer.choices.first().and_then(|choice| choice.finish_reason.as_deref()).unwrap_or_default();
        let finish = match reason {
            "error" => {
                return Err(Fault::retry(self.client.describe_error(reply, "the model stopped with an error")));
            }
            wire::CONTENT_FILTER_FINISH_REASON => Finish::Refusal,
            _ if refusal.is_some() => Finish::Refusal,
            "length" => Finish::Length,
            _ => Finish::Stop,
        };
        let text = match (text.is_empty(), finish) {
            (false, _) => text.as_ref(),
            (true, Finish::Refusal) => refusal.as_deref().unwrap_or_default(),
            (true, _) if hand_over.is_some() => "",
            (true, Finish::Length) => return Err(self.token_cap_fault(reply)),
            (true, Finish::Stop) => {
                let why = format!("the answer is empty (finish_reason `{reason}`)");
                return Err(Fault::retry(self.client.describe_error(reply, &why)));
            }
        };
        let (text, finish) = cap_answer(text, finish);
        let usage = usage_or_estimate(answer.token_counts(), sent, raw.chars().count());
        let model = answer.model.filter(|model| !model.is_empty()).unwrap_or_else(|| self.model.clone());
        Ok(Completion { text, finish, usage, model, hand_over })
    }

    fn token_cap_fault(&self, reply: &ApiResponse) -> Fault {
        let why = "hidden reasoning used up the token limit before the answer began: raise MYNAH_AI_MAX_TOKENS";
        // The next message would fail in the same way.
        Fault::fail(FaultOwner::Operator, self.client.describe_error(reply, why))
    }

    fn malformed_response_fault(&self, reply: &ApiResponse) -> Fault {
        if reply.is_html {
            let address = self.client.setting_names().base_url;
            let why = format!("a web page instead of an answer: check {address}, which usually ends in /v1");
            Fault::fail(FaultOwner::Operator, self.client.describe_error(reply, &why))
        } else {
            Fault::retry(self.client.describe_error(reply, "the answer is not Chat Completions JSON"))
        }
    }

    fn describe_error(&self, reply: &ApiResponse, problem: &ApiError) -> String {
        match problem.code.as_str() {
            "" => self.client.describe_error(reply, &problem.message),
            code => self.client.describe_error(reply, &format!("{} ({code})", problem.message)),
        }
    }

    /// Returns whether the server lists the model, and how many models it lists. `None` if it has no list, or does not
    /// show it to us.
    async fn look_up_listing(&self) -> Result<Option<ListingResult>, Fault> {
        let reply = self.client.get(&self.models_url).await?;
        if reply.status == 200 {
            let models: Option<ModelList> = serde_json::from_slice(&reply.body).ok();
            return Ok(models.map(|models| {
                // Ollama lists the model `llama3.2` as `llama3.2:latest`.
                let fits = |id: &str| id == self.model || id.strip_suffix(":latest") == Some(&self.model);
                models.find(fits)
            }));
        }
        let problem = wire::parse_error(&reply);
        // A restricted key may be allowed to ask a model but not to list models.
        if matches!(reply.status, 403..=405 | 501) || problem.message.to_lowercase().contains("scope") {
            return Ok(None);
        }
        let request = Request::empty(&self.model);
        let words = self.describe_error(&reply, &problem);
        match classify_error(&problem, &request, true, self.client.setting_names(), reply.retry_after, words.clone()) {
            ErrorClass::Fault(fault) => Err(fault),
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
        let mut window = Window::from_prompt(&prompt.messages)?;
        let system = prompt.system.trim();
        let asked = self.ask((system, prompt.may_hand_over), &mut window, None, meter);
        let (answer, reply) = self.client.with_timeout(asked).await?;
        let sent = system.chars().count() + window.characters();
        let Some(answer) = answer else { return Err(self.token_cap_fault(&reply)) };
        let completion = self.completion_from(answer, &reply, sent)?;
        if completion.usage.estimated {
            meter.record_usage(completion.usage);
        }
        Ok(completion)
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

    fn call_form(&self) -> Option<CallForm> {
        let quirks = self.quirks();
        let token_limit = match quirks.token_cap_parameters(self.token_cap(None), self.is_official) {
            (Some(_), _) => Some("max_tokens"),
            (None, Some(_)) => Some("max_completion_tokens"),
            (None, None) => None,
        };
        Some(CallForm {
            token_limit,
            temperature: TemperatureUse::of(self.temperature, quirks.temperature(self.temperature)),
            has_system_role: !quirks.needs_alternating_roles,
        })
    }
}
