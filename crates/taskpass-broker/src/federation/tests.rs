//! Which rules may be made, and whom they let in.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use taskpass_core::audit::Attestation;
use taskpass_core::secret::Sha256;
use taskpass_core::{AgentName, Timestamp};
use taskpass_token::foreign::{Believed, ForeignAlg};

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

fn agent(name: &str) -> AgentName {
    name.parse().unwrap()
}

/// `=value` is exact, `^value` a beginning.
fn pattern(text: &str) -> Result<Pattern, RuleError> {
    match text.split_at(1) {
        ("=", text) => Pattern::exact("claim", text),
        ("^", text) => Pattern::prefix("claim", text),
        _ => panic!("{text}"),
    }
}

fn rule(name: &str, claims: &[(&str, &str)]) -> Result<ClaimRule, RuleError> {
    let claims = claims.iter().map(|(path, text)| {
        let path: ClaimPath = path.parse()?;
        Ok((path, pattern(text)?))
    });
    let claims: Result<BTreeMap<_, _>, RuleError> = claims.collect();
    ClaimRule::new(agent(name), claims?)
}

fn trust(rules: Vec<ClaimRule>) -> Result<JwtTrust, RuleError> {
    JwtTrust::new(
        "ci",
        "https://issuer.example",
        "taskpass",
        vec![ForeignAlg::Rs256],
        DEFAULT_MAX_AGE,
        rules,
    )
}

fn believed(claims: &Value) -> Believed {
    let claims: Map<String, Value> = claims.as_object().unwrap().clone();
    Believed {
        subject: claims["sub"].as_str().unwrap().to_owned(),
        kid: "k".into(),
        issued_at: NOW,
        expires_at: NOW.plus(Duration::from_mins(5)),
        claims,
    }
}

fn job() -> Value {
    json!({
        "sub": "repo:acme/billing:environment:prod", "repository": "acme/billing",
        "repository_id": "123", "repository_owner": "acme", "repository_owner_id": "9",
        "ref": "refs/heads/main",
    })
}

fn pod() -> Value {
    json!({
        "sub": "system:serviceaccount:prod:invoice",
        "kubernetes.io": {
            "namespace": "prod",
            "serviceaccount": { "name": "invoice", "uid": "a-b-c" },
        },
        "a/b": { "~": "odd" },
        "groups": ["admins"],
        "number": 123,
    })
}

#[test]
fn a_beginning_ends_where_a_part_ends() {
    for (wanted, value, matches) in [
        ("=repo:acme/billing", "repo:acme/billing", true),
        ("=repo:acme/billing", "repo:acme/billing:x", false),
        ("=repo:acme/billing", "repo:Acme/billing", false),
        ("=repo:acme/billing", "repo:acme/billing ", false),
        ("^repo:acme/", "repo:acme/billing", true),
        ("^repo:acme/", "repo:acme/", false),
        ("^repo:acme/", "repo:acme", false),
        ("^repo:acme/", "repo:acme-evil/billing", false),
        ("^repo:acme/", "xrepo:acme/billing", false),
        (
            "^system:serviceaccount:prod:",
            "system:serviceaccount:prod:a",
            true,
        ),
        (
            "^system:serviceaccount:prod:",
            "system:serviceaccount:prod2:a",
            false,
        ),
    ] {
        let found = pattern(wanted).unwrap().matches(value);
        assert_eq!(found, matches, "{wanted} {value}");
    }
}

#[test]
fn what_would_let_too_many_in_is_no_rule() {
    for bad in [
        "=",
        "= ",
        "=*",
        "=repo:acme/*",
        "=repo:acme/?",
        "=a\nb",
        "^",
        "^repo:acme",
        "^repo:",
        "^system:",
        "^system:serviceaccount:",
        "^project_path:",
        "^spiffe://",
        "^/",
        "^:",
        "^*/",
        "^repo:*/",
    ] {
        assert!(pattern(bad).is_err(), "{bad}");
    }
    assert!(pattern(&format!("={}", "x".repeat(513))).is_err());
    for (claims, says) in [
        (&[][..], "says who it is"),
        (&[("ref", "=refs/heads/main")], "says who it is"),
        (&[("repository_owner_id", "=9")], "says who it is"),
        (&[("repository_id", "^1:2:")], "says who it is"),
        (&[("repository", "=acme/billing")], "says who it is"),
        (&[("sub", "=repo:acme/billing:ref:main")], "repository_id"),
        (&[("sub", "^repo:acme/")], "repository_id"),
        (
            &[("sub", "=x"), ("repository", "=acme/billing")],
            "repository_id",
        ),
        (
            &[("repository_id", "=1"), ("repository_owner", "=acme")],
            "repository_owner_id",
        ),
        (&[("sub", "=project_path:a/b:ref")], "project_id"),
        (&[("sub", "=x"), ("project_path", "=a/b")], "project_id"),
        // However the claim is named.
        (&[("/sub", "=repo:acme/billing:ref:main")], "repository_id"),
        (
            &[("sub", "=x"), ("/repository", "=acme/billing")],
            "repository_id",
        ),
        (&[("sub", "=x"), ("/sub", "^repo:acme/")], "repository_id"),
    ] {
        let error = rule("bot", claims).unwrap_err().to_string();
        assert!(error.contains(says), "{claims:?}: {error}");
    }
    for good in [
        &[("sub", "=system:serviceaccount:prod:invoice")][..],
        &[("sub", "^system:serviceaccount:prod:")],
        &[("repository_id", "=123")],
        &[("/repository_id", "=123"), ("repository", "=acme/billing")],
        &[
            ("sub", "=repo:acme/billing:ref:main"),
            ("repository_id", "=123"),
        ],
        &[("/kubernetes.io/serviceaccount/uid", "=a-b-c")],
    ] {
        assert!(rule("bot", good).is_ok(), "{good:?}");
    }
    for path in ["", "/", "/a/", "//a", "/a//b", "/a~", "/a~2b"] {
        assert!(path.parse::<ClaimPath>().is_err(), "{path:?}");
    }
}

#[test]
fn all_claims_must_be_there_as_text() {
    for (claims, token, matches) in [
        (&[("repository_id", "=123")][..], job(), true),
        (&[("repository_id", "=124")], job(), false),
        (&[("repository_id", "=123")], pod(), false),
        (
            &[("repository_id", "=123"), ("ref", "=refs/heads/main")],
            job(),
            true,
        ),
        (
            &[("repository_id", "=123"), ("ref", "=refs/heads/dev")],
            job(),
            false,
        ),
        (
            &[("repository_id", "=123"), ("environment", "=prod")],
            job(),
            false,
        ),
        (
            &[("sub", "=system:serviceaccount:prod:invoice")],
            pod(),
            true,
        ),
        (
            &[("/kubernetes.io/serviceaccount/uid", "=a-b-c")],
            pod(),
            true,
        ),
        (
            &[("/kubernetes.io/serviceaccount/uid", "=a-b")],
            pod(),
            false,
        ),
        (
            &[
                ("sub", "^system:serviceaccount:prod:"),
                ("/a~1b/~0", "=odd"),
            ],
            pod(),
            true,
        ),
        // Not by a place in a list, not a number, not an object.
        (
            &[
                ("sub", "^system:serviceaccount:prod:"),
                ("/groups/0", "=admins"),
            ],
            pod(),
            false,
        ),
        (
            &[("sub", "^system:serviceaccount:prod:"), ("number", "=123")],
            pod(),
            false,
        ),
        (
            &[
                ("sub", "^system:serviceaccount:prod:"),
                ("kubernetes.io", "=prod"),
            ],
            pod(),
            false,
        ),
        (
            &[
                ("sub", "^system:serviceaccount:prod:"),
                ("kubernetes.io/namespace", "=prod"),
            ],
            pod(),
            false,
        ),
    ] {
        let trust = trust(vec![rule("bot", claims).unwrap()]).unwrap();
        let proved = trust.proved(believed(&token));
        assert_eq!(proved.is_ok(), matches, "{claims:?}");
        if let Ok(proved) = proved {
            assert_eq!(proved.principal.to_string(), "agent/bot");
            assert_eq!(proved.issued_at, NOW);
            let Attestation::FederatedJwt {
                issuer, subject, ..
            } = proved.attestation
            else {
                panic!("another method");
            };
            assert_eq!((issuer, subject), ("ci".into(), believed(&token).subject));
        }
    }
}

#[test]
fn exactly_one_agent_comes_out() {
    let rules = |second: &str| {
        vec![
            rule("one", &[("repository_id", "=123")]).unwrap(),
            rule(
                second,
                &[("repository_id", "=123"), ("ref", "=refs/heads/main")],
            )
            .unwrap(),
        ]
    };
    let one = trust(rules("one")).unwrap();
    assert!(one.proved(believed(&job())).is_ok());
    let two = trust(rules("two")).unwrap();
    let refused = two.proved(believed(&job())).unwrap_err();
    assert_eq!(refused, AttestationRefusal::Ambiguous);
    let refused = two.proved(believed(&pod())).unwrap_err();
    assert_eq!(refused, AttestationRefusal::Nobody);
    let twice = vec![
        rule("one", &[("repository_id", "=123")]).unwrap(),
        rule("two", &[("repository_id", "=123")]).unwrap(),
    ];
    assert!(trust(twice).is_err());
    assert!(trust(Vec::new()).is_err());
}

#[test]
fn pins_are_pins() {
    let make = |name: &str, issuer: &str, audience: &str, algorithms: &[ForeignAlg], age| {
        let rules = vec![rule("bot", &[("repository_id", "=123")]).unwrap()];
        JwtTrust::new(name, issuer, audience, algorithms.to_vec(), age, rules).is_ok()
    };
    let (rs, age) = (&[ForeignAlg::Rs256][..], DEFAULT_MAX_AGE);
    assert!(make("a", "https://i", "b", rs, age));
    assert!(make("a", "https://i", "b", rs, MAX_MAX_AGE));
    assert!(!make("", "https://i", "b", rs, age));
    assert!(!make("A b", "https://i", "b", rs, age));
    assert!(!make("a", "", "b", rs, age));
    assert!(!make("a", "https://*.example", "b", rs, age));
    assert!(!make("a", "https://i", "", rs, age));
    assert!(!make("a", "https://i", "b ", rs, age));
    assert!(!make("a", "https://i", "b", &[], age));
    assert!(!make("a", "https://i", "b", rs, Duration::ZERO));
    assert!(!make(
        "a",
        "https://i",
        "b",
        rs,
        MAX_MAX_AGE + Duration::from_secs(1)
    ));
}

fn svid(rules: &[(&str, &str)]) -> Result<SvidTrust, RuleError> {
    let rules = rules
        .iter()
        .map(|(name, id)| Ok(SvidRule::new(agent(name), pattern(id)?)));
    SvidTrust::new(
        "prod.example".parse().unwrap(),
        rules.collect::<Result<_, RuleError>>()?,
    )
}

#[test]
fn an_id_of_the_domain_and_no_other() {
    for bad in [
        "=spiffe://prod.example",
        "=spiffe://prod.example/",
        "=spiffe://other.example/a",
        "=https://prod.example/a",
        "^spiffe://prod.example/",
        "^spiffe://prod.example2/ns/",
        "^spiffe://prod.example/ns:",
        "=spiffe://prod.example/a//b",
        "=spiffe://prod.example/../a",
    ] {
        assert!(svid(&[("bot", bad)]).is_err(), "{bad}");
    }
    assert!(svid(&[]).is_err());
    let same = "=spiffe://prod.example/a";
    assert!(svid(&[("one", same), ("two", same)]).is_err());
    let trust = svid(&[
        ("one", "=spiffe://prod.example/ns/a/sa/x"),
        ("two", "^spiffe://prod.example/ns/b/"),
        ("three", "^spiffe://prod.example/ns/b/sa/"),
    ])
    .unwrap();
    let until = |hours| (NOW, NOW.plus(Duration::from_hours(hours)));
    let day = until(24);
    for (id, life, expected) in [
        ("spiffe://prod.example/ns/a/sa/x", day, Ok("agent/one")),
        (
            "spiffe://prod.example/ns/a/sa/x",
            until(168),
            Ok("agent/one"),
        ),
        (
            "spiffe://prod.example/ns/a/sa/x",
            until(169),
            Err(AttestationRefusal::Nobody),
        ),
        (
            "spiffe://prod.example/ns/a/sa/y",
            day,
            Err(AttestationRefusal::Nobody),
        ),
        ("spiffe://prod.example/ns/b/x", day, Ok("agent/two")),
        (
            "spiffe://prod.example/ns/b/sa/x",
            day,
            Err(AttestationRefusal::Ambiguous),
        ),
        (
            "spiffe://other.example/ns/a/sa/x",
            day,
            Err(AttestationRefusal::Nobody),
        ),
    ] {
        let proved = trust.proved(&id.parse().unwrap(), Sha256::of(b"key"), life);
        let agent = proved.map(|proved| proved.principal.to_string());
        assert_eq!(
            agent.as_deref(),
            expected.as_ref().map(|text| *text),
            "{id}"
        );
    }
    for bad in [
        "",
        "spiffe://",
        "spiffe:///a",
        "spiffe://a",
        "spiffe://a/",
        "spiffe://A/b",
        "spiffe://a/b?c",
        "spiffe://a/b#c",
        "spiffe://a/%41",
        "spiffe://a:1/b",
        "spiffe://u@a/b",
        "spiffe://a/./b",
        "SPIFFE://a/b",
    ] {
        assert!(bad.parse::<SvidId>().is_err(), "{bad}");
    }
}

#[test]
fn a_process_is_who_the_kernel_says() {
    let rule = |name: &str, uid, gid, path: Option<&str>| {
        ProcessRule::new(agent(name), uid, gid, path.map(Path::new))
    };
    for bad in ["", "agent", "./agent", "/usr/../agent", "/usr/bin/*", "/"] {
        assert!(rule("bot", 1, None, Some(bad)).is_err(), "{bad}");
    }
    assert!(ProcessTrust::new(Vec::new()).is_err());
    let twice = vec![rule("a", 1, None, None), rule("b", 1, None, None)];
    let twice: Result<Vec<_>, _> = twice.into_iter().collect();
    assert!(ProcessTrust::new(twice.unwrap()).is_err());
    let rules: Result<Vec<_>, _> = [
        rule("by-user", 1000, None, None),
        rule("by-group", 1001, Some(50), None),
        rule("by-file", 1002, None, Some("/usr/bin/agent")),
        rule("other-file", 1002, None, Some("/usr/bin/other")),
        rule("narrower", 1000, Some(7), None),
    ]
    .into_iter()
    .collect();
    let trust = ProcessTrust::new(rules.unwrap()).unwrap();
    let file = Some("/usr/bin/agent");
    for (uid, gid, path, expected) in [
        (1000, 1, None, Ok("agent/by-user")),
        (1000, 1, file, Ok("agent/by-user")),
        (1000, 7, file, Err(AttestationRefusal::Ambiguous)),
        (1001, 50, None, Ok("agent/by-group")),
        (1001, 51, None, Err(AttestationRefusal::Nobody)),
        (1002, 1, file, Ok("agent/by-file")),
        (1002, 1, None, Err(AttestationRefusal::Nobody)),
        (
            1002,
            1,
            Some("/usr/bin/agent2"),
            Err(AttestationRefusal::Nobody),
        ),
        (0, 0, file, Err(AttestationRefusal::Nobody)),
    ] {
        let process = Process {
            uid,
            gid,
            executable: path.map(Into::into),
        };
        let proved = trust.proved(&process, NOW);
        let found = proved.as_ref().map(|proved| proved.principal.to_string());
        let found = found.as_deref().map_err(|error| **error);
        assert_eq!(found, expected, "{process:?}");
        if let Ok(proved) = proved {
            assert_eq!(proved.expires_at, NOW.plus(Duration::from_hours(1)));
            let Attestation::Unix { executable, .. } = proved.attestation else {
                panic!("another method");
            };
            // Told only where a rule asked for it.
            assert_eq!(executable.is_some(), uid == 1002);
        }
    }
}

proptest! {
    /// Whatever is beneath a beginning goes on from it, at a part's end.
    #[test]
    fn no_value_slips_under_a_beginning(value in "[a-c:/]{0,12}", begins in "[a-c:/]{1,6}[:/]") {
        if let Ok(pattern) = Pattern::prefix("claim", &begins) {
            let beneath = value.len() > begins.len() && value.starts_with(&begins);
            prop_assert_eq!(pattern.matches(&value), beneath);
        }
    }
}
