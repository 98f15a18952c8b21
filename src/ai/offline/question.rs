//! A question as words to look for: without accents, without the words that all questions share.

use super::words;

/// The most words of a question that are looked for.
const MOST: usize = 32;

/// What a contact asked.
#[derive(Debug, Default)]
pub(super) struct Question {
    /// The words that carry the question.
    pub(super) content: Vec<String>,
    /// All of them, for questions such as "Where are you?".
    pub(super) all: Vec<String>,
    greeting: bool,
    thanks: bool,
}

impl Question {
    /// Reads any text.
    pub(super) fn of(text: &str) -> Question {
        let mut question = Question::default();
        let (mut strong, mut weak) = (false, 0);
        for word in folded(text).split(|char: char| !char.is_alphanumeric()).filter(|word| !word.is_empty()) {
            let plain = words::stops(word);
            if words::greets(word) {
                strong = true;
            } else if words::thanks(word) {
                question.thanks = true;
            } else if !plain && words::may_greet(word) {
                weak += 1;
            }
            if question.all.len() < MOST && !question.all.iter().any(|known| known == word) {
                question.all.push(word.to_owned());
                if !plain && !words::greets(word) && !words::thanks(word) {
                    question.content.push(word.to_owned());
                }
            }
        }
        let idle = question.content.iter().all(|word| words::may_greet(word));
        question.thanks &= idle;
        question.greeting = idle && (strong || weak > 1) && !question.thanks && question.all.len() <= 6;
        question
    }

    /// Whether it is a greeting and nothing more.
    pub(super) fn greets(&self) -> bool {
        self.greeting
    }

    /// Whether it is thanks and nothing more.
    pub(super) fn thanks(&self) -> bool {
        self.thanks
    }
}

/// A word as FTS5 looks for it: itself or, by its stem, its kin. The word holds letters and digits only, so nothing in
/// it can be syntax.
pub(super) fn expression(word: &str) -> String {
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

/// The word without its ending, if four letters stay. Rough, for five languages at once.
fn stem(word: &str) -> &str {
    let long = |stem: &&str| stem.chars().count() >= 4;
    words::ENDINGS.iter().find_map(|end| word.strip_suffix(end).filter(long)).unwrap_or(word)
}

/// Lower case without accents, as the index's tokenizer folds text.
fn folded(text: &str) -> String {
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
    fn only_the_words_that_carry_a_question_are_looked_for() {
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
            assert_eq!(Question::of(text).content, content, "{text}");
        }
    }

    #[test]
    fn greetings_and_thanks_are_told_from_questions() {
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
            let question = Question::of(text);
            assert_eq!((question.greets(), question.thanks()), (greets, thanks), "{text}");
        }
    }

    #[test]
    fn a_word_is_looked_for_with_its_kin() {
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
            assert_eq!(expression(word), looked_for);
        }
    }
}
