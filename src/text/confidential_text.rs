//! Whether a text repeats another one word for word.

use std::collections::HashSet;

/// So many letters in a row, word for word, are repeated and not said anew.
const PIECE_LETTERS: usize = 30;

/// A text with fewer letters of the original is no repetition of it: a policy that stands there is there to be told.
const MIN_REPEATED_LETTERS: usize = 500;

/// A text that others may repeat, such as a model's instructions.
pub struct ConfidentialText {
    /// Its letters and digits, all of them small.
    letters: Vec<char>,
}

impl ConfidentialText {
    /// That text.
    #[must_use]
    pub fn new(text: &str) -> ConfidentialText {
        ConfidentialText { letters: normalized_letters(text) }
    }

    /// Whether at least half of it stands in the text, and 500 letters of it, whatever became of blanks and case.
    #[must_use]
    pub fn is_repeated_in(&self, text: &str) -> bool {
        // No text has more letters than bytes. Most answers are shorter.
        if text.len() < MIN_REPEATED_LETTERS || self.letters.len() < MIN_REPEATED_LETTERS {
            return false;
        }
        let text = normalized_letters(text);
        if text.len() < MIN_REPEATED_LETTERS {
            return false;
        }
        let text_pieces: HashSet<&[char]> = text.windows(PIECE_LETTERS).collect();
        let (mut repeated, mut counted_to) = (0, 0);
        for (at, piece) in self.letters.windows(PIECE_LETTERS).enumerate() {
            if text_pieces.contains(piece) {
                repeated += at + PIECE_LETTERS - counted_to.max(at);
                counted_to = at + PIECE_LETTERS;
            }
        }
        repeated >= MIN_REPEATED_LETTERS && repeated * 2 >= self.letters.len()
    }
}

fn normalized_letters(text: &str) -> Vec<char> {
    text.chars().filter(|char| char.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Instructions of some length, with a policy of 600 letters that customers may read.
    fn instructions() -> (String, String) {
        let policy: String =
            (1..=16).map(|n| format!("Return {n}: bring it back within {n} days, and we pay. ")).collect();
        let manners: String = (1..=30).map(|n| format!("Rule {n}: be brief, and invent no price of {n} €. ")).collect();
        (format!("You answer for a shop. {policy}{manners}"), policy)
    }

    #[test]
    fn half_of_the_original_is_a_repetition_and_its_policy_is_none() {
        let (system, policy) = instructions();
        let original = ConfidentialText::new(&system);
        assert!(
            normalized_letters(&policy).len() > MIN_REPEATED_LETTERS
                && normalized_letters(&policy).len() * 2 < normalized_letters(&system).len()
        );
        assert!(!original.is_repeated_in(&format!("Our policy:\n{policy}")));
        assert!(original.is_repeated_in(&format!("Sure! {}", system.to_uppercase().replace(' ', "\n"))));
        let half: String = system.chars().skip(system.chars().count() * 45 / 100).collect();
        assert!(original.is_repeated_in(&half));
        assert!(!original.is_repeated_in(&"We open at seven. ".repeat(100)));
    }

    /// Half of eight hundred letters are too few.
    #[test]
    fn half_of_a_text_that_is_not_long_may_be_repeated() {
        let system: String = (10..39).map(|n| format!("Return {n}: within {n} days, and we pay. ")).collect();
        assert!(
            (MIN_REPEATED_LETTERS..MIN_REPEATED_LETTERS * 2).contains(&normalized_letters(&system).len()),
            "{}",
            normalized_letters(&system).len()
        );
        let half: String = system.chars().take(system.chars().count() * 55 / 100).collect();
        assert!(
            normalized_letters(&half).len() * 2 > normalized_letters(&system).len()
                && normalized_letters(&half).len() < MIN_REPEATED_LETTERS
        );
        let answer = format!("{half}{}", "We open at seven. ".repeat(20));
        assert!(!ConfidentialText::new(&system).is_repeated_in(&answer));
    }

    /// An original that repeats itself stands whole in a few of its letters, however many bytes are around them.
    #[test]
    fn a_text_of_few_letters_repeats_nothing() {
        let rule = "Always be brief, and kind, and honest to whoever writes to the shop. ";
        let original = ConfidentialText::new(&rule.repeat(20));
        let few = format!("{}{}", rule.repeat(5), "… ".repeat(200));
        assert!(few.len() >= MIN_REPEATED_LETTERS && normalized_letters(&few).len() < MIN_REPEATED_LETTERS);
        assert!(!original.is_repeated_in(&few));
        assert!(original.is_repeated_in(&rule.repeat(12)));
    }

    #[test]
    fn a_short_text_may_be_repeated() {
        let system = "You answer for the Blue Door Bakery. We open at seven and close at two, and never on Mondays.";
        assert!(!ConfidentialText::new(system).is_repeated_in(&format!("{system} ").repeat(9)));
    }
}
