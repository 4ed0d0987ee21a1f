//! Which values are taken, and the reasons for which others are not.

use taskpass_core::ttl::{MAX_TASK_TTL, MAX_TOKEN_TTL};

use super::*;

fn reason<T: std::fmt::Debug>(result: Result<T, CliError>) -> String {
    result.unwrap_err().reason().to_owned()
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn lifetimes() {
    for (text, secs) in [("90s", 90), ("5m", 300), ("1h", 3600), (" 10m ", 600)] {
        assert_eq!(ttl(text, MAX_TOKEN_TTL).unwrap().seconds, secs);
    }
    let half = ttl("1500ms", MAX_TOKEN_TTL).unwrap();
    assert_eq!((half.seconds, half.nanos), (1, 500_000_000));
    for bad in [
        "",
        "0s",
        "0",
        "5",
        "-5m",
        "5 parsecs",
        "61m",
        "forever",
        "8d",
        "99999999999999999999h",
    ] {
        assert_eq!(reason(ttl(bad, MAX_TOKEN_TTL)), "INVALID_TTL", "{bad:?}");
    }
    assert!(ttl("24h", MAX_TASK_TTL).is_ok());
    assert_eq!(reason(ttl("25h", MAX_TASK_TTL)), "INVALID_TTL");
    assert_eq!(maybe_ttl(None, MAX_TASK_TTL).unwrap(), None);
}

#[test]
fn scopes() {
    let good = texts(&["https://ledger.example#invoices:read"]);
    assert_eq!(scope_refs(&good).unwrap(), good);
    for bad in [
        "",
        "invoices:read",
        "#x",
        "https://a#",
        "https://a#X",
        "https://a#x y",
    ] {
        assert_eq!(
            reason(scope_refs(&texts(&[bad]))),
            "INVALID_SCOPE",
            "{bad:?}"
        );
    }
    let at = "https://a";
    assert_eq!(
        scopes_at(at, &texts(&["x", "https://a#y"])).unwrap(),
        ["x", "y"]
    );
    for bad in ["", "X", "https://b#x", "a b"] {
        assert_eq!(
            reason(scopes_at(at, &texts(&[bad]))),
            "INVALID_SCOPE",
            "{bad:?}"
        );
    }
}

#[test]
fn target_scopes_say_what_they_do() {
    let scopes = target_scopes(&texts(&["invoices:read=read", "pay=actuate"])).unwrap();
    assert_eq!(scopes[0].name, "invoices:read");
    assert_eq!(scopes[1].access(), v1::Access::Actuate);
    for (bad, why) in [
        ("invoices:read", "INVALID_SCOPE"),
        ("X=read", "INVALID_SCOPE"),
        ("x=delete", "INVALID_FIELD"),
        ("x=", "INVALID_FIELD"),
    ] {
        assert_eq!(reason(target_scopes(&texts(&[bad]))), why, "{bad:?}");
    }
}

#[test]
fn words() {
    assert_eq!(stage("read-only").unwrap(), v1::Stage::ReadOnly);
    assert_eq!(risk("high").unwrap(), v1::Risk::High);
    assert_eq!(token_alg("EdDSA").unwrap(), v1::TokenAlg::Eddsa);
    assert_eq!(token_profile("cloud").unwrap(), v1::TokenProfile::Cloud);
    let svid = v1::CertificateProfile::SpiffeSvid;
    assert_eq!(certificate_profile("spiffe-svid").unwrap(), svid);
    assert_eq!(reason(token_profile("jwt")), "INVALID_FIELD");
    assert_eq!(reason(certificate_profile("server")), "INVALID_FIELD");
    assert_eq!(roles(&texts(&["admin", "auditor"])).unwrap(), [1, 3]);
    assert_eq!(reason(stage("Read-Only")), "INVALID_FIELD");
    assert_eq!(reason(risk("")), "INVALID_FIELD");
    assert_eq!(reason(token_alg("none")), "INVALID_FIELD");
    assert_eq!(reason(roles(&texts(&["root"]))), "INVALID_FIELD");
    assert_eq!(target("https://a").unwrap(), "https://a");
    assert_eq!(reason(target("ledger")), "INVALID_TARGET");
}

#[test]
fn facts_for_policy() {
    let facts = labels(&texts(&["env=prod", "note=a=b", "empty="])).unwrap();
    assert_eq!(facts["env"], "prod");
    assert_eq!(facts["note"], "a=b");
    assert_eq!(facts["empty"], "");
    for bad in [&["env"][..], &["=x"], &["a=1", "a=2"]] {
        assert_eq!(reason(labels(&texts(bad))), "INVALID_FIELD", "{bad:?}");
    }
}

#[test]
fn instants_before() {
    let now = Timestamp::from_secs(1_700_000_000);
    for (text, secs) in [
        ("2023-11-14T00:00:00Z", 1_699_920_000),
        ("2023-11-14", 1_699_920_000),
        ("2h", 1_699_992_800),
        (" 2h ago ", 1_699_992_800),
        // Whether it is too late is for the broker to say.
        ("2027-01-31", 1_801_353_600),
    ] {
        assert_eq!(instant_before(text, now).unwrap().seconds, secs, "{text}");
    }
    for bad in ["", "yesterday", "-2h", "2023-02-31", "ago"] {
        assert_eq!(
            reason(instant_before(bad, now)),
            "INVALID_PERIOD",
            "{bad:?}"
        );
    }
    assert_eq!(log("2026-11").unwrap().to_string(), "2026-11");
    for bad in ["", "2026-13", "11-2026", "../x"] {
        assert_eq!(reason(log(bad)), "INVALID_FIELD", "{bad:?}");
    }
}

#[test]
fn end_dates() {
    let now = Timestamp::from_secs(1_700_000_000);
    for (text, secs) in [
        ("2027-01-31T00:00:00Z", 1_801_353_600),
        ("2027-01-31", 1_801_353_600),
        ("90d", 1_700_000_000 + 90 * 86_400),
        ("1h", 1_700_003_600),
    ] {
        assert_eq!(valid_until(text, now).unwrap().seconds, secs, "{text}");
    }
    for bad in ["", "soon", "-90d", "2020-01-01", "0s", "2027-02-31"] {
        assert_eq!(
            reason(valid_until(bad, now)),
            "INVALID_VALID_UNTIL",
            "{bad:?}"
        );
    }
}
