//! Bytes as text: which encoding they are in.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

/// Bytes as text, if they are any: UTF-8, UTF-16 with its mark, or Windows' western letters where there is no sign that no
/// text has.
pub(super) fn decode_text(bytes: &[u8]) -> Option<Cow<'_, str>> {
    let (encoding, mark) = Encoding::for_bom(bytes).unwrap_or((UTF_8, 0));
    let strict = encoding.decode_without_bom_handling_and_without_replacement(&bytes[mark..]);
    let text = strict.or_else(|| (mark == 0).then(|| WINDOWS_1252.decode_without_bom_handling(bytes).0))?;
    // Windows-1252 gives a control character (C1) for each byte that stands for nothing.
    let strange = |char: char| char.is_control() && !matches!(char, '\t' | '\n' | '\r' | '\x0c' | '\u{85}');
    (!text.contains(strange)).then_some(text)
}
