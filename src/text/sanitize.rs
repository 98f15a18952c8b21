//! Removes characters that are invisible and can be misused.
//!
//! Text for the model, for contacts and for the log passes through here. The store keeps messages unchanged.

use std::borrow::Cow;

use unicode_segmentation::UnicodeSegmentation;

/// The maximum number of code points in one grapheme. A family of four with skin tones has 11, and an Indic conjunct
/// has about 8. A longer grapheme is a pile of combining marks.
const MAX_GRAPHEME_CHARS: usize = 16;

/// Removes hidden characters:
///
/// - control characters, except line breaks and tabs
/// - characters that change the writing direction of the text after them (U+202A–202E, U+2066–2069; Unicode TR 36,
///   "Bidirectional text spoofing")
/// - characters without width (U+200B, U+00AD, U+2060–2064)
/// - Unicode tags (U+E0000–E007F), annotations and noncharacters
///
/// Invisible characters that shape the character before them can also carry hidden text. They stay only where that
/// character uses them: joiners (U+200C, U+200D) in scripts that join and in emoji, U+FE0E and U+FE0F after emoji and
/// symbols, and ideographic selectors after ideographs. Line breaks become `\n`. A grapheme keeps its first 16 code
/// points.
///
/// A second pass changes nothing, and the result is never longer than the input.
#[must_use]
pub fn sanitize(text: &str) -> Cow<'_, str> {
    // Almost every text is clean, and is then only read.
    if text.bytes().all(|byte| matches!(byte, b'\n' | b'\t' | b' '..=b'~')) {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\r' if chars.peek() == Some(&'\n') => {}
            '\r' | '\u{2028}' | '\u{2029}' => kept.push('\n'),
            _ if is_hidden(char) => {}
            _ if is_shaping(char) => {
                if kept.chars().next_back().is_some_and(|base| accepts_shaping(base, char, chars.peek().copied())) {
                    kept.push(char);
                }
            }
            _ => kept.push(char),
        }
    }
    let piled = kept.graphemes(true).any(|grapheme| grapheme.chars().nth(MAX_GRAPHEME_CHARS).is_some());
    if piled {
        kept = kept.graphemes(true).flat_map(|grapheme| grapheme.chars().take(MAX_GRAPHEME_CHARS)).collect();
        // A removed code point may be one that a character before it needed, so sanitize again.
        kept = sanitize(&kept).into_owned();
    }
    if kept == text { Cow::Borrowed(text) } else { Cow::Owned(kept) }
}

/// Returns at most `max_chars` code points of a text, cut between graphemes. A text that was cut ends in `…`.
#[must_use]
pub fn truncate(text: &str, max_chars: usize) -> Cow<'_, str> {
    if text.len() <= max_chars || text.chars().nth(max_chars).is_none() {
        return Cow::Borrowed(text);
    }
    let mut kept = String::new();
    let mut count = 1;
    for grapheme in text.graphemes(true) {
        count += grapheme.chars().count();
        if count > max_chars {
            break;
        }
        kept.push_str(grapheme);
    }
    kept.push('…');
    Cow::Owned(kept)
}

/// Returns whether [`sanitize`] removes this character everywhere.
pub fn is_hidden(char: char) -> bool {
    match char {
        '\n' | '\t' => false,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        // The soft hyphen, the zero-width space, the word joiner and invisible operators.
        '\u{ad}' | '\u{200b}' | '\u{2060}'..='\u{2064}' => true,
        // Deprecated formatting, interlinear annotations, the byte order mark, the object replacement character.
        '\u{206a}'..='\u{206f}' | '\u{fff9}'..='\u{fffc}' | '\u{feff}' => true,
        '\u{e0000}'..='\u{e007f}' => true,
        // Noncharacters.
        '\u{fdd0}'..='\u{fdef}' => true,
        _ => char.is_control() || u32::from(char) & 0xfffe == 0xfffe,
    }
}

/// Returns whether a character is invisible and shapes the one before it.
fn is_shaping(char: char) -> bool {
    matches!(char, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

/// Returns whether `shape` has an effect on `base`, by Unicode's lists of variation sequences. `next` is the character
/// that follows.
fn accepts_shaping(base: char, shape: char, next: Option<char>) -> bool {
    match shape {
        '\u{200c}' => is_joining_script(base),
        '\u{200d}' => is_joining_script(base) || is_pictographic(base) || base == '\u{fe0f}',
        // A digit uses a selector as part of a keycap.
        '\u{fe0e}' | '\u{fe0f}' if matches!(base, '0'..='9' | '#' | '*') => next == Some('\u{20e3}'),
        '\u{fe0e}' | '\u{fe0f}' => is_pictographic(base),
        '\u{fe00}'..='\u{fe02}' | '\u{e0100}'..='\u{e01ef}' => is_ideograph(base),
        _ => false,
    }
}

/// Returns whether a letter or mark belongs to a script that needs joiners: Hebrew and Arabic to Tibetan and Burmese,
/// Khmer and Mongolian, and their supplements.
fn is_joining_script(char: char) -> bool {
    matches!(char,
        '\u{590}'..='\u{109f}' | '\u{1780}'..='\u{18af}' | '\u{1a00}'..='\u{1cff}' | '\u{a800}'..='\u{abff}'
        | '\u{fb1d}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}' | '\u{10a00}'..='\u{11fff}'
        | '\u{1e900}'..='\u{1eeff}')
}

/// Returns whether a character is or can be shown as a pictograph.
fn is_pictographic(char: char) -> bool {
    matches!(char,
        '©' | '®' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}' | '\u{2190}'..='\u{21ff}' | '\u{2300}'..='\u{23ff}'
        | '\u{24c2}' | '\u{25a0}'..='\u{27bf}' | '\u{2900}'..='\u{297f}' | '\u{2b00}'..='\u{2bff}' | '\u{3030}' | '\u{303d}'
        | '\u{3297}' | '\u{3299}' | '\u{1f000}'..='\u{1faff}')
}

fn is_ideograph(char: char) -> bool {
    matches!(char,
        '々' | '〇' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn honest_writing_in_any_script_stays_as_it_is() {
        for text in [
            "Hello!\n\tTwo lines.",
            "¿Cuánto cuesta? – 12 €",
            "مرحبا، كم السعر؟",
            "שלום\u{200f}!",
            "नमस्ते, क्ष्म्य",
            "👩🏽‍👩🏽‍👧🏽‍👦🏽 ❤️ 1️⃣",
            "می\u{200c}خواهم",
            "क्\u{200d}ष ක්\u{200d}ර ❤\u{fe0f}\u{200d}🔥 ©\u{fe0f} #\u{fe0f}\u{20e3} ☎\u{fe0e}",
            "葛\u{e0100}城",
        ] {
            assert!(matches!(sanitize(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn hidden_and_deceiving_characters_are_removed() {
        for (text, clear) in [
            ("a\0b\u{7}c\u{1b}[31md\u{85}", "abc[31md"),
            ("one\r\ntwo\rthree\u{2028}four\u{2029}five", "one\ntwo\nthree\nfour\nfive"),
            ("one\r\ntwo", "one\ntwo"),
            ("a\u{206a}b\u{206f}c\u{fff9}d\u{fffc}", "abcd"),
            ("pay \u{202e}001\u{202c} now \u{2066}x\u{2069}", "pay 001 now x"),
            ("hi\u{e0068}\u{e0069}\u{e007f}", "hi"),
            ("x\u{fe01}\u{fe02}\u{e0101}y\u{fe0f}1\u{fe0f}0", "xy10"),
            ("❤\u{fe0f}\u{fe0f}\u{fe0e}葛\u{e0100}\u{e0101}あ\u{e0100}", "❤\u{fe0f}葛\u{e0100}あ"),
            ("a\u{200b}b\u{ad}c\u{2060}\u{2061}\u{2062}\u{2063}\u{2064}d", "abcd"),
            ("a\u{200d}\u{200c}b \u{200d}c 1\u{200c}2", "ab c 12"),
            ("क\u{200d}\u{200d}\u{200c}ष 😀\u{200d}\u{200c}", "क\u{200d}ष 😀\u{200d}"),
            ("\u{fe0f}\u{feff}z\u{fffe}\u{1ffff}\u{fdd0}", "z"),
            ("\u{0}\u{1}\u{2}", ""),
        ] {
            assert_eq!(sanitize(text), clear, "{text:?}");
        }
    }

    #[test]
    fn a_pile_of_combining_marks_is_cut() {
        let pile = format!("a{}b", "\u{301}".repeat(4_095));
        assert_eq!(sanitize(&pile), format!("a{}b", "\u{301}".repeat(15)));
        // The keycap (U+20E3) is cut off. The selector before it then has no effect on the digit and is removed too.
        let signs = "\u{600}".repeat(14);
        assert_eq!(sanitize(&format!("{signs}1\u{fe0f}\u{20e3}")), format!("{signs}1"));
    }

    #[test]
    fn a_long_text_is_cut_between_graphemes() {
        assert_eq!(truncate("abc", 3), "abc");
        assert_eq!(truncate("abcd", 3), "ab…");
        assert_eq!(truncate("ne\u{301}e!", 3), "n…");
        assert_eq!(truncate("👩🏽‍👧🏽", 5), "👩🏽‍👧🏽");
        assert_eq!(truncate("👩🏽‍👧🏽x", 5), "…");
    }

    proptest! {
        #[test]
        fn a_second_pass_changes_nothing(text in "(\\PC|\\pC|[\u{300}-\u{36f}\u{fe00}-\u{fe0f}\u{200b}-\u{200f}\u{20e3}0-9☀-☎क-न\u{202a}-\u{202e}\r\n]){0,60}") {
            let once = sanitize(&text).into_owned();
            prop_assert!(once.len() <= text.len());
            prop_assert_eq!(sanitize(&once).into_owned(), once);
        }

        #[test]
        fn a_capped_text_is_never_longer(text in "\\PC{0,40}", most in 1_usize..30) {
            prop_assert!(truncate(&text, most).chars().count() <= most);
        }
    }
}
