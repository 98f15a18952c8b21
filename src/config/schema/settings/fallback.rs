//! The rows of the models that answer where the first cannot.

use super::DefaultValue::Computed;
use super::Group::Ai;
use super::Setting;
use super::table::ROW_DEFAULTS;

/// In the order of the reference.
pub(in crate::config) const ROWS: &[Setting] = &[
    Setting {
        key: "MYNAH_AI_2_PROVIDER",
        file_key: "ai_2_provider",
        group: Ai,
        expects: "openai, anthropic or offline",
        meaning: "Who answers where the first cannot: it fails, is overloaded, or wants the operator.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_AI_2_MODEL",
        file_key: "ai_2_model",
        group: Ai,
        default: Computed("the provider's"),
        expects: "the name of a model",
        meaning: "Its model.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_AI_2_BASE_URL",
        file_key: "ai_2_base_url",
        group: Ai,
        default: Computed("the provider's own"),
        expects: "an http or https address without query, such as http://127.0.0.1:11434/v1",
        meaning: "Its address.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_AI_2_API_KEY",
        file_key: "ai_2_api_key",
        group: Ai,
        secret: true,
        expects: "an API key, without blanks",
        meaning: "Its key.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_AI_2_CONTEXT_TOKENS",
        file_key: "ai_2_context_tokens",
        group: Ai,
        default: Computed("32768; 4096 where its address is private or this machine"),
        expects: "a whole number from 1024 to 10000000",
        meaning: "How many tokens it reads and writes in one call.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_AI_3_PROVIDER",
        file_key: "ai_3_provider",
        group: Ai,
        expects: "openai, anthropic or offline",
        meaning: "Who answers where that one cannot: it fails, is overloaded, or wants the operator.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_AI_3_MODEL",
        file_key: "ai_3_model",
        group: Ai,
        default: Computed("the provider's"),
        expects: "the name of a model",
        meaning: "Its model.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_AI_3_BASE_URL",
        file_key: "ai_3_base_url",
        group: Ai,
        default: Computed("the provider's own"),
        expects: "an http or https address without query, such as http://127.0.0.1:11434/v1",
        meaning: "Its address.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_AI_3_API_KEY",
        file_key: "ai_3_api_key",
        group: Ai,
        secret: true,
        expects: "an API key, without blanks",
        meaning: "Its key.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_AI_3_CONTEXT_TOKENS",
        file_key: "ai_3_context_tokens",
        group: Ai,
        default: Computed("32768; 4096 where its address is private or this machine"),
        expects: "a whole number from 1024 to 10000000",
        meaning: "How many tokens it reads and writes in one call.",
        ..ROW_DEFAULTS
    },
];
