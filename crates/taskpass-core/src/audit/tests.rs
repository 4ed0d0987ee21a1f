use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::access::Stage;
use crate::credential::CredentialKind;
use crate::grant::Basis;
use crate::id::CredentialId;
use crate::key::KeyId;
use crate::name::MAX_NAME_LEN;
use crate::promotion::{Ground, ProposalFacts, ReadinessFacts, RequirementsFacts};
use crate::registry::Widening;
use crate::revocation::{MAX_REASON_LEN, Rule, Selector};
use crate::rng::SeededRng;
use crate::scope::{MAX_SCOPE_LEN, MAX_TARGET_LEN, ScopeRef};
use crate::secret::Sha256;
use crate::task::{MAX_DEPTH, MAX_PURPOSE_LEN, MAX_SCOPES};
use crate::ttl::Ttl;

#[test]
fn an_entry_leaves_out_what_does_not_apply() {
    let at = Timestamp::from_secs(1_700_000_000);
    let id = DecisionId::generate(at, &SeededRng::new(1));
    let entry = Entry::new(id, at, EntryKind::Reap, Outcome::Done);
    let json = serde_json::to_value(&entry).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "v": 1, "id": id.to_string(), "at": "2023-11-14T22:13:20Z",
            "kind": "reap", "outcome": "done"
        })
    );
}

fn basis(policies: usize) -> Basis {
    Basis {
        id: DecisionId::generate(Timestamp::ZERO, &SeededRng::new(1)),
        policies: (0..policies).map(|i| format!("{i:0>63}")).collect(),
        would_deny: false,
        policy_set: Sha256::of(b"set"),
    }
}

#[test]
fn of_many_policies_the_first_are_named_and_the_rest_counted() {
    for (policies, named, more) in [(0, 0, None), (16, 16, None), (17, 16, Some(1))] {
        let facts = DecisionFacts::from(&basis(policies));
        assert_eq!((facts.policies.len(), facts.more_policies), (named, more));
        assert!(facts.policies.iter().is_sorted());
    }
    let json = serde_json::to_value(DecisionFacts::from(&basis(1))).unwrap();
    assert_eq!(json["would_deny"], serde_json::json!(false));
    assert_eq!(json.get("errored"), None);
}

#[test]
fn the_granted_lifetime_is_the_difference_of_what_the_credential_says() {
    for (from, until, ttl) in [
        (10_900, 310_900, 300),
        (10_100, 20_000, 10),
        (5_000, 4_000, 0),
    ] {
        let granted = Granted::new(
            BTreeSet::new(),
            Timestamp::from_millis(from),
            Timestamp::from_millis(until),
        );
        assert_eq!(granted.ttl, ttl);
    }
}

#[test]
fn causes_and_attestations_say_which_they_are() {
    let id = DecisionId::generate(Timestamp::ZERO, &SeededRng::new(1));
    let rule = Rule {
        seq: 7,
        selector: Selector::Everything,
        issued_before: 0,
        only_target: None,
        reason: "drill".into(),
        actor: Principal::from_parts("operator", "ops").unwrap(),
        owner: None,
        at: Timestamp::ZERO,
        prune_at: Timestamp::ZERO,
    };
    let key = Sha256::of(b"");
    for (value, expected) in [
        (
            serde_json::to_value(Cause::Entry(id)),
            serde_json::json!({ "entry": id.to_string() }),
        ),
        (
            serde_json::to_value(Cause::Decision(id)),
            serde_json::json!({ "decision": id.to_string() }),
        ),
        (
            serde_json::to_value(Cause::from(&rule)),
            serde_json::json!({ "rule": {
                "seq": 7, "selector": "all", "value": "", "at": "1970-01-01T00:00:00Z",
                "actor": "operator/ops",
            } }),
        ),
        (
            serde_json::to_value(Attestation::Mtls { key }),
            serde_json::json!({ "method": "mtls", "key": key.to_string() }),
        ),
        (
            serde_json::to_value(Attestation::EnrolmentToken { token: key }),
            serde_json::json!({ "method": "enrolment_token", "token": key.to_string() }),
        ),
    ] {
        assert_eq!(value.unwrap(), expected);
    }
}

#[test]
fn what_is_recorded_of_a_method_is_what_policies_are_told() {
    let key = Sha256::of(b"");
    let text = || "x".to_owned();
    let methods = [
        Attestation::Mtls { key },
        Attestation::PrivateKeyJwt {
            key: KeyId::from_thumbprint(key),
        },
        Attestation::FederatedJwt {
            issuer: text(),
            subject: text(),
            key: text(),
        },
        Attestation::ForeignSvid {
            spiffe_id: text(),
            key,
        },
        Attestation::Unix {
            uid: 1,
            gid: 2,
            executable: None,
        },
    ];
    let told = methods.each_ref().map(Attestation::method);
    assert_eq!(told, Attestation::METHODS);
    for attestation in methods {
        let recorded = serde_json::to_value(&attestation).unwrap();
        assert_eq!(recorded["method"], attestation.method());
    }
}

/// Every field at its limit, together, although no kind has all of them.
#[expect(clippy::too_many_lines, reason = "a few lines a field")]
fn largest() -> Entry {
    let rng = SeededRng::new(1);
    // Within the first four digits of a year, the longest spelling.
    let at = Timestamp::from_millis(1_700_000_000_123);
    let name = "n".repeat(MAX_NAME_LEN);
    let target: TargetUri = format!("https://{}", "t".repeat(MAX_TARGET_LEN - 8))
        .parse()
        .unwrap();
    let scopes: BTreeSet<ScopeRef> = (0..MAX_SCOPES)
        .map(|i| ScopeRef {
            target: target.clone(),
            scope: format!("{i:0>MAX_SCOPE_LEN$}").parse().unwrap(),
        })
        .collect();
    assert_eq!(scopes.len(), MAX_SCOPES);
    let (id, task) = (DecisionId::generate(at, &rng), TaskId::generate(at, &rng));
    let actor = Principal::Operator(name.parse().unwrap());
    let digest = Sha256::of(b"");
    let until = at.plus(Duration::from_hours(24 * 7));
    let mut entry = Entry::new(id, at, EntryKind::Certificate, Outcome::Allow);
    entry.actor = Some(Principal::Verifier(name.parse().unwrap()));
    entry.agent = Some(name.parse().unwrap());
    entry.owner = Some(name.parse().unwrap());
    entry.generation = Some(u64::MAX);
    // Each character of a subject may be one that is escaped.
    entry.attestation = Some(Attestation::FederatedJwt {
        issuer: "i".repeat(63),
        subject: "\"".repeat(512),
        key: "\"".repeat(512),
    });
    entry.task = Some(task);
    // Four bytes for a character; an escaped one has two.
    entry.purpose = Some("😀".repeat(MAX_PURPOSE_LEN));
    entry.parent = Some(task);
    entry.ancestors = vec![
        Ancestor {
            task,
            agent: name.parse().unwrap(),
        };
        // Of a refused part of a task that is as deep as tasks may be.
        MAX_DEPTH + 1
    ];
    entry.target = Some(target.clone());
    entry.asked = Some(Asked {
        scopes: scopes.clone(),
        ttl: Some(Ttl::new(Duration::new(604_799, 999_999_999), Ttl::from_hours(168)).unwrap()),
    });
    entry.granted = Some(Granted {
        scopes,
        ttl: u64::MAX,
        expires_at: until,
    });
    entry.clamped_by = Some(Clamp::AgentValidity);
    entry.decision = Some(DecisionFacts {
        more_policies: Some(usize::MAX),
        errored: true,
        ..DecisionFacts::from(&basis(100))
    });
    entry.credential = Some(CredentialFacts {
        kind: CredentialKind::Certificate,
        id: CredentialId::generate(at, &rng),
        sha256: digest,
        key: KeyId::from_thumbprint(digest),
        bound_to: Some(digest),
    });
    entry.used = Some(used(1));
    entry.coverage = Some(CoverageFacts {
        from: at,
        until: at,
        lost: u64::MAX,
        unknown: u64::MAX,
    });
    entry.revocation = Some(RevocationFacts::new(
        &Selector::Target(target.clone()),
        u64::MAX,
        false,
    ));
    entry.drill = Some(DrillFacts {
        connected: u64::MAX,
        confirmed: u64::MAX,
        silent: u64::MAX,
        commit_us: u64::MAX,
        first_us: Some(u64::MAX),
        p50_us: Some(u64::MAX),
        last_us: Some(u64::MAX),
        introspect_us: Some(u64::MAX),
        timed_out: false,
    });
    entry.enrolment = Some(EnrolmentFacts {
        token: digest,
        expires_at: until,
    });
    entry.identity = Some(IdentityFacts {
        key: digest,
        generation: u64::MAX,
        expires_at: until,
    });
    entry.log = Some(LogFacts {
        origin: "o".repeat(1_024),
        // A note of one signature over three lines.
        previous: Some("\n".repeat(4_096)),
    });
    entry.subject = Some(format!("what revoking target {target} would end"));
    entry.version = Some(u64::MAX);
    entry.widened = Widening::ALL.to_vec();
    entry.promotion = Some(PromotionFacts {
        from: Stage::ReadOnly,
        to: Stage::Autonomous,
        by: Ground::Evidence,
        readiness: Some(ReadinessFacts {
            report: digest,
            log: "o".repeat(1024),
            size: u64::MAX,
            root: digest,
            made_at: until,
            agent: name.parse().unwrap(),
            to: Stage::Autonomous,
            requirements: Some(RequirementsFacts {
                sha256: digest,
                asked: u32::MAX,
                not_asked: u32::MAX,
            }),
        }),
        proposal: Some(ProposalFacts {
            id,
            by: Principal::Operator(name.parse().unwrap()),
            at,
        }),
    });
    entry.state = Some("suspended");
    entry.count = Some(u64::MAX);
    entry.cause = Some(Cause::Rule {
        seq: u64::MAX,
        selector: "credential",
        value: target.to_string(),
        at,
        actor,
    });
    entry.reason = Some("😀".repeat(MAX_REASON_LEN));
    entry.trace_id = Some("f".repeat(32));
    entry
}

/// Uses whose texts are as long as they may be, and escaped.
fn used(items: usize) -> UseFacts {
    let at = Timestamp::from_millis(1_700_000_000_123);
    let item = UseItem::new(
        "s".repeat(MAX_SCOPE_LEN).parse().ok(),
        Some("\"".repeat(MAX_ACTION_LEN)),
        Some("\\".repeat(MAX_RESOURCE_LEN)),
        UseOutcome::Allowed,
        u64::from(u32::MAX),
        (at, at),
    );
    UseFacts {
        by: UsedBy::Verifier,
        items: vec![item.unwrap(); items],
    }
}

/// Uses take the room of what is asked and granted, which no entry about them has.
#[test]
fn no_entry_about_uses_is_too_large_for_the_log() {
    let mut entry = largest();
    (entry.asked, entry.granted, entry.log) = (None, None, None);
    let without = serde_json::to_vec(&entry).unwrap().len();
    entry.used = Some(used(MAX_USE_ITEMS));
    let json = serde_json::to_vec(&entry).unwrap();
    assert!(json.len() > without + MAX_USE_ITEMS * 2 * MAX_RESOURCE_LEN);
    assert!(json.len() < MAX_ENTRY_LEN, "{}", json.len());
}

#[test]
fn no_entry_within_the_limits_of_its_fields_is_too_large_for_the_log() {
    let json = serde_json::to_vec(&largest()).unwrap();
    // Most of it are scopes, twice.
    assert!(json.len() > 2 * MAX_SCOPES * (MAX_TARGET_LEN + MAX_SCOPE_LEN));
    assert!(json.len() < MAX_ENTRY_LEN, "{}", json.len());
    // No field was forgotten: each one that an entry can have is there.
    let serde_json::Value::Object(fields) = serde_json::from_slice(&json).unwrap() else {
        unreachable!("an entry is an object");
    };
    let text = format!(
        "{:?}",
        Entry::new(largest().id, Timestamp::ZERO, EntryKind::Log, Outcome::Done)
    );
    assert_eq!(
        fields.len(),
        text.matches(": None").count() + text.matches(": []").count() + 5
    );
}
