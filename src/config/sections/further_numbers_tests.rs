use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;

use crate::config::Config;
use crate::config::sections::ai::AiConfig;
use crate::config::sections::number_config::NumberConfig;
use crate::config::sections::provider::ProviderConfig;
use crate::config::sections::twilio::Sender;
use crate::config::sources::environment::Sources;
use crate::config::tests::{sources, write};

const ACCOUNT: &str = "AC00000000000000000000000000000001";
const OTHER_ACCOUNT: &str = "AC00000000000000000000000000000002";

/// The main configuration: a complete account, two models, and texts.
const MAIN: [(&str, &str); 16] = [
    ("MYNAH_NUMBERS", "sales.toml"),
    ("MYNAH_PUBLIC_URL", "https://bot.example.org"),
    ("TWILIO_ACCOUNT_SID", ACCOUNT),
    ("TWILIO_AUTH_TOKEN", "token-main"),
    ("TWILIO_AUTH_TOKEN_SECONDARY", "token-second"),
    ("TWILIO_WHATSAPP_FROM", "+14155550001"),
    ("TWILIO_API_BASE_URL", "http://127.0.0.1:4010"),
    ("MYNAH_REOPEN_TEMPLATE", "HX00000000000000000000000000000001"),
    ("OPENAI_API_KEY", "sk-main"),
    ("MYNAH_AI_MODEL", "gpt-main"),
    ("MYNAH_AI_TEMPERATURE", "0.5"),
    ("MYNAH_AI_2_PROVIDER", "anthropic"),
    ("MYNAH_AI_2_API_KEY", "sk-ant-main"),
    ("MYNAH_SYSTEM_PROMPT", "You answer for the shop."),
    ("MYNAH_TEXT_SORRY", "Sorry from the shop."),
    ("MYNAH_MAX_CONTEXT_MESSAGES", "9"),
];

const FROM: &str = "twilio_whatsapp_from = '+14155550002'\n";

/// Returns a folder with `sales.toml`, and the main configuration in the environment.
fn folder_with_sales(text: &str) -> (TempDir, Sources) {
    let dir = tempfile::tempdir().unwrap();
    write(&dir, "sales.toml", text);
    let sources = Sources { base_dir: dir.path().into(), ..sources(&MAIN) };
    (dir, sources)
}

fn load_sales(text: &str) -> NumberConfig {
    let (_dir, sources) = folder_with_sales(text);
    let mut numbers = Config::load(sources).unwrap_or_else(|problems| panic!("{problems}")).further_numbers;
    assert_eq!(numbers.len(), 1);
    numbers.remove(0)
}

/// Returns each error without the path of the folder.
fn load_errors(dir: &TempDir, sources: Sources) -> Vec<String> {
    let folder = format!("{}/", dir.path().display());
    let problems = Config::load(sources).map(drop).unwrap_err();
    problems.iter().map(|problem| problem.to_string().replace(&folder, "")).collect()
}

fn errors(text: &str) -> Vec<String> {
    let (dir, sources) = folder_with_sales(text);
    load_errors(&dir, sources)
}

/// Returns the model, its key and its temperature.
fn model_summary(ai: &AiConfig) -> (String, String, Option<f64>) {
    let key = |key: Option<&SecretString>| key.map(|key| key.expose_secret().to_owned()).unwrap_or_default();
    let key = match &ai.provider {
        ProviderConfig::OpenAi { api_key, .. } => key(api_key.as_ref()),
        ProviderConfig::Anthropic { api_key, .. } => key(Some(api_key)),
        ProviderConfig::Offline { folder } => format!("{}", folder.clone().unwrap_or_default().display()),
    };
    (ai.effective_model().unwrap_or_default().to_owned(), key, ai.temperature)
}

fn model_summaries(number: &NumberConfig) -> Vec<(String, String, Option<f64>)> {
    number.ai.iter().chain(&number.fallbacks).map(model_summary).collect()
}

fn expected_model(name: &str, key: &str, temperature: Option<f64>) -> (String, String, Option<f64>) {
    (name.to_owned(), key.to_owned(), temperature)
}

#[test]
fn a_number_takes_from_the_main_configuration_what_its_file_does_not_hold() {
    let (_dir, sources) =
        folder_with_sales(&format!("{FROM}system_prompt = 'You answer for sales.'\ntext_sorry = 'Sorry from sales.'"));
    let config = Config::load(sources).unwrap();
    let [main, sales] = &config.every_number()[..] else { panic!("two numbers") };
    assert_eq!((main.name.as_str(), sales.name.as_str()), ("main", "sales"));
    let twilio = sales.twilio.as_ref().unwrap();
    assert_eq!(twilio.sender, Sender::Number("whatsapp:+14155550002".into()));
    let tokens: Vec<_> = twilio.auth_tokens.iter().map(ExposeSecret::expose_secret).collect();
    assert_eq!((twilio.account_sid.as_str(), tokens), (ACCOUNT, vec!["token-main", "token-second"]));
    assert_eq!(twilio.api_base_url.as_ref().unwrap().as_str(), "http://127.0.0.1:4010/");
    assert_eq!(twilio.public_url.as_ref().unwrap().as_str(), "https://bot.example.org/");
    assert_eq!(model_summaries(sales), model_summaries(main));
    assert_eq!(
        (sales.system_prompt.as_str(), main.system_prompt.as_str()),
        ("You answer for sales.", "You answer for the shop.")
    );
    assert_eq!((sales.texts.sorry.as_str(), main.texts.sorry.as_str()), ("Sorry from sales.", "Sorry from the shop."));
    assert_eq!((&sales.texts.busy, sales.max_context_messages), (&main.texts.busy, 9));
    assert!(sales.reopen_template.is_some() && sales.reopen_template == main.reopen_template);
    assert_eq!(config.warnings, [""; 0]);
}

#[test]
fn a_setting_of_a_number_counts_for_that_number_only() {
    let text = "max_context_messages = 3\nmodel_hand_over = false\nlinks = ['sales.example']\n\
                reopen_template = 'HX00000000000000000000000000000002'\n";
    let (_dir, sources) = folder_with_sales(&format!("{FROM}{text}"));
    let config = Config::load(sources).unwrap();
    let [main, sales] = &config.every_number()[..] else { panic!("two numbers") };
    assert_eq!((sales.max_context_messages, main.max_context_messages), (3, 9));
    assert_eq!((sales.model_may_hand_over, main.model_may_hand_over), (false, true));
    assert!(sales.links != main.links && sales.reopen_template != main.reopen_template);
}

#[test]
fn a_number_that_says_who_is_asked_has_a_model_of_its_own_whole() {
    let (main, spare) =
        (expected_model("gpt-main", "sk-main", Some(0.5)), expected_model("claude-sonnet-5", "sk-ant-main", Some(0.5)));
    for (text, expected) in [
        ("", vec![main.clone(), spare.clone()]),
        // The same provider with another model.
        ("ai_model = 'gpt-sales'", vec![expected_model("gpt-sales", "sk-main", Some(0.5)), spare.clone()]),
        (
            "ai_temperature = 1",
            vec![
                expected_model("gpt-main", "sk-main", Some(1.0)),
                expected_model("claude-sonnet-5", "sk-ant-main", Some(1.0)),
            ],
        ),
        // Another provider: the number inherits neither name nor temperature of the main model, nor its fallback
        // models.
        ("anthropic_api_key = 'sk-ant-sales'", vec![expected_model("claude-sonnet-5", "sk-ant-sales", None)]),
        ("openai_api_key = 'sk-sales'", vec![expected_model("gpt-5-mini", "sk-sales", None)]),
        ("openai_base_url = 'http://10.0.0.7/v1'\nai_model = 'llama'", vec![expected_model("llama", "", None)]),
        ("ai_provider = 'offline'\noffline_dir = '/srv/sales'", vec![expected_model("", "/srv/sales", None)]),
        // The same model with other fallback models.
        (
            "ai_2_provider = 'openai'\nai_2_api_key = 'sk-spare'\nai_2_model = 'gpt-spare'",
            vec![main.clone(), expected_model("gpt-spare", "sk-spare", Some(0.5))],
        ),
        (
            "ai_3_provider = 'openai'\nai_3_api_key = 'sk-spare'\nai_3_model = 'gpt-spare'",
            vec![main.clone(), expected_model("gpt-spare", "sk-spare", Some(0.5))],
        ),
    ] {
        assert_eq!(model_summaries(&load_sales(&format!("{FROM}{text}"))), expected, "{text}");
    }
}

#[test]
fn half_a_model_is_an_error_that_names_the_file() {
    for (text, error) in [
        (
            "ai_provider = 'openai'",
            "file sales.toml: openai_api_key: found no value, expected an API key without spaces, because the provider \
             is openai and OPENAI_BASE_URL names no server of your own",
        ),
        ("ai_provider = 'anthropic'", "file sales.toml: anthropic_api_key: found no value, expected "),
        ("offline_dir = '/srv/sales'", "file sales.toml: ai_provider: found no value, expected "),
        ("anthropic_base_url = 'https://proxy.example'", "file sales.toml: ai_provider: found no value, expected "),
        (
            "openai_api_key = 'a'\nanthropic_api_key = 'b'",
            "file sales.toml: ai_provider: found no value, although there are settings for both",
        ),
        ("ai_2_model = 'gpt-spare'", "file sales.toml: ai_2_provider: found no value, expected "),
    ] {
        let errors = errors(&format!("{FROM}{text}"));
        assert!(errors.len() == 1 && errors[0].starts_with(error), "{text}: {errors:?}");
    }
}

#[test]
fn an_account_is_taken_whole() {
    let own = format!("{FROM}twilio_account_sid = '{OTHER_ACCOUNT}'\ntwilio_auth_token = 'token-sales'");
    let number = load_sales(&own);
    let twilio = number.twilio.unwrap();
    let tokens: Vec<_> = twilio.auth_tokens.iter().map(ExposeSecret::expose_secret).collect();
    assert_eq!((twilio.account_sid.as_str(), tokens), (OTHER_ACCOUNT, vec!["token-sales"]));
    assert_eq!(
        (twilio.api_base_url, number.reopen_template),
        (None, None),
        "a number with its own account inherits neither the region nor the template"
    );
    for (text, keys) in [
        (format!("twilio_account_sid = '{OTHER_ACCOUNT}'"), &["twilio_auth_token"][..]),
        ("twilio_auth_token = 'x'".to_owned(), &["twilio_account_sid"]),
        (
            "twilio_api_base_url = 'https://api.dublin.ie1.twilio.com'".to_owned(),
            &["twilio_account_sid", "twilio_auth_token"],
        ),
        (
            format!("twilio_account_sid = '{OTHER_ACCOUNT}'\ntwilio_auth_token = 'x'\ntwilio_api_key_secret = 'y'"),
            &["twilio_api_key_sid"],
        ),
    ] {
        let errors = errors(&format!("{FROM}{text}"));
        let expected: Vec<_> =
            keys.iter().map(|key| format!("file sales.toml: {key}: found no value, expected ")).collect();
        assert!(
            errors.len() == keys.len() && errors.iter().zip(&expected).all(|(error, begin)| error.starts_with(begin)),
            "{errors:?}"
        );
    }
    // If the main configuration has no account, a number cannot inherit one, even if its file is empty.
    let (dir, mut sources) = folder_with_sales("");
    sources.env.retain(|key, _| !key.starts_with("TWILIO_"));
    let errors_of_none = load_errors(&dir, sources);
    let place = "file sales.toml: twilio_whatsapp_from: found no value";
    assert!(errors_of_none.len() == 1 && errors_of_none[0].starts_with(place), "{errors_of_none:?}");
    let (dir, mut sources) = folder_with_sales(FROM);
    sources.env.retain(|key, _| !key.starts_with("TWILIO_"));
    let errors = load_errors(&dir, sources);
    assert!(
        errors.len() == 2 && errors.iter().all(|error| error.starts_with("file sales.toml: twilio_a")),
        "{errors:?}"
    );
}

#[test]
fn each_number_has_a_sender_of_its_own() {
    let service = "twilio_messaging_service_sid = 'MG00000000000000000000000000000003'";
    let both = "file sales.toml: twilio_whatsapp_from and twilio_messaging_service_sid: found ";
    for (text, error) in [
        ("", format!("{both}neither, expected one of the two, because TWILIO_ACCOUNT_SID is set")),
        (&format!("{FROM}{service}"), format!("{both}both, expected one of the two: set one of them only")),
        (
            "twilio_whatsapp_from = 'whatsapp:+14155550001'",
            "file sales.toml key twilio_whatsapp_from (line 1): found the sender of the number main, expected a \
             sender of its own for each number"
                .to_owned(),
        ),
    ] {
        assert_eq!(errors(text), [error]);
    }
    let (dir, mut sources) = folder_with_sales(service);
    write(&dir, "support.toml", &format!("\n{service}"));
    sources.env.insert("MYNAH_NUMBERS".into(), "sales.toml,support.toml".into());
    assert_eq!(
        load_errors(&dir, sources.clone()),
        ["file support.toml key twilio_messaging_service_sid (line 2): found a second Messaging Service in the \
          account of the number sales, expected a sender of its own for each number"]
    );
    write(&dir, "support.toml", &format!("{service}\ntwilio_account_sid = '{OTHER_ACCOUNT}'\ntwilio_auth_token = 'x'"));
    assert_eq!(Config::load(sources).unwrap().further_numbers.len(), 2, "each account may have one");
}

#[test]
fn every_error_of_every_file_is_reported_at_once_with_its_place() {
    let (dir, mut sources) =
        folder_with_sales("listen = '0.0.0.0:80'\ntext_sory = 'x'\ndata_dir_file = './x'\nmax_context_messages = 0\n");
    write(&dir, "support.toml", "twilio_whatsapp_from = '4155'\nai_provider = 'llama'\nai_model = = 3");
    sources.env.insert("MYNAH_NUMBERS".into(), "sales.toml, support.toml, gone.toml".into());
    sources.env.insert("MYNAH_WORKERS".into(), "many".into());
    sources.env.insert("MYNAH_TEXT_BUSY".into(), " ".into());
    let errors = load_errors(&dir, sources);
    let shared =
        "found a setting that all numbers share, expected a setting of one number: its account, sender and models";
    for expected in [
        "environment variable MYNAH_WORKERS: found \"many\"",
        "environment variable MYNAH_TEXT_BUSY: found \" \"",
        "file sales.toml key text_sory (line 2): found an unknown key, expected text_sorry",
        "file sales.toml key max_context_messages (line 4): found \"0\", expected a whole number from 1 to 200",
        "file sales.toml: twilio_whatsapp_from and twilio_messaging_service_sid: found neither",
        &format!("file sales.toml key listen (line 1): {shared}"),
        &format!("file sales.toml key data_dir_file (line 3): {shared}"),
        "file support.toml line 3: found broken TOML (",
        "file support.toml key twilio_whatsapp_from (line 1): found \"4155\"",
        "file support.toml key ai_provider (line 2): found \"llama\"",
        "environment variable MYNAH_NUMBERS: found gone.toml, which cannot be read",
    ] {
        assert_eq!(errors.iter().filter(|error| error.starts_with(expected)).count(), 1, "{expected}: {errors:#?}");
    }
    assert_eq!(errors.len(), 11, "{errors:#?}");
}

#[test]
fn a_file_is_named_by_what_its_number_is_called() {
    let (dir, mut sources) = folder_with_sales(FROM);
    write(&dir, "elsewhere/sales.toml", FROM);
    let mut list = |list: &str| {
        sources.env.insert("MYNAH_NUMBERS".into(), list.into());
        load_errors(&dir, sources.clone())
    };
    let place = "environment variable MYNAH_NUMBERS: found ";
    assert_eq!(
        list("sales.toml, elsewhere/sales.toml"),
        [format!(
            "{place}elsewhere/sales.toml, although another number is already called sales, expected a file with \
             another name"
        )]
    );
    assert!(
        list("main.toml")[0].starts_with(&format!("{place}main.toml, although another number is already called main"))
    );
    assert!(list("s a.toml")[0].ends_with("because the file name is the number's name"));
    for bad in ["sales.toml,", ","] {
        assert!(
            list(bad)[0].starts_with(place) && list(bad)[0].contains("expected comma-separated paths of TOML files"),
            "{bad}"
        );
    }
}

#[test]
fn secrets_may_stand_in_files_of_their_own_and_in_credentials() {
    let (dir, mut sources) =
        folder_with_sales(&format!("{FROM}openai_api_key_file = './key'\nsystem_prompt_file = 'prompt.md'\n"));
    write(&dir, "key", "sk-of-file\n");
    write(&dir, "prompt.md", "You answer for sales.\n");
    write(&dir, "credentials/sales.openai_api_key", "sk-of-credential\n");
    write(&dir, "credentials/openai_api_key", "sk-main-credential");
    let number = |sources: &Sources| Config::load(sources.clone()).unwrap().further_numbers.remove(0);
    assert_eq!(number(&sources).system_prompt, "You answer for sales.");
    assert_eq!(model_summaries(&number(&sources)), [expected_model("gpt-5-mini", "sk-of-file", None)]);
    sources.env.insert("CREDENTIALS_DIRECTORY".into(), dir.path().join("credentials").into());
    assert_eq!(model_summaries(&number(&sources))[0].1, "sk-of-file", "the file overrides the credential");
    write(&dir, "sales.toml", &format!("{FROM}openai_api_key = 'sk-plain'"));
    assert_eq!(model_summaries(&number(&sources))[0].1, "sk-of-credential");
    write(&dir, "sales.toml", FROM);
    assert_eq!(
        model_summaries(&number(&sources))[0].1,
        "sk-of-credential",
        "a credential is enough for a model of its own"
    );
    std::fs::remove_file(dir.path().join("credentials/sales.openai_api_key")).unwrap();
    assert_eq!(model_summaries(&number(&sources))[0].1, "sk-main", "a number does not use another number's credential");
}

#[test]
fn an_error_about_a_secret_does_not_show_its_value() {
    for (text, error) in [
        ("openai_api_key = 'can ary'", "key openai_api_key (line 2): found a value that is not shown"),
        ("openai_api_key = ['canary']", "key openai_api_key (line 2): found an array"),
        ("openai_api_key_file = 'sk-canary'", "key openai_api_key_file (line 2): found a relative path (not shown)"),
        ("openai_api_key_file = ['canary']", "key openai_api_key_file (line 2): found a value that is not a string"),
        ("openai_api_key_file = './none'", "key openai_api_key_file (line 2): found "),
        ("openai_api_key_file = './empty'", "key openai_api_key_file (line 2): found an empty file"),
        (
            "openai_api_key_file = './key'\nopenai_api_key = 'canary'",
            "key openai_api_key_file (line 2): found both this and openai_api_key",
        ),
        ("openai_api_key = canary", "line 2: found broken TOML"),
    ] {
        let (dir, sources) = folder_with_sales(&format!("{FROM}{text}"));
        write(&dir, "empty", "");
        write(&dir, "key", "canary canary");
        let errors = load_errors(&dir, sources);
        assert!(errors[0].starts_with(&format!("file sales.toml {error}")), "{text}: {errors:?}");
        assert!(errors.iter().all(|error| !error.contains("canary")), "{errors:?}");
    }
    let (dir, sources) = folder_with_sales(&format!("{FROM}openai_api_key_file = './key'"));
    write(&dir, "key", "canary canary");
    let errors = load_errors(&dir, sources);
    let place = "file named by file sales.toml key openai_api_key_file (line 2): found a value that is not shown";
    assert!(errors[0].starts_with(place) && errors.iter().all(|error| !error.contains("canary c")), "{errors:?}");
    let (_dir, sources) = folder_with_sales(&format!(
        "{FROM}openai_api_key = 'canary'\ntwilio_account_sid = '{OTHER_ACCOUNT}'\ntwilio_auth_token = 'canary'"
    ));
    assert!(!format!("{:?}", Config::load(sources).unwrap()).contains("canary"));
}

#[test]
fn an_error_of_the_main_configuration_is_reported_once() {
    let (dir, mut sources) = folder_with_sales(FROM);
    for (key, value) in [("MYNAH_TEXT_BUSY", " "), ("OPENAI_API_KEY", ""), ("TWILIO_AUTH_TOKEN", "")] {
        sources.env.insert(key.into(), value.into());
    }
    sources.env.insert("MYNAH_AI_PROVIDER".into(), "openai".into());
    let errors = load_errors(&dir, sources);
    let places: Vec<_> = errors.iter().map(|error| error.split(": ").next().unwrap()).collect();
    assert_eq!(places, ["TWILIO_AUTH_TOKEN", "OPENAI_API_KEY", "environment variable MYNAH_TEXT_BUSY"]);
}

#[test]
fn a_warning_names_the_file_unless_it_is_the_main_configuration() {
    let (dir, mut sources) =
        folder_with_sales(&format!("{FROM}anthropic_api_key = 'a'\nai_temperature = 1.5\nai_model = 'claude'"));
    for (key, value) in
        [("MYNAH_BUDGET_DAY", "5 usd"), ("MYNAH_PRICES", "gpt=1/2, claude-sonnet=3/15"), ("MYNAH_PUBLIC_URL", "")]
    {
        sources.env.insert(key.into(), value.into());
    }
    let folder = format!("{}/", dir.path().display());
    let warnings: Vec<_> = Config::load(sources).unwrap().warnings.iter().map(|one| one.replace(&folder, "")).collect();
    assert_eq!(
        warnings,
        [
            "MYNAH_PUBLIC_URL is not set: mynah refuses every webhook from Twilio",
            "file sales.toml: MYNAH_AI_TEMPERATURE is above 1, which Anthropic refuses",
            "file sales.toml: MYNAH_BUDGET_DAY limits USD, but MYNAH_PRICES has no price for claude (MYNAH_AI_MODEL): \
             the model counts as free",
        ]
    );
}

#[test]
fn a_simulation_has_no_further_numbers_and_the_list_cannot_be_stored() {
    let (_dir, sources) = folder_with_sales("listen = 'x'");
    let simulated = Config::load(Sources { simulation: true, ..sources.clone() }).unwrap();
    assert!(simulated.further_numbers.is_empty());
    let refused = Config::validate_setting(&sources, "MYNAH_NUMBERS", "other.toml").unwrap_err().to_string();
    assert!(refused.contains("found a list of files, which can be set only on the machine itself"), "{refused}");
}

#[test]
fn every_setting_that_a_number_can_have_is_documented() {
    let mut keys = std::collections::BTreeSet::new();
    let (dir, sources) = folder_with_sales(FROM);
    let mut reader = crate::config::SettingsReader::new(sources);
    let main = Config::read(&mut reader).unwrap();
    let path = dir.path().join("sales.toml");
    reader.layers.own.push(super::OwnSettings::parse(path, "sales".into(), FROM, &mut Vec::new()));
    super::read_number(&mut reader, &main.shared(), &[]).unwrap();
    keys.extend(reader.layers.own.pop().unwrap().own_keys);
    let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/numbers.md")).unwrap();
    let missing: Vec<_> =
        keys.iter().filter(|key| !key.starts_with("text_") && !docs.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty() && keys.len() > 40, "{missing:?} of {}", keys.len());
}
