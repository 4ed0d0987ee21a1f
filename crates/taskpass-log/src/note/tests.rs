//! Notes and keys, against a published example and against every changed byte.

use std::convert::Infallible;

use proptest::prelude::*;

use super::*;
use crate::testing::{key, raw_sign};

/// The example note of the Go implementation that the format comes from.
const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const PETER_NOTE: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n\
    \n\
    \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

/// The example note of the format's own document; nobody published the key.
const QUASIMODO: &str = "Ognuno sta solo sul cuor della terra\n\
    trafitto da un raggio di sole:\n\
    \n\
    \u{e8}d \u{e8} subito sera.\n\
    \n\
    \u{2014} quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n";

fn signed(text: &str, seed: u8, name: &str) -> (NoteKey, String) {
    let key = key(seed, name);
    let note = sign(text, &key, |text| Ok::<_, Infallible>(raw_sign(seed, text))).unwrap();
    (key, note)
}

fn signature_line(note: &str) -> &str {
    note.rsplit_once("\n\n").unwrap().1
}

#[test]
fn a_published_note_verifies() {
    let key = NoteKey::parse(PETER).unwrap();
    assert_eq!(key.to_string(), PETER);
    let note = Note::parse(PETER_NOTE.as_bytes()).unwrap();
    let text = note.verify(std::slice::from_ref(&key)).unwrap();
    assert!(text.ends_with("your problem is.\n"));
    assert!(!text.ends_with("\n\n"));
}

#[test]
fn the_last_empty_line_ends_the_text() {
    let note = Note::parse(QUASIMODO.as_bytes()).unwrap();
    assert!(note.unverified_text().contains(":\n\n"));
    assert!(note.unverified_text().ends_with("sera.\n"));
    assert!(matches!(
        note.verify(&[key(1, "quasimodo.example/salvatore")]),
        Err(NoteError::Unknown { .. })
    ));
}

#[test]
fn keys_that_are_not_what_they_say_are_refused() {
    let long = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWAA==";
    for (text, error) in [
        ("", KeyError::Form),
        ("PeterNeumann", KeyError::Form),
        ("PeterNeumann+c74f20a3", KeyError::Form),
        (&PETER.replace("c74f20a3", "C74F20A3"), KeyError::Form),
        (&PETER.replace("c74f20a3", "c74f20"), KeyError::Form),
        (&PETER.replace("c74f20a3", "c74f20a4"), KeyError::Id),
        (&PETER.replace("Peter", "Petra"), KeyError::Id),
        (&PETER.replace("ARpc", "Ahpc"), KeyError::Kind),
        (&PETER.replace("PeterNeumann", ""), KeyError::Name),
        (
            &PETER.replace("PeterNeumann", "Peter Neumann"),
            KeyError::Name,
        ),
        (long, KeyError::Point),
    ] {
        assert_eq!(NoteKey::parse(text), Err(error), "{text:?}");
    }
    // The neutral element would verify anything.
    let mut weak = [0; 32];
    weak[0] = 1;
    assert_eq!(NoteKey::new("a", &weak), Err(KeyError::Point));
}

#[test]
fn forms_that_are_no_note_are_refused() {
    let (_, note) = signed("text\n", 1, "a.example");
    let line = signature_line(&note);
    for wrong in [
        String::new(),
        "\n".into(),
        "text\n".into(),
        "text\n\n".into(),
        "text\n\n\n".into(),
        format!("text\n{line}"),
        format!("text\n\n{}", line.trim_end()),
        format!("text\n\n{line}\n"),
        format!("text\r\n\n{line}"),
        format!("te\0xt\n\n{line}"),
        format!("text\n\n{line}more\n"),
        format!("text\n\n{}", line.replace('\u{2014}', "-")),
        format!("text\n\n{}", line.replace("a.example", "a+b")),
        format!("text\n\n{}", line.replace('=', "")),
        "text\n\n\u{2014} a.example AAAAAA==\n".into(),
        format!("text\n\n{}", line.repeat(MAX_SIGNATURES + 1)),
        format!("{}\n\n{line}", "x".repeat(MAX_NOTE)),
    ] {
        assert!(Note::parse(wrong.as_bytes()).is_err(), "{wrong:?}");
    }
    assert!(Note::parse(&[0xff, b'\n', b'\n']).is_err());
}

#[test]
fn other_signatures_are_ignored_and_wrong_ones_of_a_known_key_are_not() {
    let (first, note) = signed("text\n", 1, "a.example");
    let (second, other) = signed("text\n", 2, "b.example");
    let (_, wrong) = signed("other\n", 1, "a.example");
    let both = format!("{note}{}", signature_line(&other));
    let both = Note::parse(both.as_bytes()).unwrap();
    assert_eq!(both.verify(std::slice::from_ref(&first)), Ok("text\n"));
    assert_eq!(both.verify(std::slice::from_ref(&second)), Ok("text\n"));
    assert_eq!(both.verify(&[second, first.clone()]), Ok("text\n"));
    assert!(both.verify(&[]).is_err());
    // The same name with another key is another key.
    let stranger = key(3, "a.example");
    assert!(matches!(
        both.verify(&[stranger]),
        Err(NoteError::Unknown { .. })
    ));
    let spoilt = format!("{note}{}", signature_line(&wrong));
    let spoilt = Note::parse(spoilt.as_bytes()).unwrap();
    assert!(matches!(
        spoilt.verify(&[first]),
        Err(NoteError::Invalid { .. })
    ));
}

#[test]
fn a_signer_that_fails_or_signs_something_else_gives_no_note() {
    let key = key(1, "a.example");
    let failed = sign("text\n", &key, |_| Err(std::fmt::Error));
    assert!(matches!(failed, Err(SignError::Signer(_))));
    let with = |seed: u8, text: &'static [u8]| {
        sign("text\n", &key, move |_| {
            Ok::<_, Infallible>(raw_sign(seed, text))
        })
    };
    assert!(with(1, b"text\n").is_ok());
    assert!(matches!(with(2, b"text\n"), Err(SignError::Wrong { .. })));
    assert!(matches!(with(1, b"other\n"), Err(SignError::Wrong { .. })));
    for text in ["", "text", "te\txt\n"] {
        let made = sign(text, &key, |text| Ok::<_, Infallible>(raw_sign(1, text)));
        assert!(matches!(made, Err(SignError::Text)), "{text:?}");
    }
}

proptest! {
    #[test]
    fn what_was_signed_reads_back_and_nothing_else_does(
        text in "([a-z\u{e8} ]{0,9}\n){1,4}",
        at: prop::sample::Index,
        bit in 0_u8..8,
    ) {
        let (key, note) = signed(&text, 1, "a.example");
        let keys = [key];
        let parsed = Note::parse(note.as_bytes()).unwrap();
        prop_assert_eq!(parsed.verify(&keys), Ok(text.as_str()));
        let mut bytes = note.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let changed = Note::parse(&bytes).map(|note| note.verify(&keys).is_ok());
        prop_assert!(!matches!(changed, Ok(true)));
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        bytes: Vec<u8>,
        text in "[a-z \n+=]{0,40}\n\n(\u{2014} [a-z.]{1,9} [A-Za-z0-9+/=]{0,100}\n){0,2}",
        vkey in "[a-z.]{0,9}\\+[0-9a-f]{0,9}\\+[A-Za-z0-9+/=]{0,50}",
    ) {
        for bytes in [&bytes, text.as_bytes()] {
            if let Ok(note) = Note::parse(bytes) {
                prop_assert!(note.verify(&[key(1, "a.example")]).is_err());
            }
        }
        if let Ok(read) = NoteKey::parse(&vkey) {
            prop_assert_eq!(read.to_string(), vkey);
        }
    }
}
