//! Exposure: lives, and how they ended.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::lives::{Life, lives, up};
use crate::raw::{Raw, instant, text};

fn histogram(values: impl Iterator<Item = u64>) -> Value {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    // The smallest value that so many in a hundred do not exceed.
    let at_most = |percent: usize| {
        let within = |value: u64| values.partition_point(|other| *other <= value);
        let enough = |value: &&u64| within(**value) * 100 >= values.len() * percent;
        values.iter().find(enough)
    };
    let steps = [
        (Some(0), "none"),
        (Some(1), "up to 1s"),
        (Some(10), "up to 10s"),
        (Some(60), "up to 1m"),
        (Some(300), "up to 5m"),
        (Some(900), "up to 15m"),
        (Some(3600), "up to 1h"),
        (Some(86_400), "up to 24h"),
        (None, "more than 24h"),
    ];
    let mut above = None;
    let mut counted = Vec::new();
    for (up_to, label) in steps {
        let within = |value: &&u64| {
            above.is_none_or(|above| **value > above) && up_to.is_none_or(|most| **value <= most)
        };
        let count = values.iter().filter(within).count();
        counted.push(json!({ "up_to_s": up_to, "label": label, "count": count }));
        above = up_to;
    }
    json!({
        "count": values.len(),
        "min_s": values.first(),
        "p50_s": at_most(50),
        "p99_s": at_most(99),
        "max_s": values.last(),
        "steps": counted,
    })
}

/// The whole report.
pub(crate) fn check(raw: &Raw, report: &Value) {
    let lives = lives(raw);
    let since = raw.since.unwrap_or(0);
    let issued: Vec<&Life<'_>> = lives.iter().filter(|life| life.issued >= since).collect();
    let of_kind = |kind: &str| {
        let of_kind = issued
            .iter()
            .filter(|life| text(&life.entry["credential"], "kind") == kind);
        histogram(of_kind.map(|life| life.seconds()))
    };
    let mut by_agent: BTreeMap<&str, u64> = BTreeMap::new();
    for life in &issued {
        *by_agent.entry(text(life.entry, "agent")).or_default() += 1;
    }
    let revoked = || issued.iter().filter(|life| life.revoked.is_some());
    let live = || lives.iter().filter(|life| life.ended() > raw.until);
    let oldest = live().min_by_key(|life| (life.issued, text(&life.entry["credential"], "id")));
    let expected = json!({
        "about": report["about"],
        "credentials": issued.len(),
        "revoked": revoked().count(),
        "live": live().count(),
        "token_life": of_kind("token"),
        "certificate_life": of_kind("certificate"),
        "beyond_task": histogram(issued.iter().map(|life| up(life.ended().saturating_sub(life.task_ended)))),
        "age_at_revocation": histogram(revoked().map(|life| life.seconds())),
        "oldest_live": oldest.map(|life| json!({
            "credential": life.entry["credential"]["id"],
            "kind": life.entry["credential"]["kind"],
            "agent": life.entry["agent"],
            "task": life.entry["task"],
            "issued_at": instant(Some(life.issued)),
            "expires_at": instant(Some(life.expires)),
            "age_s": up(raw.until - life.issued),
        })),
        "by_agent": by_agent,
    });
    let (reported, expected) = (report.as_object().unwrap(), expected.as_object().unwrap());
    assert_eq!(reported.len(), expected.len());
    for (field, value) in expected {
        assert_eq!(&reported[field], value, "{field}");
    }
}
