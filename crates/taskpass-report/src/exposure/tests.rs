//! Figures of a log that can be counted by hand.

use serde_json::json;

use super::*;
use crate::facts::KeysFrom;
use crate::testing::{at, credential, entry, facts, id, revoked, started, token};

#[test]
fn lives_are_measured() {
    let (a, b) = (id(at(600), 1), id(at(600), 2));
    let ids: Vec<_> = (1..=4).map(|n| credential(at(400), n)).collect();
    let entries = [
        started(at(0), "a", &a, &["read"]),
        token(at(0), "a", &a, &ids[0], &["read"]),
        token(at(40), "a", &a, &ids[1], &["read"]),
        started(at(50), "b", &b, &["read"]),
        token(at(60), "b", &b, &ids[2], &["read"]),
        revoked(at(70), "credential", &ids[1]),
        // Its task ended 210 seconds before what was issued for it did.
        entry(
            at(150),
            "task.end",
            "done",
            json!({"task": b, "agent": "b", "reason": "lost"}),
        ),
        token(at(200), "a", &a, &ids[3], &["read"]),
    ];
    let facts = facts(Some(at(30)), at(310), &entries);
    let report = exposure(&facts, facts.about(KeysFrom::Copy, None), |_| true);
    // The first one was issued before the period, and is over.
    assert_eq!((report.credentials, report.revoked, report.live), (3, 1, 2));
    let life = &report.token_life;
    assert_eq!(
        (life.count, life.min_s, life.max_s),
        (3, Some(30), Some(300))
    );
    assert_eq!(report.certificate_life.count, 0);
    let beyond = &report.beyond_task;
    assert_eq!(
        (beyond.count, beyond.p50_s, beyond.max_s),
        (3, Some(0), Some(210))
    );
    assert_eq!(report.age_at_revocation.max_s, Some(30));
    let oldest = report.oldest_live.unwrap();
    assert_eq!(
        (oldest.credential.as_str(), oldest.age_s),
        (ids[2].as_str(), 250)
    );
    let of_b = exposure(&facts, facts.about(KeysFrom::Copy, None), |agent| {
        agent == "b"
    });
    assert_eq!((of_b.credentials, of_b.by_agent.len()), (1, 1));
}
