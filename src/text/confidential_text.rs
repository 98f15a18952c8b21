//! Detects whether a text repeats confidential text word for word.

use std::collections::HashSet;

/// This many identical letters in a row count as repeated, not as coincidence.
const PIECE_LETTERS: usize = 30;

/// A text that repeats fewer letters is not a leak: instructions contain policies that customers may read.
const MIN_REPEATED_LETTERS: usize = 500;

/// A text that answers must not repeat, such as a model's instructions.
pub struct ConfidentialText {
    /// The text's letters and digits in lower case.
    letters: Vec<char>,
}

impl ConfidentialText {
    /// Creates a confidential text.
    #[must_use]
    pub fn new(text: &str) -> ConfidentialText {
        ConfidentialText { letters: normalized_letters(text) }
    }

    /// Returns whether `text` repeats at least half of the confidential text and at least 500 of its letters. Only
    /// letters and digits count; case does not.
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

    /// Returns long instructions, and the policy of 600 letters in them that customers may read.
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

    /// Half of eight hundred letters is too short to count.
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

    /// If the confidential text repeats itself, a few letters contain all of its pieces. The answer is too short in
    /// letters, although not in bytes.
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
