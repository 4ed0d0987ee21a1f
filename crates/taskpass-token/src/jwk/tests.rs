//! Keys against published vectors, and what is refused.

use super::*;

fn bytes(hex: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap()
}

/// RFC 7515 A.3.1, and its x and y.
const EC: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
/// RFC 8037 A.2.
const OKP: &str =
    r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

pub(crate) fn p256() -> PublicKey {
    Jwk::from_json(EC.as_bytes()).unwrap().key
}

pub(crate) fn ed25519() -> PublicKey {
    Jwk::from_json(OKP.as_bytes()).unwrap().key
}

#[test]
fn thumbprints_are_those_of_the_rfcs() {
    // RFC 8037 A.3.
    assert_eq!(
        Jwk::new(ed25519()).id().as_str(),
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    );
    // RFC 7638 §3.1's method by hand over the key of RFC 7515 A.3.1.
    let canonical = r#"{"crv":"P-256","kty":"EC","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
    let id = Jwk::new(p256()).id().clone();
    assert_eq!(id.as_str(), Sha256::of(canonical.as_bytes()).base64url());
    assert_eq!(id.as_str(), "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
}

#[test]
fn signatures_of_the_rfcs_are_accepted() {
    // RFC 8037 A.4, A.5.
    let message = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature = BASE64URL_NOPAD
        .decode(b"hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg")
        .unwrap();
    let ed = Jwk::new(ed25519());
    assert_eq!(ed.verify(message.as_bytes(), &signature), Ok(()));
    // RFC 7515 A.3.
    let message = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let signature = BASE64URL_NOPAD
        .decode(b"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q")
        .unwrap();
    let ec = Jwk::new(p256());
    assert_eq!(ec.verify(message.as_bytes(), &signature), Ok(()));

    for place in [0, 31, 32, 63] {
        let mut wrong = signature.clone();
        wrong[place] ^= 1;
        assert_eq!(ec.verify(message.as_bytes(), &wrong), Err(BadSignature));
    }
    assert_eq!(ec.verify(b"other", &signature), Err(BadSignature));
    assert_eq!(ec.verify(message.as_bytes(), &[]), Err(BadSignature));
    assert_eq!(ec.verify(message.as_bytes(), &[0; 64]), Err(BadSignature));
    assert_eq!(ed.verify(message.as_bytes(), &[0; 64]), Err(BadSignature));
    assert_eq!(ed.verify(message.as_bytes(), &signature), Err(BadSignature));
}

#[test]
fn a_malleated_ed25519_signature_is_refused() {
    // RFC 8037 A.4 with the group order added to s.
    let mut signature = bytes(
        "860c98d2297f3060a33f42739672d61b53cf3adefed3d3c672f320dc021b411e\
         9d59b8628dc351e248b88b29468e0e41855b0fb7d83bb15be902bfccb8cd0a02"
            .replace(char::is_whitespace, "")
            .as_str(),
    );
    let message = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let key = Jwk::new(ed25519());
    assert_eq!(key.verify(message.as_bytes(), &signature), Ok(()));
    let order = bytes("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut carry = 0_u16;
    for (s, l) in signature[32..].iter_mut().zip(order) {
        let sum = u16::from(*s) + u16::from(l) + carry;
        *s = u8::try_from(sum & 0xff).unwrap();
        carry = sum >> 8;
    }
    assert_eq!(
        key.verify(message.as_bytes(), &signature),
        Err(BadSignature)
    );
}

#[test]
fn json_reads_back_and_has_no_more_members_than_needed() {
    for key in [p256(), ed25519()] {
        let jwk = Jwk::new(key);
        let json = jwk.to_json();
        assert_eq!(Jwk::from_json(json.as_bytes()), Ok(jwk.clone()));
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["use"], "sig");
        assert_eq!(value["alg"], jwk.alg().as_str());
        assert_eq!(value["kid"], jwk.id().as_str());
    }
}

#[test]
fn every_wrong_key_is_refused() {
    let ec = |from: &str, to: &str| EC.replace(from, to);
    let okp = |from: &str, to: &str| OKP.replace(from, to);
    for (json, expected) in [
        (ec("P-256", "P-384"), JwkError::Unsupported),
        (ec("EC", "RSA"), JwkError::Unsupported),
        (okp("Ed25519", "X25519"), JwkError::Unsupported),
        (ec("}", r#","use":"enc"}"#), JwkError::Unsupported),
        (ec("}", r#","alg":"ES384"}"#), JwkError::Member("alg")),
        (ec("}", r#","alg":"HS256"}"#), JwkError::Member("alg")),
        (okp("}", r#","alg":"Ed25519"}"#), JwkError::Member("alg")),
        (ec("}", r#","kid":"x"}"#), JwkError::KeyId),
        (ec("}", r#","d":"AA"}"#), JwkError::Private),
        (okp("}", r#","y":"AA"}"#), JwkError::Member("y")),
        (ec("x_FE", "xxx_FE"), JwkError::Member("y")),
        (ec("x_FE", "x+FE"), JwkError::Member("y")),
        (ec("f83O", "f8"), JwkError::Member("x")),
        (
            okp(
                "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
                &"A".repeat(43),
            ),
            JwkError::Point,
        ),
    ] {
        assert_eq!(Jwk::from_json(json.as_bytes()), Err(expected), "{json}");
    }
    for json in [
        "[]",
        "{}",
        r#"{"kty":"EC","kty":"OKP"}"#,
        &ec(r#""kty":"EC""#, r#""kty":null"#),
        &ec("}", r#","alg":null}"#),
    ] {
        assert!(
            matches!(Jwk::from_json(json.as_bytes()), Err(JwkError::Json(_))),
            "{json}"
        );
    }
}

#[test]
fn a_set_skips_strangers_and_refuses_twins() {
    let set = format!(
        r#"{{"extra":1,"keys":[{EC},{{"kty":"RSA","n":"AQAB","e":"AQAB"}},{{"kty":"oct","k":"AA"}},{OKP}]}}"#
    );
    let set = JwkSet::from_json(set.as_bytes()).unwrap();
    assert_eq!(set.len(), 2);
    assert!(set.get(Jwk::new(p256()).id()).is_some());
    assert_eq!(JwkSet::from_json(set.to_json().as_bytes()), Ok(set));
    assert!(JwkSet::from_json(br#"{"keys":[]}"#).unwrap().is_empty());

    let twins = format!(r#"{{"keys":[{EC},{EC}]}}"#);
    assert!(matches!(
        JwkSet::from_json(twins.as_bytes()),
        Err(JwkError::Duplicate(_))
    ));
    for bad in [
        "[]".to_owned(),
        "{}".to_owned(),
        r#"{"keys":[[]]}"#.to_owned(),
        r#"{"keys":[],"keys":[]}"#.to_owned(),
        format!(r#"{{"keys":[{}]}}"#, EC.replace("f83O", "")),
        format!(r#"{{"keys":[{}]}}"#, EC.replace('}', r#","d":"AA"}"#)),
    ] {
        assert!(JwkSet::from_json(bad.as_bytes()).is_err(), "{bad}");
    }
}
