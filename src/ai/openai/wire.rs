//! The Chat Completions API on the wire (OpenAI's OpenAPI document: `CreateChatCompletionRequest`,
//! `CreateChatCompletionResponse`, `ErrorResponse`). Responses are read in all the forms that compatible servers write.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};

use crate::ai::api_client::ApiResponse;
use crate::ai::messages::{self, Message};
use crate::ai::{Image, handover_tool};

/// `CreateChatCompletionRequest`: the fields that mynah uses.
#[derive(Debug, Serialize)]
pub(super) struct Request<'a> {
    pub(super) model: &'a str,
    #[serde(serialize_with = "messages")]
    pub(super) messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tools: Option<Value>,
}

impl<'a> Request<'a> {
    /// Returns a request without messages, to classify an error if no model was asked.
    pub(super) fn empty(model: &'a str) -> Request<'a> {
        Request {
            model,
            messages: Vec::new(),
            max_tokens: None,
            max_completion_tokens: None,
            temperature: None,
            tools: None,
        }
    }

    /// Returns the number of images in the request.
    pub(super) fn images(&self) -> usize {
        self.messages.iter().map(Message::image_count).sum()
    }
}

fn messages<S: Serializer>(messages: &[Message<'_>], serializer: S) -> Result<S::Ok, S::Error> {
    messages::serialize_messages(messages, image_part, serializer)
}

/// Returns a `ChatCompletionRequestMessageContentPartImage`. It always contains the image itself, because not every
/// server fetches one (ollama docs, "OpenAI compatibility"), and our images have no URL.
fn image_part(image: &Image) -> Value {
    let url = format!("data:{};base64,{}", image.media_type, BASE64_STANDARD.encode(&image.bytes));
    json!({ "type": "image_url", "image_url": { "url": url } })
}

/// Returns the tools, each a `ChatCompletionTool`. There is only one.
pub(super) fn tools() -> Value {
    let function = json!({ "name": handover_tool::NAME, "description": handover_tool::DESCRIPTION, "parameters": handover_tool::parameters() });
    json!([{ "type": "function", "function": function }])
}

/// The `finish_reason` of an answer that a content filter stopped.
pub(super) const CONTENT_FILTER_FINISH_REASON: &str = "content_filter";

/// `CreateChatCompletionResponse`. If generation has begun, OpenRouter reports an error as a 200 with an `error`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Answer {
    #[serde(default)]
    pub(super) choices: Vec<Choice>,
    #[serde(default)]
    pub(super) model: Option<String>,
    #[serde(default)]
    usage: Option<TokenUsage>,
    #[serde(default)]
    error: Option<ErrorBody>,
}

#[derive(Debug, Deserialize)]
struct TokenUsage {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Choice {
    #[serde(default)]
    message: Option<ChoiceMessage>,
    #[serde(default)]
    pub(super) finish_reason: Option<String>,
    #[serde(default)]
    error: Option<ErrorBody>,
}

#[derive(Debug, Deserialize)]
struct ChoiceMessage {
    #[serde(default)]
    content: Option<Content>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<ToolCall>>,
}

#[derive(Debug, Deserialize)]
struct ToolCall {
    #[serde(default)]
    function: Option<Function>,
}

#[derive(Debug, Deserialize)]
struct Function {
    #[serde(default)]
    name: String,
    /// A string of JSON; some servers send an object.
    #[serde(default)]
    arguments: Value,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

/// mynah reads only text and refusals. Reasoning comes in parts of other kinds (Mistral).
#[derive(Debug, Deserialize)]
struct Part {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
}

/// `{message, type, param, code}`, a plain string, or anything else.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum ErrorBody {
    Text(String),
    Object(ErrorObject),
    Other(Value),
}

#[derive(Debug, Deserialize)]
struct ErrorObject {
    #[serde(default)]
    message: Option<String>,
    #[serde(default, rename = "type")]
    kind: Option<Value>,
    #[serde(default)]
    param: Option<Value>,
    #[serde(default)]
    code: Option<Value>,
    #[serde(default)]
    metadata: Option<Value>,
}

/// The whole body of an error: OpenAI's form, vLLM's older flat form, or FastAPI's `detail`.
#[derive(Debug, Deserialize)]
struct ErrorResponse {
    #[serde(default)]
    error: Option<ErrorBody>,
    #[serde(default)]
    detail: Option<Detail>,
    #[serde(flatten)]
    flat: ErrorObject,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Detail {
    Text(String),
    // `input` is left out, because it repeats what the contact wrote.
    ValidationErrors(Vec<ValidationError>),
    Other(Value),
}

#[derive(Debug, Deserialize)]
struct ValidationError {
    #[serde(default)]
    loc: Vec<Value>,
    #[serde(default)]
    msg: String,
}

/// An error in one form for all servers. All fields but the message are in lower case.
#[derive(Debug, Default)]
pub(super) struct ApiError {
    /// The HTTP status. For an error within a 200, the status that its code names, or else 500.
    pub(super) status: u16,
    pub(super) message: String,
    pub(super) kind: String,
    pub(super) param: String,
    pub(super) code: String,
    /// Whether moderation flagged the content (OpenRouter's metadata).
    pub(super) flagged: bool,
}

impl Answer {
    /// Returns the answer of a server whose content filter refuses within the protocol.
    pub(super) fn declined() -> Answer {
        let choice =
            Choice { message: None, finish_reason: Some(CONTENT_FILTER_FINISH_REASON.to_owned()), error: None };
        Answer { choices: vec![choice], ..Answer::default() }
    }

    /// Returns why the model hands the conversation over, if it does.
    pub(super) fn hand_over(&self) -> Option<String> {
        let calls = self.choices.first()?.message.as_ref()?.tool_calls.as_deref()?;
        let call =
            calls.iter().filter_map(|call| call.function.as_ref()).find(|call| call.name == handover_tool::NAME)?;
        Some(handover_tool::parse_reason(&call.arguments))
    }

    /// Takes the text and the refusal out of the first choice.
    pub(super) fn take_text_and_refusal(&mut self) -> (String, Option<String>) {
        let Some(said) = self.choices.first_mut().and_then(|choice| choice.message.take()) else {
            return (String::new(), None);
        };
        let (mut text, mut refusal) = (String::new(), said.refusal.filter(|refusal| !refusal.trim().is_empty()));
        match said.content {
            Some(Content::Text(content)) => text = content,
            Some(Content::Parts(parts)) => {
                for part in parts {
                    if part.kind.as_deref().is_none_or(|kind| kind == "text") {
                        text.push_str(part.text.as_deref().unwrap_or_default());
                    }
                    refusal = refusal.or(part.refusal);
                }
            }
            None => {}
        }
        (text, refusal)
    }

    /// Returns the input and output tokens if the server reports both.
    pub(super) fn token_counts(&self) -> Option<(u64, u64)> {
        let usage = self.usage.as_ref()?;
        Some((usage.prompt_tokens?, usage.completion_tokens?))
    }
}

/// Returns the answer, or the error in it or in its place. `None` for a 2xx that cannot be parsed.
pub(super) fn parse_response(reply: &ApiResponse) -> Option<Result<Answer, ApiError>> {
    if !(200..300).contains(&reply.status) {
        return Some(Err(parse_error(reply)));
    }
    let mut answer: Answer = serde_json::from_slice(&reply.body).ok()?;
    let within = answer.error.take().or_else(|| answer.choices.first_mut().and_then(|choice| choice.error.take()));
    Some(match within {
        Some(error) => {
            let mut problem = ApiError::from_body(error);
            let named = problem.code.parse().ok().filter(|status| (400..600).contains(status));
            problem.status = named.unwrap_or(500);
            Err(problem)
        }
        None => Ok(answer),
    })
}

/// Parses the error in a response whose status is not 2xx.
pub(super) fn parse_error(reply: &ApiResponse) -> ApiError {
    // Google's compatible endpoint wraps the object in an array.
    let page = serde_json::from_slice::<ErrorResponse>(&reply.body)
        .ok()
        .or_else(|| serde_json::from_slice::<Vec<ErrorResponse>>(&reply.body).ok()?.pop());
    let mut problem = match page {
        Some(ErrorResponse { error: Some(error), .. }) => ApiError::from_body(error),
        Some(ErrorResponse { detail: Some(detail), .. }) => {
            ApiError { message: detail.into_message(), ..ApiError::default() }
        }
        Some(ErrorResponse { flat, .. }) => ApiError::from_body(ErrorBody::Object(flat)),
        None => ApiError { message: reply.plain_text().to_owned(), ..ApiError::default() },
    };
    problem.status = reply.status;
    problem
}

impl ApiError {
    fn from_body(error: ErrorBody) -> ApiError {
        match error {
            ErrorBody::Text(message) => ApiError { message, ..ApiError::default() },
            ErrorBody::Other(value) => ApiError { message: to_lowercase_word(Some(value)), ..ApiError::default() },
            ErrorBody::Object(error) => ApiError {
                status: 0,
                message: error.message.unwrap_or_default(),
                kind: to_lowercase_word(error.kind),
                param: to_lowercase_word(error.param),
                code: to_lowercase_word(error.code),
                flagged: error.metadata.is_some_and(|data| {
                    data.get("reasons").is_some_and(|reasons| !reasons.is_null()) || data.get("flagged_input").is_some()
                }),
            },
        }
    }
}

impl Detail {
    fn into_message(self) -> String {
        match self {
            Detail::Text(text) => text,
            Detail::Other(value) => value.get("message").and_then(Value::as_str).unwrap_or_default().to_owned(),
            Detail::ValidationErrors(places) => {
                let words = places.into_iter().map(|place| {
                    let path: Vec<String> = place.loc.into_iter().map(|step| to_lowercase_word(Some(step))).collect();
                    format!("{}: {}", path.join("."), place.msg)
                });
                words.collect::<Vec<_>>().join("; ")
            }
        }
    }
}

/// Returns a string, a number or nothing as text in lower case.
fn to_lowercase_word(value: Option<Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.to_lowercase(),
        Some(other) => other.to_string(),
    }
}
