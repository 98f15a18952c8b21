//! Who may talk, and how much.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use url::Host;

use super::ai::AiConfig;
use super::provider::ProviderConfig;
use crate::config::schema::parse;
use crate::config::schema::parse::Parsed;
use crate::config::schema::problem::Rejected;
use crate::config::sources::reader::SettingsReader;
use crate::model::{Address, Budget, Budgets, ContentSid, Keywords, Price, Rate};
use crate::text::LinkPolicy;

/// Who may talk, and how much.
#[derive(Clone, Debug)]
pub struct ContactPolicyConfig {
    /// Whether only contacts in `allowed_addresses` or with the pairing code may talk.
    pub is_restricted: bool,
    /// Who may talk if not everyone may.
    pub allowed_addresses: Arc<[Address]>,
    /// The message that lets a contact in.
    pub pairing_code: Option<SecretString>,
    /// Whether mynah tells people who may not talk that they may not.
    pub tells_refused: bool,
    /// How many messages of one contact mynah answers in a period.
    pub rate_limit: Option<Rate>,
    /// The command words, which the model never sees.
    pub keywords: Keywords,
    /// How long after an operator's last message the assistant takes over again; `None` for never.
    pub human_return: Option<Duration>,
    /// Whether the model may hand a conversation over to a person.
    pub model_may_hand_over: bool,
    /// The links that the assistant may send.
    pub links: LinkPolicy,
    /// The budgets for model calls.
    pub budgets: Budgets,
    /// What models cost, by prefix of their names.
    pub prices: Vec<(String, Price)>,
    /// The template that mynah sends if WhatsApp's 24 hours have run out.
    pub reopen_template: Option<ContentSid>,
}

impl ContactPolicyConfig {
    /// Returns the price of a model: that of the longest configured name that the model's name begins with.
    pub fn price(&self, model: &str) -> Option<Price> {
        let fits = self.prices.iter().filter(|(name, _)| model.starts_with(name.as_str()));
        fits.max_by_key(|(name, _)| name.len()).map(|(_, price)| *price)
    }

    /// Returns a warning for each of these models that has no price while a budget limits money. A model whose name
    /// only the server knows counts as priced if there is any price at all.
    pub(in crate::config) fn unpriced_warnings<'a>(&self, models: impl Iterator<Item = &'a AiConfig>) -> Vec<String> {
        let Budgets { contact_day, day, month } = self.budgets;
        let limits =
            [("MYNAH_BUDGET_CONTACT_DAY", contact_day), ("MYNAH_BUDGET_DAY", day), ("MYNAH_BUDGET_MONTH", month)];
        let limits: Vec<&str> =
            limits.iter().filter(|(_, budget)| budget.micros.is_some()).map(|(key, _)| *key).collect();
        if limits.is_empty() {
            return Vec::new();
        }
        let paid = models.filter(|ai| !matches!(ai.provider, ProviderConfig::Offline { .. }));
        let free = paid.filter(|ai| match ai.effective_model() {
            Some(model) => self.price(model).is_none(),
            None => self.prices.is_empty(),
        });
        free.map(|ai| {
            let model = ai.effective_model().unwrap_or("the model that the server lists first");
            format!(
                "{} limits USD, but MYNAH_PRICES has no price for {model} ({}): the model counts as free",
                limits.join(", "),
                ai.setting_names.model
            )
        })
        .collect()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Everyone,
    Listed,
    ListedOrCode,
}

/// A template belongs to an account, so a number of another account does not inherit it.
pub(in crate::config) const REOPEN_TEMPLATE_KEY: &str = "MYNAH_REOPEN_TEMPLATE";

const DAY: Duration = Duration::from_secs(24 * 3600);

pub(in crate::config) fn read(reader: &mut SettingsReader) -> ContactPolicyConfig {
    let kinds = [("everyone", Access::Everyone), ("listed", Access::Listed), ("code", Access::ListedOrCode)];
    let who = reader.read_or_default("MYNAH_WHO", |text| parse::choice(text, &kinds));
    let allowed: Vec<Address> =
        reader.read_or_default("MYNAH_ALLOWED", |text| parse_list(text, |item| Address::parse_lenient(item).ok()));
    let code = reader.read("MYNAH_PAIRING_CODE", parse_pairing_code);
    if who == Access::ListedOrCode && code.is_absent() {
        reader.report_missing("MYNAH_PAIRING_CODE", "MYNAH_WHO is code");
    }
    if who == Access::Listed && allowed.is_empty() {
        reader.warnings.push("MYNAH_WHO is listed but MYNAH_ALLOWED is empty: mynah refuses everyone".to_owned());
    }
    let parse_words = |text: &str| parse_list(text, |item| Some(item.to_owned()));
    let opt_out: Vec<String> = reader.read_or_default("MYNAH_OPT_OUT_WORDS", parse_words);
    let opt_in: Vec<String> = reader.read_or_default("MYNAH_OPT_IN_WORDS", parse_words);
    let human_return = reader.read_or_default("MYNAH_HUMAN_RETURN", |text| {
        let never = parse::duration(text, Duration::ZERO..=Duration::ZERO);
        never.or_else(|_| parse::duration(text, Duration::from_secs(60)..=DAY * 30))
    });
    let own = read_for_number(reader);
    ContactPolicyConfig {
        is_restricted: who != Access::Everyone,
        allowed_addresses: allowed.into(),
        pairing_code: code.valid().filter(|_| who == Access::ListedOrCode),
        tells_refused: reader
            .read_or_default("MYNAH_STRANGERS", |text| parse::choice(text, &[("refuse", true), ("ignore", false)])),
        rate_limit: reader.read_or_default("MYNAH_RATE_LIMIT", parse_rate),
        keywords: Keywords::new(&opt_out, &opt_in),
        human_return: (!human_return.is_zero()).then_some(human_return),
        model_may_hand_over: own.model_may_hand_over,
        links: own.links,
        budgets: Budgets {
            contact_day: reader.read_or_default("MYNAH_BUDGET_CONTACT_DAY", parse_budget),
            day: reader.read_or_default("MYNAH_BUDGET_DAY", parse_budget),
            month: reader.read_or_default("MYNAH_BUDGET_MONTH", parse_budget),
        },
        prices: reader.read_or_default("MYNAH_PRICES", |text| parse_list(text, parse_price)),
        reopen_template: own.reopen_template,
    }
}

/// The settings of this section that a number may have of its own.
pub(in crate::config) struct NumberContactPolicy {
    pub(in crate::config) model_may_hand_over: bool,
    pub(in crate::config) links: LinkPolicy,
    pub(in crate::config) reopen_template: Option<ContentSid>,
}

/// Reads the settings that a number may have of its own.
pub(in crate::config) fn read_for_number(reader: &mut SettingsReader) -> NumberContactPolicy {
    NumberContactPolicy {
        model_may_hand_over: reader
            .read_or_default("MYNAH_MODEL_HAND_OVER", |text| parse::choice(text, &[("true", true), ("false", false)])),
        links: reader.read_or_default("MYNAH_LINKS", parse_links),
        reopen_template: reader.read(REOPEN_TEMPLATE_KEY, parse_template).valid(),
    }
}

/// Parses comma-separated items, without the spaces around them; `none` alone is an empty list.
fn parse_list<T>(text: &str, item: impl Fn(&str) -> Option<T>) -> Parsed<Vec<T>> {
    if text.trim() == "none" {
        return Ok(Vec::new());
    }
    text.split(',')
        .map(|part| item(part.trim()).filter(|_| !part.trim().is_empty()))
        .collect::<Option<_>>()
        .ok_or_else(Rejected::default)
}

/// Parses the pairing code. Anybody can send guesses, so a short code is refused. mynah also removes the code from
/// every answer, so it must not be an ordinary word.
fn parse_pairing_code(text: &str) -> Parsed<SecretString> {
    let code = parse::secret(text)?;
    let chars = || code.expose_secret().chars();
    if chars().count() < 6 || !chars().any(|char| char.is_ascii_digit()) { Err(Rejected::default()) } else { Ok(code) }
}

/// Parses a ContentSid: `HX…`.
fn parse_template(text: &str) -> Parsed<ContentSid> {
    ContentSid::parse(text).ok_or_else(Rejected::default)
}

/// Parses `20/1m`, or `0` for no limit.
fn parse_rate(text: &str) -> Parsed<Option<Rate>> {
    if text == "0" {
        return Ok(None);
    }
    let (most, period) = text.split_once('/').ok_or_else(Rejected::default)?;
    let most = parse::integer(most, 1..=1_000_000_u32)?;
    let period = parse::duration(period, Duration::from_secs(1)..=DAY)?;
    Ok(NonZeroU32::new(most).map(|most| Rate { max_calls: most, period }))
}

/// Parses `allow`, `none`, or hosts. Hosts are kept as URLs spell them: `bücher.example` as `xn--bcher-kva.example`.
fn parse_links(text: &str) -> Parsed<LinkPolicy> {
    if text == "allow" {
        return Ok(LinkPolicy::Allow);
    }
    let host = |item: &str| {
        let plain = item.contains('.') && !item.contains(['/', ':', '@', ' ', '%']) && !item.starts_with('.');
        let host = Host::parse(item).ok().filter(|_| plain)?;
        Some(host.to_string().trim_end_matches('.').to_owned())
    };
    parse_list(text, host).map(LinkPolicy::Only)
}

/// Parses `50 calls, 100000 tokens, 0.50 usd`.
fn parse_budget(text: &str) -> Parsed<Budget> {
    let mut budget = Budget::default();
    let amounts = parse_list(text, |item| {
        let unit = item.find(|char: char| char.is_ascii_alphabetic())?;
        Some((item[..unit].trim().to_owned(), item[unit..].to_ascii_lowercase()))
    })?;
    for (amount, unit) in amounts {
        let place = match unit.as_str() {
            "call" | "calls" => &mut budget.calls,
            "token" | "tokens" => &mut budget.tokens,
            "usd" => &mut budget.micros,
            _ => return Err(Rejected::default()),
        };
        let amount =
            if unit == "usd" { parse_dollars(&amount) } else { parse::integer(&amount, 0..=i64::MAX / 2).ok() };
        if place.replace(amount.ok_or_else(Rejected::default)?).is_some() {
            return Err(Rejected::default());
        }
    }
    Ok(budget)
}

/// Parses `gpt-5-mini=0.25/2`.
fn parse_price(item: &str) -> Option<(String, Price)> {
    let (model, prices) = item.split_once('=')?;
    let (input, output) = prices.split_once('/')?;
    let model = parse::visible_ascii(model.trim()).ok()?;
    Some((model, Price { input: parse_dollars(input.trim())?, output: parse_dollars(output.trim())? }))
}

/// Parses dollars into millionths of a dollar, without floating-point errors.
fn parse_dollars(text: &str) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 6 || whole.len() > 9 {
        return None;
    }
    Some(whole.parse::<i64>().ok()? * 1_000_000 + format!("{part:0<6}").parse::<i64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{errors, load};

    fn load_contact_policy(env: &[(&str, &str)]) -> ContactPolicyConfig {
        load(env).unwrap().contact_policy
    }

    #[test]
    fn everyone_may_talk_at_twenty_messages_a_minute_without_a_budget() {
        let people = load_contact_policy(&[]);
        assert!(
            !people.is_restricted
                && people.allowed_addresses.is_empty()
                && people.tells_refused
                && people.pairing_code.is_none()
        );
        assert_eq!(
            people.rate_limit,
            Some(Rate { max_calls: NonZeroU32::new(20).unwrap(), period: Duration::from_secs(60) })
        );
        assert_eq!(people.human_return, Some(Duration::from_secs(4 * 3600)));
        assert_eq!((people.links, people.budgets), (LinkPolicy::Allow, Budgets::default()));
    }

    #[test]
    fn access_is_limited_by_a_list_or_a_code() {
        let listed = load_contact_policy(&[("MYNAH_WHO", "listed"), ("MYNAH_ALLOWED", "+15551234567, US.1349")]);
        assert!(listed.is_restricted && listed.allowed_addresses.len() == 2);
        let code = load_contact_policy(&[("MYNAH_WHO", "code"), ("MYNAH_PAIRING_CODE", "sesame1")]);
        assert!(code.is_restricted && code.pairing_code.is_some());
        let missing = errors(&[("MYNAH_WHO", "code")]);
        assert!(missing.len() == 1 && missing[0].starts_with("MYNAH_PAIRING_CODE: found no value"), "{missing:?}");
        for bad in ["abc", "abc12", "welcome"] {
            let errors = errors(&[("MYNAH_WHO", "code"), ("MYNAH_PAIRING_CODE", bad)]);
            assert!(errors.len() == 1 && errors[0].ends_with("at least one of them a digit"), "{errors:?}");
        }
        assert_eq!(errors(&[("MYNAH_ALLOWED", "5551234567")]).len(), 1);
        assert_eq!(load(&[("MYNAH_WHO", "listed")]).unwrap().warnings.len(), 1);
    }

    #[test]
    fn amounts_have_units() {
        let budgets = load_contact_policy(&[
            ("MYNAH_BUDGET_CONTACT_DAY", "50 calls, 100000 tokens, 0.50 usd"),
            ("MYNAH_BUDGET_DAY", "5usd"),
            ("MYNAH_BUDGET_MONTH", "none"),
        ])
        .budgets;
        assert_eq!(budgets.contact_day, Budget { calls: Some(50), tokens: Some(100_000), micros: Some(500_000) });
        assert_eq!(budgets.day, Budget { micros: Some(5_000_000), ..Budget::default() });
        assert!(budgets.month.is_none());
        for bad in ["50", "calls", "-1 calls", "1 euro", "1 usd, 2 usd", "0.1234567 usd", "1. usd", ","] {
            assert_eq!(errors(&[("MYNAH_BUDGET_DAY", bad)]).len(), 1, "{bad}");
        }
    }

    #[test]
    fn a_price_goes_by_the_longest_name_that_fits() {
        let people = load_contact_policy(&[("MYNAH_PRICES", "gpt-5=1.25/10, gpt-5-mini=0.25/2")]);
        assert_eq!(people.price("gpt-5-mini-2026"), Some(Price { input: 250_000, output: 2_000_000 }));
        assert_eq!(people.price("gpt-5.5"), Some(Price { input: 1_250_000, output: 10_000_000 }));
        assert_eq!(people.price("llama3.2"), None);
        for bad in ["gpt-5", "gpt-5=1", "=1/2", "a=x/2"] {
            assert_eq!(errors(&[("MYNAH_PRICES", bad)]).len(), 1, "{bad}");
        }
    }

    #[test]
    fn a_model_without_a_price_gives_a_warning_if_a_budget_limits_money() {
        let warnings = |settings: &[(&str, &str)]| load(settings).unwrap().warnings;
        let models = [
            ("OPENAI_API_KEY", "sk-1"),
            ("MYNAH_AI_2_PROVIDER", "anthropic"),
            ("MYNAH_AI_2_API_KEY", "sk-2"),
            ("MYNAH_AI_2_MODEL", "claude-opus-5"),
            ("MYNAH_AI_3_PROVIDER", "offline"),
        ];
        let with = |more: &[(&str, &str)]| warnings(&[&models[..], more].concat());
        let usd = ("MYNAH_BUDGET_DAY", "5 usd");
        let warning_about = |model: &str| {
            format!("MYNAH_BUDGET_DAY limits USD, but MYNAH_PRICES has no price for {model}: the model counts as free")
        };
        let (first, second) =
            (warning_about("gpt-5-mini (MYNAH_AI_MODEL)"), warning_about("claude-opus-5 (MYNAH_AI_2_MODEL)"));
        assert_eq!(with(&[usd]), [first, second.clone()]);
        assert_eq!(with(&[usd, ("MYNAH_PRICES", "gpt-5=1/2")]), [second]);
        for quiet in [&[usd, ("MYNAH_PRICES", "gpt-5=1/2, claude=3/15")][..], &[("MYNAH_BUDGET_DAY", "5 calls")], &[]] {
            assert_eq!(with(quiet), [""; 0]);
        }
        let home = [("OPENAI_BASE_URL", "http://localhost:11434/v1"), usd];
        assert!(warnings(&home)[0].contains("the model that the server lists first (MYNAH_AI_MODEL)"));
    }

    #[test]
    fn rates_links_and_times_are_read_or_refused() {
        assert_eq!(load_contact_policy(&[("MYNAH_RATE_LIMIT", "0")]).rate_limit, None);
        assert_eq!(load_contact_policy(&[("MYNAH_HUMAN_RETURN", "0")]).human_return, None);
        assert_eq!(load_contact_policy(&[("MYNAH_LINKS", "none")]).links, LinkPolicy::Only(Vec::new()));
        let only = LinkPolicy::Only(vec!["bakery.example".into(), "maps.example".into()]);
        assert_eq!(load_contact_policy(&[("MYNAH_LINKS", "Bakery.example, maps.example")]).links, only);
        let own = LinkPolicy::Only(vec!["xn--bcher-kva.example".into(), "xn--e1afmkfd.example".into()]);
        assert_eq!(load_contact_policy(&[("MYNAH_LINKS", "BÜCHER.example, пример.example.")]).links, own);
        for (key, bad) in [
            ("MYNAH_RATE_LIMIT", "20"),
            ("MYNAH_RATE_LIMIT", "0/1m"),
            ("MYNAH_RATE_LIMIT", "20/0s"),
            ("MYNAH_LINKS", "https://bakery.example"),
            ("MYNAH_HUMAN_RETURN", "30s"),
            ("MYNAH_REOPEN_TEMPLATE", "HX1"),
        ] {
            assert_eq!(errors(&[(key, bad)]).len(), 1, "{key} {bad}");
        }
    }
}
