use std::convert::Infallible;

use proptest::prelude::*;

use super::fields::Fields;
use super::*;

fn entry(index: u64) -> Vec<u8> {
    let agent = index % 7;
    let kind = if index.is_multiple_of(5) {
        "task.start"
    } else {
        "credential.token"
    };
    let at = taskpass_core::Timestamp::from_secs(1_700_000_000 + index);
    serde_json::json!({
        "v": 1, "id": "x", "at": at.to_string(), "kind": kind,
        "outcome": if index.is_multiple_of(11) { "deny" } else { "allow" },
        "agent": format!("agent-{agent}"), "owner": format!("owner-{}", agent % 2),
        "task": format!("task-{}", index / 3),
        "credential": { "id": format!("credential-{index}"), "kind": "token" },
    })
    .to_string()
    .into_bytes()
}

fn log(size: u64) -> (Vec<Vec<u8>>, Vec<Summary>) {
    let entries: Vec<_> = (0..size).map(entry).collect();
    let mut finder = Vec::new();
    for bundle in entries.chunks_exact(256) {
        let summary = Summary::of(bundle.iter().map(Vec::as_slice));
        assert_eq!(
            Summary::from_bytes(&summary.to_bytes()),
            Some(summary.clone())
        );
        finder.push(summary);
    }
    (entries, finder)
}

fn pages(entries: &[Vec<u8>], finder: &[Summary], filter: &Filter, limit: usize) -> Vec<u64> {
    let read = |number: u64| -> Result<Vec<Vec<u8>>, Infallible> {
        let first = usize::try_from(number * BUNDLE).unwrap();
        Ok(entries[first..entries.len().min(first + 256)].to_vec())
    };
    let mut before = entries.len() as u64;
    let mut found = Vec::new();
    loop {
        let Ok(page) = query(finder, filter, before, limit, read);
        assert!(page.entries.len() <= limit);
        found.extend(page.entries.iter().map(|entry| entry.index));
        match page.next {
            Some(next) => {
                assert!(next < before || page.entries.is_empty());
                before = next;
            }
            None => return found,
        }
    }
}

proptest! {
    #[test]
    fn finds_exactly_what_a_full_scan_finds(
        size in 0_u64..1500,
        agent in proptest::option::of(0_u64..9),
        deny: bool,
        task in proptest::option::of(0_u64..500),
        from in proptest::option::of(0_u64..1500),
        limit in 1_usize..400,
    ) {
        let (entries, finder) = log(size);
        let filter = Filter {
            agent: agent.map(|n| format!("agent-{n}")),
            outcome: deny.then(|| "deny".to_owned()),
            task: task.map(|n| format!("task-{n}")),
            from: from.map(|n| taskpass_core::Timestamp::from_secs(1_700_000_000 + n)),
            ..Filter::default()
        };
        let expected: Vec<u64> = (0..size)
            .rev()
            .filter(|index| agent.is_none_or(|n| index % 7 == n))
            .filter(|index| !deny || index.is_multiple_of(11))
            .filter(|index| task.is_none_or(|n| index / 3 == n))
            .filter(|index| from.is_none_or(|n| *index >= n))
            .collect();
        prop_assert_eq!(pages(&entries, &finder, &filter, limit), expected);
    }
}

#[test]
fn a_rare_value_reads_few_bundles() {
    let (entries, finder) = log(256 * 40);
    let filter = Filter {
        credential: Some("credential-300".into()),
        ..Filter::default()
    };
    let reads = std::cell::Cell::new(0);
    let Ok(page) = query(
        finder.as_slice(),
        &filter,
        256 * 40,
        10,
        |number| -> Result<_, Infallible> {
            reads.set(reads.get() + 1);
            let first = usize::try_from(number * BUNDLE).unwrap();
            Ok(entries[first..first + 256].to_vec())
        },
    );
    assert_eq!(
        page.entries.iter().map(|e| e.index).collect::<Vec<_>>(),
        [300]
    );
    assert!(
        reads.get() <= 3,
        "{} bundles were read for one entry",
        reads.get()
    );
}

#[test]
fn a_revocation_is_found_by_what_it_names() {
    let json = br#"{"at":"2026-11-22T00:00:00Z","kind":"revocation","outcome":"done",
        "revocation":{"selector":"task","value":"T"}}"#;
    let fields = Fields::parse(json).unwrap();
    let by_task = Filter {
        task: Some("T".into()),
        ..Filter::default()
    };
    assert!(by_task.matches(&fields));
    assert!(
        !Filter {
            agent: Some("T".into()),
            ..Filter::default()
        }
        .matches(&fields)
    );
    assert!(Summary::of([json.as_slice()]).may_contain("task\nT"));
}
