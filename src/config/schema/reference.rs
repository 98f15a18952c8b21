//! Generates `docs/configuration.md` from the settings table.

use std::fmt::Write;

use super::settings;
use super::settings::{DefaultValue, Group, Setting};

const INTRO: &str = "\
# Configuration

<!-- Generated from src/config/schema/settings by `MYNAH_BLESS=1 cargo test reference`. Change it there. -->

mynah starts without any settings. Every setting has a default, except those of your accounts.

mynah takes the value of a setting from the first of these places that has one:

1. the command-line flag, if the command has one;
2. the environment variable;
3. the file named by the variable with `_FILE` appended: `OPENAI_API_KEY_FILE=/run/secrets/openai`;
4. the systemd credential with the name of the variable in lower case:
   `LoadCredential=openai_api_key:/etc/mynah/openai`;
5. the configuration file, under the key in the second column;
6. the stored settings (`mynah settings`) and the stored secrets (`mynah secret`);
7. the default.

An empty environment variable, an empty credential and an empty string in the file count as not set. mynah removes a
newline at the end of a credential or of a file named by `_FILE`. Relative paths start from the directory in which mynah
is started.

## The configuration file

The configuration file is the one that `MYNAH_CONFIG` names, else `./mynah.toml`, else `mynah.toml` in the data folder.
It is TOML without tables: strings, numbers, `true` and `false`, and arrays of strings for lists.

```toml
public_url = \"https://bot.example.org\"
twilio_account_sid = \"AC00000000000000000000000000000000\"
twilio_whatsapp_from = \"+14155238886\"
trusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]
max_context_messages = 30
```

Write durations as `500ms`, `30s`, `5m`, `24h` or `90d`. `0` needs no unit.

## Stored settings

`mynah settings set MYNAH_TYPING false` stores a setting in the database. mynah checks the value like any other.
`mynah settings list` shows what is stored, and what overrides it. `mynah settings get` and `mynah settings unset` take
a variable. A running `mynah serve` uses a change within two seconds: for messages that arrive and answers that begin
after that. What has begun ends with the settings before.

You cannot store base URLs, `MYNAH_NUMBERS`, `MYNAH_LISTEN`, or the settings that tell mynah where its data is
(`MYNAH_CONFIG`, `MYNAH_DATA_DIR` and `MYNAH_AGE_KEY_FILE`). `mynah demo` and `mynah chat` use a data folder of their own
and ignore what is stored.

## Stored AI configurations

`mynah ai add fast --provider openai --model gpt-5-mini --use` stores a model under a name, with its key encrypted, and
has it answer. `mynah ai use fast --fallback local` also names the models that stand in. If a flag, the environment, the
configuration file or a credential sets a provider, a key or an address of a model, that model goes before the stored
ones; `mynah ai list` shows it as `environment`. A stored AI configuration takes nothing from other layers: what it does
not set has its default.

## Stored secrets

`mynah secret set TWILIO_AUTH_TOKEN` stores a secret (marked \"secret\" below) encrypted. It asks for the value on a
terminal, and reads it from stdin otherwise. Each value is encrypted with [age](https://age-encryption.org) for the
installation's identity. That is a file: `identity.age.txt` in the data folder, unless `MYNAH_AGE_KEY_FILE` or the systemd
credential `mynah.age` names another one. Keep a copy of it somewhere else, because nothing else can decrypt the secrets.

`mynah secret rotate` makes a new identity and encrypts all secrets again. The `age` tool decrypts the column `sealed` of
the table `secrets`, and mynah reads what the tool encrypted.

## Reading the files again

On SIGHUP (`systemctl reload mynah`), a running `mynah serve` reads the configuration file and all other files again. If
it finds an error, it logs it, raises an alert, and keeps the configuration that it has. `MYNAH_LISTEN`,
`MYNAH_DATA_DIR` and `DATABASE_URL` count only after a restart. A process that was started in a terminal ends on SIGHUP.

## Errors

If mynah cannot read a value, or does not know a key of the configuration file, it does not start. It lists all errors
at once, and never shows the value of a secret (marked \"secret\" below). Two problems are only warnings: an unknown
environment variable that begins with `MYNAH_`, and a stored setting whose value mynah cannot read. mynah ignores both.
";

/// The longest default that fits a table cell, in bytes.
const MAX_CELL_BYTES: usize = 60;

/// Returns the reference of all settings, in Markdown.
pub fn reference() -> String {
    let mut text = INTRO.to_owned();
    for group in Group::ALL {
        let settings = || settings::all().filter(move |setting| setting.group == group);
        let title = group.title();
        write!(text, "\n## {title}\n\n| variable | in the file | default | expected | meaning |\n")
            .expect(WRITE_NEVER_FAILS);
        text.push_str("| --- | --- | --- | --- | --- |\n");
        for setting in settings() {
            row(&mut text, setting);
        }
        for setting in settings() {
            if let DefaultValue::Value(value) = setting.default
                && value.len() > MAX_CELL_BYTES
            {
                write!(text, "\nDefault of `{}`:\n\n```text\n{value}\n```\n", setting.key).expect(WRITE_NEVER_FAILS);
            }
        }
    }
    text
}

const WRITE_NEVER_FAILS: &str = "writing to a string never fails";

fn row(text: &mut String, setting: &Setting) {
    let key = setting.key;
    let lock = if setting.secret { " (secret)" } else { "" };
    let file = if setting.file_key.is_empty() { "—".to_owned() } else { format!("`{}`", setting.file_key) };
    let default = match setting.default {
        DefaultValue::Unset => "none".to_owned(),
        DefaultValue::Value(value) if value.len() > MAX_CELL_BYTES => "see below".to_owned(),
        DefaultValue::Value(value) => format!("`{value}`"),
        DefaultValue::Computed(words) => words.to_owned(),
    };
    let cells = [format!("`{key}`{lock}"), file, default, setting.expects.to_owned(), setting.meaning.to_owned()];
    writeln!(text, "| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | ")).expect(WRITE_NEVER_FAILS);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_reference_is_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
        if std::env::var_os("MYNAH_BLESS").is_some() {
            std::fs::write(path, reference()).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == reference(),
            "{path} differs from the settings table; run: MYNAH_BLESS=1 cargo test reference"
        );
    }

    #[test]
    fn the_reference_lists_every_setting_with_its_default() {
        let text = reference();
        for row in [
            "| `MYNAH_LISTEN` | `listen` | `127.0.0.1:8080` | an address and port, such as 127.0.0.1:8080 | Where the \
             web server listens. |",
            "| `OPENAI_API_KEY` (secret) | `openai_api_key` | none | an API key without spaces | The API key. Your own \
             servers may need none. |",
        ] {
            assert!(text.lines().any(|line| line == row), "{row}");
        }
        assert_eq!(text.lines().filter(|line| line.starts_with("| `")).count(), settings::all().count());
        assert!(text.contains("Default of `MYNAH_SYSTEM_PROMPT`:"));
    }
}
