//! Files that are right, files that are not, and a registry that comes back as it was.

use super::*;
use std::time::Duration;
use taskpass_api::v1::entry::Entry as E;
use taskpass_core::Timestamp;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
const EXAMPLE: &str = include_str!("../../../../config/registry.example.toml");
const SAMPLE: &str = include_str!("../../../../config/registry.dev.toml");

fn parse(text: &str) -> RegistryFile {
    RegistryFile::parse(text, Dates::Fixed).unwrap()
}

fn lines(file: &RegistryFile) -> Vec<String> {
    let line = |fault: &Fault| {
        let (place, text) = fault.line(&file.places);
        format!("{place} {text}")
    };
    file.faults.iter().map(line).collect()
}

#[test]
fn the_shipped_files_read() {
    let example = parse(EXAMPLE);
    assert_eq!(lines(&example), Vec::<String>::new());
    assert!(example.entries.len() >= 4);
    for entry in example.entries {
        let entry = taskpass_server::row_of(entry);
        assert!(entry.is_ok(), "{entry:?}");
    }
    let dates = Dates::FromNow(NOW, Duration::from_mins(1));
    let sample = RegistryFile::parse(SAMPLE, dates).unwrap();
    assert_eq!(lines(&sample), Vec::<String>::new());
    let agent = sample.entries.iter().find_map(|entry| match &entry.entry {
        Some(E::Agent(agent)) => Some(agent.valid_until),
        _ => None,
    });
    assert_eq!(agent.flatten().unwrap().seconds, 1_700_000_060);
}

#[test]
fn each_value_that_is_none_is_named_with_its_place() {
    let file = parse(
        r#"
[[target]]
uri = "https://a.example"
risk = "tiny"
scopes = { "x:read" = "read", "x:do" = "banana" }
max_ttl = "2h"
token_alg = "RS256"

[[agent]]
name = "bot"
owner = "team"
purpose = "p"
stage = "root"
scopes = ["https://a.example#x:read"]
valid_until = "90d"
"#,
    );
    let expected = [
        (
            "4:8 ",
            "target https://a.example: risk: `tiny`: expected one of: low",
        ),
        (
            "5:40 ",
            "target https://a.example: scopes: `banana`: expected one of: read",
        ),
        ("7:13 ", "target https://a.example: token_alg: `RS256`"),
        ("6:11 ", "target https://a.example: max_ttl: "),
        ("13:9 ", "agent bot: stage: `root`"),
        ("15:15 ", "agent bot: valid_until: `90d` is no instant"),
    ];
    let found = lines(&file);
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (line, (place, text)) in found.iter().zip(expected) {
        assert!(line.starts_with(&format!("{place}{text}")), "{line}");
    }
    // What is wrong here, the broker refuses too: it never sees a value in its place.
    for entry in file.entries {
        assert!(taskpass_server::row_of(entry).is_err());
    }
}

#[test]
fn what_is_not_the_form_is_refused_with_its_place() {
    for (text, expected) in [
        (
            "[[owner]]\nname = \"a\"\ncontact = \"c\"\nrisk = \"low\"\n",
            "line 4, column 1: unknown field",
        ),
        ("[[owner]]\nname = \"a\"\n", "line 1"),
        ("[[person]]\nname = \"a\"\n", "unknown field"),
        ("[[owner]]\nname = \"a\"\nname = \"b\"\n", "line 3"),
        (
            "[[target]]\nuri = \"https://a\"\nrisk = \"low\"\nscopes = { \"x\" = \"read\", \"x\" = \"write\" }\n",
            "line 4",
        ),
        ("[[agent]]\nlimits = { live_cats = 9 }\n", "line 2"),
        ("= \n", "line 1, column 1"),
    ] {
        let error = RegistryFile::parse(text, Dates::Fixed).unwrap_err();
        assert_eq!(error.reason(), "INVALID_REGISTRY", "{text}");
        assert!(error.to_string().contains(expected), "{text}: {error}");
    }
}

#[test]
fn places_are_found_by_the_brokers_names() {
    let text = "[[agent]]\nname = \"bot\"\nowner = \"team\"\npurpose = \"p\"\nstage = \"bounded\"\n\
                scopes = [\"https://a#x\",\n  \"https://a#y\"]\n";
    let places = parse(text).places;
    for (path, place) in [
        ("entries[0].scopes[1]", Some((7, 3))),
        ("entries[0].owner", Some((3, 9))),
        // Of what has no place of its own, its entry's.
        ("entries[0].scopes[7]", Some((1, 1))),
        ("entries[0].labels", Some((1, 1))),
        ("entries[1].owner", None),
        ("owner", None),
    ] {
        assert_eq!(places.find(path), place, "{path}");
    }
}

fn full() -> Snapshot {
    let at = |seconds| {
        Some(prost_types::Timestamp {
            seconds,
            nanos: 5_000_000,
        })
    };
    let limits = Some(v1::Limits {
        live_tasks: Some(0),
        depth: Some(2),
        ..v1::Limits::default()
    });
    Snapshot {
        version: 17,
        owners: vec![v1::Owner {
            name: "team".into(),
            contact: "a \"quoted\"\\ päge\u{7f}".into(),
            state: v1::State::Suspended.into(),
            limits,
        }],
        targets: vec![v1::Target {
            uri: "https://a.example".into(),
            scopes: vec![v1::TargetScope {
                name: "x:do".into(),
                access: v1::Access::Actuate.into(),
            }],
            risk: v1::Risk::High.into(),
            token_alg: v1::TokenAlg::Eddsa.into(),
            max_ttl: Some(prost_types::Duration {
                seconds: 90,
                nanos: 0,
            }),
            state: v1::State::Active.into(),
            token_profile: v1::TokenProfile::Oauth.into(),
            limits: None,
            observe: Some(v1::ObserveMode {
                observe_until: at(1_800_000_000),
                reason: "trial".into(),
            }),
        }],
        agents: vec![v1::Agent {
            name: "bot".into(),
            owner: "team".into(),
            purpose: "p".into(),
            stage: v1::Stage::Autonomous.into(),
            scopes: vec!["https://a.example#x:do".into()],
            valid_until: at(1_700_000_100),
            max_ttl: None,
            labels: [("env".into(), "prod".into()), ("a b".into(), String::new())].into(),
            state: v1::State::Active.into(),
            created_at: at(1),
            client_keys: vec![v1::ClientKey {
                jwk: "{\"kty\":\"OKP\"}".into(),
                until: at(1_700_000_200),
                ..v1::ClientKey::default()
            }],
            limits,
        }],
    }
}

/// What is written is read back the same: nothing is lost, and nothing is added but what is output only.
#[test]
fn what_is_written_reads_back() {
    let before = full();
    let text = write(&before);
    assert!(text.contains("at version 17") && text.contains("# Suspended"));
    let file = parse(&text);
    assert_eq!(lines(&file), Vec::<String>::new(), "{text}");
    let [owner, target, agent] = file.entries.as_slice() else {
        panic!("{text}");
    };
    let mut expected = full();
    expected.owners[0].state = 0;
    expected.targets[0].state = 0;
    expected.agents[0].state = 0;
    expected.agents[0].created_at = None;
    assert_eq!(owner.entry, Some(E::Owner(expected.owners.remove(0))));
    assert_eq!(target.entry, Some(E::Target(expected.targets.remove(0))));
    assert_eq!(agent.entry, Some(E::Agent(expected.agents.remove(0))));
}

#[test]
fn what_is_retired_is_left_out() {
    let mut registry = full();
    registry.agents[0].state = v1::State::Retired.into();
    registry.owners[0].state = v1::State::Retired.into();
    assert_eq!(parse(&write(&registry)).entries.len(), 1);
}
