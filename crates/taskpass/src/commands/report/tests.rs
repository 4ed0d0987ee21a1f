//! What is refused before a report is made, and the narrower registration as a file.

use std::fs;

use taskpass_api::v1;
use taskpass_core::Timestamp;
use taskpass_report::Period;
use taskpass_report::least_privilege::{By, Narrower, Suggestion};

use super::source::{from_file, period, verified};
use super::write::narrower;
use crate::commands::audit::testing::{Signer, month};
use crate::registry_file::{Dates, RegistryFile, Snapshot};

#[test]
fn a_period_in_the_future_is_refused() {
    let now = Timestamp::from_secs(1_700_000_000);
    assert_eq!(period(None, now).unwrap().since, None);
    let since = period(Some("30d"), now).unwrap().since.unwrap();
    assert_eq!(now.since(since).as_secs(), 30 * 86_400);
    for bad in ["2023-11-15", "2030-01-01T00:00:00Z", "soon"] {
        assert_eq!(
            period(Some(bad), now).unwrap_err().reason(),
            "INVALID_PERIOD"
        );
    }
}

#[test]
fn a_log_that_does_not_hold_is_refused_with_its_place() {
    let root = tempfile::tempdir().unwrap();
    month(root.path(), "2026-11", 3, None, &Signer::new(7));
    let all = Period::new(None, Timestamp::from_secs(1_800_000_000)).unwrap();
    // It verifies; but its entries are none of the form that is known.
    let error = verified(root.path(), None, all).unwrap_err();
    assert_eq!(error.reason(), "LOG_INVALID");
    assert_eq!(
        error.to_string(),
        "entry 0 of log 2026-11 is no audit entry"
    );
    let bundle = root.path().join("2026-11/tile/entries/000.p/3");
    let mut bytes = fs::read(&bundle).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&bundle, bytes).unwrap();
    let error = verified(root.path(), None, all).unwrap_err();
    assert_eq!(error.reason(), "LOG_INVALID");
    assert!(error.to_string().contains("2026-11"), "{error}");
    assert_eq!(
        verified(&root.path().join("gone"), None, all)
            .unwrap_err()
            .reason(),
        "FILE_ERROR"
    );
}

#[test]
fn a_faulty_registry_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("registry.toml");
    for text in [
        "[[owner]]\nname = 1\n",
        "[[target]]\nuri = 'https://a.example'\nrisk = 'huge'\n",
    ] {
        fs::write(&file, text).unwrap();
        assert_eq!(from_file(&file).unwrap_err().reason(), "INVALID_REGISTRY");
    }
}

#[test]
fn the_narrower_registration_reads_back_with_fewer_scopes_and_nothing_else_changed() {
    let agent = v1::Agent {
        name: "a".into(),
        owner: "team".into(),
        purpose: "say \"no\"\n[[agent]]".into(),
        stage: v1::Stage::Bounded.into(),
        scopes: vec!["https://a.example#r".into(), "https://a.example#w".into()],
        valid_until: Some(prost_types::Timestamp {
            seconds: 1_800_000_000,
            nanos: 0,
        }),
        max_ttl: Some(prost_types::Duration {
            seconds: 90,
            nanos: 0,
        }),
        labels: [("env".to_owned(), "prod".to_owned())].into(),
        ..v1::Agent::default()
    };
    let other = v1::Agent {
        name: "b".into(),
        ..agent.clone()
    };
    let registry = Snapshot {
        agents: vec![agent.clone(), other],
        ..Snapshot::default()
    };
    let suggestion = Suggestion {
        agents: vec![Narrower {
            agent: "a".into(),
            keep: vec!["https://a.example#r".into()],
            remove: vec!["https://a.example#w".into()],
        }],
        would_have_denied: Vec::new(),
        requests: 1,
        of_requests: 4,
        says: String::new(),
        by: By::Granted,
        by_used: Vec::new(),
        by_granted: Vec::new(),
    };
    let text = narrower(&registry, &suggestion);
    assert!(text.starts_with("# 1 agents with fewer scopes. It would have denied 1 of 4 "));
    let file = RegistryFile::parse(&text, Dates::Fixed).unwrap();
    assert!(file.faults.is_empty(), "{text}");
    let [entry] = file.entries.as_slice() else {
        panic!("{text}")
    };
    let expected = v1::Agent {
        scopes: vec!["https://a.example#r".into()],
        ..agent
    };
    assert_eq!(entry.entry, Some(v1::entry::Entry::Agent(expected)));
}
