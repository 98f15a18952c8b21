//! Parses texts into values. Errors take the expected form from the settings table, unless a parser here states a more
//! exact one.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use tracing_subscriber::filter::EnvFilter;
use url::Url;

use super::problem::Rejected;
use crate::model::Phone;

/// The result of parsing one value.
pub(in crate::config) type Parsed<T> = Result<T, Rejected>;

fn ok_or_rejected<T>(value: Option<T>) -> Parsed<T> {
    value.ok_or_else(Rejected::default)
}

/// Parses a duration: `500ms`, `30s`, `5m`, `24h`, `90d`, or `0`.
pub(in crate::config) fn duration(text: &str, bounds: RangeInclusive<Duration>) -> Parsed<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "" if number == "0" => 1,
        _ => return ok_or_rejected(None),
    };
    let length = number.parse::<u64>().ok().and_then(|number| number.checked_mul(millis)).map(Duration::from_millis);
    ok_or_rejected(length.filter(|length| bounds.contains(length)))
}

/// Parses a whole number in decimal digits.
pub(in crate::config) fn integer<T: FromStr + PartialOrd>(text: &str, bounds: RangeInclusive<T>) -> Parsed<T> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    ok_or_rejected(text.parse().ok().filter(|number| digits && bounds.contains(number)))
}

/// Parses a number, with or without a decimal point.
pub(in crate::config) fn decimal(text: &str, bounds: RangeInclusive<f64>) -> Parsed<f64> {
    // No range contains NaN, so NaN needs no case of its own.
    ok_or_rejected(text.parse().ok().filter(|number| bounds.contains(number)))
}

/// Parses one of a few words.
pub(in crate::config) fn choice<T: Copy>(text: &str, words: &[(&str, T)]) -> Parsed<T> {
    ok_or_rejected(words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value))
}

/// Parses a text that is not blank and has at most `longest` UTF-16 code units.
pub(in crate::config) fn text(text: &str, longest: usize) -> Parsed<String> {
    let fits = !text.trim().is_empty() && (text.len() <= longest || text.encode_utf16().count() <= longest);
    ok_or_rejected(fits.then(|| text.to_owned()))
}

/// Parses a name or key that fits an HTTP header: visible ASCII, no spaces.
pub(in crate::config) fn visible_ascii(text: &str) -> Parsed<String> {
    ok_or_rejected((!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())).then(|| text.to_owned()))
}

/// Parses a language code of two letters (ISO 639-1).
pub(in crate::config) fn language(text: &str) -> Parsed<String> {
    let plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_lowercase());
    ok_or_rejected(plain.then(|| text.to_owned()))
}

/// Parses a secret: visible ASCII, no spaces.
pub(in crate::config) fn secret(text: &str) -> Parsed<SecretString> {
    visible_ascii(text).map(SecretString::from)
}

/// Parses a Twilio SID: the prefix `kind` (two capital letters) and 32 hexadecimal digits.
pub(in crate::config) fn sid(text: &str, kind: &str) -> Parsed<String> {
    let digits = text.strip_prefix(kind);
    let right = digits.is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    ok_or_rejected(right.then(|| text.to_owned()))
}

/// Parses a WhatsApp number with or without the prefix `whatsapp:`. The result has the prefix.
pub(in crate::config) fn whatsapp_number(text: &str) -> Parsed<String> {
    let phone = Phone::parse_lenient(text.strip_prefix("whatsapp:").unwrap_or(text)).ok();
    ok_or_rejected(phone.map(|phone| format!("whatsapp:{}", phone.as_str())))
}

/// Parses an address and port.
pub(in crate::config) fn socket(text: &str) -> Parsed<SocketAddr> {
    ok_or_rejected(text.parse().ok())
}

/// Parses the address of an API. The result has no slashes at its end.
pub(in crate::config) fn base_url(text: &str) -> Parsed<Url> {
    let mut url = ok_or_rejected(Url::parse(text).ok())?;
    let credentials = !url.username().is_empty() || url.password().is_some();
    if credentials || url.query().is_some() || url.fragment().is_some() || !matches!(url.scheme(), "http" | "https") {
        return ok_or_rejected(None);
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// Parses the address at which mynah is reached from outside. It may have the path prefix of a proxy.
pub(in crate::config) fn public_url(text: &str) -> Parsed<Url> {
    let url = base_url(text)?;
    if url.path().contains("/webhooks") {
        // Somebody pasted the webhook's address from Twilio's console. With it, the path would be there twice.
        let expected = Some("the same URL without /webhooks and the rest of the path");
        return Err(Rejected { found: None, expected });
    }
    Ok(url)
}

/// Parses a database URL into the path of a SQLite file.
pub(in crate::config) fn database(text: &str) -> Parsed<PathBuf> {
    if text.starts_with("postgres:") || text.starts_with("postgresql:") {
        let found = Some("a PostgreSQL address, but this build has no PostgreSQL support");
        return Err(Rejected { found, expected: None });
    }
    let path = ok_or_rejected(text.strip_prefix("sqlite:").filter(|path| !path.contains(['?', '#'])))?;
    let path = match path.strip_prefix("//") {
        // The part before the third slash of a URL is a host, and a file has none.
        Some(rest) if !rest.starts_with('/') => return ok_or_rejected(None),
        Some(rest) => ok_or_rejected(percent_decode_str(rest).decode_utf8().ok())?.into_owned(),
        None => path.to_owned(),
    };
    let file = !path.is_empty() && !path.starts_with(':') && !path.ends_with('/') && !path.contains('\0');
    ok_or_rejected(file.then(|| PathBuf::from(path)))
}

/// Parses a path.
pub(in crate::config) fn path(text: &str) -> Parsed<PathBuf> {
    ok_or_rejected((!text.trim().is_empty() && !text.contains('\0')).then(|| PathBuf::from(text)))
}

/// Parses a log filter.
pub(in crate::config) fn filter(text: &str) -> Parsed<String> {
    ok_or_rejected(EnvFilter::builder().parse(text).is_ok().then(|| text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: RangeInclusive<Duration> = Duration::ZERO..=Duration::MAX;

    #[test]
    fn durations_have_units() {
        for (text, millis) in [
            ("0", 0),
            ("0s", 0),
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("24h", 86_400_000),
            ("90d", 7_776_000_000),
        ] {
            assert_eq!(duration(text, ANY).unwrap(), Duration::from_millis(millis), "{text}");
        }
        for bad in [
            "",
            "5",
            "00",
            "s",
            "-1s",
            "+1s",
            "1.5s",
            "1 s",
            "1S",
            "1w",
            "1s ",
            "99999999999999999999s",
            "300000000000d",
        ] {
            assert!(duration(bad, ANY).is_err(), "{bad}");
        }
    }

    #[test]
    fn whole_numbers_are_digits_alone() {
        assert_eq!(integer("10000", 1..=10_000_usize).unwrap(), 10_000);
        for bad in ["", "+5", "-5", "5.0", "1_000", "0x5", "99999999999999999999", " 5"] {
            assert!(integer(bad, 1..=10_000_usize).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_are_finite() {
        assert_eq!(decimal("0.7", 0.0..=2.0).unwrap(), 0.7);
        for bad in ["", "nan", "inf", "-0.1", "2.0001", "warm"] {
            assert!(decimal(bad, 0.0..=2.0).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_sid_has_the_letters_of_its_kind() {
        let digits = "0123456789abcdef0123456789abcdef";
        assert_eq!(sid(&format!("AC{digits}"), "AC").unwrap(), "AC0123456789abcdef0123456789abcdef");
        for bad in ["", digits, &format!("SK{digits}"), &format!("AC{digits}0"), &format!("ac{digits}"), "AC"] {
            assert!(sid(bad, "AC").is_err(), "{bad}");
        }
    }

    #[test]
    fn a_number_gets_its_prefix_once() {
        for text in ["+14155238886", "whatsapp:+14155238886", "+1 (415) 523-8886"] {
            assert_eq!(whatsapp_number(text).unwrap(), "whatsapp:+14155238886");
        }
        for bad in ["14155238886", "whatsapp:whatsapp:+14155238886", "sms:+14155238886", "(415) 523-8886"] {
            assert!(whatsapp_number(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_lose_the_slashes_at_their_end() {
        for (text, url) in [
            ("https://api.openai.com/v1", "https://api.openai.com/v1"),
            ("https://api.openai.com/v1//", "https://api.openai.com/v1"),
            ("http://[::1]:11434/v1/", "http://[::1]:11434/v1"),
            ("https://api.anthropic.com", "https://api.anthropic.com/"),
        ] {
            assert_eq!(base_url(text).unwrap().as_str(), url);
        }
        for bad in [
            "",
            "api.openai.com/v1",
            "ftp://host/v1",
            "https://",
            "https://h/?a=b",
            "https://h/#a",
            "https://u:p@h/",
            "https://u@h/",
        ] {
            assert!(base_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_public_url_may_have_a_prefix_but_not_the_webhooks_own_path() {
        for (text, url) in [
            ("https://bot.example.org:443/", "https://bot.example.org/"),
            ("https://example.org/bot/", "https://example.org/bot"),
            ("http://example.org:8080", "http://example.org:8080/"),
        ] {
            assert_eq!(public_url(text).unwrap().as_str(), url);
        }
        let error = public_url("https://bot.example.org/webhooks/twilio").unwrap_err();
        assert_eq!(error.expected, Some("the same URL without /webhooks and the rest of the path"));
    }

    #[test]
    fn a_database_is_a_file() {
        for (text, file) in [
            ("sqlite:///var/lib/mynah/mynah.db", "/var/lib/mynah/mynah.db"),
            ("sqlite:///var/my%20data/m.db", "/var/my data/m.db"),
            ("sqlite:/var/m.db", "/var/m.db"),
            ("sqlite:data/m.db", "data/m.db"),
        ] {
            assert_eq!(database(text).unwrap(), PathBuf::from(file));
        }
        for bad in [
            "",
            "mynah.db",
            "sqlite:",
            "sqlite://",
            "sqlite://host/m.db",
            "sqlite::memory:",
            "sqlite:///dir/",
            "sqlite:m.db?mode=rwc",
            "mysql://h/d",
        ] {
            assert!(database(bad).is_err(), "{bad}");
        }
        for postgres in ["postgres://u:p@h/d", "postgresql://h/d"] {
            let found = database(postgres).unwrap_err().found.unwrap();
            assert!(found.contains("this build has no PostgreSQL support"), "{found}");
        }
    }

    #[test]
    fn a_key_fits_a_header() {
        assert!(secret("sk-proj-abc_DEF").is_ok());
        for bad in ["", "two words", "line\nbreak", "schlüssel", "tab\t"] {
            assert!(secret(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_text_is_measured_in_utf_16() {
        assert!(text("👋👋", 4).is_ok());
        assert!(text("👋👋", 3).is_err());
        assert!(text(" \n", 10).is_err());
    }
}
