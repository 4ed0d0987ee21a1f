//! What is accepted, by us and by a library that is not ours, and every reason to refuse.

use super::*;
use crate::claims::tests::claims;
use crate::jwk::PublicKey;
use crate::jws::{assemble, header_json, signing_input};
use ed25519_dalek::Signer as _;
use proptest::prelude::*;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use std::sync::LazyLock;
use taskpass_core::access::TokenAlg;

struct Keys {
    ec: EcdsaKeyPair,
    ed: ed25519_dalek::SigningKey,
    random: SystemRandom,
}

#[expect(
    clippy::disallowed_methods,
    reason = "ring signs with its own random source only"
)]
static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let random = SystemRandom::new();
    let alg = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(alg, &random).unwrap();
    Keys {
        ec: EcdsaKeyPair::from_pkcs8(alg, pkcs8.as_ref(), &random).unwrap(),
        ed: ed25519_dalek::SigningKey::from_bytes(&[9; 32]),
        random,
    }
});

fn public(alg: TokenAlg) -> Jwk {
    Jwk::new(match alg {
        TokenAlg::Es256 => PublicKey::from_point(KEYS.ec.public_key().as_ref()).unwrap(),
        TokenAlg::EdDsa => PublicKey::Ed25519(KEYS.ed.verifying_key()),
    })
}

fn ring_of_both() -> JwkSet {
    JwkSet::from_keys([public(TokenAlg::Es256), public(TokenAlg::EdDsa)]).unwrap()
}

fn sign(alg: TokenAlg, header: &str, claims: &str) -> String {
    let input = signing_input(header, claims);
    let signature = match alg {
        TokenAlg::Es256 => KEYS
            .ec
            .sign(&KEYS.random, input.as_bytes())
            .unwrap()
            .as_ref()
            .to_vec(),
        TokenAlg::EdDsa => KEYS.ed.sign(input.as_bytes()).to_vec(),
    };
    assemble(&input, &signature)
}

fn header(alg: TokenAlg) -> String {
    header_json(alg, public(alg).id(), TOKEN_TYPE)
}

fn token(alg: TokenAlg, claims: &Claims) -> String {
    sign(alg, &header(alg), &claims.to_json())
}

fn check_at(token: &str, now: Timestamp) -> Result<Checked, TokenError> {
    let audience = "https://ledger.example".parse().unwrap();
    let trust_domain = "example.org".parse().unwrap();
    let expect = Expect {
        issuer: "https://broker.example",
        trust_domain: &trust_domain,
        audience: Some(&audience),
        now,
        leeway: Duration::from_mins(1),
    };
    check(token, &ring_of_both(), &expect)
}

fn check_now(token: &str) -> Result<Checked, TokenError> {
    check_at(token, Timestamp::from_secs(1100))
}

/// Ends `secs` seconds after the epoch, in `exp` and `jti` alike.
fn ending(secs: u64, claims: Claims) -> Claims {
    let id = CredentialId::first_at(Timestamp::from_millis(secs * 1000 + 999));
    Claims {
        id,
        expires_at: secs,
        ..claims
    }
}

#[test]
fn a_good_token_says_what_it_said() {
    for alg in [TokenAlg::Es256, TokenAlg::EdDsa] {
        let checked = check_now(&token(alg, &claims())).unwrap();
        assert_eq!(*checked.claims(), claims());
        let facts = checked.facts();
        assert_eq!(facts.credential, Some(claims().id));
        assert_eq!(facts.agent, Some(claims().client_id));
        assert_eq!(facts.task, Some(claims().task.task));
        assert_eq!(facts.ancestors, claims().task.ancestors);
        assert_eq!(facts.target, Some(claims().audience));
        assert_eq!(facts.key.as_ref(), Some(public(alg).id()));
        assert_eq!(facts.issued_at, 1000);
    }
}

#[test]
fn a_library_that_is_not_ours_accepts_it_too() {
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, jwk::Jwk as TheirJwk};
    for (alg, theirs) in [
        (TokenAlg::Es256, Algorithm::ES256),
        (TokenAlg::EdDsa, Algorithm::EdDSA),
    ] {
        let jwk: TheirJwk = serde_json::from_str(&public(alg).to_json()).unwrap();
        let key = DecodingKey::from_jwk(&jwk).unwrap();
        let mut validation = Validation::new(theirs);
        validation.set_audience(&["https://ledger.example"]);
        validation.set_issuer(&["https://broker.example"]);
        validation.validate_exp = false; // its clock is the machine's
        let token = token(alg, &claims());
        let read = decode::<serde_json::Value>(&token, &key, &validation).unwrap();
        assert_eq!(read.header.kid.as_deref(), Some(public(alg).id().as_str()));
        assert_eq!(read.claims["exp"], 1300);
        let text = read.claims["scope"].as_str();
        assert_eq!(text, Some("invoices:read invoices:write"));
        let (body, _) = token.rsplit_once('.').unwrap();
        let forged = format!("{body}.{}", "A".repeat(86));
        assert!(decode::<serde_json::Value>(&forged, &key, &validation).is_err());
    }
}

#[test]
fn headers_that_lie() {
    let (es, ed) = (public(TokenAlg::Es256), public(TokenAlg::EdDsa));
    let json = claims().to_json();
    let hmac = |secret: &[u8]| {
        let input = signing_input(
            &format!(r#"{{"alg":"HS256","typ":"at+jwt","kid":"{}"}}"#, es.id()),
            &json,
        );
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
        assemble(&input, ring::hmac::sign(&key, input.as_bytes()).as_ref())
    };
    let with = |alg: &str, typ: &str, kid: &str| {
        sign(
            TokenAlg::Es256,
            &format!(r#"{{"alg":"{alg}","typ":"{typ}","kid":"{kid}"}}"#),
            &json,
        )
    };
    let good = es.id().as_str();
    assert!(check_now(&with("ES256", "at+jwt", good)).is_ok());

    let none = assemble(
        &signing_input(
            &format!(r#"{{"alg":"none","typ":"at+jwt","kid":"{good}"}}"#),
            &json,
        ),
        b"x",
    );
    for token in [
        none,
        hmac(&crate::spki::to_der(es.key())),
        hmac(es.to_json().as_bytes()),
        with("none", "at+jwt", good),
        with("None", "at+jwt", good),
        with("es256", "at+jwt", good),
        with("ES384", "at+jwt", good),
        with("EdDSA", "at+jwt", good),
        with("ES256", "at+jwt", ed.id().as_str()),
    ] {
        assert!(
            matches!(check_now(&token), Err(TokenError::Algorithm)),
            "{token}"
        );
    }
    // The other key and its algorithm: then it is the signature that does not fit.
    let token = with("EdDSA", "at+jwt", ed.id().as_str());
    assert!(matches!(check_now(&token), Err(TokenError::Signature)));
    for typ in ["JWT", "at+JWT", "application/at+jwt", "logout+jwt", ""] {
        let token = with("ES256", typ, good);
        assert!(matches!(check_now(&token), Err(TokenError::Type)), "{typ}");
    }
    for kid in ["", "x", "../../etc/passwd", "' OR 1=1"] {
        let token = with("ES256", "at+jwt", kid);
        assert!(matches!(check_now(&token), Err(TokenError::NoKey)), "{kid}");
    }
    let stranger = KeyId::from_thumbprint(Sha256::of(b"stranger"));
    let token = with("ES256", "at+jwt", stranger.as_str());
    assert!(matches!(check_now(&token), Err(TokenError::UnknownKey(id)) if id == stranger));
    let bare = sign(TokenAlg::Es256, r#"{"alg":"ES256","typ":"at+jwt"}"#, &json);
    assert!(matches!(check_now(&bare), Err(TokenError::NoKey)));
    let untyped = sign(
        TokenAlg::Es256,
        &format!(r#"{{"alg":"ES256","kid":"{good}"}}"#),
        &json,
    );
    assert!(matches!(check_now(&untyped), Err(TokenError::Type)));
}

#[test]
fn claims_that_do_not_hold_here() {
    let refused = |claims: Claims| check_now(&token(TokenAlg::EdDsa, &claims)).unwrap_err();
    for issuer in ["https://broker.example/", "https://evil.example", ""] {
        let issuer = issuer.to_owned();
        let err = refused(Claims { issuer, ..claims() });
        assert!(matches!(err, TokenError::Issuer));
    }
    for audience in [
        "https://ledger.example/",
        "https://ledger.example.evil",
        "https://LEDGER.example",
    ] {
        let audience = audience.parse().unwrap();
        let err = refused(Claims {
            audience,
            ..claims()
        });
        assert!(matches!(err, TokenError::Audience(_)));
    }
    let task = claims().task.task;
    for subject in [
        "spiffe://other.org/agent/invoice-bot".to_owned(),
        "spiffe://example.org/agent/planner".to_owned(),
        "spiffe://example.org/operator/invoice-bot".to_owned(),
        "spiffe://example.org/verifier/invoice-bot".to_owned(),
        "spiffe://example.org/broker".to_owned(),
        format!("spiffe://example.org/agent/invoice-bot/task/{task}"),
    ] {
        let err = refused(Claims {
            subject: subject.parse().unwrap(),
            ..claims()
        });
        assert!(matches!(err, TokenError::Subject), "{subject}");
    }
    let json = claims()
        .to_json()
        .replace("\"exp\":1300", "\"exp\":\"1300\"");
    let bad = sign(TokenAlg::EdDsa, &header(TokenAlg::EdDsa), &json);
    assert!(matches!(check_now(&bad), Err(TokenError::Claims(_))));
}

#[test]
fn times() {
    let at = |claims: &Claims, now| check_at(&token(TokenAlg::EdDsa, claims), now);
    let secs = Timestamp::from_secs;
    // No leeway at the end: the last millisecond is good, the next one is not.
    assert!(at(&claims(), Timestamp::from_millis(1_299_999)).is_ok());
    for over in [secs(1300), Timestamp::from_millis(1_300_250), secs(1301)] {
        assert!(matches!(at(&claims(), over), Err(TokenError::Expired)));
    }
    // Leeway at the beginning, and no more than that.
    assert!(at(&claims(), secs(940)).is_ok());
    let early = at(&claims(), Timestamp::from_millis(939_999));
    assert!(matches!(early, Err(TokenError::IssuedInFuture)));
    let later = Claims {
        not_before: 1200,
        ..claims()
    };
    assert!(matches!(
        at(&later, secs(1139)),
        Err(TokenError::NotYetValid)
    ));
    assert!(at(&later, secs(1140)).is_ok());

    assert!(at(&ending(4600, claims()), secs(1100)).is_ok());
    for bad in [4601, 1000, 999, 0] {
        let err = at(&ending(bad, claims()), secs(1100));
        assert!(matches!(err, Err(TokenError::Lifetime)), "{bad}");
    }
    for exp in [1299, 1301, 4000, u64::MAX] {
        let lying = Claims {
            expires_at: exp,
            ..claims()
        };
        assert!(
            matches!(at(&lying, secs(1100)), Err(TokenError::Id)),
            "{exp}"
        );
    }
}

#[test]
fn without_an_audience_any_target_passes() {
    let trust_domain = "example.org".parse().unwrap();
    let expect = Expect {
        issuer: "https://broker.example",
        trust_domain: &trust_domain,
        audience: None,
        now: Timestamp::from_secs(1100),
        leeway: Duration::ZERO,
    };
    let other = Claims {
        audience: "https://other.example".parse().unwrap(),
        ..claims()
    };
    let keys: BTreeMap<_, _> = ring_of_both()
        .iter()
        .map(|key| (key.id().clone(), key.clone()))
        .collect();
    assert!(check(&token(TokenAlg::EdDsa, &other), &keys, &expect).is_ok());
    assert!(matches!(
        check(&token(TokenAlg::EdDsa, &other), &JwkSet::default(), &expect),
        Err(TokenError::UnknownKey(_))
    ));
}

#[test]
fn every_truncation_is_refused() {
    let whole = token(TokenAlg::Es256, &claims());
    for end in 0..whole.len() {
        assert!(check_now(whole.get(..end).unwrap()).is_err(), "{end}");
    }
    for more in ["A", "=", ".", " ", "\n", ".AA"] {
        assert!(check_now(&format!("{whole}{more}")).is_err(), "{more:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn a_changed_character_is_refused(at: prop::sample::Index, to in "[A-Za-z0-9_.-]", es: bool) {
        let alg = if es { TokenAlg::Es256 } else { TokenAlg::EdDsa };
        let mut text = token(alg, &claims());
        let place = at.index(text.len());
        let before = text.clone();
        text.replace_range(place..=place, &to);
        prop_assert!(text == before || check_now(&text).is_err());
    }
}
