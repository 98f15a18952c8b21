//! The settings of the server, Twilio, the model, answers and logs.

use super::DefaultValue::{Computed, Unset, Value};
use super::Group::{Ai, Answers, Logs, Server, Twilio};
use super::Setting;
use crate::config::schema::default_texts;

/// The fields that most settings share.
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

/// The rows, in the order of the reference.
pub(in crate::config) const ROWS: &[Setting] = &[
    Setting {
        key: "MYNAH_CONFIG",
        default: Computed("`./mynah.toml`, else `mynah.toml` in the data folder, if there is one"),
        expects: "the path of a TOML file that can be read",
        meaning: "The configuration file. You can set it only as a flag or as an environment variable.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_DATA_DIR",
        file_key: "data_dir",
        default: Computed("`$STATE_DIRECTORY`, else `./mynah-data`"),
        expects: "a folder, such as /var/lib/mynah",
        meaning: "The data folder. It holds the database, its keys and the files that people send. Only the user that \
                  runs mynah can read what mynah writes there and to the log folder.",
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
        expects: "an http or https URL without a query, such as https://bot.example.org",
        meaning: "The address that Twilio calls. mynah checks the signatures of webhooks against it, and refuses every \
                  webhook if it is not set.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_TRUSTED_PROXIES",
        file_key: "trusted_proxies",
        is_list: true,
        default: Value("loopback"),
        expects: "comma-separated IP addresses, networks such as 10.0.0.0/8, or loopback; or none",
        meaning: "The proxies whose `X-Forwarded-For` header mynah believes. mynah uses the header to tell clients \
                  apart. Signatures never depend on it.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "DATABASE_URL",
        file_key: "database_url",
        // A PostgreSQL address holds a password.
        secret: true,
        default: Computed("`mynah.db` in the data folder"),
        expects: "sqlite:///absolute/path or sqlite:path",
        meaning: "The SQLite database.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_AGE_KEY_FILE",
        file_key: "age_key_file",
        default: Computed(
            "the systemd credential `mynah.age` if there is one, else `identity.age.txt` in the data folder",
        ),
        expects: "the path of an age identity file",
        meaning: "The file of the age identity for which the secrets in the database are encrypted. In the data folder, \
                  mynah creates it.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "TWILIO_ACCOUNT_SID",
        file_key: "twilio_account_sid",
        group: Twilio,
        expects: "AC and 32 hexadecimal digits",
        meaning: "The SID of the account or subaccount that owns the sender.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "TWILIO_AUTH_TOKEN",
        file_key: "twilio_auth_token",
        group: Twilio,
        secret: true,
        expects: "the account's auth token, without spaces",
        meaning: "Checks the signatures of webhooks. mynah also calls Twilio with it if no API key is set.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "TWILIO_AUTH_TOKEN_SECONDARY",
        file_key: "twilio_auth_token_secondary",
        group: Twilio,
        secret: true,
        expects: "the account's secondary auth token, without spaces",
        meaning: "mynah also accepts signatures made with this token, and calls Twilio with it if Twilio refuses the \
                  first token. This lets you rotate tokens without a gap.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "TWILIO_API_KEY_SID",
        file_key: "twilio_api_key_sid",
        group: Twilio,
        expects: "SK and 32 hexadecimal digits",
        meaning: "An API key, with which mynah calls Twilio instead of the auth token. It cannot check signatures, so \
                  `TWILIO_AUTH_TOKEN` is still needed.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "TWILIO_API_KEY_SECRET",
        file_key: "twilio_api_key_secret",
        group: Twilio,
        secret: true,
        expects: "the secret of the API key, without spaces",
        meaning: "The secret of `TWILIO_API_KEY_SID`.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "TWILIO_WHATSAPP_FROM",
        file_key: "twilio_whatsapp_from",
        group: Twilio,
        expects: "a number such as +14155238886 or whatsapp:+14155238886",
        meaning: "The WhatsApp number that sends. Set this or `TWILIO_MESSAGING_SERVICE_SID`.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "TWILIO_MESSAGING_SERVICE_SID",
        file_key: "twilio_messaging_service_sid",
        group: Twilio,
        expects: "MG and 32 hexadecimal digits",
        meaning: "The Messaging Service that sends. Set this or `TWILIO_WHATSAPP_FROM`.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "TWILIO_API_BASE_URL",
        file_key: "twilio_api_base_url",
        group: Twilio,
        default: Computed("`https://api.twilio.com`"),
        expects: "an http or https URL without a query, such as https://api.dublin.ie1.twilio.com",
        meaning: "Another address of Twilio's API, such as that of a region or of a test server.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_NUMBERS",
        file_key: "numbers",
        group: Twilio,
        is_list: true,
        default: Value("none"),
        expects: "comma-separated paths of TOML files, such as sales.toml, support.toml; or none",
        meaning: "Further WhatsApp numbers. Each file holds the settings of one number: see [numbers.md](numbers.md).",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_AI_PROVIDER",
        file_key: "ai_provider",
        group: Ai,
        default: Computed("`openai` if its key or address is set, `anthropic` if its key is set"),
        expects: "openai, anthropic or offline",
        meaning: "The provider of the model. `openai` is any server that speaks OpenAI's Chat Completions, such as \
                  Ollama. `offline` needs no model and answers with the best passage of your own texts. Set this if \
                  both OpenAI and Anthropic are configured.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_AI_MODEL",
        file_key: "ai_model",
        group: Ai,
        default: Computed(
            "`gpt-5-mini` at OpenAI's own server, `claude-sonnet-5` for Anthropic; required for other \
                           servers",
        ),
        expects: "the name of a model",
        meaning: "The name of the model.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_AI_MAX_TOKENS",
        file_key: "ai_max_tokens",
        group: Ai,
        default: Computed("16384 for Anthropic; none for OpenAI's own server; 1024 for other servers"),
        expects: "a whole number from 1 to 4294967295",
        meaning: "The most tokens that an answer may take. The tokens that a model uses to think count, too.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_AI_TEMPERATURE",
        file_key: "ai_temperature",
        group: Ai,
        default: Computed("mynah sends none"),
        expects: "a number from 0 to 2",
        meaning: "The sampling temperature. Recent models refuse it, so leave it out unless you need it.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_AI_TIMEOUT",
        file_key: "ai_timeout",
        group: Ai,
        default: Value("120s"),
        expects: "a duration from 1s to 1h",
        meaning: "The time limit for one whole call to the model.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_AI_CONCURRENCY",
        file_key: "ai_concurrency",
        group: Ai,
        default: Computed("64; 2 if the model's address is private or this machine"),
        expects: "a whole number from 1 to 10000",
        meaning: "How many calls to the model may run at once.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_AI_CONTEXT_TOKENS",
        file_key: "ai_context_tokens",
        group: Ai,
        default: Computed("32768; 4096 if the model's address is private or this machine"),
        expects: "a whole number from 1024 to 10000000",
        meaning: "The size of the context window: how many tokens the model reads and writes in one call. mynah leaves \
                  out older messages to stay within it. Ollama would drop them without an error. Set it to the context \
                  length that your model runs with.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "OPENAI_API_KEY",
        file_key: "openai_api_key",
        group: Ai,
        secret: true,
        expects: "an API key without spaces",
        meaning: "The API key. Your own servers may need none.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "OPENAI_BASE_URL",
        file_key: "openai_base_url",
        group: Ai,
        default: Value("https://api.openai.com/v1"),
        expects: "an http or https URL without a query, such as http://127.0.0.1:11434/v1",
        meaning: "The address of the API, with `/v1`, as in OpenAI's SDKs.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "ANTHROPIC_API_KEY",
        file_key: "anthropic_api_key",
        group: Ai,
        secret: true,
        expects: "an API key without spaces",
        meaning: "The API key.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "ANTHROPIC_BASE_URL",
        file_key: "anthropic_base_url",
        group: Ai,
        default: Value("https://api.anthropic.com"),
        expects: "an http or https URL without a query, such as https://api.anthropic.com",
        meaning: "The address of the API, without `/v1`, as in Anthropic's SDKs.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_OFFLINE_DIR",
        file_key: "offline_dir",
        group: Ai,
        default: Computed("a built-in example business"),
        expects: "a folder of Markdown files",
        meaning: "The texts from which the `offline` provider answers.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_AI_CONFIGURATION",
        file_key: "ai_configuration",
        group: Ai,
        expects: "the name of a stored AI configuration: letters, digits, - and _",
        meaning: "The stored AI configuration (`mynah ai`) that answers, if neither the environment nor the configuration \
                  file sets a provider, a key or an address of a model. `mynah ai use` stores this setting.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_AI_FALLBACKS",
        file_key: "ai_fallbacks",
        group: Ai,
        is_list: true,
        default: Value("none"),
        expects: "comma-separated names of stored AI configurations, or none",
        meaning: "The stored AI configurations that stand in if the first model cannot answer, in this order, after those \
                  of `MYNAH_AI_2_PROVIDER` and `MYNAH_AI_3_PROVIDER`.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_SYSTEM_PROMPT",
        file_key: "system_prompt",
        group: Answers,
        default: Value(default_texts::SYSTEM_PROMPT),
        expects: "a text that is not blank",
        meaning: "The instructions that the model gets before the conversation: whom it speaks for, and what it may \
                  say.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_MAX_CONTEXT_MESSAGES",
        file_key: "max_context_messages",
        group: Answers,
        default: Value("20"),
        expects: "a whole number from 1 to 200",
        meaning: "How many of the latest messages the model sees.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_CONVERSATION_TTL",
        file_key: "conversation_ttl",
        group: Answers,
        default: Value("24h"),
        expects: "a duration of at least 1m, such as 24h",
        meaning: "A conversation ends after this idle time. The contact's next message begins a new one.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_RETENTION",
        file_key: "retention",
        group: Answers,
        default: Value("90d"),
        expects: "a duration of at least 1d, such as 90d, or 0 to keep them forever",
        meaning: "How long mynah keeps an ended conversation with everything that was said in it, and an alert after \
                  it last happened. `0` keeps both forever.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_WEBHOOK_LOG_RETENTION",
        file_key: "webhook_log_retention",
        group: Answers,
        default: Value("7d"),
        expects: "a duration of at least 1h, such as 7d, or 0 to keep it forever",
        meaning: "How long mynah keeps the log of webhooks. `0` keeps it forever.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_MERGE_WINDOW",
        file_key: "merge_window",
        group: Answers,
        default: Value("1s"),
        expects: "a duration from 0 to 60s",
        meaning: "How long mynah waits for more messages of a burst before it answers. `0` answers at once.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_BURST",
        file_key: "burst",
        group: Answers,
        default: Value("next"),
        expects: "next or restart",
        meaning: "What mynah does with a message that arrives while the model works: `next` answers it after the \
                  current answer, `restart` gives up the current answer and asks the model again with all messages.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_WORKERS",
        file_key: "workers",
        group: Answers,
        default: Value("256"),
        expects: "a whole number from 1 to 10000",
        meaning: "How many conversations mynah answers at once.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_UNKNOWN_SENDS",
        file_key: "unknown_sends",
        group: Answers,
        default: Value("resend"),
        expects: "resend or hold",
        meaning: "What mynah does with a message if it does not know whether Twilio accepted it, and five lookups do \
                  not find it in Twilio's list: `resend` sends it again, `hold` leaves it to you.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_CATCH_UP_WITHIN",
        file_key: "catch_up_within",
        group: Answers,
        default: Value("12h"),
        expects: "a duration from 0 to 23h, such as 12h, or off",
        meaning: "How old a message may be for catch-up to answer it. At each start and every minute, catch-up reads \
                  Twilio's list and finds messages whose webhook never came, for example while mynah did not run. \
                  mynah stores and shows older messages but does not answer them. `0` answers none. With `off`, mynah \
                  does not read the list.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_TYPING",
        file_key: "typing",
        group: Answers,
        default: Value("true"),
        expects: "true or false",
        meaning: "Whether contacts see that an answer is being written. This also marks their message as read.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_LOG",
        file_key: "log",
        group: Logs,
        default: Value("info"),
        expects: "a filter, such as info or info,mynah=debug",
        meaning: "What mynah logs: a level, or levels by module and by span, as `info,mynah::work=debug`. \
                  `info,[turn{turn=12}]=debug` also logs every detail of turn 12. See [monitoring](monitoring.md#logs).",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_LOG_FORMAT",
        file_key: "log_format",
        group: Logs,
        default: Value("text"),
        expects: "text or json",
        meaning: "The format of the log on stderr. Under systemd, each line has the priority of its level.",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_LOG_DIR",
        file_key: "log_dir",
        group: Logs,
        expects: "a folder, such as /var/log/mynah",
        meaning: "A folder for log files. mynah also writes the log there as JSON, in one file per day \
                  (`mynah.YYYY-MM-DD.log`, by the day in UTC).",
        ..ROW_DEFAULTS
    },
    Setting {
        key: "MYNAH_LOG_RETENTION",
        file_key: "log_retention",
        group: Logs,
        default: Value("14d"),
        expects: "a duration from 0 to 3650d, such as 14d",
        meaning: "How many daily log files mynah keeps besides today's, as a number of days. `0` keeps all. Days on \
                  which mynah logged nothing have no file and do not count.",
        ..ROW_DEFAULTS
    },
];
