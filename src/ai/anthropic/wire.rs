//! The Messages API on the wire (Anthropic's OpenAPI document: `CreateMessageParams`, `Message`, `ErrorResponse`).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};

use crate::ai::api_client::ApiResponse;
use crate::ai::messages::{self, Message};
use crate::ai::{Image, handover_tool};

/// `CreateMessageParams`: the fields that mynah uses.
#[derive(Debug, Serialize)]
pub(super) struct Request<'a> {
    pub(super) model: &'a str,
    pub(super) max_tokens: u32,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) system: &'a str,
    #[serde(serialize_with = "messages")]
    pub(super) messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tools: Option<Value>,
}

impl Request<'_> {
    /// Returns the number of images in the request.
    pub(super) fn images(&self) -> usize {
        self.messages.iter().map(Message::image_count).sum()
    }
}

fn messages<S: Serializer>(messages: &[Message<'_>], serializer: S) -> Result<S::Ok, S::Error> {
    messages::serialize_messages(messages, image_block, serializer)
}

/// Returns a `RequestImageBlock` with a `Base64ImageSource`.
fn image_block(image: &Image) -> Value {
    let data = BASE64_STANDARD.encode(&image.bytes);
    json!({ "type": "image", "source": { "type": "base64", "media_type": image.media_type, "data": data } })
}

/// Returns the tools, each a `Tool`. There is only one.
pub(super) fn tools() -> Value {
    json!([{ "name": handover_tool::NAME, "description": handover_tool::DESCRIPTION, "input_schema": handover_tool::parameters() }])
}

/// The `stop_reason` of an answer in which the model refused.
pub(super) const REFUSAL_STOP_REASON: &str = "refusal";

/// `Message`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Answer {
    #[serde(default)]
    content: Vec<Block>,
    #[serde(default)]
    pub(super) stop_reason: Option<String>,
    #[serde(default)]
    pub(super) model: Option<String>,
    #[serde(default)]
    usage: Option<TokenUsage>,
    #[serde(default)]
    error: Option<ErrorObject>,
    #[serde(default)]
    request_id: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Block {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    input: Value,
}

#[derive(Debug, Deserialize)]
struct TokenUsage {
    input_tokens: u64,
    #[serde(default)]
    cache_creation_input_tokens: Option<u64>,
    #[serde(default)]
    cache_read_input_tokens: Option<u64>,
    output_tokens: u64,
}

#[derive(Debug, Deserialize)]
struct ErrorResponse {
    error: ErrorObject,
    #[serde(default)]
    request_id: Option<String>,
}

#[derive(Debug, Deserialize)]
struct ErrorObject {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    details: Option<Details>,
}

#[derive(Debug, Deserialize)]
struct Details {
    #[serde(default)]
    error_code: Option<String>,
}

/// An error.
#[derive(Debug, Default)]
pub(super) struct ApiError {
    /// The HTTP status. For an error within a 200, the status that its type stands for.
    pub(super) status: u16,
    pub(super) kind: String,
    pub(super) message: String,
    /// `error.details.error_code`.
    pub(super) code: String,
    /// The body holds it as well as the header.
    pub(super) request_id: Option<String>,
}

impl Answer {
    /// Returns the answer of a model that refuses within the protocol.
    pub(super) fn declined() -> Answer {
        Answer { stop_reason: Some(REFUSAL_STOP_REASON.to_owned()), ..Answer::default() }
    }

    /// Returns why the model hands the conversation over, if it does.
    pub(super) fn hand_over(&self) -> Option<String> {
        let ours = |block: &&Block| block.kind == "tool_use" && block.name.as_deref() == Some(handover_tool::NAME);
        self.content.iter().find(ours).map(|block| handover_tool::parse_reason(&block.input))
    }

    /// Returns all the text, without thinking and tools.
    pub(super) fn text(&self) -> String {
        self.content.iter().filter(|block| block.kind == "text").filter_map(|block| block.text.as_deref()).collect()
    }

    /// Returns the input tokens, including cached ones, and the output tokens.
    pub(super) fn token_counts(&self) -> Option<(u64, u64)> {
        let usage = self.usage.as_ref()?;
        let cached = [usage.cache_creation_input_tokens, usage.cache_read_input_tokens];
        Some((usage.input_tokens + cached.into_iter().flatten().sum::<u64>(), usage.output_tokens))
    }
}

/// Returns the answer, or the error in its place. `None` for a 2xx that cannot be parsed.
pub(super) fn parse_response(reply: &ApiResponse) -> Option<Result<Answer, ApiError>> {
    if !(200..300).contains(&reply.status) {
        return Some(Err(parse_error(reply)));
    }
    let mut answer: Answer = serde_json::from_slice(&reply.body).ok()?;
    let Some(error) = answer.error.take() else { return Some(Ok(answer)) };
    let mut problem = ApiError::from_response(ErrorResponse { error, request_id: answer.request_id });
    problem.status = match problem.kind.as_str() {
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "billing_error" => 402,
        "permission_error" => 403,
        "not_found_error" => 404,
        "request_too_large" => 413,
        "rate_limit_error" => 429,
        "timeout_error" => 504,
        "overloaded_error" => 529,
        _ => 500,
    };
    Some(Err(problem))
}

/// Parses the error in a response whose status is not 2xx.
pub(super) fn parse_error(reply: &ApiResponse) -> ApiError {
    let mut problem = match serde_json::from_slice::<ErrorResponse>(&reply.body) {
        Ok(page) => ApiError::from_response(page),
        Err(_) => ApiError { message: reply.plain_text().to_owned(), ..ApiError::default() },
    };
    problem.status = reply.status;
    problem
}

impl ApiError {
    fn from_response(page: ErrorResponse) -> ApiError {
        let ErrorObject { kind, message, details } = page.error;
        let code = details.and_then(|details| details.error_code).unwrap_or_default();
        ApiError { status: 0, kind, message, code, request_id: page.request_id }
    }
}
