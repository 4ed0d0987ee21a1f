//! The first page of a query over a log of 1 000 000 entries, as an auditor asks: the log and its
//! summaries are made anew in a throw-away folder (about 700 MB), then read through the page cache.
//!
//! `cargo bench -p taskpass-bench --bench log_query`; the goal is 50 ms for each.

#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot be set up has no figure"
)]

use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use taskpass_core::Timestamp;
use taskpass_log::find::{BUNDLE, Filter, FoundPage, Summary, SummaryFile, query};
use taskpass_log::read::ReadError;
use taskpass_log::{Origin, Reader, State, TileLog};

const ENTRIES: u64 = 1_000_000;
const PAGE: usize = 100;
const AGENTS: u64 = 200;
const OWNERS: u64 = 20;
const TARGETS: u64 = 40;
const STEP: u64 = 2_000;

/// An entry as issuing makes them; one in fifty is a denial, and one agent is seldom heard of.
fn entry(index: u64) -> Vec<u8> {
    let agent = if index.is_multiple_of(100_000) {
        AGENTS
    } else {
        index % AGENTS
    };
    let denied = index.is_multiple_of(50);
    let kind = match index % 10 {
        0 => "task.start",
        1 => "credential.certificate",
        _ => "credential.token",
    };
    let at = Timestamp::from_millis(1_700_000_000_000 + index * 500);
    let target = format!("https://api-{}.example", index % TARGETS);
    serde_json::json!({
        "v": 1,
        "id": format!("01M82G206YHC5JBHBN9{index:07}"),
        "at": at.to_string(),
        "kind": kind,
        "outcome": if denied { "deny" } else { "allow" },
        "actor": format!("agent/agent-{agent}"),
        "agent": format!("agent-{agent}"),
        "owner": format!("owner-{}", agent % OWNERS),
        "generation": 3,
        "task": format!("01M82G206YTASKBHBN{:08}", index / 10),
        "target": target,
        "asked": { "scopes": [format!("{target}#invoices:read")], "ttl": 300 },
        "granted": { "scopes": [format!("{target}#invoices:read")], "expires_at": at.to_string() },
        "decision": {
            "policies": ["stage.read_only"],
            "policy_set": "b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c",
        },
        "credential": {
            "kind": "token",
            "id": format!("01M82G206YCRED5JBHB{index:07}"),
            "sha256": "7d865e959b2466918c9863afca942d0fb89d7c9ac0c99bafc3749504ded97730",
            "key": "GFbPJYkvrhMvVTqTKMWfMkVd8LDMxQ7Vz0CEGJzWqDg",
        },
    })
    .to_string()
    .into_bytes()
}

fn write(folder: &Path) -> SummaryFile {
    let origin = Origin::parse("bench.example/log/2023-11").unwrap();
    let mut log = TileLog::open(&folder.join("log"), State::new(origin)).unwrap();
    let mut summaries = SummaryFile::open(&folder.join("find")).unwrap();
    let mut bundle = Vec::new();
    for first in (0..ENTRIES).step_by(usize::try_from(STEP).unwrap()) {
        let entries: Vec<_> = (first..first + STEP).map(entry).collect();
        log.append(&entries).unwrap();
        for json in entries {
            bundle.push(json);
            if bundle.len() == usize::try_from(BUNDLE).unwrap() {
                let summary = Summary::of(bundle.iter().map(Vec::as_slice));
                summaries.push(&summary).unwrap();
                bundle.clear();
            }
        }
    }
    summaries
}

fn first_page(folder: &Path, summaries: &SummaryFile, filter: &Filter) -> FoundPage {
    // As the broker does it for each query: nothing is kept open but the file of summaries.
    let reader = Reader::open(&folder.join("log"));
    let view = reader.at(ENTRIES);
    let bundle = |number: u64| -> Result<Vec<Vec<u8>>, ReadError> {
        let entries = view.entries(number * BUNDLE..(number + 1) * BUNDLE);
        entries.map(|entry| entry.map(|(_, json)| json)).collect()
    };
    let known = summaries.snapshot().unwrap();
    query(&known, filter, ENTRIES, PAGE, bundle).unwrap()
}

fn named(filter: impl FnOnce(&mut Filter)) -> Filter {
    let mut named = Filter::default();
    filter(&mut named);
    named
}

fn benches(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let summaries = write(folder.path());
    let cases = [
        ("everything", named(|_| {})),
        ("a busy agent", named(|f| f.agent = Some("agent-7".into()))),
        (
            "a seldom agent",
            named(|f| f.agent = Some(format!("agent-{AGENTS}"))),
        ),
        (
            "an owner's denials",
            named(|f| {
                f.owner = Some("owner-0".into());
                f.outcome = Some("deny".into());
            }),
        ),
        (
            "the oldest credential",
            named(|f| {
                f.credential = Some(format!("01M82G206YCRED5JBHB{:07}", 3));
            }),
        ),
        (
            "nothing that is there",
            named(|f| f.task = Some("01M82G206YNOSUCHTASK000000".into())),
        ),
        (
            "two that never meet",
            named(|f| {
                f.agent = Some("agent-7".into());
                f.target = Some("https://api-8.example".into());
            }),
        ),
        (
            "an old hour",
            named(|f| {
                f.from = Some(Timestamp::from_secs(1_700_010_000));
                f.until = Some(Timestamp::from_secs(1_700_013_600));
            }),
        ),
    ];
    let mut group = criterion.benchmark_group("first page of 100 in 1 000 000 entries");
    group.sample_size(20);
    for (name, filter) in cases {
        let found = first_page(folder.path(), &summaries, &filter);
        let more = if found.next.is_some() {
            ", more to come"
        } else {
            ""
        };
        let found = format!("{name} ({} found{more})", found.entries.len());
        group.bench_function(found, |bencher| {
            bencher.iter(|| first_page(folder.path(), &summaries, &filter));
        });
    }
    group.finish();
}

criterion_group!(log_query, benches);
criterion_main!(log_query);
