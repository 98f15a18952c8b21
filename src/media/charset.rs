//! Detects the encoding of text.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

/// Decodes bytes as text: UTF-8, UTF-16 with a byte order mark, or Windows-1252. Returns `None` if the result contains
/// control characters that do not occur in text.
pub(super) fn decode_text(bytes: &[u8]) -> Option<Cow<'_, str>> {
    let (encoding, mark) = Encoding::for_bom(bytes).unwrap_or((UTF_8, 0));
    let strict = encoding.decode_without_bom_handling_and_without_replacement(&bytes[mark..]);
    let text = strict.or_else(|| (mark == 0).then(|| WINDOWS_1252.decode_without_bom_handling(bytes).0))?;
    // Windows-1252 decodes each unassigned byte as a control character (C1).
    let strange = |char: char| char.is_control() && !matches!(char, '\t' | '\n' | '\r' | '\x0c' | '\u{85}');
    (!text.contains(strange)).then_some(text)
}
