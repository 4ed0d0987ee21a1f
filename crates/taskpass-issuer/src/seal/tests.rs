//! Sealing, opening, and every way in which opening is refused.

use super::*;
use taskpass_core::secret::Sha256;

fn kek(byte: u8) -> KeyEncryptionKey {
    KeyEncryptionKey::from_bytes([byte; 32])
}

#[test]
fn what_is_sealed_opens_for_the_same_thing_only() {
    let (one, two) = (
        KeyId::from_thumbprint(Sha256::of(b"1")),
        KeyId::from_thumbprint(Sha256::of(b"2")),
    );
    let what = SealedFor {
        purpose: KeyPurpose::Feed,
        id: &one,
    };
    let sealed = kek(1).seal(what, b"private").unwrap();
    assert_eq!(kek(1).unseal(what, &sealed).unwrap().as_slice(), b"private");
    assert_eq!(kek(2).unseal(what, &sealed), Err(UnsealError::WrongKey));
    for other in [
        SealedFor { id: &two, ..what },
        SealedFor {
            purpose: KeyPurpose::TokenEdDsa,
            ..what
        },
    ] {
        assert_eq!(kek(1).unseal(other, &sealed), Err(UnsealError::Damaged));
    }
    assert_ne!(sealed, kek(1).seal(what, b"private").unwrap());
    assert!(!sealed.windows(7).any(|window| window == b"private"));
}

#[test]
fn every_changed_byte_is_noticed() {
    let id = KeyId::from_thumbprint(Sha256::of(b"1"));
    let what = SealedFor {
        purpose: KeyPurpose::TaskRoot,
        id: &id,
    };
    let sealed = kek(1).seal(what, b"private").unwrap();
    for place in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[place] ^= 1;
        let expected = match place {
            0 => UnsealError::Form,
            1..=8 => UnsealError::WrongKey,
            _ => UnsealError::Damaged,
        };
        assert_eq!(kek(1).unseal(what, &changed), Err(expected), "{place}");
    }
    for end in 0..sealed.len() {
        assert!(kek(1).unseal(what, &sealed[..end]).is_err(), "{end}");
    }
}

#[test]
fn reads_the_three_spellings_and_no_other() {
    let key = kek(0xab);
    let same = |content: &[u8]| KeyEncryptionKey::parse(content).map(|read| *read.0 == *key.0);
    assert_eq!(same(&[0xab; 32]), Ok(true));
    assert_eq!(same("ab".repeat(32).as_bytes()), Ok(true));
    assert_eq!(same(format!("{}\n", "AB".repeat(32)).as_bytes()), Ok(true));
    assert_eq!(same(key.to_text().expose().as_bytes()), Ok(true));
    for bad in [
        &b""[..],
        b"short",
        &[0xab; 31],
        &[0xab; 33],
        "zz".repeat(32).as_bytes(),
        "ab".repeat(31).as_bytes(),
    ] {
        assert_eq!(same(bad), Err(ParseKekError), "{bad:?}");
    }
    assert_eq!(format!("{key:?}"), "[redacted]");
    let (one, two) = (
        KeyEncryptionKey::generate().unwrap(),
        KeyEncryptionKey::generate().unwrap(),
    );
    assert_ne!(*one.0, *two.0);
}
