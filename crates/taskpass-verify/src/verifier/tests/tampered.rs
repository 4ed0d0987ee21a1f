//! Tokens that were tampered with, or that a careless verifier would take: each refused, and for its
//! own reason.

use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::Signer as _;
use proptest::prelude::*;
use taskpass_token::{Jwk, JwkSet, jws, spki};

use super::*;
use crate::testing::key;

/// A world with a key of the other kind beside its own.
struct Both {
    world: World,
    verifier: Verifier,
    ec: Jwk,
}

impl Both {
    fn new() -> Self {
        let world = World::new();
        let spki = rcgen::PublicKeyData::subject_public_key_info(&key());
        let ec = Jwk::new(spki::from_der(&spki).unwrap());
        let mut settings = world.settings();
        settings.jwks = JwkSet::from_keys([jwk(&world.token_key), ec.clone()]).unwrap();
        let verifier = world.blank(settings);
        world.confirm(&verifier, 0);
        Self {
            world,
            verifier,
            ec,
        }
    }

    /// Signed with the key that we hold, whatever it says.
    fn sign(&self, header: &str, claims: &str) -> String {
        let input = jws::signing_input(header, claims);
        let signature = self.world.token_key.sign(input.as_bytes()).to_bytes();
        jws::assemble(&input, &signature)
    }

    fn header(&self) -> String {
        let kid = jwk(&self.world.token_key).id().clone();
        format!(r#"{{"alg":"EdDSA","typ":"at+jwt","kid":"{kid}"}}"#)
    }

    fn ask(&self, token: &str) -> Option<Reason> {
        reason(self.verifier.verify_token(token, &ledger()))
    }
}

#[test]
fn headers() {
    use Reason::{Malformed, Untrusted};
    let both = Both::new();
    let (ed, ec) = (
        jwk(&both.world.token_key).id().to_string(),
        both.ec.id().to_string(),
    );
    let stranger = jwk(&ed25519_dalek::SigningKey::from_bytes(&[8; 32]))
        .id()
        .to_string();
    let claims = both.world.claims().to_json();
    assert_eq!(both.ask(&both.sign(&both.header(), &claims)), None);
    let with = |alg: &str, typ: &str, kid: &str| {
        format!(r#"{{"alg":"{alg}","typ":"{typ}","kid":"{kid}"}}"#)
    };
    let and = |more: &str| {
        both.header()
            .replace("{\"alg\"", &format!("{{{more},\"alg\""))
    };
    for (header, expected) in [
        // The algorithm is the key's, whatever the token says.
        (with("none", "at+jwt", &ed), Untrusted),
        (with("None", "at+jwt", &ed), Untrusted),
        (with("", "at+jwt", &ed), Untrusted),
        (with("HS256", "at+jwt", &ed), Untrusted),
        (with("ES256", "at+jwt", &ed), Untrusted),
        (with("EdDSA", "at+jwt", &ec), Untrusted),
        (with("ES256", "at+jwt", &ec), Untrusted),
        (with("Ed25519", "at+jwt", &ed), Untrusted),
        // The key is one of ours, by its thumbprint.
        (with("EdDSA", "at+jwt", &stranger), Untrusted),
        (with("EdDSA", "at+jwt", ""), Untrusted),
        (with("EdDSA", "at+jwt", "../../dev/null"), Untrusted),
        (r#"{"alg":"EdDSA","typ":"at+jwt"}"#.to_owned(), Untrusted),
        // The type is that of access tokens.
        (with("EdDSA", "JWT", &ed), Malformed),
        (with("EdDSA", "at+JWT", &ed), Malformed),
        (with("EdDSA", "application/at+jwt", &ed), Malformed),
        (with("EdDSA", "statuslist+jwt", &ed), Malformed),
        (with("EdDSA", "", &ed), Malformed),
        (format!(r#"{{"alg":"EdDSA","kid":"{ed}"}}"#), Malformed),
        // Nothing that is not known, and nothing twice.
        (and(r#""crit":["exp"]"#), Malformed),
        (and(r#""crit":[]"#), Malformed),
        (and(r#""b64":false"#), Malformed),
        (and(r#""zip":"DEF""#), Malformed),
        (and(r#""jku":"https://evil.example/jwks.json""#), Malformed),
        (and(r#""x5c":[]"#), Malformed),
        (and(&format!(r#""jwk":{}"#, both.ec.to_json())), Malformed),
        (and(r#""alg":"none""#), Malformed),
        (and(&format!(r#""kid":"{ec}""#)), Malformed),
        (r#"["EdDSA","at+jwt"]"#.to_owned(), Malformed),
        ("null".to_owned(), Malformed),
        (String::new(), Malformed),
    ] {
        let token = both.sign(&header, &claims);
        assert_eq!(both.ask(&token), Some(expected), "{header}");
    }
}

#[test]
fn signatures() {
    let both = Both::new();
    let claims = both.world.claims().to_json();
    let input = jws::signing_input(&both.header(), &claims);
    let good = both.world.token_key.sign(input.as_bytes()).to_bytes();
    assert_eq!(both.ask(&jws::assemble(&input, &good)), None);
    let kid = jwk(&both.world.token_key).id().clone();
    // The public key as a shared secret, in each of its spellings.
    let hmac_header = format!(r#"{{"alg":"HS256","typ":"at+jwt","kid":"{kid}"}}"#);
    let hmac_input = jws::signing_input(&hmac_header, &claims);
    let public = jwk(&both.world.token_key);
    for secret in [
        spki::to_der(public.key()),
        public.to_json().into_bytes(),
        both.world.token_key.verifying_key().as_bytes().to_vec(),
    ] {
        let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &secret);
        let tag = ring::hmac::sign(&secret, hmac_input.as_bytes());
        let token = jws::assemble(&hmac_input, tag.as_ref());
        assert_eq!(both.ask(&token), Some(Reason::Untrusted));
    }
    // No signature, a short one, somebody else's, another token's.
    let theirs = ed25519_dalek::SigningKey::from_bytes(&[8; 32]).sign(input.as_bytes());
    let others = both.world.token_key.sign(b"another text").to_bytes();
    for (signature, expected) in [
        (&[][..], Reason::Malformed),
        (&good[..63], Reason::Untrusted),
        (&[0; 64], Reason::Untrusted),
        (&theirs.to_bytes(), Reason::Untrusted),
        (&others, Reason::Untrusted),
    ] {
        assert_eq!(both.ask(&jws::assemble(&input, signature)), Some(expected));
    }
    // Other claims under a good signature.
    let mut more = both.world.claims();
    more.scopes.push("invoices:pay".parse().unwrap());
    let swapped = jws::signing_input(&both.header(), &more.to_json());
    let token = jws::assemble(&swapped, &good);
    assert_eq!(both.ask(&token), Some(Reason::Untrusted));
    // One of small order, which would verify anything under a weak key.
    let mut small = [0; 64];
    small[0] = 1;
    let token = jws::assemble(&input, &small);
    assert_eq!(both.ask(&token), Some(Reason::Untrusted));
}

#[test]
fn claims_of_the_wrong_form() {
    let both = Both::new();
    let good = both.world.claims();
    let json = good.to_json();
    let (exp, jti) = (good.expires_at, good.id);
    let aud = r#""aud":"https://ledger.example""#;
    let change = |from: &str, to: &str| {
        assert!(json.contains(from), "{from}");
        json.replacen(from, to, 1)
    };
    let and = |more: &str| json.replacen('{', &format!("{{{more},"), 1);
    assert_eq!(both.ask(&both.sign(&both.header(), &json)), None);
    let exp_is = |to: &str| change(&format!("\"exp\":{exp}"), &format!("\"exp\":{to}"));
    for (what, claims) in [
        ("exp as text", exp_is(&format!("\"{exp}\""))),
        ("exp as a float", exp_is(&format!("{exp}.0"))),
        ("exp huge", exp_is("1e400")),
        ("exp over 64 bits", exp_is("18446744073709551616")),
        ("exp negative", exp_is("-1")),
        ("exp null", exp_is("null")),
        ("exp a list", exp_is(&format!("[{exp}]"))),
        ("exp missing", change(&format!("\"exp\":{exp},"), "")),
        ("exp twice", and(&format!("\"exp\":{exp}"))),
        ("jti twice", and(&format!("\"jti\":\"{jti}\""))),
        ("aud twice", and(aud)),
        ("scope twice", and(r#""scope":"invoices:pay""#)),
        ("cnf null", and(r#""cnf":null"#)),
        ("cnf empty", and(r#""cnf":{}"#)),
        ("cnf as text", and(r#""cnf":"x""#)),
        (
            "cnf of a kind that is not checked",
            and(r#""cnf":{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}"#),
        ),
        ("cnf too short", and(r#""cnf":{"x5t#S256":"AAAA"}"#)),
        (
            "aud of two",
            change(
                aud,
                r#""aud":["https://ledger.example","https://b.example"]"#,
            ),
        ),
        ("aud of none", change(aud, r#""aud":[]"#)),
        ("aud a number", change(aud, r#""aud":1"#)),
        ("aud an object", change(aud, r#""aud":{}"#)),
        (
            "scope empty",
            change(r#""scope":"invoices:read""#, r#""scope":"""#),
        ),
        (
            "scope a list",
            change(r#""scope":"invoices:read""#, r#""scope":["invoices:read"]"#),
        ),
        ("a list", format!("[{json}]")),
        ("more behind it", format!("{json}{json}")),
        ("nothing", "null".to_owned()),
    ] {
        let token = both.sign(&both.header(), &claims);
        assert_eq!(both.ask(&token), Some(Reason::Malformed), "{what}");
    }
    for (what, claims, expected) in [
        (
            "aud of one",
            change(aud, r#""aud":["https://ledger.example"]"#),
            None,
        ),
        (
            "aud spelt otherwise",
            change(aud, r#""aud":"https://ledger.example/""#),
            Some(Reason::Audience),
        ),
        ("what is not ours", and(r#""other":{"exp":1}"#), None),
    ] {
        let token = both.sign(&both.header(), &claims);
        assert_eq!(both.ask(&token), expected, "{what}");
    }
}

/// No leeway at the end, a minute at the beginning, and not a millisecond more.
#[test]
fn edges_of_time() {
    let world = World::new();
    let verifier = world.verifier();
    let token = world.token();
    let end = NOW.plus(Duration::from_mins(5));
    let minute = Duration::from_mins(1);
    let milli = Duration::from_millis(1);
    for (now, expected) in [
        (NOW.minus(minute), None),
        (NOW.minus(minute).minus(milli), Some(Reason::NotYetValid)),
        (end.minus(milli), None),
        (end, Some(Reason::Expired)),
        (end.plus(milli), Some(Reason::Expired)),
        (end.plus(minute), Some(Reason::Expired)),
    ] {
        world.clock.jump_to(now);
        assert_eq!(
            reason(verifier.verify_token(&token, &ledger())),
            expected,
            "{now}"
        );
    }
    world.clock.jump_to(NOW);
    let mut later = world.claims();
    later.not_before = NOW.plus(minute * 2).secs();
    let later = world.sign(&later);
    for (now, expected) in [
        (NOW.plus(minute), None),
        (NOW.plus(minute).minus(milli), Some(Reason::NotYetValid)),
    ] {
        world.clock.jump_to(now);
        assert_eq!(
            reason(verifier.verify_token(&later, &ledger())),
            expected,
            "{now}"
        );
    }
}

#[test]
fn parts_that_are_missing_or_too_many() {
    let both = Both::new();
    let token = both.world.token();
    for end in 0..token.len() {
        assert!(both.ask(token.get(..end).unwrap()).is_some(), "{end}");
    }
    let (body, signature) = token.rsplit_once('.').unwrap();
    let (header, payload) = body.split_once('.').unwrap();
    let spaced = BASE64URL_NOPAD.encode(b" {} ");
    for text in [
        format!("{token}."),
        format!("{token}.x"),
        format!(".{token}"),
        format!("{token}="),
        format!(" {token}"),
        format!("{token}\n"),
        format!("{header}..{signature}"),
        format!("{header}.{spaced}"),
        format!("{header}.{payload}.."),
        "a".repeat(20_000),
    ] {
        assert_eq!(both.ask(&text), Some(Reason::Malformed), "{text}");
    }
}

/// Each step of the way refuses by itself, and a bound token stops at the last.
#[test]
fn the_steps_one_by_one() {
    let world = World::new();
    let verifier = world.verifier();
    let der = world.certificate();
    let certificate = verifier.verify_certificate(&der, &[]).unwrap();
    let bound = world.bound_token(&der, task_id(1));
    let unverified = UnverifiedToken::new(&bound);
    assert_eq!(
        unverified.claimed_key().as_ref(),
        Some(jwk(&world.token_key).id())
    );
    assert!(!format!("{unverified:?}").contains(&bound));
    let targeted = || verifier.check(unverified).unwrap().for_target(&ledger());
    assert!(targeted().unwrap().is_bound());
    let refused = targeted().unwrap().unbound();
    assert!(matches!(refused, Err(Refusal::CertificateMissing)));
    let good = targeted().unwrap().presented_with(&certificate).unwrap();
    assert!(good.is_bound());
    let b = "https://b.example".parse().unwrap();
    let elsewhere = verifier.check(unverified).unwrap().for_target(&b);
    assert_eq!(reason(elsewhere.map(drop)), Some(Reason::Audience));
    let c = "https://c.example".parse().unwrap();
    let elsewhere = verifier.check(unverified).unwrap().for_target(&c);
    assert!(matches!(elsewhere, Err(Refusal::NotOurAudience(_))));
    let metrics = verifier.metrics();
    assert_eq!(
        (metrics.accepted, metrics.refused_for(Reason::Audience)),
        (2, 2)
    );
    assert_eq!(metrics.refused_for(Reason::Binding), 1);
}

type Setting = fn(&mut Settings);

/// What another verifier found good is not taken on its word.
#[test]
fn a_token_that_another_verifier_made() {
    let world = World::new();
    let held = world
        .verifier()
        .verify_token(&world.token(), &ledger())
        .unwrap();
    let others: &[(Setting, Option<Reason>)] = &[
        (|_| {}, None),
        (
            |s| s.issuer = "https://other.example".into(),
            Some(Reason::Issuer),
        ),
        (
            |s| s.audiences = ["https://b.example".parse().unwrap()].into(),
            Some(Reason::Audience),
        ),
    ];
    for (change, expected) in others {
        let mut settings = world.settings();
        change(&mut settings);
        let verifier = world.blank(settings);
        world.confirm(&verifier, 0);
        assert_eq!(reason(verifier.recheck_token(&held)), *expected);
    }
}

/// With best effort an old view is good enough, and that is counted.
#[test]
fn what_is_accepted_on_an_old_view_is_counted() {
    let world = World::new();
    let mut settings = world.settings();
    settings.staleness = Staleness::BestEffort;
    let verifier = world.blank(settings);
    world.confirm(&verifier, 0);
    let der = world.certificate();
    let certificate = verifier.verify_certificate(&der, &[]).unwrap();
    let ask = || verifier.verify_token_with(&world.token(), &ledger(), &certificate);
    assert!(ask().is_ok());
    world.clock.advance(Duration::from_secs(30));
    assert!(ask().is_ok());
    let metrics = verifier.metrics();
    assert_eq!((metrics.accepted, metrics.unconfirmed), (3, 0));
    assert_eq!((metrics.ready, metrics.staleness_bound), (true, None));
    world.clock.advance(Duration::from_millis(1));
    assert!(ask().is_ok());
    verifier.shared().distrust();
    assert!(ask().is_ok());
    let metrics = verifier.metrics();
    assert_eq!((metrics.accepted, metrics.unconfirmed), (5, 2));
    assert_eq!(metrics.refused_for(Reason::Stale), 0);
    assert_eq!(metrics.staleness, Some(Duration::from_millis(30_001)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn a_changed_character_is_refused(at: prop::sample::Index, to in "[A-Za-z0-9_.=+/ -]") {
        let both = Both::new();
        let good = both.world.token();
        let mut text = good.clone();
        let place = at.index(text.len());
        text.replace_range(place..=place, &to);
        prop_assert_eq!(both.ask(&text).is_none(), text == good);
    }

    #[test]
    fn any_text_is_judged(text in ".{0,300}", dots in "[A-Za-z0-9_-]{0,90}\\.[A-Za-z0-9_-]{0,90}\\.[A-Za-z0-9_-]{0,90}") {
        let both = Both::new();
        for text in [text, dots] {
            prop_assert!(both.ask(&text).is_some());
            let _ = UnverifiedToken::new(&text).claimed_key();
        }
    }
}
