//! How much of a model's context a text takes.

/// What is written around each message.
const TOKENS_PER_MESSAGE: usize = 4;

/// About how many tokens a text is, rather too many than too few, as tokenizers differ: three letters or blanks of ASCII are
/// one, as in German or Spanish, where English has four; two digits or signs, as in addresses; a character of any other
/// script is one of its own, and one beyond the first plane, such as an emoji, three. A few more for the message around it.
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

    /// Three characters a token, the signs of an address two, an emoji of one code point two or three.
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
