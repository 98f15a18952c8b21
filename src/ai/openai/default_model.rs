//! Picks a model for a server without a default model if the owner set none.

use secrecy::SecretString;
use url::Url;

use super::wire;
use crate::ai::Error;
use crate::ai::api_client::{ApiClient, join_url};
use crate::ai::model_list::ModelList;
use crate::config::{AiConfig, is_openai};
use crate::http::AllowedTargets;

/// Returns the first suitable model that the server lists. `None` for OpenAI's own server, which has a default.
pub(in crate::ai) async fn first_model(
    config: &AiConfig,
    base: &Url,
    key: Option<&SecretString>,
) -> Result<Option<String>, Error> {
    let host = base.host_str().unwrap_or_default().to_owned();
    if is_openai(&host) {
        return Ok(None);
    }
    let mut caller = ApiClient::new(config.timeout, key, config.setting_names, AllowedTargets::Any);
    caller.set_key_header("authorization", "Bearer ")?;
    let url = join_url(base, &["/chat/completions"], "/models");
    let why = match caller.with_timeout(caller.get(&url)).await {
        Err(fault) => fault.why().to_owned(),
        Ok(reply) if reply.status == 200 => {
            let models: Option<ModelList> = serde_json::from_slice(&reply.body).ok();
            match models.as_ref().map(ModelList::first_chat_model) {
                Some(Some(model)) => return Ok(Some(model.to_owned())),
                Some(None) => "the server's list of models is empty".to_owned(),
                None => {
                    let check = config.setting_names.base_url;
                    caller.describe_error(&reply, &format!("the response is not a list of models: check {check}"))
                }
            }
        }
        Ok(reply) => caller.describe_error(&reply, &wire::parse_error(&reply).message),
    };
    Err(Error::ModelListUnavailable { variable: config.setting_names.model, host, why })
}
