//! The rows of server, account, model, answers and logs.

use super::DefaultValue::{Computed, Unset, Value};
use super::Group::{Ai, Answers, Logs, Server, Twilio};
use super::Setting;
use crate::config::schema::default_texts;

/// What most settings have in common.
pub(in crate::config) const ROW_DEFAULTS: Setting = Setting {
    key: "",
    file_key: "",
    group: Server,
    secret: false,
    is_list: false,
    default: Unset,
    expects: "",
    meaning: "",
};

/// In the order of the reference.
pub(in crate::config) const ROWS: &[Setting] = &[
    Setting {
        key: "MYNAH_CONFIG",
        default: Computed("`./mynah.toml`, else `mynah.toml` in the data folder, where there is one"),
        expects: "the path of a TOML file that can be read",
        meaning: "The configuration file. Only as a flag or an environment variable.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_DATA_DIR",
        file_key: "data_dir",
        default: Computed("`$STATE_DIRECTORY`, else `./mynah-data`"),
        expects: "a folder, such as /var/lib/mynah",
        meaning: "The data folder: database and keys. What is written there, and in the log folder, only its owner can read.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_LISTEN",
        file_key: "listen",
        default: Value("127.0.0.1:8080"),
        expects: "an address and port, such as 127.0.0.1:8080",
        meaning: "Where the web server listens.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_PUBLIC_URL",
        file_key: "public_url",
        expects: "an http or https address without query, such as https://bot.example.org",
        meaning: "The address that Twilio calls. Signatures are checked against it; without it every webhook is refused.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_TRUSTED_PROXIES",
        file_key: "trusted_proxies",
        is_list: true,
        default: Value("loopback"),
        expects: "addresses or networks with commas between, such as 10.0.0.0/8, or loopback, or none",
        meaning: "The proxies whose `X-Forwarded-For` is believed, to tell clients apart. Signatures never depend on it.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "DATABASE_URL",
        file_key: "database_url",
        // A PostgreSQL address holds a password.
        secret: true,
        default: Computed("`mynah.db` in the data folder"),
        expects: "sqlite:///absolute/path or sqlite:path",
        meaning: "The database.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "TWILIO_ACCOUNT_SID",
        file_key: "twilio_account_sid",
        group: Twilio,
        expects: "AC and 32 hexadecimal digits",
        meaning: "The account, or the subaccount that owns the sender.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "TWILIO_AUTH_TOKEN",
        file_key: "twilio_auth_token",
        group: Twilio,
        secret: true,
        expects: "the account's auth token, without blanks",
        meaning: "Checks the signatures of webhooks. Also used for calls where there is no API key.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "TWILIO_AUTH_TOKEN_SECONDARY",
        file_key: "twilio_auth_token_secondary",
        group: Twilio,
        secret: true,
        expects: "the account's secondary auth token, without blanks",
        meaning: "Signatures by this token are accepted as well, and calls are made with it where Twilio refuses the other, so \
                  that tokens can be rotated without a gap.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "TWILIO_API_KEY_SID",
        file_key: "twilio_api_key_sid",
        group: Twilio,
        expects: "SK and 32 hexadecimal digits",
        meaning: "An API key, used for calls in place of the auth token. It cannot check signatures.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "TWILIO_API_KEY_SECRET",
        file_key: "twilio_api_key_secret",
        group: Twilio,
        secret: true,
        expects: "the secret of the API key, without blanks",
        meaning: "The secret of `TWILIO_API_KEY_SID`.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "TWILIO_WHATSAPP_FROM",
        file_key: "twilio_whatsapp_from",
        group: Twilio,
        expects: "a number such as +14155238886 or whatsapp:+14155238886",
        meaning: "The WhatsApp number that sends. This or `TWILIO_MESSAGING_SERVICE_SID`.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "TWILIO_MESSAGING_SERVICE_SID",
        file_key: "twilio_messaging_service_sid",
        group: Twilio,
        expects: "MG and 32 hexadecimal digits",
        meaning: "The Messaging Service that sends. This or `TWILIO_WHATSAPP_FROM`.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "TWILIO_API_BASE_URL",
        file_key: "twilio_api_base_url",
        group: Twilio,
        default: Computed("Twilio's own"),
        expects: "an http or https address without query, such as https://api.dublin.ie1.twilio.com",
        meaning: "Another address for Twilio's API: a region, or a stand-in for tests.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_NUMBERS",
        file_key: "numbers",
        group: Twilio,
        is_list: true,
        default: Value("none"),
        expects: "paths of TOML files with commas between, such as sales.toml, support.toml, or none",
        meaning: "Further WhatsApp numbers, a file each, with what is a number's own: see [numbers.md](numbers.md).",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_AI_PROVIDER",
        file_key: "ai_provider",
        group: Ai,
        default: Computed("the one whose key or address is set"),
        expects: "openai, anthropic or offline",
        meaning: "Who answers. `openai` is every server that speaks OpenAI's Chat Completions, Ollama too; `offline` needs \
                  no model and answers with the best passage of your own texts.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_AI_MODEL",
        file_key: "ai_model",
        group: Ai,
        default: Computed("the provider's"),
        expects: "the name of a model",
        meaning: "The model.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_AI_MAX_TOKENS",
        file_key: "ai_max_tokens",
        group: Ai,
        default: Computed("the provider's"),
        expects: "a whole number from 1 to 4294967295",
        meaning: "The most tokens that an answer may take. Models that think count their thoughts in it.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_AI_TEMPERATURE",
        file_key: "ai_temperature",
        group: Ai,
        default: Computed("none is sent"),
        expects: "a number from 0 to 2",
        meaning: "The sampling temperature. Recent models refuse it: leave it out unless you need it.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_AI_TIMEOUT",
        file_key: "ai_timeout",
        group: Ai,
        default: Value("120s"),
        expects: "a duration from 1s to 1h",
        meaning: "How long one call may take in all.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_AI_CONCURRENCY",
        file_key: "ai_concurrency",
        group: Ai,
        default: Computed("64; 2 where the model's address is private or this machine"),
        expects: "a whole number from 1 to 10000",
        meaning: "Calls at once.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_AI_CONTEXT_TOKENS",
        file_key: "ai_context_tokens",
        group: Ai,
        default: Computed("32768; 4096 where the model's address is private or this machine"),
        expects: "a whole number from 1024 to 10000000",
        meaning: "How many tokens the model reads and writes in one call. Older messages are left out before it is too many; \
                  Ollama would leave them out without a word. Set it to what your model is run with.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "OPENAI_API_KEY",
        file_key: "openai_api_key",
        group: Ai,
        secret: true,
        expects: "an API key, without blanks",
        meaning: "The key. Servers of your own may need none.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "OPENAI_BASE_URL",
        file_key: "openai_base_url",
        group: Ai,
        default: Value("https://api.openai.com/v1"),
        expects: "an http or https address without query, such as http://127.0.0.1:11434/v1",
        meaning: "The address with `/v1`, as in OpenAI's SDKs.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "ANTHROPIC_API_KEY",
        file_key: "anthropic_api_key",
        group: Ai,
        secret: true,
        expects: "an API key, without blanks",
        meaning: "The key.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "ANTHROPIC_BASE_URL",
        file_key: "anthropic_base_url",
        group: Ai,
        default: Value("https://api.anthropic.com"),
        expects: "an http or https address without query, such as https://api.anthropic.com",
        meaning: "The address without `/v1`, as in Anthropic's SDKs.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_OFFLINE_DIR",
        file_key: "offline_dir",
        group: Ai,
        default: Computed("an example business that is built in"),
        expects: "a folder of Markdown files",
        meaning: "The texts that the `offline` provider answers from.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_SYSTEM_PROMPT",
        file_key: "system_prompt",
        group: Answers,
        default: Value(default_texts::SYSTEM_PROMPT),
        expects: "a text that is not blank",
        meaning: "What the model is told before the conversation: who it speaks for, what it may say.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_MAX_CONTEXT_MESSAGES",
        file_key: "max_context_messages",
        group: Answers,
        default: Value("20"),
        expects: "a whole number from 1 to 200",
        meaning: "How many of the last messages the model sees.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_CONVERSATION_TTL",
        file_key: "conversation_ttl",
        group: Answers,
        default: Value("24h"),
        expects: "a duration of at least 1m, such as 24h",
        meaning: "The idle time after which a conversation ends; the next message starts a new one.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_RETENTION",
        file_key: "retention",
        group: Answers,
        default: Value("90d"),
        expects: "a duration of at least 1d, such as 90d, or 0 to keep them",
        meaning: "How long an ended conversation is kept, with all that was said in it, and an alert; `0` keeps both.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_WEBHOOK_LOG_RETENTION",
        file_key: "webhook_log_retention",
        group: Answers,
        default: Value("7d"),
        expects: "a duration of at least 1h, such as 7d, or 0 to keep it",
        meaning: "How long the log of webhooks is kept; `0` keeps it.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_MERGE_WINDOW",
        file_key: "merge_window",
        group: Answers,
        default: Value("1s"),
        expects: "a duration from 0 to 60s",
        meaning: "How long an answer waits for more of a burst of messages; `0` answers at once.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_BURST",
        file_key: "burst",
        group: Answers,
        default: Value("next"),
        expects: "next or restart",
        meaning: "What becomes of a message that arrives while the model works: `next` answers it after that answer, \
                  `restart` gives that answer up and asks again with both.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_WORKERS",
        file_key: "workers",
        group: Answers,
        default: Value("256"),
        expects: "a whole number from 1 to 10000",
        meaning: "Conversations being answered at once.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_UNKNOWN_SENDS",
        file_key: "unknown_sends",
        group: Answers,
        default: Value("resend"),
        expects: "resend or hold",
        meaning: "What happens to a message that was handed over but that Twilio does not list after five looks: `resend` \
                  sends it again, `hold` leaves it to you.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_CATCH_UP_WITHIN",
        file_key: "catch_up_within",
        group: Answers,
        default: Value("12h"),
        expects: "a duration from 0 to 23h, such as 12h, or off",
        meaning: "Messages whose webhook never came, as while mynah did not run, are found in Twilio's list, at each start and \
                  every minute. Those that are no older than this are answered; older ones are stored and shown, and `0` \
                  answers none. `off` asks for no list.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_TYPING",
        file_key: "typing",
        group: Answers,
        default: Value("true"),
        expects: "true or false",
        meaning: "Whether contacts see that an answer is being written. Also marks their message as read.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_LOG",
        file_key: "log",
        group: Logs,
        default: Value("info"),
        expects: "a filter, such as info or info,mynah=debug",
        meaning: "What is logged.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_LOG_FORMAT",
        file_key: "log_format",
        group: Logs,
        default: Value("text"),
        expects: "text or json",
        meaning: "How lines look on stderr.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_LOG_DIR",
        file_key: "log_dir",
        group: Logs,
        expects: "a folder, such as /var/log/mynah",
        meaning: "Also writes the log as JSON to a file per day here, `mynah.YYYY-MM-DD.log`, and keeps two weeks of them.",
        ..ROW_DEFAULTS
    },
];
