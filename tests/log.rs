//! The audit log from outside: what its service, the public HTTP and the exporter say of it, and
//! that all of them say the same. Proofs are checked here, not believed.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "log/commands.rs"]
mod commands;
#[path = "log/export.rs"]
mod export;
#[path = "log/stream.rs"]
mod stream;

use serde_json::{Value, json};
use taskpass_api::v1;
use taskpass_api::v1::get_inclusion_proof_request::Entry as Which;
use taskpass_log::proof::{verify_consistency, verify_inclusion};
use taskpass_log::{Checkpoint, Hash, NoteKey};
use taskpass_testkit::{Broker, refused, until, within};

pub(crate) const BIN: &str = env!("CARGO_BIN_EXE_taskpass");
pub(crate) const LEDGER: &str = "https://ledger.example";
pub(crate) const READ: &str = "https://ledger.example#invoices:read";

/// Lets something happen, waits until it is logged, and says which credential it was.
pub(crate) async fn something(broker: &Broker) -> String {
    let agent = broker.services("invoice-bot").await.agent();
    let task = agent.start_task("logged", [READ], None).await.unwrap();
    let token = task.token(LEDGER, ["invoices:read"], None).await.unwrap();
    let id = token.id().to_string();
    until("the token is in the log", || {
        let log = broker.audit();
        log.iter()
            .any(|line| line["entry"]["credential"]["id"] == json!(id))
            .then_some(())
    });
    id
}

pub(crate) fn open(note: &str, vkey: &str) -> Checkpoint {
    let key = NoteKey::parse(vkey.trim_end()).unwrap();
    Checkpoint::open(note.as_bytes(), &[key]).unwrap()
}

pub(crate) fn hashes(hashes: &[impl AsRef<[u8]>]) -> Vec<Hash> {
    let hash = |bytes: &[u8]| Hash::from_bytes(bytes.try_into().unwrap());
    hashes.iter().map(|bytes| hash(bytes.as_ref())).collect()
}

fn shown(entry: &v1::LogEntry) -> Value {
    let json: Value = serde_json::from_slice(&entry.json).unwrap();
    json!({ "log": entry.log, "index": entry.index, "entry": json })
}

#[tokio::test]
async fn pages_are_the_log_backwards() {
    let broker = Broker::start(BIN);
    something(&broker).await;
    let mut audit = broker.services("").await.audit();
    // Every page is recorded itself; what was there before the first one is what is compared.
    let before = broker.audit();
    let mut found = Vec::new();
    let mut request = v1::QueryRequest {
        page_size: 3,
        ..Default::default()
    };
    loop {
        let page = within(audit.query(request.clone()))
            .await
            .unwrap()
            .into_inner();
        assert!(page.entries.len() <= 3);
        found.extend(page.entries.iter().map(shown));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    found.reverse();
    assert!(found.len() >= before.len());
    assert_eq!(found[..before.len()], before);
    assert_eq!(before[0]["entry"]["kind"], json!("log"));
}

#[tokio::test]
async fn a_filter_finds_what_it_names() {
    let broker = Broker::start(BIN);
    let id = something(&broker).await;
    something(&broker).await;
    let mut audit = broker.services("").await.audit();
    let mut find = async |filter| {
        let request = v1::QueryRequest {
            filter: Some(filter),
            ..Default::default()
        };
        let reply = within(audit.query(request)).await;
        reply.map(|page| {
            let entries = page.into_inner().entries;
            entries.iter().map(shown).collect::<Vec<_>>()
        })
    };
    let filter = v1::EntryFilter {
        credential_id: id.clone(),
        ..Default::default()
    };
    let found = find(filter).await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["entry"]["credential"]["id"], json!(id));
    let filter = v1::EntryFilter {
        agent: "invoice-bot".into(),
        kind: "task.start".into(),
        outcome: "allow".into(),
        ..Default::default()
    };
    assert_eq!(find(filter).await.unwrap().len(), 2);
    let with = |change: fn(&mut v1::EntryFilter)| {
        let mut filter = v1::EntryFilter::default();
        change(&mut filter);
        filter
    };
    let year_5138 = prost_types::Timestamp {
        seconds: 100_000_000_000,
        nanos: 0,
    };
    let later = v1::EntryFilter {
        from: Some(year_5138),
        ..Default::default()
    };
    for (filter, reason) in [
        (with(|f| f.agent = "nobody".into()), "AGENT_NOT_FOUND"),
        (with(|f| f.owner = "nobody".into()), "OWNER_NOT_FOUND"),
        (
            with(|f| f.target = "https://x.example".into()),
            "TARGET_NOT_FOUND",
        ),
        (with(|f| f.target = "x".into()), "INVALID_TARGET"),
        (with(|f| f.agent = "No Name".into()), "INVALID_NAME"),
        (with(|f| f.kind = "nothing".into()), "INVALID_FIELD"),
        (with(|f| f.outcome = "maybe".into()), "INVALID_FIELD"),
        (later, "INVALID_PERIOD"),
    ] {
        let status = find(filter.clone()).await.unwrap_err();
        let refused = taskpass_client::Refused::from(status);
        assert!(refused.is(reason), "{filter:?}: {refused:?}");
    }
}

#[tokio::test]
async fn proofs_hold_under_the_public_checkpoint() {
    let broker = Broker::start(BIN);
    let id = something(&broker).await;
    let mut audit = broker.services("").await.audit();
    let first = v1::GetCheckpointRequest::default();
    let first = within(audit.get_checkpoint(first))
        .await
        .unwrap()
        .into_inner();
    let old = open(&first.checkpoint, &first.vkey);
    let path = format!("/log/{}", first.log);
    assert_eq!(
        broker.get(&format!("{path}/vkey")).text().trim_end(),
        first.vkey
    );

    for which in [Which::CredentialId(id.clone()), Which::Index(0)] {
        let by_index = matches!(which, Which::Index(_));
        let request = v1::GetInclusionProofRequest {
            entry: Some(which),
            log: String::new(),
        };
        let proof = within(audit.get_inclusion_proof(request))
            .await
            .unwrap()
            .into_inner();
        let checkpoint = open(&proof.checkpoint, &proof.vkey);
        let entry = proof.entry.unwrap();
        let leaf = Hash::leaf(&entry.json);
        let path = hashes(&proof.hashes);
        verify_inclusion(leaf, entry.index, checkpoint.size, &path, &checkpoint.root).unwrap();
        let text = String::from_utf8(entry.json.to_vec()).unwrap();
        assert_eq!(text.contains(&id), !by_index, "{text}");
    }

    something(&broker).await;
    let request = v1::GetConsistencyProofRequest {
        old_size: old.size,
        log: first.log.clone(),
    };
    let proof = within(audit.get_consistency_proof(request))
        .await
        .unwrap()
        .into_inner();
    let new = open(&proof.checkpoint, &proof.vkey);
    assert!(new.size > old.size);
    let steps = hashes(&proof.hashes);
    verify_consistency((old.size, &old.root), (new.size, &new.root), &steps).unwrap();

    for at in ["/log/checkpoint".to_owned(), format!("{path}/checkpoint")] {
        let reply = broker.get(&at);
        assert_eq!(reply.status, 200, "{at}");
        assert_eq!(
            reply.header("content-type"),
            Some("text/plain; charset=utf-8")
        );
        assert_eq!(reply.header("cache-control"), Some("public, max-age=1"));
        assert!(open(&reply.text(), &first.vkey).size >= new.size);
    }
    for (at, says) in [
        ("/log/2001-01/checkpoint", "there is no log 2001-01"),
        ("/log/2001-01/vkey", "there is no log 2001-01"),
        ("/log/now/checkpoint", "YYYY-MM"),
        ("/log/..%2f..%2fkek/vkey", "YYYY-MM"),
        ("/log/2001-01/tile/entries/000", "there is nothing here"),
    ] {
        let reply = broker.get(at);
        assert_eq!(reply.status, 404, "{at}");
        assert!(reply.text().contains(says), "{at}: {}", reply.text());
    }
}

#[tokio::test]
async fn what_does_not_exist_is_said() {
    let broker = Broker::start(BIN);
    let id = something(&broker).await;
    let mut audit = broker.services("").await.audit();
    let logs = within(audit.list_logs(v1::ListLogsRequest {}))
        .await
        .unwrap()
        .into_inner()
        .logs;
    assert_eq!(logs.len(), 1, "{logs:?}");
    assert!(
        logs[0].origin.ends_with(&format!("/log/{}", logs[0].log)),
        "{logs:?}"
    );

    let inclusion = |entry, log: &str| v1::GetInclusionProofRequest {
        entry,
        log: log.to_owned(),
    };
    // Well formed, and nobody's.
    let nobodys = "00000000000000000000000000".to_owned();
    assert_ne!(id, nobodys);
    for (request, reason) in [
        (inclusion(None, ""), "INVALID_FIELD"),
        (
            inclusion(Some(Which::Index(u64::MAX)), ""),
            "ENTRY_NOT_FOUND",
        ),
        (inclusion(Some(Which::Index(0)), "2001-01"), "LOG_NOT_FOUND"),
        (inclusion(Some(Which::Index(0)), "January"), "INVALID_FIELD"),
        (
            inclusion(Some(Which::CredentialId(nobodys)), ""),
            "ENTRY_NOT_FOUND",
        ),
        (
            inclusion(Some(Which::CredentialId("x".into())), ""),
            "INVALID_FIELD",
        ),
    ] {
        let refused = refused(within(audit.get_inclusion_proof(request.clone())).await);
        assert!(refused.is(reason), "{request:?}: {refused:?}");
    }
    for (old_size, log, reason) in [
        (0, "", "INVALID_FIELD"),
        (u64::MAX, "", "INVALID_FIELD"),
        (1, "2001-01", "LOG_NOT_FOUND"),
    ] {
        let log = log.to_owned();
        let request = v1::GetConsistencyProofRequest { old_size, log };
        let refused = refused(within(audit.get_consistency_proof(request)).await);
        assert!(refused.is(reason), "{old_size}: {refused:?}");
    }
    let page = v1::QueryRequest {
        page_token: "no token".into(),
        ..Default::default()
    };
    assert!(refused(within(audit.query(page)).await).is("INVALID_FIELD"));
    let log = v1::QueryRequest {
        log: "2001-01".into(),
        ..Default::default()
    };
    assert!(refused(within(audit.query(log)).await).is("LOG_NOT_FOUND"));
    let export = v1::ExportRequest {
        log: String::new(),
        from_size: u64::MAX,
    };
    assert!(refused(within(audit.export(export)).await).is("INVALID_FIELD"));
}
