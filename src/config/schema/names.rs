//! What a model's own settings are called.

/// The variables of one of the models, so that whoever has to mend it is told which of them to look at. What all models
/// share (cap, temperature, time-out) is called the same everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AiSettingNames {
    /// The model.
    pub model: &'static str,
    /// The address.
    pub base_url: &'static str,
    /// The key.
    pub api_key: &'static str,
}

impl AiSettingNames {
    /// Of the first model, at OpenAI or a compatible server.
    pub const OPENAI: AiSettingNames =
        AiSettingNames { model: "MYNAH_AI_MODEL", base_url: "OPENAI_BASE_URL", api_key: "OPENAI_API_KEY" };

    /// Of whoever writes down what is said.
    pub const TRANSCRIPTION: AiSettingNames = AiSettingNames {
        model: "MYNAH_TRANSCRIPTION_MODEL",
        base_url: "MYNAH_TRANSCRIPTION_BASE_URL",
        api_key: "MYNAH_TRANSCRIPTION_API_KEY",
    };

    /// Of the first model, at Anthropic.
    pub const ANTHROPIC: AiSettingNames =
        AiSettingNames { model: "MYNAH_AI_MODEL", base_url: "ANTHROPIC_BASE_URL", api_key: "ANTHROPIC_API_KEY" };
}
