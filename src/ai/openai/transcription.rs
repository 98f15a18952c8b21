//! Transcription of voice notes: `/audio/transcriptions` at OpenAI or any server that has it, such as Groq, LocalAI,
//! whisper.cpp and Speaches (OpenAI's OpenAPI document, `CreateTranscriptionRequest`).

use bytes::Bytes;
use reqwest::multipart::{Form, Part};
use serde::Deserialize;
use url::Url;

use super::error_classification::{ErrorClass, classify_error};
use super::wire::{self, Request};
use crate::ai::Error;
use crate::ai::api_client::{ApiClient, ApiResponse, join_url};
use crate::ai::model_list::{self, ModelList};
use crate::config::{AiSettingNames, TranscriptionConfig, is_openai};
use crate::fault::{Fault, FaultOwner};
use crate::http::AllowedTargets;

/// A transcription model at one server.
pub struct Transcriber {
    client: ApiClient,
    transcriptions_url: Url,
    models_url: Url,
    host: String,
    model: String,
    language: Option<String>,
}

#[derive(Deserialize)]
struct Transcript {
    text: String,
}

impl Transcriber {
    pub(in crate::ai) fn new(config: &TranscriptionConfig, timeout: std::time::Duration) -> Result<Transcriber, Error> {
        let base = &config.base_url;
        let host = base.host_str().unwrap_or_default().to_owned();
        let reach = if is_openai(&host) { AllowedTargets::PublicHttps } else { AllowedTargets::Any };
        let mut caller = ApiClient::new(timeout, config.api_key.as_ref(), AiSettingNames::TRANSCRIPTION, reach);
        caller.set_key_header("authorization", "Bearer ")?;
        let known = ["/audio/transcriptions"];
        Ok(Transcriber {
            client: caller,
            transcriptions_url: join_url(base, &known, "/audio/transcriptions"),
            models_url: join_url(base, &known, "/models"),
            host,
            model: config.model.clone(),
            language: config.language.clone(),
        })
    }

    /// Returns the transcript of an audio file of at most 25 MB. Empty if nobody speaks. Servers recognize the format
    /// by the extension of the file name.
    pub async fn transcribe(&self, file_name: &str, media_type: &str, sound: Bytes) -> Result<String, Fault> {
        let length = sound.len() as u64;
        let unfit = || Fault::fail(FaultOwner::Message, "the audio file has a media type that cannot be sent");
        let part = Part::stream_with_length(sound, length).file_name(file_name.to_owned());
        let mut form = Form::new()
            .part("file", part.mime_str(media_type).map_err(|_| unfit())?)
            .text("model", self.model.clone())
            .text("response_format", "json");
        if let Some(language) = &self.language {
            form = form.text("language", language.clone());
        }
        let mut reply = self.client.with_timeout(self.client.post_form(&self.transcriptions_url, form)).await?;
        if !(200..300).contains(&reply.status) {
            return Err(self.fault_from_response(&mut reply));
        }
        match serde_json::from_slice::<Transcript>(&reply.body) {
            Ok(transcript) => Ok(transcript.text.trim().to_owned()),
            Err(_) if reply.is_html => {
                let why = "a web page instead of a transcript: check MYNAH_TRANSCRIPTION_BASE_URL";
                Err(Fault::fail(FaultOwner::Operator, self.client.describe_error(&reply, why)))
            }
            Err(_) => Err(Fault::retry(self.client.describe_error(&reply, "the answer is not a transcript"))),
        }
    }

    /// Tries the address and the key. Returns a sentence that says what works. Sends no audio.
    pub async fn check(&self) -> Result<String, Fault> {
        let mut reply = self.client.with_timeout(self.client.get(&self.models_url)).await?;
        match reply.status {
            200 => {
                let models: Option<ModelList> = serde_json::from_slice(&reply.body).ok();
                let listed = models.map(|models| models.find(|id| id == self.model));
                Ok(model_list::check_report(&self.model, &self.host, listed))
            }
            // Servers that only transcribe may have no list of models.
            404 | 405 | 501 => Ok(format!("{} answers; the server lists no models", self.host)),
            _ => Err(self.fault_from_response(&mut reply)),
        }
    }

    fn fault_from_response(&self, reply: &mut ApiResponse) -> Fault {
        let problem = wire::parse_error(reply);
        let request = Request::empty(&self.model);
        let words = self.client.describe_error(reply, &problem.message);
        match classify_error(&problem, &request, true, self.client.setting_names(), reply.retry_after, words.clone()) {
            ErrorClass::Fault(fault) => fault,
            _ => Fault::fail(FaultOwner::Message, words),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use secrecy::SecretString;
    use serde_json::json;
    use wiremock::matchers::{header, method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    fn transcriber(server: &MockServer, language: Option<&str>) -> Transcriber {
        let config = TranscriptionConfig {
            base_url: Url::parse(&format!("{}/v1", server.uri())).unwrap(),
            api_key: Some(SecretString::from("sk-ears")),
            model: "whisper-1".into(),
            uses_main_model_server: false,
            language: language.map(str::to_owned),
        };
        Transcriber::new(&config, Duration::from_secs(5)).unwrap()
    }

    async fn server_answering(response: ResponseTemplate) -> MockServer {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .and(path("/v1/audio/transcriptions"))
            .and(header("authorization", "Bearer sk-ears"))
            .respond_with(response)
            .mount(&server)
            .await;
        server
    }

    async fn transcribe_response(response: ResponseTemplate) -> Result<String, Fault> {
        let server = server_answering(response).await;
        transcriber(&server, None).transcribe("voice.ogg", "audio/ogg", Bytes::from_static(b"OggS")).await
    }

    #[tokio::test]
    async fn a_sound_goes_out_as_a_file_whose_name_tells_its_format() {
        let server = server_answering(ResponseTemplate::new(200).set_body_json(json!({ "text": " Hello. " }))).await;
        let sound = Bytes::from_static(b"OggS\0\x02\xff");
        let client = transcriber(&server, Some("de"));
        assert_eq!(client.transcribe("voice.ogg", "audio/ogg", sound).await.unwrap(), "Hello.");
        let body = server.received_requests().await.unwrap().remove(0).body;
        let body = String::from_utf8_lossy(&body).into_owned();
        for field in [
            "name=\"file\"; filename=\"voice.ogg\"\r\nContent-Type: audio/ogg\r\n",
            "name=\"model\"\r\n\r\nwhisper-1\r\n",
            "name=\"response_format\"\r\n\r\njson\r\n",
            "name=\"language\"\r\n\r\nde\r\n",
            "\r\n\r\nOggS\0\x02\u{fffd}\r\n",
        ] {
            assert!(body.contains(field), "{field:?} in {body:?}");
        }
    }

    #[tokio::test]
    async fn no_language_is_sent_where_none_is_set() {
        let server = server_answering(ResponseTemplate::new(200).set_body_json(json!({ "text": "" }))).await;
        let client = transcriber(&server, None);
        assert_eq!(
            client.transcribe("voice.ogg", "audio/ogg", Bytes::from_static(b"OggS")).await.unwrap(),
            "",
            "silence"
        );
        let body = server.received_requests().await.unwrap().remove(0).body;
        assert!(!String::from_utf8_lossy(&body).contains("language"));
    }

    #[tokio::test]
    async fn errors_are_classified_like_a_models_and_name_their_own_settings() {
        let error = |status, code: &str| {
            ResponseTemplate::new(status).set_body_json(json!({ "error": { "message": "no", "code": code } }))
        };
        for (response, again, words) in [
            (error(401, "invalid_api_key"), false, "check MYNAH_TRANSCRIPTION_API_KEY"),
            (error(404, ""), false, "check MYNAH_TRANSCRIPTION_MODEL"),
            (error(429, "rate_limit_exceeded"), true, "429"),
            (error(500, ""), true, "500"),
            (error(400, "invalid_file"), false, "400"),
            (ResponseTemplate::new(200).set_body_string("nothing"), true, "not a transcript"),
            (
                ResponseTemplate::new(200).set_body_raw("<html>", "text/html"),
                false,
                "check MYNAH_TRANSCRIPTION_BASE_URL",
            ),
        ] {
            let fault = transcribe_response(response).await.unwrap_err();
            assert_eq!(matches!(fault, Fault::Retry { .. }), again, "{fault:?}");
            assert!(fault.why().contains(words) && !fault.why().contains("sk-ears"), "{fault:?}");
        }
    }

    #[tokio::test]
    async fn a_check_sends_no_sound() {
        let server = MockServer::start().await;
        let list = json!({ "data": [{ "id": "whisper-1" }] });
        Mock::given(method("GET"))
            .and(path("/v1/models"))
            .respond_with(ResponseTemplate::new(200).set_body_json(list))
            .up_to_n_times(1)
            .mount(&server)
            .await;
        let client = transcriber(&server, None);
        assert!(client.check().await.unwrap().contains("whisper-1"));
        assert!(client.check().await.unwrap().contains("the server lists no models"), "404 now");
        assert!(server.received_requests().await.unwrap().iter().all(|request| request.method.as_str() == "GET"));
    }
}
