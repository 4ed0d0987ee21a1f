//! Crockford base32 of 128-bit values: 26 characters, one spelling only.
//!
//! Decoding is strict on purpose. Crockford lets `I`, `L`, `O` and lower case stand for other
//! letters; an identifier that two texts can name is an identifier that a deny list can miss.

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The number of characters of an encoded value.
pub const ENCODED_LEN: usize = 26;

/// Encodes 16 bytes, most significant bits first.
pub fn encode(bytes: [u8; 16]) -> String {
    let value = u128::from_be_bytes(bytes);
    (0..ENCODED_LEN)
        .rev()
        .map(|place| {
            let digit = usize::try_from((value >> (place * 5)) & 31).unwrap_or_default();
            char::from(ALPHABET.get(digit).copied().unwrap_or_default())
        })
        .collect()
}

/// Decodes what [`encode`] makes, and nothing else.
pub fn decode(text: &str) -> Option<[u8; 16]> {
    if text.len() != ENCODED_LEN {
        return None;
    }
    let mut value: u128 = 0;
    for (place, byte) in text.bytes().enumerate() {
        let digit = ALPHABET.iter().position(|letter| *letter == byte)?;
        // 26 characters hold 130 bits: the first may only use its lower three.
        if place == 0 && digit > 7 {
            return None;
        }
        value = (value << 5) | u128::try_from(digit).ok()?;
    }
    Some(value.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_every_other_spelling() {
        let good = encode([0x01; 16]);
        assert!(decode(&good).is_some());
        for bad in [
            "",
            "0",
            &good.to_lowercase(),
            &good.replace('0', "O"),
            &format!("{good}0"),
            "80000000000000000000000000",
            "0000000000000000000000000U",
            "0000000000000000000000000 ",
        ] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn round_trips_and_keeps_the_order(a: [u8; 16], b: [u8; 16]) {
            prop_assert_eq!(decode(&encode(a)), Some(a));
            prop_assert_eq!(encode(a).cmp(&encode(b)), a.cmp(&b));
        }
    }
}
