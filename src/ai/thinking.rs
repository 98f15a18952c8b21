//! Removes the reasoning that some models put into their answer, because contacts must not see it.

use std::borrow::Cow;

const OPEN_TAG: &str = "<think>";
const CLOSE_TAG: &str = "</think>";

/// Returns the text without `<think>…</think>`, trimmed. If the text begins with a block that never closes, the whole
/// text is reasoning. A closing tag alone ends a block whose opening tag was in the prompt (as with DeepSeek R1's chat
/// template).
pub(super) fn strip_thinking(text: &str) -> Cow<'_, str> {
    let mut rest = text.trim();
    loop {
        match (rest.find(OPEN_TAG), rest.find(CLOSE_TAG)) {
            (Some(0), None) => return Cow::Borrowed(""),
            (open, Some(close)) if open.is_none_or(|open| open == 0 || open > close) => {
                rest = rest[close + CLOSE_TAG.len()..].trim_start();
            }
            (Some(_), Some(_)) => break,
            _ => return Cow::Borrowed(rest),
        }
    }
    let mut kept = String::with_capacity(rest.len());
    while let Some(open) = rest.find(OPEN_TAG) {
        let Some(length) = rest[open..].find(CLOSE_TAG) else { break };
        kept.push_str(&rest[..open]);
        rest = &rest[open + length + CLOSE_TAG.len()..];
    }
    kept.push_str(rest);
    Cow::Owned(kept.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinking_is_taken_out() {
        for (text, left) in [
            ("Hello.", "Hello."),
            ("<think>hm</think>\n\nHello.", "Hello."),
            ("\n<think>\n</think>\n<think>again</think>Hello.\n", "Hello."),
            ("<think>never closed", ""),
            ("<think></think>", ""),
            ("so the answer is\n</think>\n\nHello.", "Hello."),
            ("<think>a<think>b</think>c</think>Hello.", "Hello."),
            ("One.<think>hm</think> Two.<think>hm</think>", "One. Two."),
            ("Write <think> to begin.", "Write <think> to begin."),
            ("", ""),
        ] {
            assert_eq!(strip_thinking(text), left, "{text}");
        }
    }
}
