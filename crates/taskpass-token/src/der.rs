//! The little DER that the task extension needs: definite lengths, one spelling, no recursion.

/// The four tags in use.
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const UTF8_STRING: u8 = 0x0c;
pub(crate) const SEQUENCE: u8 = 0x30;

/// Appends one element. What is written here stays far below the 64 KiB that its lengths can say;
/// more would get a length of zero, which no reader of ours accepts.
pub(crate) fn write(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    out.push(tag);
    match u8::try_from(content.len()) {
        Ok(short) if short < 0x80 => out.push(short),
        Ok(long) => out.extend([0x81, long]),
        Err(_) => {
            let [high, low] = u16::try_from(content.len())
                .unwrap_or_default()
                .to_be_bytes();
            out.extend([0x82, high, low]);
        }
    }
    out.extend_from_slice(content);
}

/// Appends a non-negative INTEGER, in as few bytes as possible.
pub(crate) fn write_u64(out: &mut Vec<u8>, value: u64) {
    let bytes = value.to_be_bytes();
    let zeros = bytes.iter().take(7).take_while(|b| **b == 0).count();
    let digits = bytes.get(zeros..).unwrap_or_default();
    let mut content = Vec::with_capacity(9);
    if digits.first().is_some_and(|b| *b >= 0x80) {
        content.push(0);
    }
    content.extend_from_slice(digits);
    write(out, INTEGER, &content);
}

/// Takes one element of `tag` off the front: its content and the rest.
pub(crate) fn read(input: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = input.split_first()?;
    if *first != tag {
        return None;
    }
    let (length, rest) = read_length(rest)?;
    (length <= rest.len()).then(|| rest.split_at(length))
}

/// A length in its shortest form; more than 64 KiB is nothing of ours.
fn read_length(input: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = input.split_first()?;
    match first {
        0..=0x7f => Some((usize::from(*first), rest)),
        0x81 => {
            let (length, rest) = rest.split_first()?;
            (*length >= 0x80).then(|| (usize::from(*length), rest))
        }
        0x82 => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            let length = u16::from_be_bytes(*length);
            (length >= 0x100).then(|| (usize::from(length), rest))
        }
        _ => None,
    }
}

/// Takes a non-negative INTEGER of at most 64 bits off the front.
pub(crate) fn read_u64(input: &[u8]) -> Option<(u64, &[u8])> {
    let (content, rest) = read(input, INTEGER)?;
    let digits = match content {
        [0] => content,
        // A leading zero must be there for the sign, and only for that.
        [0, next, ..] if *next >= 0x80 => content.get(1..)?,
        [] | [0 | 0x80..=0xff, ..] => return None,
        _ => content,
    };
    if digits.len() > 8 {
        return None;
    }
    let value = digits.iter().fold(0, |sum, b| (sum << 8) | u64::from(*b));
    Some((value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_spelling_only() {
        for bad in [
            &[][..],
            &[0x02],
            &[0x02, 0x00],
            &[0x02, 0x01],
            &[0x02, 0x01, 0x80],
            &[0x02, 0x02, 0x00, 0x7f],
            &[0x02, 0x81, 0x01, 0x05],
            &[0x02, 0x80, 0x05, 0x00],
            &[0x02, 0x82, 0x00, 0x01, 0x05],
            &[0x02, 0x09, 1, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x03, 0x01, 0x05],
        ] {
            assert_eq!(read_u64(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn integers_read_back(value: u64) {
            let mut out = Vec::new();
            write_u64(&mut out, value);
            prop_assert_eq!(read_u64(&out), Some((value, &[][..])));
        }

        #[test]
        fn elements_read_back(content in proptest::collection::vec(any::<u8>(), 0..700)) {
            let mut out = Vec::new();
            write(&mut out, SEQUENCE, &content);
            prop_assert_eq!(read(&out, SEQUENCE), Some((&content[..], &[][..])));
        }
    }
}
