//! A form-urlencoded body, decoded once into one buffer.
//!
//! The decoder works on bytes: a signature covers the bytes that were sent, valid UTF-8 or not, and is checked before
//! anything else is read.

/// Decoded names and values, in the order received.
pub(super) struct Form {
    bytes: Vec<u8>,
    fields: Vec<Field>,
}

/// The positions of a name and its value in the buffer.
struct Field {
    start: usize,
    split: usize,
    end: usize,
}

impl Form {
    /// Decodes a body. Never fails: a broken escape is kept as it is, and a name without `=` has an empty value.
    pub(super) fn decode(body: &[u8]) -> Form {
        // Decoding never makes the text longer, so this is its only allocation. Twilio sends 15 to 30 fields.
        let mut bytes = Vec::with_capacity(body.len());
        let mut fields = Vec::with_capacity(32);
        for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let equals = pair.iter().position(|byte| *byte == b'=');
            let (name, value) = equals.map_or((pair, &b""[..]), |at| (&pair[..at], &pair[at + 1..]));
            let start = bytes.len();
            unescape(name, &mut bytes);
            let split = bytes.len();
            unescape(value, &mut bytes);
            fields.push(Field { start, split, end: bytes.len() });
        }
        Form { bytes, fields }
    }

    /// Returns the number of fields. A repeated name counts each time.
    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    /// Returns names and values in the order received.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|field| (&self.bytes[field.start..field.split], &self.bytes[field.split..field.end]))
    }
}

fn unescape(text: &[u8], into: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(plain) = rest.iter().position(|byte| matches!(byte, b'%' | b'+')) {
        into.extend_from_slice(&rest[..plain]);
        let (byte, behind) = (rest[plain], &rest[plain + 1..]);
        let escaped = match (byte, behind) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        if let Some((high, low)) = escaped {
            into.push(high << 4 | low);
            rest = &behind[2..];
        } else {
            into.push(if byte == b'+' { b' ' } else { byte });
            rest = behind;
        }
    }
    into.extend_from_slice(rest);
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_decoded_byte_for_byte() {
        let form = Form::decode(b"a=1+2&b=%C3%A9%2b&&c&=v&d=%zz%4&e=x=y&f=%ff&a=2&g=%");
        let pairs: Vec<_> = form.pairs().collect();
        let expected: [(&[u8], &[u8]); 9] = [
            (b"a", b"1 2"),
            (b"b", "é+".as_bytes()),
            (b"c", b""),
            (b"", b"v"),
            (b"d", b"%zz%4"),
            (b"e", b"x=y"),
            (b"f", b"\xff"),
            (b"a", b"2"),
            (b"g", b"%"),
        ];
        assert_eq!(pairs, expected);
        assert_eq!(form.len(), 9);
        assert_eq!(Form::decode(b"").len(), 0);
    }
}
