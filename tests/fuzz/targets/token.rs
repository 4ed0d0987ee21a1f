//! Tokens: any text, any claims, any header.

#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use taskpass_core::Timestamp;
use taskpass_core::spiffe::TrustDomain;
use taskpass_fuzz::{Key, way};
use taskpass_token::check::{Expect, check};
use taskpass_token::{Claims, Jwk, JwkSet, jws, spki};

static KEY: LazyLock<Key> = LazyLock::new(Key::default);
static KEYS: LazyLock<JwkSet> = LazyLock::new(|| KEY.trusted());
static DOMAIN: LazyLock<TrustDomain> = LazyLock::new(|| "example.org".parse().unwrap());

fuzz_target!(|data: &[u8]| {
    let (way, data) = way(data, 6);
    let expect = Expect {
        issuer: "https://broker.example",
        trust_domain: &DOMAIN,
        audience: None,
        now: Timestamp::from_secs(1_800_000_000),
        leeway: Duration::from_secs(60),
    };
    let text = std::str::from_utf8(data).ok();
    match (way, text) {
        // Nobody but the key's holder makes a token.
        (0, Some(text)) => {
            assert!(check(text, &*KEYS, &expect).is_err());
            if let Ok(read) = jws::parse(text) {
                assert_eq!(jws::assemble(read.signing_input, &read.signature), text);
            }
        }
        // Whatever is signed: what is accepted keeps the bounds that a token has.
        (1, Some(payload)) => {
            let token = KEY.document(jws::TOKEN_TYPE, payload);
            if let Ok(checked) = check(&token, &*KEYS, &expect) {
                assert!(checked.expires_at() > expect.now);
                let life = checked.expires_at().since(checked.issued_at());
                assert!(life <= Duration::from_secs(3600));
                assert_eq!(checked.claims().issuer, expect.issuer);
            }
        }
        (2, Some(payload)) => {
            if let Ok((claims, status)) = Claims::from_json_listed(payload.as_bytes()) {
                let again = claims.to_json_listed(status.as_ref());
                let (read, listed) = Claims::from_json_listed(again.as_bytes()).unwrap();
                assert_eq!((read, listed), (claims, status));
            }
        }
        (3, Some(typ)) => {
            let token = KEY.document(typ, "{}");
            assert!(check(&token, &*KEYS, &expect).is_err());
        }
        (4, _) => {
            let _ = Jwk::from_json(data);
            if let Ok(set) = JwkSet::from_json(data) {
                let again = JwkSet::from_json(set.to_json().as_bytes()).unwrap();
                assert_eq!(again.len(), set.len());
            }
        }
        (5, _) => {
            if let Ok(key) = spki::from_der(data) {
                assert_eq!(spki::to_der(&key), data);
            }
        }
        _ => {}
    }
});
