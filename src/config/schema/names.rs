//! The names of a model's settings.

/// The variables of one model, so that errors about it can name the setting to change. The settings that all models
/// share (token limit, temperature, timeout) have the same names for every model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AiSettingNames {
    /// The variable of the model's name.
    pub model: &'static str,
    /// The variable of the API's address.
    pub base_url: &'static str,
    /// The variable of the API key.
    pub api_key: &'static str,
}

impl AiSettingNames {
    /// The names for the first model, at OpenAI or a compatible server.
    pub const OPENAI: AiSettingNames =
        AiSettingNames { model: "MYNAH_AI_MODEL", base_url: "OPENAI_BASE_URL", api_key: "OPENAI_API_KEY" };

    /// The names for the transcription model.
    pub const TRANSCRIPTION: AiSettingNames = AiSettingNames {
        model: "MYNAH_TRANSCRIPTION_MODEL",
        base_url: "MYNAH_TRANSCRIPTION_BASE_URL",
        api_key: "MYNAH_TRANSCRIPTION_API_KEY",
    };

    /// What to change of a stored AI configuration.
    pub const STORED: AiSettingNames = AiSettingNames {
        model: "`mynah ai update --model`",
        base_url: "`mynah ai update --base-url`",
        api_key: "`mynah ai update --key-file`",
    };

    /// The names for the first model, at Anthropic.
    pub const ANTHROPIC: AiSettingNames =
        AiSettingNames { model: "MYNAH_AI_MODEL", base_url: "ANTHROPIC_BASE_URL", api_key: "ANTHROPIC_API_KEY" };
}
