//! The settings of the fallback models.

use super::DefaultValue::Computed;
use super::Group::Ai;
use super::Setting;
use super::table::ROW_DEFAULTS;

/// The rows, in the order of the reference.
pub(in crate::config) const ROWS: &[Setting] = &[
    Setting {
        key: "MYNAH_AI_2_PROVIDER",
        file_key: "ai_2_provider",
        group: Ai,
        expects: "openai, anthropic or offline",
        meaning: "The provider of a second model, a fallback. mynah asks it if the first model fails, is overloaded, \
                  or needs you to fix something, such as its key.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_AI_2_MODEL",
        file_key: "ai_2_model",
        group: Ai,
        default: Computed(
            "`gpt-5-mini` at OpenAI's own server, `claude-sonnet-5` for Anthropic; required for other \
                           servers",
        ),
        expects: "the name of a model",
        meaning: "The name of the second model.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_AI_2_BASE_URL",
        file_key: "ai_2_base_url",
        group: Ai,
        default: Computed("the provider's own"),
        expects: "an http or https URL without a query, such as http://127.0.0.1:11434/v1",
        meaning: "The address of the second model's API.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_AI_2_API_KEY",
        file_key: "ai_2_api_key",
        group: Ai,
        secret: true,
        expects: "an API key without spaces",
        meaning: "The API key for the second model.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_AI_2_CONTEXT_TOKENS",
        file_key: "ai_2_context_tokens",
        group: Ai,
        default: Computed("32768; 4096 if its address is private or this machine"),
        expects: "a whole number from 1024 to 10000000",
        meaning: "How many tokens the second model reads and writes in one call.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_AI_3_PROVIDER",
        file_key: "ai_3_provider",
        group: Ai,
        expects: "openai, anthropic or offline",
        meaning: "The provider of a third model, a fallback. mynah asks it if the second model fails, is overloaded, \
                  or needs you to fix something, such as its key.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_AI_3_MODEL",
        file_key: "ai_3_model",
        group: Ai,
        default: Computed(
            "`gpt-5-mini` at OpenAI's own server, `claude-sonnet-5` for Anthropic; required for other \
                           servers",
        ),
        expects: "the name of a model",
        meaning: "The name of the third model.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_AI_3_BASE_URL",
        file_key: "ai_3_base_url",
        group: Ai,
        default: Computed("the provider's own"),
        expects: "an http or https URL without a query, such as http://127.0.0.1:11434/v1",
        meaning: "The address of the third model's API.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_AI_3_API_KEY",
        file_key: "ai_3_api_key",
        group: Ai,
        secret: true,
        expects: "an API key without spaces",
        meaning: "The API key for the third model.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_AI_3_CONTEXT_TOKENS",
        file_key: "ai_3_context_tokens",
        group: Ai,
        default: Computed("32768; 4096 if its address is private or this machine"),
        expects: "a whole number from 1024 to 10000000",
        meaning: "How many tokens the third model reads and writes in one call.",
        ..ROW_DEFAULTS
    },
];
