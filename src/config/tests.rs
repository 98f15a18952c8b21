//! Tests of the whole configuration: layers, errors, secrets, bounds.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use tempfile::TempDir;

use super::schema::settings;
use super::*;

/// Returns sources with only this environment, in a folder that does not exist.
pub(in crate::config) fn sources(env: &[(&str, &str)]) -> Sources {
    let env = env.iter().map(|(key, value)| ((*key).to_owned(), value.into())).collect();
    Sources { env, base_dir: "/nonexistent".into(), ..Sources::default() }
}

pub(in crate::config) fn load(env: &[(&str, &str)]) -> Result<Config, Problems> {
    Config::load(sources(env))
}

/// Returns each error of this environment.
pub(in crate::config) fn errors(env: &[(&str, &str)]) -> Vec<String> {
    load(env).unwrap_err().iter().map(ToString::to_string).collect()
}

pub(in crate::config) fn write(dir: &TempDir, name: &str, text: &str) -> String {
    let path = dir.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn without_settings_the_defaults_hold() {
    let config = load(&[]).unwrap();
    assert_eq!(config.server.listen, "127.0.0.1:8080".parse().unwrap());
    assert_eq!(config.server.public_url, None);
    assert!(config.server.trusted_proxies.iter().any(|network| network.contains("127.0.0.1".parse().unwrap())));
    assert_eq!(config.data.dir, Path::new("/nonexistent/./mynah-data"));
    assert_eq!(config.data.database, Path::new("/nonexistent/./mynah-data/mynah.db"));
    assert!(config.twilio.is_none() && config.ai.is_none());
    assert_eq!(config.work.workers, 256);
    assert_eq!(config.work.merge_window.as_millis(), 1_000);
    assert_eq!(config.work.max_context_messages, 20);
    assert_eq!(config.work.unknown_sends, UnknownSends::Resend);
    assert!(config.work.typing);
    assert!(config.work.system_prompt.starts_with("You are the WhatsApp assistant of a business."));
    assert!(config.texts.sorry.starts_with("Sorry, "));
    assert_eq!(config.conversation.ttl.as_secs(), 86_400);
    assert_eq!(
        config.log,
        LogConfig { filter: "info".into(), format: LogFormat::Text, dir: None, max_files: Some(15) }
    );
    assert_eq!(config.warnings, [""; 0]);
}

#[test]
fn the_first_layer_that_has_a_value_wins() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir, "mynah.toml", "workers = 5");
    let named = write(&dir, "named", "3\n");
    write(&dir, "credentials/mynah_workers", "4\n");
    let credentials = dir.path().join("credentials");
    let mut sources = sources(&[("MYNAH_WORKERS", "2"), ("MYNAH_WORKERS_FILE", &named)]);
    sources.env.insert("CREDENTIALS_DIRECTORY".into(), credentials.into());
    sources.base_dir = dir.path().into();
    sources.flags.insert("MYNAH_WORKERS".into(), "1".into());
    let workers = |sources: &Sources| Config::load(sources.clone()).unwrap().work.workers;

    assert_eq!(workers(&sources), 1);
    sources.flags.clear();
    assert_eq!(workers(&sources), 2);
    sources.env.insert("MYNAH_WORKERS".into(), "".into());
    assert_eq!(workers(&sources), 3);
    sources.env.remove("MYNAH_WORKERS_FILE");
    assert_eq!(workers(&sources), 4);
    sources.env.remove("CREDENTIALS_DIRECTORY");
    assert_eq!(workers(&sources), 5);
    write(&dir, "mynah.toml", "");
    assert_eq!(workers(&sources), 256);
}

#[test]
fn a_commands_own_value_comes_after_every_layer() {
    let dir = tempfile::tempdir().unwrap();
    let mut sources = Sources { base_dir: dir.path().into(), ..Sources::default() };
    sources.command_defaults.insert("MYNAH_LOG", "error".into());
    let filter = |sources: &Sources| Config::load(sources.clone()).unwrap().log.filter;

    assert_eq!(filter(&sources), "error");
    write(&dir, "mynah.toml", "log = 'warn'");
    assert_eq!(filter(&sources), "warn");
    sources.env.insert("MYNAH_LOG".into(), "debug".into());
    assert_eq!(filter(&sources), "debug");
}

#[test]
fn a_simulation_reads_neither_an_account_nor_a_database() {
    let env = [
        ("TWILIO_AUTH_TOKEN", "12345"),
        ("TWILIO_ACCOUNT_SID", "me"),
        ("DATABASE_URL", "mysql://root@db.example/of_something_else"),
    ];
    assert_eq!(errors(&env).len(), 3);
    let config = Config::load(Sources { simulation: true, ..sources(&env) }).unwrap();
    assert!(config.twilio.is_none() && config.warnings.is_empty(), "{:?}", config.warnings);
}

#[test]
fn an_error_names_the_layer_it_stands_in() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir, "mynah.toml", "\nworkers = 0");
    let named = write(&dir, "named", "none");
    write(&dir, "mynah_workers", "many");
    let expected = "expected a whole number from 1 to 10000";
    let mut sources = sources(&[("MYNAH_WORKERS", "-1"), ("MYNAH_WORKERS_FILE", &named)]);
    sources.env.insert("CREDENTIALS_DIRECTORY".into(), dir.path().into());
    sources.base_dir = dir.path().into();
    sources.flags.insert("MYNAH_WORKERS".into(), "".into());
    let error = |sources: &Sources| Config::load(sources.clone()).unwrap_err().iter().next().unwrap().to_string();

    assert_eq!(error(&sources), format!("flag --workers: found an empty value, {expected}"));
    sources.flags.clear();
    assert_eq!(error(&sources), format!("environment variable MYNAH_WORKERS: found \"-1\", {expected}"));
    sources.env.remove("MYNAH_WORKERS");
    let place = "file named by environment variable MYNAH_WORKERS_FILE";
    assert_eq!(error(&sources), format!("{place}: found \"none\", {expected}"));
    sources.env.remove("MYNAH_WORKERS_FILE");
    assert_eq!(error(&sources), format!("systemd credential mynah_workers: found \"many\", {expected}"));
    sources.env.remove("CREDENTIALS_DIRECTORY");
    let place = format!("file {} key workers (line 2)", dir.path().join("mynah.toml").display());
    assert_eq!(error(&sources), format!("{place}: found \"0\", {expected}"));
}

#[test]
fn one_newline_at_the_end_of_a_secrets_file_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    for (text, right) in [("sk-1", true), ("sk-1\n", true), ("sk-1\r\n", true), ("sk-1\n\n", false), ("\n", false)] {
        let path = write(&dir, "key", text);
        assert_eq!(load(&[("OPENAI_API_KEY_FILE", &path)]).is_ok(), right, "{text:?}");
    }
}

#[test]
fn a_file_of_a_setting_that_cannot_be_read_is_an_error_that_names_it() {
    assert_eq!(
        errors(&[("OPENAI_API_KEY_FILE", "/nonexistent/key")]),
        ["environment variable OPENAI_API_KEY_FILE: found /nonexistent/key, which cannot be read (No such file or \
          directory (os error 2)), expected the path of a file that can be read"]
    );
    // The key itself instead of its path.
    assert_eq!(
        errors(&[("OPENAI_API_KEY_FILE", "sk-canary")]),
        ["environment variable OPENAI_API_KEY_FILE: found a relative path (not shown) of a file that cannot be read \
          (entity not found), expected the path of a file, which begins with / or ./"]
    );
    assert_eq!(errors(&[("MYNAH_WORKERS_FILE", "/dev/zero")]).len(), 1);
}

#[test]
fn the_file_is_the_named_one_or_beside_us_or_in_the_data_folder() {
    let dir = tempfile::tempdir().unwrap();
    let data = write(&dir, "data/mynah.toml", "workers = 3").replace("/mynah.toml", "");
    let mut sources = sources(&[("MYNAH_DATA_DIR", &data)]);
    sources.base_dir = dir.path().into();
    let workers = |sources: &Sources| Config::load(sources.clone()).unwrap().work.workers;

    assert_eq!(workers(&sources), 3);
    sources.env.remove("MYNAH_DATA_DIR");
    assert_eq!(workers(&sources), 256);
    sources.env.insert("STATE_DIRECTORY".into(), format!("{data}:/nonexistent").into());
    assert_eq!(workers(&sources), 3);
    write(&dir, "mynah.toml", "workers = 2");
    assert_eq!(workers(&sources), 2);
    write(&dir, "other.toml", "workers = 1");
    sources.env.insert("MYNAH_CONFIG".into(), "other.toml".into());
    assert_eq!(workers(&sources), 1);
    sources.flags.insert("MYNAH_CONFIG".into(), "gone.toml".into());
    let error = Config::load(sources).unwrap_err().to_string();
    let path = dir.path().join("gone.toml");
    let expected =
        format!("the configuration has 1 error\nflag --config: found {}, which cannot be read", path.display());
    assert!(error.starts_with(&expected), "{error}");
}

#[test]
fn the_data_folder_holds_the_database_unless_another_is_named() {
    let database = |env: &[(&str, &str)]| load(env).unwrap().data;
    let systemd = database(&[("STATE_DIRECTORY", "/var/lib/mynah")]);
    assert_eq!(systemd.database, Path::new("/var/lib/mynah/mynah.db"));
    let named = database(&[("MYNAH_DATA_DIR", "data"), ("DATABASE_URL", "sqlite:///srv/m.db")]);
    assert_eq!(
        (named.dir.as_path(), named.database.as_path()),
        (Path::new("/nonexistent/data"), Path::new("/srv/m.db"))
    );
    assert_eq!(
        errors(&[("DATABASE_URL", "postgres://u:canary@h/d")]),
        ["environment variable DATABASE_URL: found a PostgreSQL address, but this build has no PostgreSQL support, \
          expected sqlite:///absolute/path or sqlite:path"]
    );
}

#[test]
fn the_file_takes_texts_numbers_booleans_and_lists() {
    let dir = tempfile::tempdir().unwrap();
    let text = "listen = '0.0.0.0:80'\nworkers = 0x10\nmax_context_messages = 1_0\nai_temperature = 0.5\n\
                ai_provider = 'offline'\ntyping = false\nmerge_window = 0\ntrusted_proxies = ['10.0.0.0/8', '::1']\n\
                public_url = ''\n";
    let path = write(&dir, "m.toml", text);
    let config = load(&[("MYNAH_CONFIG", &path)]).unwrap();
    assert_eq!(config.server.listen, "0.0.0.0:80".parse().unwrap());
    assert_eq!((config.work.workers, config.work.max_context_messages, config.work.typing), (16, 10, false));
    assert!(config.work.merge_window.is_zero());
    assert_eq!(config.ai.unwrap().temperature, Some(0.5));
    assert_eq!(config.server.trusted_proxies.len(), 2);
    assert_eq!(config.server.public_url, None);

    let path = write(&dir, "m.toml", "trusted_proxies = []");
    assert_eq!(load(&[("MYNAH_CONFIG", &path)]).unwrap().server.trusted_proxies, []);
    for bad in
        ["workers = [1]", "workers = ['1']", "workers.of = 1", "log = 2026-01-01", "workers = 0xffffffffffffffffff"]
    {
        let path = write(&dir, "m.toml", bad);
        assert_eq!(errors(&[("MYNAH_CONFIG", &path)]).len(), 1, "{bad}");
    }
}

#[test]
fn all_errors_are_reported_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(&dir, "m.toml", "mynah_listen = 'x'\nworkers = 'many'\n");
    let error = load(&[
        ("MYNAH_CONFIG", &path),
        ("MYNAH_LISTEN", "8080"),
        ("OPENAI_API_KEY", "two words"),
        ("MYNAH_LOG", "mynah=loud"),
    ])
    .unwrap_err();
    let expected = format!(
        "the configuration has 5 errors\n\
         file {path} key mynah_listen (line 1): found an unknown key, expected listen\n\
         environment variable MYNAH_LISTEN: found \"8080\", expected an address and port, such as 127.0.0.1:8080\n\
         environment variable OPENAI_API_KEY: found a value that is not shown, expected an API key without spaces\n\
         file {path} key workers (line 2): found \"many\", expected a whole number from 1 to 10000\n\
         environment variable MYNAH_LOG: found \"mynah=loud\", expected a filter, such as info or info,mynah=debug"
    );
    assert_eq!(error.to_string(), expected);
}

#[test]
fn each_error_is_one_line_however_odd_the_value() {
    let long = "x\n".repeat(10_000);
    let error = load(&[("MYNAH_LISTEN", &long)]).unwrap_err().to_string();
    assert_eq!(error.lines().count(), 2);
    assert!(error.len() < 400, "{error}");
    let mut sources = sources(&[]);
    sources.env.insert("MYNAH_LISTEN".into(), std::ffi::OsString::from_vec(vec![0xff]));
    let error = Config::load(sources).unwrap_err().to_string();
    assert!(error.contains("environment variable MYNAH_LISTEN: found a value that is not UTF-8"), "{error}");
}

#[test]
fn no_error_and_no_warning_holds_a_secret() {
    let dir = tempfile::tempdir().unwrap();
    let printed = |sources: Sources| match Config::load(sources) {
        Ok(config) => format!("{config:?}"),
        Err(error) => {
            format!("{error} {error:?} {}", error.iter().map(|one| format!("{one} {one:?}")).collect::<String>())
        }
    };
    let addresses = ["MYNAH_PUBLIC_URL", "OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "TWILIO_API_BASE_URL"];
    let sids = ["TWILIO_ACCOUNT_SID", "TWILIO_API_KEY_SID", "TWILIO_MESSAGING_SERVICE_SID"];
    let secrets = settings::all().filter(|setting| setting.secret).map(|setting| setting.key);
    let shapes =
        ["canary", "can ary canary", "canary\ncanary", "canary\u{e9}", "postgres://canary:canary@h/d", "sk-canary"];
    let cases = secrets.flat_map(|key| shapes.map(|value| (key, value)));
    let cases = cases.chain(addresses.into_iter().flat_map(|key| {
        ["https://u:canary@host/", "https://canary@host/", "https://host/?key=canary", "sk-canary"]
            .map(|value| (key, value))
    }));
    let cases: Vec<_> = cases.chain(sids.map(|key| (key, "canary0123456789abcdef0123456789"))).collect();
    assert!(cases.len() > 50);
    for (key, value) in cases {
        let setting = settings::find(key).unwrap();
        // The rest of an account is set, too, so that an accepted value is in the printed configuration.
        let rest =
            [("TWILIO_WHATSAPP_FROM", "+14155238886"), ("TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000001")];
        let rest: Vec<_> = rest.into_iter().filter(|(other, _)| *other != key).collect();
        let env = sources(&[&rest[..], &[(key, value)]].concat());
        let mut flag = sources(&rest);
        flag.flags.insert(key.into(), value.into());
        let named = sources(&[&rest[..], &[(&format!("{key}_FILE"), &write(&dir, "named", value))]].concat());
        let in_place_of_path =
            sources(&[(&format!("{key}_FILE"), if setting.secret { value } else { "/nonexistent" })]);
        let toml = |text: String| sources(&[("MYNAH_CONFIG", &write(&dir, &format!("{}.toml", text.len()), &text))]);
        let quoted = toml(format!("{} = {value:?}", setting.file_key));
        let bare = toml(format!("{} = {value}", setting.file_key));
        let list = toml(format!("{} = [{value:?}]", setting.file_key));
        let table = toml(format!("{} = {{ a = {value:?} }}", setting.file_key));
        let open = toml(format!("{} = \"{value}", setting.file_key));
        for sources in [env, flag, named, in_place_of_path, quoted, bare, list, table, open] {
            let printed = printed(sources);
            assert!(!printed.contains("canary"), "{key} {value:?}: {printed}");
        }
    }
}

#[test]
fn a_whole_configuration_prints_no_secret() {
    let config = load(&[
        ("TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000001"),
        ("TWILIO_AUTH_TOKEN", "canary1"),
        ("TWILIO_AUTH_TOKEN_SECONDARY", "canary2"),
        ("TWILIO_API_KEY_SID", "SK00000000000000000000000000000001"),
        ("TWILIO_API_KEY_SECRET", "canary3"),
        ("TWILIO_WHATSAPP_FROM", "+14155238886"),
        ("OPENAI_API_KEY", "canary4"),
    ]);
    let printed = format!("{:?}", config.unwrap());
    assert!(printed.contains("AC00000000000000000000000000000001") && !printed.contains("canary"), "{printed}");
}

#[test]
fn every_bound_holds() {
    for (key, inside, outside) in [
        ("MYNAH_WORKERS", ["1", "10000"], ["0", "10001"]),
        ("MYNAH_MAX_CONTEXT_MESSAGES", ["1", "200"], ["0", "201"]),
        ("MYNAH_MERGE_WINDOW", ["0", "60s"], ["60001ms", "2m"]),
        ("MYNAH_CONVERSATION_TTL", ["1m", "365d"], ["0", "59s"]),
        ("MYNAH_AI_MAX_TOKENS", ["1", "4294967295"], ["0", "4294967296"]),
        ("MYNAH_AI_TEMPERATURE", ["0", "2"], ["-0.1", "2.1"]),
        ("MYNAH_AI_TIMEOUT", ["1s", "1h"], ["999ms", "61m"]),
        ("MYNAH_AI_CONCURRENCY", ["1", "10000"], ["0", "10001"]),
        ("MYNAH_TYPING", ["true", "false"], ["yes", "1"]),
        ("MYNAH_UNKNOWN_SENDS", ["resend", "hold"], ["Resend", "drop"]),
        ("MYNAH_CATCH_UP_WITHIN", ["0", "23h"], ["1381m", "Off"]),
        ("MYNAH_CATCH_UP_WITHIN", ["off", "12h"], ["none", "1d"]),
        ("MYNAH_LOG_FORMAT", ["text", "json"], ["JSON", "xml"]),
        ("MYNAH_LOG", ["off", "mynah=debug"], ["mynah=loud", "a=b=c"]),
        ("MYNAH_LISTEN", ["[::]:80", "127.0.0.1:0"], ["localhost:80", "127.0.0.1"]),
        ("MYNAH_PUBLIC_URL", ["http://h:8080", "https://h/a/"], ["https://h/#a", "h"]),
        ("MYNAH_TRUSTED_PROXIES", ["none", "10.0.0.1,::1"], ["10.0.0.0/33", "all"]),
        ("MYNAH_AI_PROVIDER", ["offline", "offline"], ["OpenAI", "ollama"]),
        ("MYNAH_SYSTEM_PROMPT", ["x", "Two\nlines"], [" ", "\n\n"]),
        ("MYNAH_TEXT_SORRY", ["x", &"x".repeat(1_500)], [" ", &"x".repeat(1_501)]),
    ] {
        for value in inside {
            assert!(load(&[(key, value)]).is_ok(), "{key} {value}");
        }
        for value in outside {
            let errors = errors(&[(key, value)]);
            let expects = settings::find(key).unwrap().expects;
            assert!(errors.len() == 1 && errors[0].starts_with(&format!("environment variable {key}: ")), "{errors:?}");
            assert!(errors[0].ends_with(&format!("expected {expects}")), "{errors:?}");
        }
    }
}

#[test]
fn an_unknown_variable_of_ours_is_a_warning() {
    let config = load(&[
        ("MYNAH_LISTN", "x"),
        ("MYNAH_WORKRES_FILE", "x"),
        ("MYNAH_FROBNICATE", "x"),
        ("MYNAH_CONFIG_FILE", "x"),
        ("MYNAH_TEST_SPEED", "x"),
        ("MYNAH_FAILPOINT", "x"),
        ("MYNAH_FAILPOINTS", "x"),
        ("TWILIO_UNKNOWN", "x"),
        ("MYNAH_WORKERS", "7"),
    ]);
    assert_eq!(
        config.unwrap().warnings,
        [
            "environment variable MYNAH_CONFIG_FILE is not a setting and is ignored; did you mean MYNAH_CONFIG?",
            "environment variable MYNAH_FROBNICATE is not a setting and is ignored; see docs/configuration.md",
            "environment variable MYNAH_LISTN is not a setting and is ignored; did you mean MYNAH_LISTEN?",
            "environment variable MYNAH_WORKRES_FILE is not a setting and is ignored; did you mean MYNAH_WORKERS_FILE?",
        ]
    );
}

#[test]
fn a_flag_for_no_setting_is_an_error() {
    let mut sources = sources(&[]);
    sources.flags.insert("MYNAH_LISTN".into(), "x".into());
    assert!(Config::load(sources).unwrap_err().to_string().contains("flag for MYNAH_LISTN: found an unknown setting"));
}

#[test]
fn every_row_of_the_table_is_read_and_named_by_the_rule() {
    let mut reader = SettingsReader::new(sources(&[]));
    Config::read(&mut reader).unwrap();
    let table: BTreeSet<_> = settings::all().map(|setting| setting.key).collect();
    assert_eq!(reader.read_keys, table);
    assert_eq!(table.len(), settings::all().count(), "no key is in the table twice");
    for setting in settings::all().filter(|setting| setting.key != "MYNAH_CONFIG") {
        let name = setting.key.to_ascii_lowercase();
        assert_eq!(setting.file_key, name.strip_prefix("mynah_").unwrap_or(&name));
        assert!(!setting.expects.is_empty() && setting.meaning.ends_with('.'), "{}", setting.key);
    }
    assert_eq!(settings::find("MYNAH_DATA_DIR").unwrap().flag(), "data-dir");
}
