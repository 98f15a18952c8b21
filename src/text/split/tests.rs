use proptest::prelude::*;

use super::{split, split_in_half};
use unicode_segmentation::UnicodeSegmentation;

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

#[track_caller]
fn assert_splits(text: &str, limit: usize, expected: &[&str]) {
    assert_eq!(split(text, limit, 9), expected, "from {text:?}");
}

#[test]
fn a_text_that_fits_is_one_message() {
    assert_splits("Hello there", 20, &["Hello there"]);
    assert_splits("12345678901234567890", 20, &["12345678901234567890"]);
    assert_splits("\n \n  - a\n\n", 20, &["  - a"]);
}

#[test]
fn blank_text_gives_no_message() {
    assert_splits("", 20, &[]);
    assert_splits(" \n\t\n ", 20, &[]);
    assert_eq!(split("text", 20, 0), Vec::<String>::new());
}

#[test]
fn the_coarsest_boundary_is_taken() {
    assert_splits("One two three.\n\nFour\nfive six", 20, &["One two three.", "Four\nfive six"]);
    assert_splits("One two three\nfour. Five six seven", 20, &["One two three", "four. Five six seven".split_at(20).0]);
    assert_splits("One two three. Four five six", 20, &["One two three.", "Four five six"]);
    assert_splits("One two three four five six", 20, &["One two three four", "five six"]);
    assert_splits(
        "一二三四五六七八九十一二三。一二三四五六七八九十",
        20,
        &["一二三四五六七八九十一二三。", "一二三四五六七八九十"],
    );
    assert_splits("aaaaaaaaaaaaaaaaaaaaaaaaa", 20, &["aaaaaaaaaaaaaaaaaaaa", "aaaaa"]);
}

#[test]
fn an_early_boundary_is_passed_over_for_a_finer_one() {
    assert_splits("Hi.\n\nThis one goes on and on", 20, &["Hi.\n\nThis one goes", "on and on"]);
    assert_splits("Hi. aaaaaaaaaaaaaaaaaaaaaaaaaa", 20, &["Hi. aaaaaaaaaaaaaaaa", "aaaaaaaaaa"]);
}

#[test]
fn indentation_survives_a_cut_between_lines() {
    assert_splits("- one two three\n  - four five\n", 20, &["- one two three", "  - four five"]);
}

#[test]
fn a_grapheme_is_not_cut_unless_it_alone_is_too_long() {
    let family = "👩‍👩‍👧"; // 8 units
    assert_splits(&family.repeat(3), 20, &[&family.repeat(2), family]);
    assert_splits("🇩🇪🇫🇷🇮🇹🇪🇸🇵🇹🇳🇱", 22, &["🇩🇪🇫🇷🇮🇹🇪🇸🇵🇹", "🇳🇱"]);
    // The combining mark belongs to the space before it.
    assert_splits("One two three \u{301}fourfive six", 20, &["One two three \u{301}", "fourfive six"]);
    let heap = format!("e{}", "\u{301}".repeat(24));
    assert_splits(&heap, 20, &[&format!("e{}", "\u{301}".repeat(19)), &"\u{301}".repeat(5)]);
}

#[test]
fn astral_characters_count_twice() {
    assert_splits(&"😀".repeat(11), 20, &[&"😀".repeat(10), "😀"]);
}

#[test]
fn a_link_that_fits_is_kept_whole() {
    assert_splits("See our menu https://a.example/m now", 20, &["See our menu", "https://a.example/m", "now"]);
    assert_splits("Hi (https://a.ex/?Q=1) and bye", 20, &["Hi", "(https://a.ex/?Q=1)", "and bye"]);
    assert_splits("abc https://a.example/long/path/to/it", 20, &["abc https://", "a.example/long/", "path/to/it"]);
}

#[test]
fn a_fence_that_is_cut_is_closed_and_opened_again() {
    assert_splits(
        "```\none two\nthree\nfour five\n```",
        20,
        &["```\none two\n```", "```\nthree\nfour\n```", "```\nfive\n```"],
    );
    assert_splits(
        "> ```\n> one two\n> three\n> ```\nend",
        24,
        &["> ```\n> one two\n> ```", "> ```\n> three\n> ```\nend"],
    );
    assert_splits("Some words\n```\ncode and code\n```", 22, &["Some words", "```\ncode and code\n```"]);
    assert_splits("```\none two three\n```\nmore words", 26, &["```\none two three\n```", "more words"]);
    assert_splits("Use ```x``` for a long, long time", 22, &["Use ```x``` for a", "long, long time"]);
}

#[test]
fn the_last_message_says_that_there_was_more() {
    assert_eq!(split("One two three four five six seven", 20, 1), ["One two three four …"]);
    assert_eq!(
        split("One two three four five six seven eight nine ten", 20, 2),
        ["One two three four", "five six seven …"]
    );
    assert_eq!(split("```\none two\nthree\nfour five\n```", 20, 1), ["```\none two\n``` …"]);
    assert_eq!(split("One two three four five six", 20, 2), ["One two three four", "five six"]);
}

#[test]
fn a_refused_text_is_halved_near_its_middle() {
    let halves = |text: &str| split_in_half(text).expect("the text can be split in half");
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(halves("One two.\n\nThree four."), pair("One two.", "Three four."));
    assert_eq!(halves("One two three four"), pair("One two", "three four"));
    assert_eq!(halves("ab"), pair("a", "b"));
    assert_eq!(halves("👩‍👩‍👧👩‍👩‍👧"), pair("👩‍👩‍👧", "👩‍👩‍👧"));
    assert_eq!(halves("https://a.example/b/c now"), pair("https://a.example/b/c", "now"));
    assert_eq!(halves("```\none two\nthree four\n```"), pair("```\none two\n```", "```\nthree four\n```"));
    assert_eq!(split_in_half("a"), None);
    assert_eq!(split_in_half(" 👩‍👩‍👧 \n"), None);
    assert_eq!(split_in_half(" "), None);
}

fn arbitrary_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => "[a-zA-Z]{1,9}[.!?,]? ",
        1 => "[a-z]{10,50}",
        2 => prop::sample::select(vec![
            "\n", "\n\n", "\n\n\n", "\n- ", "\n  - ", "\n> ", "\n```\n", "\n```\n", "\n````\n", "\n> ```\n", "```", "`", "   ", "\r\n", "\t",
            "\u{a0}", "👩‍👩‍👧", "🇩🇪", "e\u{301}", " \u{301}", "世界。", "ไทย", "مرحبا ", "\u{200d}", "https://a.example/b?C=d.E ",
            "(http://x.example) ", "https://",
        ]).prop_map(str::to_owned),
        1 => "\\PC{1,6}",
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Returns the text that must not get lost: everything except whitespace and the added fences, some of which are in
/// quotes.
fn visible_text(text: &str) -> String {
    text.chars().filter(|sign| !sign.is_whitespace() && !matches!(sign, '`' | '>')).collect()
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_message_exceeds_the_limit_or_is_blank(text in arbitrary_text(), limit in 20..80usize, most in 0..6usize) {
        let parts = split(&text, limit, most);
        prop_assert!(parts.len() <= most);
        for part in &parts {
            prop_assert!(units(part) <= limit, "{:?}", part);
            prop_assert!(!part.trim().is_empty());
            prop_assert_eq!(part.trim_end(), part);
            prop_assert!(part.lines().next().is_some_and(|line| !line.trim().is_empty()));
        }
    }

    #[test]
    fn nothing_is_lost(text in arbitrary_text(), limit in 20..80usize) {
        let parts = split(&text, limit, usize::MAX);
        prop_assert_eq!(visible_text(&parts.concat()), visible_text(&text));
    }

    #[test]
    fn a_message_split_again_stays_as_it_is(text in arbitrary_text(), limit in 20..80usize, most in 1..9usize) {
        for part in split(&text, limit, most) {
            prop_assert_eq!(split(&part, limit, most), vec![part.clone()]);
        }
    }

    #[test]
    fn graphemes_and_links_stay_whole(words in proptest::collection::vec(prop_oneof![
        "[a-z]{1,12}", Just("👩‍👩‍👧".to_owned()), Just("🇩🇪🇫🇷".to_owned()), Just("e\u{301}o\u{308}".to_owned()),
        Just("https://a.ex/?Q=d.E".to_owned()), Just("नमस्ते".to_owned()),
    ], 0..30), limit in 20..60usize) {
        let text = words.join(" ");
        let parts = split(&text, limit, usize::MAX);
        let graphemes = |text: &str| text.graphemes(true).filter(|one| !one.trim().is_empty()).map(str::to_owned).collect::<Vec<_>>();
        prop_assert_eq!(parts.iter().flat_map(|part| graphemes(part)).collect::<Vec<_>>(), graphemes(&text));
        let links = parts.iter().map(|part| part.matches("https://a.ex/?Q=d.E").count()).sum::<usize>();
        prop_assert_eq!(links, words.iter().filter(|word| word.starts_with("https")).count());
    }

    #[test]
    fn halves_are_shorter_and_lose_nothing(text in arbitrary_text()) {
        match split_in_half(&text) {
            Some((one, two)) => {
                prop_assert!(units(&one) < units(text.trim()) && units(&two) < units(text.trim()));
                prop_assert!(!one.trim().is_empty() && !two.trim().is_empty());
                prop_assert_eq!(visible_text(&one) + &visible_text(&two), visible_text(&text));
            }
            None => prop_assert!(text.trim().graphemes(true).count() < 2),
        }
    }
}
