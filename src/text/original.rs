//! Whether a text repeats another one word for word.

use std::collections::HashSet;

/// So many letters in a row, word for word, are repeated and not said anew.
const PIECE: usize = 30;

/// A text with fewer letters of the original is no repetition of it: a policy that stands there is there to be told.
const LEAST: usize = 500;

/// A text that others may repeat, such as a model's instructions.
pub struct Original {
    /// Its letters and digits, all of them small.
    letters: Vec<char>,
}

impl Original {
    /// That text.
    #[must_use]
    pub fn of(text: &str) -> Original {
        Original { letters: letters(text) }
    }

    /// Whether at least half of it stands in the text, and 500 letters of it, whatever became of blanks and case.
    #[must_use]
    pub fn is_repeated_in(&self, text: &str) -> bool {
        // No text has more letters than bytes. Most answers are shorter.
        if text.len() < LEAST || self.letters.len() < LEAST {
            return false;
        }
        let text = letters(text);
        if text.len() < LEAST {
            return false;
        }
        let said: HashSet<&[char]> = text.windows(PIECE).collect();
        let (mut repeated, mut reach) = (0, 0);
        for (at, piece) in self.letters.windows(PIECE).enumerate() {
            if said.contains(piece) {
                repeated += at + PIECE - reach.max(at);
                reach = at + PIECE;
            }
        }
        repeated >= LEAST && repeated * 2 >= self.letters.len()
    }
}

fn letters(text: &str) -> Vec<char> {
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
        let original = Original::of(&system);
        assert!(letters(&policy).len() > LEAST && letters(&policy).len() * 2 < letters(&system).len());
        assert!(!original.is_repeated_in(&format!("Our policy:\n{policy}")));
        assert!(original.is_repeated_in(&format!("Sure! {}", system.to_uppercase().replace(' ', "\n"))));
        let half: String = system.chars().skip(system.chars().count() * 45 / 100).collect();
        assert!(original.is_repeated_in(&half));
        assert!(!original.is_repeated_in(&"We open at seven. ".repeat(100)));
    }

    /// Half of eight hundred letters are too few.
    #[test]
    fn half_of_a_text_that_is_not_long_may_be_told() {
        let system: String = (10..39).map(|n| format!("Return {n}: within {n} days, and we pay. ")).collect();
        assert!((LEAST..LEAST * 2).contains(&letters(&system).len()), "{}", letters(&system).len());
        let half: String = system.chars().take(system.chars().count() * 55 / 100).collect();
        assert!(letters(&half).len() * 2 > letters(&system).len() && letters(&half).len() < LEAST);
        let answer = format!("{half}{}", "We open at seven. ".repeat(20));
        assert!(!Original::of(&system).is_repeated_in(&answer));
    }

    /// An original that repeats itself stands whole in a few of its letters, however many bytes are around them.
    #[test]
    fn a_text_of_few_letters_repeats_nothing() {
        let rule = "Always be brief, and kind, and honest to whoever writes to the shop. ";
        let original = Original::of(&rule.repeat(20));
        let few = format!("{}{}", rule.repeat(5), "… ".repeat(200));
        assert!(few.len() >= LEAST && letters(&few).len() < LEAST);
        assert!(!original.is_repeated_in(&few));
        assert!(original.is_repeated_in(&rule.repeat(12)));
    }

    #[test]
    fn a_short_text_may_be_told() {
        let system = "You answer for the Blue Door Bakery. We open at seven and close at two, and never on Mondays.";
        assert!(!Original::of(system).is_repeated_in(&format!("{system} ").repeat(9)));
    }
}
