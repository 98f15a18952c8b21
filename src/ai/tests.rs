//! Promises of prompts and of the choice of a provider.

use std::time::Duration;

use bytes::Bytes;
use secrecy::SecretString;
use url::Url;

use super::*;
use crate::config::AiSettingNames;

fn lines(said: &[(Role, &str)]) -> Vec<PromptMessage> {
    said.iter().map(|(role, text)| PromptMessage::new(*role, *text)).collect()
}

#[test]
fn the_oldest_lines_are_left_out_until_the_rest_fits_and_the_instructions_stay() {
    let (user, assistant) = (Role::User, Role::Assistant);
    let long = "word ".repeat(400);
    let said = [(user, "first"), (assistant, long.as_str()), (user, "second"), (assistant, "yes"), (user, "third")];
    let mut prompt = Prompt { system: "Be brief.".into(), messages: lines(&said), may_hand_over: false };
    assert_eq!((prompt.trim_to_tokens(10_000), prompt.messages.len()), (0, 5));
    assert_eq!(prompt.trim_to_tokens(100), 0);
    assert_eq!(prompt.messages, lines(&said[2..]), "and the first message is by the contact");
    assert_eq!(prompt.trim_to_tokens(0), 0);
    assert_eq!((prompt.system.as_str(), prompt.messages), ("Be brief.", lines(&said[4..])), "the last message stays");
}

#[test]
fn a_burst_that_does_not_fit_loses_its_oldest_lines_and_not_the_instructions() {
    let long = "word ".repeat(400);
    let said = [(Role::Assistant, "yes?"), (Role::User, &long), (Role::User, &long), (Role::User, "and now?")];
    let mut prompt = Prompt { system: "Be brief.".into(), messages: lines(&said), may_hand_over: false };
    assert_eq!((prompt.trim_to_tokens(800), &prompt.messages), (1, &lines(&said[2..])));
    assert_eq!((prompt.trim_to_tokens(0), prompt.messages), (1, lines(&said[3..])), "the last message always stays");
}

#[test]
fn instructions_take_of_the_room_and_each_character_of_another_script_is_a_token() {
    let said = [(Role::User, "one"), (Role::Assistant, "two"), (Role::User, "three")];
    let mut prompt = Prompt { system: "word ".repeat(400), messages: lines(&said), may_hand_over: false };
    prompt.trim_to_tokens(680);
    assert_eq!(prompt.messages, lines(&said[2..]), "the instructions take 671 tokens");
    let georgian = "ა".repeat(90);
    let said = [(Role::User, georgian.as_str()), (Role::Assistant, "two"), (Role::User, "three")];
    let mut prompt = Prompt { system: String::new(), messages: lines(&said), may_hand_over: false };
    prompt.trim_to_tokens(100);
    assert_eq!(prompt.messages, lines(&said[2..]));
    assert_eq!(text::estimate_tokens(&georgian), 94);
    let said = [(Role::User, "one"), (Role::Assistant, "two"), (Role::User, "three")];
    for (may_hand_over, kept) in [(false, 3), (true, 1)] {
        let mut prompt = Prompt { system: String::new(), messages: lines(&said), may_hand_over };
        prompt.trim_to_tokens(100);
        assert_eq!(prompt.messages.len(), kept, "the tool takes tokens, too");
    }
}

fn message_with_images(text: &str, images: usize) -> PromptMessage {
    let image = Image { media_type: "image/jpeg", bytes: Bytes::new(), width: 1_000, height: 750 };
    PromptMessage { images: vec![image; images], ..PromptMessage::new(Role::User, text) }
}

fn trim_and_count_images(lines: Vec<PromptMessage>, tokens: usize) -> (usize, Vec<(String, usize)>) {
    let mut prompt = Prompt { system: String::new(), messages: lines, may_hand_over: false };
    let left_out = prompt.trim_to_tokens(tokens);
    (left_out, prompt.messages.into_iter().map(|line| (line.text, line.images.len())).collect())
}

#[test]
fn the_five_newest_images_are_shown_and_the_others_become_placeholders() {
    let lines = vec![
        message_with_images("1", 1),
        message_with_images("", 2),
        PromptMessage::new(Role::Assistant, "Yes?"),
        message_with_images("3", 4),
    ];
    let kept = [("1\n[an earlier image, not shown again]", 0), ("[an earlier image, not shown again]", 1)]
        .into_iter()
        .chain([("Yes?", 0), ("3", 4)])
        .map(|(text, images)| (text.to_owned(), images));
    assert_eq!(trim_and_count_images(lines, 100_000), (0, kept.collect()));
}

#[test]
fn an_image_that_does_not_fit_becomes_words_before_any_line_is_left_out() {
    let lines = || {
        vec![message_with_images("first", 1), PromptMessage::new(Role::Assistant, "Yes?"), message_with_images("", 3)]
    };
    let expected = "first\n[an earlier image, not shown again]".to_owned();
    let last = format!("{0}\n{0}", "[an earlier image, not shown again]");
    assert_eq!(
        trim_and_count_images(lines(), 3_100),
        (0, vec![(expected.clone(), 0), ("Yes?".into(), 0), (String::new(), 3)]),
        "the last three images take 3,000 tokens"
    );
    assert_eq!(trim_and_count_images(lines(), 1_200), (0, vec![(expected, 0), ("Yes?".into(), 0), (last.clone(), 1)]));
    assert_eq!(trim_and_count_images(lines(), 0), (0, vec![(last, 1)]), "the last image is always shown");
}

fn config(provider: ProviderConfig) -> AiConfig {
    let timeout = Duration::from_secs(1);
    AiConfig {
        provider,
        model: None,
        max_tokens: None,
        temperature: None,
        timeout,
        concurrency: 1,
        context_tokens: 4_096,
        setting_names: AiSettingNames::OPENAI,
        configuration: "environment".into(),
    }
}

fn base(url: &str) -> Url {
    Url::parse(url).unwrap()
}

#[test]
fn each_provider_is_connected_by_its_configuration() {
    let openai = base("https://api.openai.com/v1");
    let anthropic = base("https://api.anthropic.com");
    let key = SecretString::from("sk-1");
    for (provider, name) in [
        (ProviderConfig::OpenAi { base_url: openai, api_key: Some(key.clone()) }, "openai gpt-5-mini"),
        (ProviderConfig::Anthropic { base_url: anthropic, api_key: key }, "anthropic claude-sonnet-5"),
        (ProviderConfig::Offline { folder: None }, "offline"),
    ] {
        let provider = build_provider(&config(provider), &[("hours.md", "Nine to five.")]).unwrap();
        assert_eq!(provider.name(), name);
    }
}

#[test]
fn a_configuration_that_cannot_work_is_refused() {
    let mut config = config(ProviderConfig::Offline { folder: Some("/nowhere/notes".into()) });
    let refused = |config: &AiConfig| build_provider(config, &[]).err().unwrap().to_string();
    assert!(refused(&config).starts_with("cannot read the notes in /nowhere/notes: "));
    config.max_tokens = Some(0);
    assert_eq!(refused(&config), "MYNAH_AI_MAX_TOKENS is 0: remove it, or set it to 1 or more");
}
