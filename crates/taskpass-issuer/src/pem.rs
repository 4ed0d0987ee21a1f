//! PEM (RFC 7468), in the strict form: one section at a time, nothing around it.

use data_encoding::BASE64;

/// One section, lines of 64 characters, `\n` at each end.
pub(crate) fn encode(label: &str, der: &[u8]) -> String {
    let body = BASE64.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for (place, letter) in body.chars().enumerate() {
        if place > 0 && place % 64 == 0 {
            text.push('\n');
        }
        text.push(letter);
    }
    text.push_str(&format_end(label));
    text
}

fn format_end(label: &str) -> String {
    format!("\n-----END {label}-----\n")
}

/// Certificates one after the other.
pub(crate) fn certificates<'a>(ders: impl IntoIterator<Item = &'a [u8]>) -> String {
    ders.into_iter()
        .map(|der| encode("CERTIFICATE", der))
        .collect()
}

/// Whether this is meant to be PEM rather than DER.
pub(crate) fn looks_like(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"-----")
}

/// The content of a text that is exactly one section with one of `labels`.
pub(crate) fn decode(bytes: &[u8], labels: &[&str]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(bytes).ok()?.trim_ascii();
    let body = labels.iter().find_map(|label| {
        text.strip_prefix(&format!("-----BEGIN {label}-----"))?
            .strip_suffix(&format!("-----END {label}-----"))
    })?;
    let body: Vec<u8> = body.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    BASE64.decode(&body).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_section_and_nothing_around_it() {
        for len in [0, 1, 47, 48, 49, 200] {
            let der = vec![7; len];
            let text = encode("X", &der);
            assert!(text.lines().all(|line| line.len() <= 64));
            assert_eq!(decode(text.as_bytes(), &["Y", "X"]), Some(der));
        }
        let good = encode("X", b"content");
        assert!(looks_like(good.as_bytes()) && !looks_like(b"\x30\x00"));
        for bad in [
            String::new(),
            format!("{good}{good}"),
            format!("subject: x\n{good}"),
            good.replace("END", "ENDE"),
            good.replacen('=', "", 1),
            good.replacen("Y29", "Y2!", 1),
        ] {
            assert_eq!(decode(bad.as_bytes(), &["X"]), None, "{bad}");
        }
        assert_eq!(decode(good.as_bytes(), &["Z"]), None);
    }
}
