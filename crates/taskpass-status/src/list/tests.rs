use std::collections::BTreeMap;

use ed25519_dalek::{Signer as _, SigningKey};
use proptest::prelude::*;
use taskpass_core::access::TokenAlg;
use taskpass_token::{Jwk, PublicKey};

use super::*;
use crate::packed::Bits;
use crate::token::{ListClaims, signing_input};

const URI: &str = "https://broker.example/status/472222-0";

struct Signed {
    secret: SigningKey,
    jwk: Jwk,
}

impl Signed {
    fn new(seed: u8) -> Self {
        let secret = SigningKey::from_bytes(&[seed; 32]);
        let jwk = Jwk::new(PublicKey::Ed25519(secret.verifying_key()));
        Self { secret, jwk }
    }

    fn keys(&self) -> BTreeMap<KeyId, Jwk> {
        [(self.jwk.id().clone(), self.jwk.clone())].into()
    }

    fn sign(&self, input: &str) -> String {
        jws::assemble(input, &self.secret.sign(input.as_bytes()).to_bytes())
    }

    fn payload(&self, typ: &str, payload: &str) -> String {
        let header = jws::header_json(TokenAlg::EdDsa, self.jwk.id(), typ);
        self.sign(&jws::signing_input(&header, payload))
    }
}

fn claims() -> ListClaims<'static> {
    ListClaims {
        uri: URI,
        issued_at: 1000,
        expires_at: 1300,
        ttl: 30,
        aggregation_uri: Some("https://broker.example/status"),
    }
}

fn expect(now: u64) -> Expect<'static> {
    Expect {
        uri: URI,
        now: Timestamp::from_secs(now),
        leeway: Duration::from_secs(5),
    }
}

fn packed() -> Packed {
    Packed::from_bytes(Bits::Two, vec![0b1110_0100])
}

fn good(key: &Signed) -> String {
    key.sign(&signing_input(
        &claims(),
        &packed(),
        TokenAlg::EdDsa,
        key.jwk.id(),
    ))
}

#[test]
fn a_list_says_what_was_written() {
    let key = Signed::new(1);
    let list = StatusList::verify(&good(&key), &key.keys(), &expect(1100)).unwrap();
    assert_eq!(list.packed(), &packed());
    for (index, status) in [
        Status::Valid,
        Status::Invalid,
        Status::Suspended,
        Status::Other(3),
    ]
    .into_iter()
    .enumerate()
    {
        let index = u64::try_from(index).unwrap();
        assert_eq!(list.status(index), Ok(status));
        assert_eq!(status.is_valid(), index == 0);
    }
    assert_eq!(list.status(4), Err(OutOfRange { index: 4 }));
    assert_eq!(list.status(u64::MAX), Err(OutOfRange { index: u64::MAX }));
    assert!(list.is_current(Timestamp::from_secs(1299)));
    assert!(!list.is_current(Timestamp::from_secs(1300)));
    assert_eq!(list.ttl(), Duration::from_secs(30));
    assert_eq!(list.issued_at().secs(), 1000);
    assert_eq!(list.expires_at().secs(), 1300);
}

#[test]
fn the_form_is_fixed() {
    let key = Signed::new(1);
    let input = signing_input(&claims(), &packed(), TokenAlg::EdDsa, key.jwk.id());
    let part = |text: &str| {
        let bytes = data_encoding::BASE64URL_NOPAD
            .decode(text.as_bytes())
            .unwrap();
        String::from_utf8(bytes).unwrap()
    };
    let (header, payload) = input.split_once('.').unwrap();
    let kid = key.jwk.id();
    assert_eq!(
        part(header),
        format!(r#"{{"alg":"EdDSA","typ":"statuslist+jwt","kid":"{kid}"}}"#)
    );
    let lst = lst::encode(&packed());
    assert_eq!(
        part(payload),
        format!(
            r#"{{"sub":"{URI}","iat":1000,"exp":1300,"ttl":30,"status_list":{{"bits":2,"lst":"{lst}","aggregation_uri":"https://broker.example/status"}}}}"#
        )
    );
    assert_eq!(
        crate::aggregation_json([URI]),
        format!(r#"{{"status_lists":["{URI}"]}}"#)
    );
}

#[test]
fn each_refusal_has_its_own_reason() {
    let (key, stranger) = (Signed::new(1), Signed::new(2));
    let verify = |text: &str, now| StatusList::verify(text, &key.keys(), &expect(now)).unwrap_err();
    let text = good(&key);
    assert!(matches!(verify(&text, 1300), StatusListError::Expired));
    assert!(matches!(
        verify(&text, 994),
        StatusListError::IssuedInFuture
    ));
    assert!(StatusList::verify(&text, &key.keys(), &expect(995)).is_ok());
    assert!(matches!(
        verify(&good(&stranger), 1100),
        StatusListError::UnknownKey(_)
    ));
    let other = Expect {
        uri: "https://broker.example/status/472222-1",
        ..expect(1100)
    };
    let refused = StatusList::verify(&text, &key.keys(), &other);
    assert!(matches!(refused, Err(StatusListError::Subject)));
    let (input, _) = text.rsplit_once('.').unwrap();
    let forged = jws::assemble(input, &[0; 64]);
    assert!(matches!(verify(&forged, 1100), StatusListError::Signature));
    assert!(matches!(verify("", 1100), StatusListError::Malformed(_)));
    let long = "a".repeat(MAX_DOCUMENT_LEN + 1);
    assert!(matches!(
        verify(&long, 1100),
        StatusListError::Malformed(JwsError::TooLong { .. })
    ));

    let ok = format!(
        r#"{{"sub":"{URI}","iat":1000,"exp":1300,"ttl":30,"status_list":{{"bits":1,"lst":"eNrbuRgAAhcBXQ"}}}}"#
    );
    let of = |payload: &str| verify(&key.payload(STATUS_LIST_TYPE, payload), 1100);
    assert!(
        StatusList::verify(
            &key.payload(STATUS_LIST_TYPE, &ok),
            &key.keys(),
            &expect(1100)
        )
        .is_ok()
    );
    for typ in ["at+jwt", "JWT", "application/statuslist+jwt"] {
        assert!(matches!(
            verify(&key.payload(typ, &ok), 1100),
            StatusListError::Type
        ));
    }
    assert!(matches!(
        of(&ok.replace("\"ttl\":30", "\"ttl\":0")),
        StatusListError::Ttl
    ));
    for bits in ["0", "3", "16"] {
        let payload = ok.replace("\"bits\":1", &format!("\"bits\":{bits}"));
        assert!(matches!(of(&payload), StatusListError::Bits));
    }
    assert!(matches!(
        of(&ok.replace("eNrb", "eNrc")),
        StatusListError::Lst(LstError::Zlib)
    ));
    for (from, to) in [
        ("\"iat\":1000,", ""),
        ("\"exp\":1300,", ""),
        ("\"ttl\":30,", ""),
        ("\"ttl\":30", "\"ttl\":-1"),
        ("\"ttl\":30", "\"ttl\":30,\"ttl\":60"),
        ("\"exp\":1300", "\"exp\":1300.5"),
        ("\"exp\":1300", "\"exp\":\"1300\""),
        ("\"exp\":1300", "\"exp\":null"),
        ("\"bits\":1", "\"bits\":\"1\""),
        (
            "{\"bits\":1,\"lst\":\"eNrbuRgAAhcBXQ\"}",
            "[1,\"eNrbuRgAAhcBXQ\"]",
        ),
        ("{\"bits\":1,\"lst\":\"eNrbuRgAAhcBXQ\"}", "{}"),
    ] {
        let payload = ok.replace(from, to);
        assert_ne!(payload, ok);
        assert!(matches!(of(&payload), StatusListError::Claims(_)), "{to}");
    }
}

#[test]
fn another_algorithm_than_the_keys_is_refused() {
    let key = Signed::new(1);
    let header = jws::header_json(TokenAlg::Es256, key.jwk.id(), STATUS_LIST_TYPE);
    let text = key.sign(&jws::signing_input(&header, "{}"));
    let refused = StatusList::verify(&text, &key.keys(), &expect(1100));
    assert!(matches!(refused, Err(StatusListError::Algorithm)));
    for kid in ["", r#","kid":"x""#] {
        let header = format!(r#"{{"alg":"EdDSA","typ":"statuslist+jwt"{kid}}}"#);
        let text = key.sign(&jws::signing_input(&header, "{}"));
        let refused = StatusList::verify(&text, &key.keys(), &expect(1100));
        assert!(matches!(refused, Err(StatusListError::NoKey)));
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(
        text in ".{0,200}", dots in "[A-Za-z0-9_.-]{0,200}",
        payload in r#"[{}\[\]":,a-z0-9 ]{0,120}"#, place in 0_usize..600, byte: u8,
    ) {
        let key = Signed::new(1);
        for text in [text, dots, key.payload(STATUS_LIST_TYPE, &payload)] {
            prop_assert!(StatusList::verify(&text, &key.keys(), &expect(1100)).is_err());
        }
        // Nothing but what was signed is accepted.
        let mut damaged = good(&key).into_bytes();
        let len = damaged.len();
        if damaged[place % len] != byte {
            damaged[place % len] = byte;
            if let Ok(text) = String::from_utf8(damaged) {
                prop_assert!(StatusList::verify(&text, &key.keys(), &expect(1100)).is_err());
            }
        }
    }
}
