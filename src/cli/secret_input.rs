//! Reads a secret from a file, from stdin, or from the terminal without showing it. Never from an argument, which every
//! user of the machine can see.

use std::io::{IsTerminal, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};
use secrecy::SecretString;

/// The longest secret, in bytes. This stops at a wrong path such as `/dev/zero`.
const MAX_BYTES: u64 = 64 * 1024;

/// Whether a person can be asked.
pub(super) fn can_ask() -> bool {
    std::io::stdin().is_terminal()
}

/// Asks a person for a secret that may be skipped. `stored`: whether one is stored, which is then kept.
pub(super) fn ask(question: &str, stored: bool) -> Result<Option<SecretString>> {
    let kept = if stored { "not shown; Enter keeps the stored one" } else { "not shown" };
    let asked = dialoguer::Password::new().with_prompt(format!("{question} ({kept})")).allow_empty_password(true);
    let answer = asked.interact().context("cannot read from the terminal")?;
    Ok(Some(answer.trim()).filter(|answer| !answer.is_empty()).map(SecretString::from))
}

/// Asks a person for a new password twice.
pub(super) fn ask_twice(prompt: &str) -> Result<SecretString> {
    let asked = dialoguer::Password::new()
        .with_prompt(format!("{prompt} (not shown)"))
        .with_confirmation("The same again", "The two differ; please type both again")
        .interact();
    Ok(SecretString::from(asked.context("cannot read from the terminal")?))
}

/// Reads the value of the secret called `name`, without the newline at its end.
pub(super) fn read(name: &str, file: Option<&Path>) -> Result<SecretString> {
    let text = match file {
        Some(path) => {
            let opened = std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
            read_limited(opened).with_context(|| format!("cannot read {}", path.display()))?
        }
        None if std::io::stdin().is_terminal() => {
            let prompt = dialoguer::Password::new().with_prompt(format!("{name} (not shown)"));
            prompt.interact().context("cannot read from the terminal")?
        }
        None => read_limited(std::io::stdin()).context("cannot read the value from stdin")?,
    };
    let value = text.strip_suffix('\n').unwrap_or(&text);
    let value = value.strip_suffix('\r').unwrap_or(value);
    if value.is_empty() {
        bail!("no value for {name}: write it to stdin, or name a file with --file");
    }
    Ok(SecretString::from(value))
}

fn read_limited(source: impl Read) -> Result<String> {
    let mut text = String::new();
    let size = source.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if size as u64 > MAX_BYTES {
        bail!("it is larger than {} KiB", MAX_BYTES / 1024);
    }
    Ok(text)
}
