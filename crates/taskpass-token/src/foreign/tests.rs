//! What is believed and what is not, signed by a library that is not ours.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use proptest::prelude::*;
use serde_json::{Value, json};
use taskpass_core::Timestamp;

use super::*;

const RSA: &[u8] = include_bytes!("../../../../tests/attestation/keys/rsa.der");
const OTHER_RSA: &[u8] = include_bytes!("../../../../tests/attestation/keys/other-rsa.der");
const EC: &[u8] = include_bytes!("../../../../tests/attestation/keys/ec.der");
const ED25519: &[u8] = include_bytes!("../../../../tests/attestation/keys/ed25519.der");
const JWKS: &str = include_str!("../../../../tests/attestation/keys/jwks.json");

const NOW: u64 = 1_790_000_000;
const ALL: &[ForeignAlg] = &ForeignAlg::ALL;
const BELIEVES: Believes<'static> = Believes {
    issuer: "https://issuer.example",
    audience: "taskpass",
    algorithms: ALL,
    max_age: Duration::from_mins(10),
};

fn claims() -> Value {
    json!({
        "iss": BELIEVES.issuer, "sub": "system:serviceaccount:prod:invoice", "aud": ["taskpass"],
        "iat": NOW - 60, "nbf": NOW - 60, "exp": NOW + 540, "repository_id": "123",
    })
}

fn with(name: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims();
    claims[name] = value.into();
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

fn key(alg: Algorithm) -> (EncodingKey, &'static str) {
    match alg {
        Algorithm::RS256 | Algorithm::PS256 | Algorithm::RS512 => {
            (EncodingKey::from_rsa_der(RSA), "rsa")
        }
        Algorithm::ES256 => (EncodingKey::from_ec_der(EC), "ec"),
        Algorithm::EdDSA => (EncodingKey::from_ed_der(ED25519), "ed25519"),
        other => panic!("no key for {other:?}"),
    }
}

fn signed(alg: Algorithm, claims: &Value) -> String {
    let (key, kid) = key(alg);
    let mut header = Header::new(alg);
    header.kid = Some(kid.to_owned());
    encode(&header, claims, &key).unwrap()
}

fn believe_by(token: &str, believes: &Believes<'_>) -> Result<Believed, ForeignTokenError> {
    let token = ForeignToken::read(token)?;
    let set = ForeignKeySet::from_json(JWKS.as_bytes()).unwrap();
    token.pinned(believes.algorithms)?;
    let key = set.get(token.kid()).ok_or(ForeignTokenError::NoKey)?;
    token.believe(key, believes, Timestamp::from_secs(NOW))
}

fn believe(token: &str) -> Result<Believed, ForeignTokenError> {
    believe_by(token, &BELIEVES)
}

/// A token with any header and payload; the signature is one of the RSA key over exactly these.
fn raw(header: &str, payload: &str) -> String {
    let encode = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
    let input = format!("{}.{}", encode(header), encode(payload));
    let (key, _) = key(Algorithm::RS256);
    let signature = jsonwebtoken::crypto::sign(input.as_bytes(), &key, Algorithm::RS256).unwrap();
    format!("{input}.{signature}")
}

#[test]
fn each_pinned_algorithm_is_believed() {
    for (alg, kid) in [
        (Algorithm::RS256, "rsa"),
        (Algorithm::PS256, "rsa"),
        (Algorithm::ES256, "ec"),
        (Algorithm::EdDSA, "ed25519"),
    ] {
        let believed = believe(&signed(alg, &claims())).unwrap();
        assert_eq!(believed.kid, kid);
        assert_eq!(believed.subject, "system:serviceaccount:prod:invoice");
        assert_eq!(believed.issued_at, Timestamp::from_secs(NOW - 65));
        // At its `exp` or when it is too old, whichever comes first: here together.
        assert_eq!(believed.expires_at, Timestamp::from_secs(NOW + 540));
        assert_eq!(believed.claims["repository_id"], "123");
    }
    let short = signed(Algorithm::RS256, &with("exp", NOW + 1));
    let believed = believe(&short).unwrap();
    assert_eq!(believed.expires_at, Timestamp::from_secs(NOW + 1));
}

#[test]
fn no_other_algorithm_is() {
    // Everybody knows the public key: as a secret it must open nothing.
    let public = JWKS.as_bytes();
    for (alg, secret) in [
        (Algorithm::HS256, public),
        (Algorithm::HS512, public),
        (Algorithm::HS256, b"".as_slice()),
    ] {
        let mut header = Header::new(alg);
        header.kid = Some("rsa".to_owned());
        let token = encode(&header, &claims(), &EncodingKey::from_secret(secret)).unwrap();
        assert_eq!(believe(&token), Err(ForeignTokenError::Algorithm));
    }
    let long = signed(Algorithm::RS512, &claims());
    assert_eq!(believe(&long), Err(ForeignTokenError::Algorithm));
    for alg in ["none", "None", "rs256", "RS256 ", "EdDsa", "Ed25519", ""] {
        let token = raw(&json!({ "alg": alg, "kid": "rsa" }).to_string(), "{}");
        assert_eq!(believe(&token), Err(ForeignTokenError::Algorithm), "{alg}");
    }
    // What is not pinned, although the key could.
    let only = Believes {
        algorithms: &[ForeignAlg::Es256],
        ..BELIEVES
    };
    for alg in [Algorithm::RS256, Algorithm::PS256, Algorithm::EdDSA] {
        let token = signed(alg, &claims());
        let refused = believe_by(&token, &only);
        assert_eq!(refused, Err(ForeignTokenError::Algorithm));
    }
    assert!(believe_by(&signed(Algorithm::ES256, &claims()), &only).is_ok());
    for word in ["HS256", "none", "RS512", "ES384", "rs256"] {
        assert!(word.parse::<ForeignAlg>().is_err(), "{word}");
    }
}

#[test]
fn a_swapped_algorithm_or_key_does_not_verify() {
    let payload = claims().to_string();
    // Signed by PKCS #1, and it says PSS: one key can do both, one signature cannot.
    for (header, expected) in [
        (
            r#"{"alg":"PS256","kid":"rsa"}"#,
            ForeignTokenError::Signature,
        ),
        (
            r#"{"alg":"ES256","kid":"rsa"}"#,
            ForeignTokenError::Algorithm,
        ),
        (
            r#"{"alg":"EdDSA","kid":"ec"}"#,
            ForeignTokenError::Algorithm,
        ),
        (
            r#"{"alg":"ES256","kid":"ec"}"#,
            ForeignTokenError::Signature,
        ),
        (
            r#"{"alg":"RS256","kid":"ec"}"#,
            ForeignTokenError::Algorithm,
        ),
        (r#"{"alg":"RS256","kid":"who"}"#, ForeignTokenError::NoKey),
    ] {
        assert_eq!(believe(&raw(header, &payload)), Err(expected), "{header}");
    }
    let mut header = Header::new(Algorithm::RS256);
    header.kid = Some("rsa".to_owned());
    let other = EncodingKey::from_rsa_der(OTHER_RSA);
    let forged = encode(&header, &claims(), &other).unwrap();
    assert_eq!(believe(&forged), Err(ForeignTokenError::Signature));
    let good = signed(Algorithm::RS256, &claims());
    let (input, signature) = good.rsplit_once('.').unwrap();
    let (head, _) = input.split_once('.').unwrap();
    let changed = BASE64URL_NOPAD.encode(with("sub", "root").to_string().as_bytes());
    let tampered = format!("{head}.{changed}.{signature}");
    assert_eq!(believe(&tampered), Err(ForeignTokenError::Signature));
}

#[test]
fn the_header_says_little() {
    let payload = claims().to_string();
    for good in [
        r#"{"alg":"RS256","kid":"rsa"}"#,
        r#"{"typ":"JWT","alg":"RS256","x5t":"abc","kid":"rsa"}"#,
        r#"{"typ":"jwt","alg":"RS256","x5t#S256":"abc","kid":"rsa"}"#,
    ] {
        assert!(believe(&raw(good, &payload)).is_ok(), "{good}");
    }
    for (bad, expected) in [
        (r#"{"alg":"RS256"}"#, ForeignTokenError::NoKey),
        (r#"{"alg":"RS256","kid":""}"#, ForeignTokenError::NoKey),
        (r#"{"alg":"RS256","kid":"a\nb"}"#, ForeignTokenError::NoKey),
        (r#"{"alg":"RS256","kid":null}"#, ForeignTokenError::Form),
        (r#"{"alg":"RS256","kid":["rsa"]}"#, ForeignTokenError::Form),
        (
            r#"{"alg":"RS256","alg":"RS256","kid":"rsa"}"#,
            ForeignTokenError::Form,
        ),
        (
            r#"{"alg":"RS256","kid":"rsa","crit":["exp"]}"#,
            ForeignTokenError::Form,
        ),
        (
            r#"{"alg":"RS256","kid":"rsa","b64":false}"#,
            ForeignTokenError::Form,
        ),
        (
            r#"{"alg":"RS256","kid":"rsa","jku":"https://evil.example"}"#,
            ForeignTokenError::Form,
        ),
        (
            r#"{"alg":"RS256","kid":"rsa","jwk":{}}"#,
            ForeignTokenError::Form,
        ),
        (
            r#"{"alg":"RS256","kid":"rsa","x5u":"https://evil.example"}"#,
            ForeignTokenError::Form,
        ),
        (r#"["RS256","rsa"]"#, ForeignTokenError::Form),
        (
            r#"{"alg":"RS256","kid":"rsa","typ":"at+jwt"}"#,
            ForeignTokenError::Kind,
        ),
        (
            r#"{"alg":"RS256","kid":"rsa","typ":"logout+jwt"}"#,
            ForeignTokenError::Kind,
        ),
    ] {
        assert_eq!(believe(&raw(bad, &payload)), Err(expected), "{bad}");
    }
    let huge = "a".repeat(17 * 1024);
    assert_eq!(believe(&huge), Err(ForeignTokenError::Form));
    assert_eq!(believe(""), Err(ForeignTokenError::Form));
    assert_eq!(believe("a.b"), Err(ForeignTokenError::Form));
}

#[test]
fn each_claim_is_as_pinned() {
    use ForeignTokenError::{Audience, Claims, Expired, Future, Issuer, TooOld};
    for (claims, expected) in [
        (with("iss", "https://issuer.example/"), Issuer),
        (with("iss", "HTTPS://issuer.example"), Issuer),
        (with("iss", json!(["https://issuer.example"])), Issuer),
        (without("iss"), Issuer),
        (with("aud", "taskpass2"), Audience),
        (with("aud", json!([])), Audience),
        (with("aud", json!(["taskpass", "ledger"])), Audience),
        (with("aud", json!(["taskpass", "taskpass"])), Audience),
        (with("aud", json!([["taskpass"]])), Audience),
        (with("aud", json!({ "taskpass": true })), Audience),
        (with("aud", Value::Null), Audience),
        (without("aud"), Audience),
        (with("exp", NOW), Expired),
        (with("exp", NOW - 1), Expired),
        (with("exp", -1), Claims),
        (with("exp", "1790000540"), Claims),
        (with("exp", 1_790_000_540.5), Claims),
        (without("exp"), Claims),
        (with("iat", NOW + 6), Future),
        (with("iat", u64::MAX), Future),
        (with("iat", NOW - 600), TooOld),
        (with("iat", 0), TooOld),
        (without("iat"), Claims),
        (with("iat", Value::Null), Claims),
        (with("nbf", NOW + 6), Future),
        (with("nbf", "soon"), Claims),
        (with("sub", ""), Claims),
        (with("sub", "a\u{7}b"), Claims),
        (with("sub", "s".repeat(513)), Claims),
        (with("sub", 7), Claims),
        (without("sub"), Claims),
    ] {
        let refused = believe(&signed(Algorithm::ES256, &claims));
        assert_eq!(refused, Err(expected), "{claims}");
    }
    for claims in [
        with("aud", "taskpass"),
        with("exp", u64::MAX),
        with("iat", NOW + 5),
        with("iat", NOW - 599),
        with("nbf", NOW + 5),
        without("nbf"),
        with("sub", "s".repeat(512)),
    ] {
        let token = signed(Algorithm::ES256, &claims);
        assert!(believe(&token).is_ok(), "{claims}");
    }
}

#[test]
fn no_claim_stands_twice() {
    let header = r#"{"alg":"RS256","kid":"rsa"}"#;
    let payload = claims().to_string();
    let open = payload.strip_suffix('}').unwrap();
    for more in [
        r#""sub":"root""#,
        r#""iss":"https://evil.example""#,
        r#""a":{"b":1,"b":2}"#,
    ] {
        let token = raw(header, &format!("{open},{more}}}"));
        assert_eq!(believe(&token), Err(ForeignTokenError::Claims), "{more}");
    }
    for payload in ["", "[]", "null", "{", "\"x\""] {
        let token = raw(header, payload);
        let refused = believe(&token).unwrap_err();
        let form = payload.is_empty() && refused == ForeignTokenError::Form;
        assert!(form || refused == ForeignTokenError::Claims, "{payload}");
    }
}

#[test]
fn keys_that_cannot_be_used_are_none() {
    let set =
        |keys: Value| ForeignKeySet::from_json(json!({ "keys": keys }).to_string().as_bytes());
    let good: Value = serde_json::from_str(JWKS).unwrap();
    let [rsa, ec, ed] = [0, 1, 2].map(|n| good["keys"][n].clone());
    let changed = |key: &Value, name: &str, value: Value| {
        let mut key = key.clone();
        key[name] = value;
        key
    };
    let n = |bytes: usize, first: u8| {
        let mut number = vec![0xff; bytes];
        number[0] = first;
        json!(BASE64URL_NOPAD.encode(&number))
    };
    for bad in [
        changed(&rsa, "n", n(255, 0xff)),
        changed(&rsa, "n", n(256, 0x7f)),
        changed(&rsa, "n", n(1025, 0x01)),
        changed(&rsa, "n", json!("")),
        changed(&rsa, "n", json!("AAAA")),
        changed(&rsa, "e", json!("AQ")),
        changed(&rsa, "e", json!("AA")),
        changed(&rsa, "e", json!("Ag")),
        changed(&rsa, "e", json!("AQAAAAAAAAAB")),
        changed(&rsa, "kid", json!("")),
        changed(&rsa, "kid", Value::Null),
        changed(&rsa, "use", json!("enc")),
        changed(&rsa, "alg", json!("RS512")),
        changed(&rsa, "alg", json!("HS256")),
        changed(&rsa, "kty", json!("oct")),
        changed(&ec, "crv", json!("P-384")),
        changed(&ec, "x", json!("AA")),
        changed(&ed, "crv", json!("X25519")),
        json!("key"),
    ] {
        // Alone it is no set; beside a good one it is as if it were not there.
        assert_eq!(set(json!([bad])), Err(KeySetError::NoneUsable), "{bad}");
        let spare = changed(&ec, "kid", json!("spare"));
        assert_eq!(set(json!([bad, spare])).unwrap().len(), 1, "{bad}");
    }
    for (keys, expected) in [
        (
            json!([rsa, ec, changed(&ed, "kid", json!("rsa"))]),
            KeySetError::Duplicate,
        ),
        (
            json!([changed(&ec, "d", json!("AA"))]),
            KeySetError::Private,
        ),
        (
            json!([{ "kty": "oct", "k": "AA", "kid": "a" }, ec]),
            KeySetError::Private,
        ),
        (json!([]), KeySetError::NoneUsable),
        (json!(vec![ec.clone(); 65]), KeySetError::TooMany),
    ] {
        assert_eq!(set(keys), Err(expected));
    }
    // Written with the zero of a sign; and for one algorithm only.
    let number = rsa["n"].as_str().unwrap();
    let mut signed_number = vec![0];
    signed_number.extend(BASE64URL_NOPAD.decode(number.as_bytes()).unwrap());
    let zeroed = changed(&rsa, "n", json!(BASE64URL_NOPAD.encode(&signed_number)));
    let read = set(json!([zeroed])).unwrap();
    assert_eq!(read.get("rsa"), set(json!([rsa])).unwrap().get("rsa"));
    let narrow = set(json!([changed(&rsa, "alg", json!("PS256"))])).unwrap();
    let narrow = narrow.get("rsa").unwrap();
    assert!(narrow.fits(ForeignAlg::Ps256) && !narrow.fits(ForeignAlg::Rs256));
    let huge = vec![b' '; MAX_KEY_SET_LEN + 1];
    assert_eq!(ForeignKeySet::from_json(&huge), Err(KeySetError::TooLong));
}

proptest! {
    #[test]
    fn any_text_is_refused(text in ".{0,200}", dots in "[A-Za-z0-9_.-]{0,200}") {
        prop_assert!(believe(&text).is_err());
        prop_assert!(believe(&dots).is_err());
    }

    #[test]
    fn no_changed_character_goes_unnoticed(place: prop::sample::Index, byte in b'A'..=b'Z') {
        let good = signed(Algorithm::EdDSA, &claims());
        let mut bytes = good.clone().into_bytes();
        let place = place.index(bytes.len());
        prop_assume!(bytes[place] != byte);
        bytes[place] = byte;
        prop_assert!(believe(&String::from_utf8(bytes).unwrap()).is_err());
    }
}
