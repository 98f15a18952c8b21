//! Estimates how many tokens of a model's context a text takes.

/// The overhead of each message.
const TOKENS_PER_MESSAGE: usize = 4;

/// Estimates the number of tokens in a text. Tokenizers differ, so the estimate is rather too high than too low. Three
/// ASCII letters or spaces are one token, as in German or Spanish (English has four to a token). So are two ASCII
/// digits or punctuation marks, as in URLs. A character of any other script is one token. A character beyond the basic
/// plane, such as an emoji, is three; one of the symbols U+2600–27BF is two. Each message adds a few tokens of
/// overhead.
#[must_use]
pub fn estimate_tokens(text: &str) -> usize {
    // In sixths of a token.
    let sixths = |char: char| match char {
        'a'..='z' | 'A'..='Z' | ' ' | '\n' => 2,
        '\0'..='\u{7f}' => 3,
        '\u{2600}'..='\u{27bf}' => 12,
        '\u{80}'..='\u{ffff}' => 6,
        _ => 18,
    };
    text.chars().map(sixths).sum::<usize>().div_ceil(6) + TOKENS_PER_MESSAGE
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The real ratios: three characters to a token, two in URLs, and two or three tokens to an emoji of one code
    /// point.
    #[test]
    fn the_estimate_is_on_the_high_side() {
        for (text, least) in [
            ("Können Sie mir bitte die Öffnungszeiten der Geschäftsstelle am Donnerstag durchgeben?", 24),
            ("¿Podría decirme, por favor, cuánto cuesta el alojamiento con desayuno incluido?", 24),
            ("https://www.example.com/a/b?utm_source=x1&id=7f3a9c", 17),
            ("2026-11-24T10:00:00Z 4930123456789", 16),
            ("👩🏽‍👩🏽‍👧🏽‍👦🏽🎉🎉🎉", 24),
            ("გამარჯობა", 9),
            ("☀☔✂❤☎", 10),
            ("a", 1),
        ] {
            let estimate = estimate_tokens(text) - TOKENS_PER_MESSAGE;
            assert!(estimate >= least && estimate <= least * 3, "{estimate} for {text}");
        }
        assert_eq!(estimate_tokens(""), TOKENS_PER_MESSAGE);
    }
}
