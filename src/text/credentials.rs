//! Finds the secrets in the owner's instructions, by their form or because the owner marked them as confidential.

use self::MatchRule::{Anywhere, WholeWord};

/// The prefixes of providers' keys and tokens.
const KEY_PREFIXES: [&str; 34] = [
    "sk-",
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "rk_test_",
    "whsec_",
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "xoxr-",
    "xoxs-",
    "xapp-",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "gsk_",
    "xai-",
    "hf_",
    "npm_",
    "pypi-",
    "dop_v1_",
    "shpat_",
    "shpss_",
    "SG.",
    "AKIA",
    "ASIA",
    "AIza",
    "ya29.",
    "EAA",
    "AGE-SECRET-KEY-1",
];

/// The minimum length of the text after such a prefix.
const MIN_KEY_BODY: usize = 12;

/// The minimum length of a word that counts as a token by its form alone.
const MIN_TOKEN_LENGTH: usize = 20;

/// This many characters of one kind in a row are part of a word or a number, not of a random token.
const MIN_RUN: usize = 4;

/// A credential follows one of these labels and a colon or an equals sign.
const LABELS: [&str; 21] = [
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "passcode",
    "secret",
    "token",
    "api key",
    "api-key",
    "api_key",
    "apikey",
    "access key",
    "access_key",
    "secret key",
    "secret_key",
    "private key",
    "credentials",
    "passwort",
    "kennwort",
    "contraseña",
    "mot de passe",
];

/// Words after a label that say that there is no credential, or describe it.
const PLACEHOLDER_WORDS: [&str; 20] = [
    "none",
    "nothing",
    "null",
    "unknown",
    "unset",
    "empty",
    "blank",
    "required",
    "optional",
    "needed",
    "necessary",
    "public",
    "default",
    "tbd",
    "keine",
    "keins",
    "unbekannt",
    "erforderlich",
    "ninguna",
    "aucun",
];

/// Marks that may enclose a credential.
const QUOTE_MARKS: [char; 5] = ['*', '_', '`', '"', '\''];

/// The prefix of a line that lists what the owner wants to keep confidential, separated by commas.
const CONFIDENTIAL_LABEL: &str = "confidential:";

/// How a secret matches in another text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MatchRule {
    /// The secret matches anywhere, also inside a word.
    Anywhere,
    /// The secret matches only as a whole word or whole words.
    WholeWord,
}

/// The secrets of the owner's instructions, with ASCII letters in lower case.
pub struct Credentials(Vec<(String, MatchRule)>);

impl Credentials {
    /// Finds the secrets in a text: keys and tokens with a known prefix, key blocks, long words of random letters and
    /// digits, values after labels such as `password:`, and the items of a line `Confidential: this, that`. Opening
    /// hours, prices, links, coupon codes, account numbers and part numbers do not count as secrets: instructions
    /// contain them so that the assistant can tell them.
    #[must_use]
    pub fn find_in(text: &str) -> Credentials {
        let mut found = Vec::new();
        let mut block = false;
        for line in text.lines() {
            let line = line.trim();
            if line.starts_with("-----BEGIN ") && line.contains("PRIVATE KEY") {
                block = true;
            } else if line.starts_with("-----END ") {
                block = false;
            } else if block {
                found.push((line.to_owned(), Anywhere));
            } else if let Some(items) = confidential_items(line) {
                let items = items.split(',').map(|item| item.trim().trim_end_matches('.'));
                found.extend(items.map(|item| (item.to_owned(), WholeWord)));
            } else {
                found.extend(labelled_secrets(line).into_iter().map(|word| (word.to_owned(), WholeWord)));
                found.extend(line.split_whitespace().flat_map(find_keys).map(|key| (key.to_owned(), Anywhere)));
            }
        }
        // A secret of one or two characters would remove every such word from every answer.
        found.retain(|(secret, _)| secret.chars().count() >= 3);
        found.iter_mut().for_each(|(secret, _)| secret.make_ascii_lowercase());
        Credentials(found)
    }

    /// Adds a secret that matches anywhere.
    pub fn add(&mut self, secret: &str) {
        self.0.push((secret.to_ascii_lowercase(), Anywhere));
    }

    /// Replaces each secret in the text by `instead`, ignoring ASCII case. Returns `None` if the text contains none.
    #[must_use]
    pub fn redact(&self, text: &str, instead: &str) -> Option<String> {
        // Change only the case of ASCII letters, so that positions are the same in both texts.
        let mut lower = text.to_ascii_lowercase();
        let mut kept: Option<String> = None;
        for (secret, look) in &self.0 {
            if let Some(without) = replace_secret(kept.as_deref().unwrap_or(text), &lower, secret, *look, instead) {
                lower = without.to_ascii_lowercase();
                kept = Some(without);
            }
        }
        kept
    }
}

/// Returns the text after the label `confidential:`, if the line has it. A bullet or emphasis may precede the label.
fn confidential_items(line: &str) -> Option<&str> {
    let line = line.trim_start_matches(|char: char| !char.is_alphanumeric());
    let (head, rest) = line.split_at_checked(CONFIDENTIAL_LABEL.len())?;
    head.eq_ignore_ascii_case(CONFIDENTIAL_LABEL).then(|| rest.trim_start_matches('*'))
}

/// Returns the words directly after labels such as `password:`.
fn labelled_secrets(line: &str) -> Vec<&str> {
    let mut words = Vec::new();
    // Change only the case of ASCII letters, so that positions are the same in both texts.
    let lower = line.to_ascii_lowercase();
    for label in LABELS {
        for (at, _) in lower.match_indices(label) {
            let rest = line[at + label.len()..].trim_start_matches(['*', '_', '`', '"', '\'', ' ', 's']);
            let Some(after) = rest.strip_prefix([':', '=']) else { continue };
            let rest = after.trim_start_matches(|char| QUOTE_MARKS.contains(&char) || [' ', '='].contains(&char));
            let word = rest.split(char::is_whitespace).next().unwrap_or_default();
            let secret =
                word.trim_end_matches(|char| QUOTE_MARKS.contains(&char) || ['.', ',', ';', ')'].contains(&char));
            let (before, behind) = (&after[..after.len() - rest.len()], &word[secret.len()..]);
            let quoted = QUOTE_MARKS.iter().any(|mark| before.contains(*mark) && behind.contains(*mark));
            // "Password: please ask at the counter", "Our secret: time, flour and water.": prose continues or ends a
            // sentence. A credential that is a plain word ends the line.
            let goes_on = behind.is_empty() && rest.len() > word.len();
            let ends = !quoted && behind.contains(['.', ',', ';']);
            let prose = secret.chars().all(char::is_alphabetic) && (goes_on || ends);
            let no_credential = PLACEHOLDER_WORDS.contains(&secret.to_lowercase().as_str());
            if secret.chars().count() >= 4 && !prose && !no_credential {
                words.push(secret);
            }
        }
    }
    words
}

/// Returns the keys in a word, which may be a URL or an email address.
fn find_keys(word: &str) -> Vec<&str> {
    let address = word.contains("://") || word.contains('@') || word.starts_with("www.") || is_host_with_path(word);
    let pieces = word.split(|char: char| !(char.is_ascii_alphanumeric() || "_-+.".contains(char)));
    let pieces = pieces.map(|piece| piece.trim_end_matches('.')).filter(|piece| is_provider_key(piece));
    let mut found: Vec<&str> = pieces.collect();
    let bare = word.trim_matches(|char: char| !char.is_alphanumeric());
    if !address && found.is_empty() && looks_random(bare) {
        found.push(bare);
    }
    found
}

/// Returns whether a word is a host with a path, such as `bakery.example/menu`.
fn is_host_with_path(word: &str) -> bool {
    word.split_once('/').is_some_and(|(host, _)| host.contains('.'))
}

/// Returns whether a piece has the form of a provider's credential.
fn is_provider_key(piece: &str) -> bool {
    let hexadecimal = |text: &str| text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let digit = piece.bytes().any(|byte| byte.is_ascii_digit());
    let begins = |prefix: &&str| piece.strip_prefix(*prefix).is_some_and(|body| body.len() >= MIN_KEY_BODY);
    let twilio = piece.strip_prefix("AC").or_else(|| piece.strip_prefix("SK")).is_some_and(hexadecimal);
    // A JSON web token: three parts of base64url, the first of which is a JSON object.
    let token = piece.starts_with("eyJ") && piece.matches('.').count() == 2 && piece.len() >= 30;
    twilio || token || digit && KEY_PREFIXES.iter().any(begins)
}

/// Returns whether a word looks random: it is long, has lower-case and upper-case letters and digits, and consists
/// mostly of characters outside words and numbers.
fn looks_random(word: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=_-".contains(&byte);
    let has = |kind: fn(&u8) -> bool| word.bytes().any(|byte| kind(&byte));
    word.len() >= MIN_TOKEN_LENGTH
        && word.bytes().all(allowed)
        && has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_digit)
        // Dashes and slashes separate the words of a slug and the times of opening hours.
        && word.split(|char: char| !char.is_ascii_alphanumeric()).any(|piece| piece.len() >= MIN_KEY_BODY)
        && count_in_runs(word.as_bytes()) * 2 < word.len()
}

/// Returns how many characters are in runs of one kind. A capital letter at the start of a word belongs to its run.
fn count_in_runs(word: &[u8]) -> usize {
    let kind = |byte: u8| (byte.is_ascii_lowercase(), byte.is_ascii_uppercase(), byte.is_ascii_digit());
    let (mut all, mut from) = (0, 0);
    while from < word.len() {
        let first = kind(word[from]);
        let mut to = from + 1;
        let capital = word[from].is_ascii_uppercase() && word.get(to).is_some_and(u8::is_ascii_lowercase);
        let wanted = if capital { kind(b'a') } else { first };
        while to < word.len() && kind(word[to]) == wanted {
            to += 1;
        }
        all += if to - from >= MIN_RUN { to - from } else { 0 };
        from = to;
    }
    all
}

/// Replaces each occurrence of a secret by `instead`. Returns `None` if there is none. `lower` is the text in lower
/// case.
fn replace_secret(text: &str, lower: &str, secret: &str, look: MatchRule, instead: &str) -> Option<String> {
    let mut kept = String::new();
    let mut from = 0;
    for (at, _) in lower.match_indices(secret) {
        let end = at + secret.len();
        let inside = |beside: Option<char>| beside.is_some_and(char::is_alphanumeric);
        let part = inside(text[..at].chars().next_back()) || inside(text[end..].chars().next());
        if look == Anywhere || !part {
            kept.push_str(&text[from..at]);
            kept.push_str(instead);
            from = end;
        }
    }
    (from > 0).then(|| kept + &text[from..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found_secrets(text: &str) -> Vec<String> {
        Credentials::find_in(text).0.into_iter().map(|(secret, _)| secret).collect()
    }

    #[test]
    fn addresses_hours_coupons_and_bank_details_are_no_credentials() {
        for honest in [
            "We are open Mon-Fri 9:00am-5:00pm, Sat 10am-2pm; Mo-Fr9:00-18:00Uhr.",
            "The menu is at bakery24.example/menu and https://bakery24.example/Menu-2026?utm=aB3dE5gH7jK9mN1pQ3sT.",
            "Book at https://calendar.example/u/0/AcZssZ3xY9pQ2rT5vW8yB1dE4gH7jK0m=",
            "Find us: maps.example/maps/Xy7kQ2pLm9aZ4tRw8vBn3",
            "Coupons: SUMMER2026, BREAD4STAFF77, WELCOME-10-PERCENT, Spring2026Newsletter50Percent.",
            "Pay to IBAN DE89370400440532013000 (DE89 3704 0044 0532 0130 00), BIC COBADEFFXXX.",
            "Part numbers ABX-2000-4471-K, WDZ5500AEX, 7Z1000-AB-2026-REV3 and Pump-Model-X200-Series3.",
            "A 120-minute massage is 1,299.00EUR, 2x60min 99€; order 2026-11-24T10:00:00Z.",
            "Call +1 (202) 555-0101 or write to info2026@bakery24.example.",
            "Order id 123e4567-e89b-12d3-a456-426614174000, VAT DE123456789, ISBN 978-3-16-148410-0.",
            "Password: please ask at the counter. Your token: if lost, come by. We keep no secrets.",
            "-----BEGIN CERTIFICATE-----\nMIIabc\n-----END CERTIFICATE-----",
            "The AC2000 and the ACDC, part SK100, the sk-international-delivery form and sk-01234567890.",
            "Tag @Xy7kQ2pLm9aZ4tRw8vBn3; sing LaLeLuLaLeLuLaLeLuLaLeLu with us.",
            "Coupon Rose24Lily36Fern48Moss12, slot A1b-C2d-E3f-G4h-I5j-K6l. WiFi password: n/a.",
            "https://bakery.example/?state=eyJhbGciOiJIUzI1NiJ9eyJzdWIiOiIxIn0",
            "Confidential: a, 12,, of",
            "WiFi password: none. Our secret: time, flour and water.\nToken: required\nPassword: None\nAPI key: `unknown`",
            "(Password: optional) Secret: patience; and salt. Passwort: keine",
            "It is no secret that we bake at night. A disk-2026-warranty1234 and a task-force-2026.",
        ] {
            assert_eq!(found_secrets(honest), [""; 0], "{honest}");
        }
    }

    #[test]
    fn text_that_looks_like_a_credential_counts_as_one() {
        for (text, secrets) in [
            ("Key sk-proj-a1B2c3D4e5F6g7H8.", &["sk-proj-a1B2c3D4e5F6g7H8"][..]),
            ("(sk-ant-api03-abcdefgh1234)", &["sk-ant-api03-abcdefgh1234"]),
            ("hf_0123456789ab", &["hf_0123456789ab"]),
            (
                "xoxb-123456789012-abcdef, ghp_0123456789abcdefABCDEF",
                &["xoxb-123456789012-abcdef", "ghp_0123456789abcdefABCDEF"],
            ),
            ("AKIAIOSFODNN7EXAMPLE", &["AKIAIOSFODNN7EXAMPLE"]),
            ("https://x.example/?key=sk-0123456789abcdef&a=1", &["sk-0123456789abcdef"]),
            ("AC0123456789abcdef0123456789abcdef", &["AC0123456789abcdef0123456789abcdef"]),
            ("SK0123456789abcdef0123456789abcdef", &["SK0123456789abcdef0123456789abcdef"]),
            (
                "jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
                &["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"],
            ),
            ("the CRM's is h7GkQ2x/Zt9+LwPb4RsVn1Ya8McEj5Tu0DfKo3Wi", &["h7GkQ2x/Zt9+LwPb4RsVn1Ya8McEj5Tu0DfKo3Wi"]),
            ("use q7Rf2LxZ9vTb4KsWm1Yd here", &["q7Rf2LxZ9vTb4KsWm1Yd"]),
            ("Admin password: swordfish", &["swordfish"]),
            ("Password: hunter2 opens the CRM", &["hunter2"]),
            ("Password: hunter2, token: rose-42. Secret: Rosen!Garten;", &["Rosen!Garten", "hunter2", "rose-42"]),
            (
                "WiFi password: \"swordfish\". Token: `sesame`, and **secret:** **lilypond**.",
                &["lilypond", "sesame", "swordfish"],
            ),
            ("Passwort: 'Rosengarten.' (password: swordfish)", &["Rosengarten", "swordfish"]),
            ("**API key:** `hunter2`, and so on. Passwort = Rosen!Garten", &["hunter2", "Rosen!Garten"]),
            ("-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----\nOpen at 9.", &["MIIabc"]),
            ("- Confidential: BREAD4STAFF77, Miller & Sons.", &["BREAD4STAFF77", "Miller & Sons"]),
            ("**Confidential:** BREAD4STAFF77", &["BREAD4STAFF77"]),
        ] {
            let mut found = found_secrets(text);
            found.sort();
            let mut secrets: Vec<String> = secrets.iter().map(|secret| secret.to_ascii_lowercase()).collect();
            secrets.sort_unstable();
            assert_eq!(found, secrets, "{text}");
        }
    }

    #[test]
    fn a_password_is_removed_as_a_whole_word_and_a_key_anywhere() {
        let of = "Confidential: rose, Miller & Sons\nPassword: lily\nThe key is sk-0123456789abcdef";
        let mut secrets = Credentials::find_in(of);
        secrets.add("SeSame42");
        assert_eq!(secrets.redact("prose and roses, a wily lilypad", "-"), None);
        let answer = "ROSE (miller & sons), lily, xSesame42x, xSK-0123456789ABCDEFx!";
        assert_eq!(secrets.redact(answer, "-").as_deref(), Some("- (-), -, x-x, x-x!"));
    }
}
