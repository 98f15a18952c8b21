//! The length limit of an answer, and its usage.

use super::Finish;
use crate::model::Usage;

/// The longest answer, in characters.
const MAX_ANSWER_CHARS: usize = 32_000;

/// Truncates the text to the length limit. A truncated answer finishes with `Length`, unless it is a refusal.
pub(super) fn cap_answer(text: &str, finish: Finish) -> (String, Finish) {
    match text.char_indices().nth(MAX_ANSWER_CHARS - 1) {
        Some((end, last)) if end + last.len_utf8() < text.len() => {
            let finish = if finish == Finish::Refusal { finish } else { Finish::Length };
            (format!("{}…", &text[..end]), finish)
        }
        _ => (text.to_owned(), finish),
    }
}

/// Returns the provider's token counts (input and output), or an estimate: characters divided by four.
pub(super) fn usage_or_estimate(token_counts: Option<(u64, u64)>, sent: usize, written: usize) -> Usage {
    let narrow = |tokens: u64| u32::try_from(tokens).unwrap_or(u32::MAX);
    let (input, output) = token_counts.unwrap_or((sent as u64 / 4, written as u64 / 4));
    Usage { input_tokens: narrow(input), output_tokens: narrow(output), estimated: token_counts.is_none() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endless_answer_is_cut() {
        let (text, finish) = cap_answer(&"ä".repeat(32_000), Finish::Stop);
        assert_eq!((text.chars().count(), text.ends_with('ä'), finish), (32_000, true, Finish::Stop));
        let (text, finish) = cap_answer(&"ä".repeat(32_001), Finish::Stop);
        assert_eq!((text.chars().count(), text.ends_with("ä…"), finish), (32_000, true, Finish::Length));
    }
}
