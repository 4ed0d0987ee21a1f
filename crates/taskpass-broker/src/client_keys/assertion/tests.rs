use super::*;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};

const ISSUER: &str = "https://broker.example";
const NOW: Timestamp = Timestamp::from_secs(1_000);

struct Signer(EcdsaKeyPair);

#[expect(clippy::disallowed_methods, reason = "keys of a test")]
fn random() -> ring::rand::SystemRandom {
    ring::rand::SystemRandom::new()
}

impl Signer {
    fn new() -> Self {
        let rng = random();
        let alg = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(alg, &rng).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(alg, pkcs8.as_ref(), &rng).unwrap())
    }

    fn key(&self, until: u64) -> ClientKey {
        let point = self.0.public_key().as_ref();
        let jwk = Jwk::new(taskpass_token::jwk::PublicKey::from_point(point).unwrap());
        ClientKey {
            id: jwk.id().clone(),
            jwk: jwk.to_json(),
            added_at: Timestamp::ZERO,
            until: Timestamp::from_secs(until),
        }
    }

    fn sign(&self, header: &str, payload: &str) -> String {
        let input = jws::signing_input(header, payload);
        let rng = random();
        let signature = self.0.sign(&rng, input.as_bytes()).unwrap();
        jws::assemble(&input, signature.as_ref())
    }
}

const ES256: &str = r#"{"alg":"ES256"}"#;

fn payload(more: &str) -> String {
    format!(r#"{{"iss":"bot","sub":"bot",{more}}}"#)
}

fn good() -> String {
    payload(r#""aud":"https://broker.example","exp":1060,"iat":1000,"jti":"1""#)
}

/// What is said of it: nothing if no key signed it.
fn judged(header: &str, payload: &str) -> Option<Result<Good, String>> {
    let signer = Signer::new();
    let assertion = signer.sign(header, payload);
    let presented = Presented::read(&assertion)?;
    presented.signed_by(&[signer.key(2_000)], NOW)?;
    Some(
        presented
            .claims(ISSUER, NOW)
            .map_err(|error| error.to_string()),
    )
}

#[test]
fn only_a_live_key_of_the_right_algorithm_counts() {
    let (signer, other) = (Signer::new(), Signer::new());
    let (key, ended) = (signer.key(2_000), signer.key(1_000));
    let assertion = signer.sign(ES256, &good());
    let found_by = |keys: &[ClientKey]| {
        let presented = Presented::read(&assertion).unwrap();
        presented.signed_by(keys, NOW).cloned()
    };
    assert_eq!(
        found_by(&[other.key(2_000), key.clone()]),
        Some(key.clone())
    );
    assert_eq!(found_by(&[]), None);
    assert_eq!(found_by(&[other.key(2_000)]), None);
    assert_eq!(found_by(&[ended]), None, "a key that has ended");
    for (header, fits) in [
        (format!(r#"{{"alg":"ES256","kid":"{}"}}"#, key.id), true),
        (
            format!(r#"{{"alg":"ES256","kid":"{}"}}"#, other.key(1).id),
            false,
        ),
        (
            r#"{"alg":"ES256","typ":"client-authentication+jwt"}"#.into(),
            true,
        ),
        (r#"{"alg":"ES256","typ":"JWT"}"#.into(), true),
        (r#"{"alg":"ES256","typ":"at+jwt"}"#.into(), false),
        (r#"{"alg":"EdDSA"}"#.into(), false),
        (r#"{"alg":"HS256"}"#.into(), false),
        (r#"{"alg":"none"}"#.into(), false),
        (
            r#"{"alg":"ES256","jku":"https://evil.example"}"#.into(),
            false,
        ),
    ] {
        let assertion = signer.sign(&header, &good());
        let found = Presented::read(&assertion)
            .and_then(|p| p.signed_by(std::slice::from_ref(&key), NOW).cloned());
        assert_eq!(found.is_some(), fits, "{header}");
    }
    let mut changed = signer.sign(ES256, &good());
    changed.replace_range(changed.len() - 4.., "AAAA");
    let presented = Presented::read(&changed).unwrap();
    assert_eq!(presented.signed_by(&[key], NOW), None);
}

#[test]
fn whom_it_names() {
    for bad in [
        r#"{"iss":"bot","sub":"other","aud":"https://broker.example","exp":1060,"iat":1000,"jti":"1"}"#,
        r#"{"sub":"bot","aud":"https://broker.example","exp":1060,"iat":1000,"jti":"1"}"#,
        r#"{"iss":"bot","aud":"https://broker.example","exp":1060,"iat":1000,"jti":"1"}"#,
        r#"{"iss":"B o t","sub":"B o t","aud":"https://broker.example","exp":1060,"iat":1000,"jti":"1"}"#,
        r#"{"iss":"bot","sub":"bot","sub":"bot"}"#,
        r#"["bot","bot"]"#,
    ] {
        assert!(judged(ES256, bad).is_none(), "{bad}");
    }
}

#[test]
fn what_it_must_say() {
    assert!(judged(ES256, &good()).unwrap().is_ok());
    for (more, expected) in [
        // Audiences of every shape but the one.
        (
            r#""aud":["https://broker.example"],"exp":1060,"iat":1000,"jti":"1""#,
            "one string",
        ),
        (
            r#""aud":["https://broker.example","https://x.example"],"exp":1060,"iat":1000,"jti":"1""#,
            "one string",
        ),
        (
            r#""aud":"https://broker.example/","exp":1060,"iat":1000,"jti":"1""#,
            "audience",
        ),
        (
            r#""aud":"https://broker.example/oauth2/token","exp":1060,"iat":1000,"jti":"1""#,
            "audience",
        ),
        (
            r#""aud":"HTTPS://broker.example","exp":1060,"iat":1000,"jti":"1""#,
            "audience",
        ),
        (r#""aud":"","exp":1060,"iat":1000,"jti":"1""#, "audience"),
        (
            r#""aud":null,"exp":1060,"iat":1000,"jti":"1""#,
            "one string",
        ),
        (r#""exp":1060,"iat":1000,"jti":"1""#, "one string"),
        // Times.
        (
            r#""aud":"https://broker.example","exp":1000,"iat":990,"jti":"1""#,
            "expired",
        ),
        (
            r#""aud":"https://broker.example","exp":1306,"iat":1000,"jti":"1""#,
            "five minutes",
        ),
        (
            r#""aud":"https://broker.example","exp":18446744073709551615,"iat":1000,"jti":"1""#,
            "five minutes",
        ),
        (
            r#""aud":"https://broker.example","exp":1060,"iat":1006,"jti":"1""#,
            "future",
        ),
        (
            r#""aud":"https://broker.example","exp":1060,"iat":18446744073709551615,"jti":"1""#,
            "future",
        ),
        (
            r#""aud":"https://broker.example","exp":1060,"iat":1000,"nbf":1006,"jti":"1""#,
            "future",
        ),
        (
            r#""aud":"https://broker.example","exp":"1060","iat":1000,"jti":"1""#,
            "whole seconds",
        ),
        (
            r#""aud":"https://broker.example","exp":1060.5,"iat":1000,"jti":"1""#,
            "whole seconds",
        ),
        (
            r#""aud":"https://broker.example","exp":1060,"exp":1061,"iat":1000,"jti":"1""#,
            "each once",
        ),
        (
            r#""aud":"https://broker.example","exp":1060,"jti":"1""#,
            "`iat`",
        ),
        // The id.
        (
            r#""aud":"https://broker.example","exp":1060,"iat":1000"#,
            "`jti`",
        ),
        (
            r#""aud":"https://broker.example","exp":1060,"iat":1000,"jti":"""#,
            "`jti`",
        ),
        (
            r#""aud":"https://broker.example","exp":1060,"iat":1000,"jti":7"#,
            "`jti`",
        ),
    ] {
        let said = judged(ES256, &payload(more)).unwrap().unwrap_err();
        assert!(said.contains(expected), "{more}: {said}");
    }
}
