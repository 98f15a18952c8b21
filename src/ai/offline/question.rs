//! Turns a question into search words, without accents and stop words.

use super::stop_words;

/// The most words of a question that are searched for.
const MAX_WORDS: usize = 32;

/// A contact's question.
#[derive(Debug, Default)]
pub(super) struct Question {
    /// The words that are not stop words, greetings or thanks.
    pub(super) content_words: Vec<String>,
    /// All words, for questions such as "Where are you?".
    pub(super) all_words: Vec<String>,
    is_greeting: bool,
    is_thanks: bool,
}

impl Question {
    /// Parses any text.
    pub(super) fn parse(text: &str) -> Question {
        let mut question = Question::default();
        let (mut strong, mut weak) = (false, 0);
        for word in fold_accents(text).split(|char: char| !char.is_alphanumeric()).filter(|word| !word.is_empty()) {
            let plain = stop_words::is_stop_word(word);
            if stop_words::is_greeting(word) {
                strong = true;
            } else if stop_words::is_thanks(word) {
                question.is_thanks = true;
            } else if !plain && stop_words::is_greeting_part(word) {
                weak += 1;
            }
            if question.all_words.len() < MAX_WORDS && !question.all_words.iter().any(|known| known == word) {
                question.all_words.push(word.to_owned());
                if !plain && !stop_words::is_greeting(word) && !stop_words::is_thanks(word) {
                    question.content_words.push(word.to_owned());
                }
            }
        }
        let idle = question.content_words.iter().all(|word| stop_words::is_greeting_part(word));
        question.is_thanks &= idle;
        question.is_greeting = idle && (strong || weak > 1) && !question.is_thanks && question.all_words.len() <= 6;
        question
    }

    /// Returns whether the text is only a greeting.
    pub(super) fn is_greeting(&self) -> bool {
        self.is_greeting
    }

    /// Returns whether the text is only thanks.
    pub(super) fn is_thanks(&self) -> bool {
        self.is_thanks
    }
}

/// Returns the FTS5 expression that finds a word and, by its stem, related words. The word consists of letters and
/// digits, so it cannot contain syntax.
pub(super) fn fts_expression(word: &str) -> String {
    let stem = stem(word);
    if let Some(one) = word.strip_suffix('s').filter(|one| one.len() == 3) {
        format!("\"{word}\" OR \"{one}\"")
    } else if stem.chars().count() >= 4 {
        format!("\"{word}\" OR \"{stem}\" *")
    } else if word.len() >= 3 && word.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        format!("\"{word}\" OR \"{word}s\"")
    } else {
        format!("\"{word}\"")
    }
}

/// Returns the word without its ending, if four letters remain. This is approximate: it serves five languages at once.
fn stem(word: &str) -> &str {
    let long = |stem: &&str| stem.chars().count() >= 4;
    stop_words::WORD_ENDINGS.iter().find_map(|end| word.strip_suffix(end).filter(long)).unwrap_or(word)
}

/// Converts the text to lower case without accents, as the index's tokenizer does.
fn fold_accents(text: &str) -> String {
    text.chars()
        .flat_map(char::to_lowercase)
        .filter(|char| !('\u{300}'..='\u{36f}').contains(char))
        .map(|char| match char {
            'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' => 'a',
            'ç' => 'c',
            'è' | 'é' | 'ê' | 'ë' => 'e',
            'ì' | 'í' | 'î' | 'ï' => 'i',
            'ñ' => 'n',
            'ò' | 'ó' | 'ô' | 'õ' | 'ö' => 'o',
            'ù' | 'ú' | 'û' | 'ü' => 'u',
            'ý' | 'ÿ' => 'y',
            other => other,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_uses_only_the_words_that_carry_the_question() {
        for (text, content) in [
            ("Hi, what time do you open on Sundays?", vec!["time", "open", "sundays"]),
            ("Haben Sie am Sonntag geöffnet?", vec!["sonntag", "geoffnet"]),
            ("¿Tienen pan sin gluten?", vec!["pan", "gluten"]),
            ("Où est la boulangerie ?", vec!["boulangerie"]),
            ("Dov'è il negozio?", vec!["negozio"]),
            ("CAFE\u{301} café Café", vec!["cafe"]),
            ("\" OR heading:* NEAR(", vec!["heading", "near"]),
            ("👍", vec![]),
        ] {
            assert_eq!(Question::parse(text).content_words, content, "{text}");
        }
    }

    #[test]
    fn greetings_and_thanks_are_distinguished_from_questions() {
        for (text, greets, thanks) in [
            ("Hi!", true, false),
            ("Good morning", true, false),
            ("hello there, how are you?", true, false),
            ("Buenos días", true, false),
            ("Guten Tag!", true, false),
            ("Thank you very much", false, true),
            ("Vielen Dank!", false, true),
            ("hi, thanks!", false, true),
            ("Hello, do you deliver?", false, false),
            ("Are you open tomorrow morning?", false, false),
            ("", false, false),
        ] {
            let question = Question::parse(text);
            assert_eq!((question.is_greeting(), question.is_thanks()), (greets, thanks), "{text}");
        }
    }

    #[test]
    fn a_search_finds_other_forms_of_a_word() {
        for (word, looked_for) in [
            ("cakes", r#""cakes" OR "cake" *"#),
            ("deliveries", r#""deliveries" OR "deliver" *"#),
            ("opening", r#""opening" OR "open" *"#),
            ("bread", r#""bread" OR "bread" *"#),
            ("pies", r#""pies" OR "pie""#),
            ("job", r#""job" OR "jobs""#),
            ("bus", r#""bus" OR "buss""#),
            ("18", r#""18""#),
        ] {
            assert_eq!(fts_expression(word), looked_for);
        }
    }
}
