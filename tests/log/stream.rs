//! Tails and exports.

use serde_json::Value;
use taskpass_api::v1;
use taskpass_client::Refused;
use taskpass_log::{NoteKey, verify_folder};
use taskpass_testkit::{Broker, eventually, refused, until, within};
use tonic::Code;

use crate::{BIN, open, something};

fn from(index: u64) -> v1::TailRequest {
    v1::TailRequest {
        from_index: Some(index),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_tail_is_the_log_forwards() {
    let broker = Broker::start(BIN);
    something(&broker).await;
    let mut audit = broker.services("").await.audit();
    let mut tail = within(audit.tail(from(0))).await.unwrap().into_inner();
    let id = something(&broker).await;
    let mut found: Vec<v1::LogEntry> = Vec::new();
    while !found
        .iter()
        .any(|entry| String::from_utf8_lossy(&entry.json).contains(&id))
    {
        found.extend(within(tail.message()).await.unwrap().unwrap().entries);
    }
    let indexes: Vec<u64> = found.iter().map(|entry| entry.index).collect();
    let expected: Vec<u64> = (0..found.len() as u64).collect();
    assert_eq!(indexes, expected, "from the first on, each once");
    for (entry, line) in found.iter().zip(broker.audit()) {
        let json: Value = serde_json::from_slice(&entry.json).unwrap();
        assert_eq!(json, line["entry"]);
    }
    // Only what is asked for, and only what comes.
    let filter = v1::EntryFilter {
        kind: "credential.token".into(),
        ..Default::default()
    };
    let request = v1::TailRequest {
        filter: Some(filter),
        ..Default::default()
    };
    let mut tail = within(audit.tail(request)).await.unwrap().into_inner();
    let id = something(&broker).await;
    let first = within(tail.message()).await.unwrap().unwrap().entries;
    assert_eq!(first.len(), 1);
    assert!(String::from_utf8_lossy(&first[0].json).contains(&id));

    let log = v1::TailRequest {
        log: first[0].log.clone(),
        ..Default::default()
    };
    assert!(refused(within(audit.tail(log)).await).is("INVALID_FIELD"));
    assert!(refused(within(audit.tail(from(u64::MAX))).await).is("INVALID_FIELD"));
}

#[tokio::test]
async fn a_tail_ends_with_its_readers_standing_and_with_the_broker() {
    let mut broker = Broker::start(BIN);
    broker.operator("leaver", &[v1::Role::Auditor]).await;
    let mut theirs = broker.services("leaver").await.audit();
    let mut ours = broker.services("").await.audit();
    let mut left = within(theirs.tail(from(0))).await.unwrap().into_inner();
    let mut stays = within(ours.tail(from(0))).await.unwrap().into_inner();
    let retire = v1::RetireRequest {
        kind: v1::Kind::Operator.into(),
        name: "leaver".to_owned(),
        reason: "drill".to_owned(),
        dry_run: false,
    };
    within(broker.services("").await.registry().retire(retire))
        .await
        .unwrap();
    let ended = within(async {
        loop {
            match left.message().await {
                Ok(Some(_)) => {}
                ended => return ended,
            }
        }
    })
    .await;
    assert!(Refused::from(ended.unwrap_err()).is("CALLER_SUSPENDED"));
    // The other one goes on, and hears that the broker stops.
    something(&broker).await;
    assert!(within(stays.message()).await.unwrap().is_some());
    let stopped = tokio::task::spawn_blocking(move || {
        let code = broker.stop();
        (broker, code)
    });
    let ended = within(async {
        loop {
            match stays.message().await {
                Ok(Some(_)) => {}
                ended => return ended,
            }
        }
    })
    .await;
    assert_eq!(ended.unwrap_err().code(), Code::Unavailable);
    let (broker, code) = within(stopped).await.unwrap();
    assert_eq!(code, 0, "{}", broker.log());
}

#[tokio::test]
async fn tails_have_a_bounded_number_of_places() {
    let broker = Broker::start(BIN);
    let request = v1::TailRequest::default();
    let mut tails = Vec::new();
    // Each operator has a quarter of them, over whatever connections.
    for name in ["one", "two", "three", "four"] {
        broker.operator(name, &[v1::Role::Auditor]).await;
        let mut audit = broker.services(name).await.audit();
        for _ in 0..16 {
            tails.push(within(audit.tail(request.clone())).await.unwrap());
        }
        let refused = refused(within(audit.tail(request.clone())).await);
        assert!(refused.is("STREAMS_PER_CALLER"), "{refused:?}");
        assert_eq!(refused.code, Code::ResourceExhausted);
        // Exports have places of their own.
        let export = v1::ExportRequest::default();
        assert!(within(audit.export(export)).await.is_ok());
    }
    let mut audit = broker.services("").await.audit();
    let refused = refused(within(audit.tail(request.clone())).await);
    assert!(refused.is("QUEUE_FULL"), "{refused:?}");
    assert_eq!(refused.code, Code::ResourceExhausted);
    assert!(refused.retry_after.is_some());
    // One that leaves makes room.
    tails.pop();
    let again = eventually("there is room again", async || {
        audit.tail(request.clone()).await.ok()
    });
    again.await;
}

#[tokio::test]
async fn an_export_is_a_log_that_verifies() {
    let broker = Broker::start(BIN);
    // More than one bundle.
    for _ in 0..3 {
        let agent = broker.services("invoice-bot").await.agent();
        for _ in 0..100 {
            agent.start_task("many", [crate::READ], None).await.unwrap();
        }
    }
    until("all of it is logged", || {
        (broker.audit().len() > 300).then_some(())
    });
    something(&broker).await;
    let mut audit = broker.services("").await.audit();
    let folder = tempfile::tempdir().unwrap();
    let mut vkey = String::new();
    let mut paths = Vec::new();
    let mut files = within(audit.export(v1::ExportRequest::default()))
        .await
        .unwrap()
        .into_inner();
    while let Some(message) = within(files.message()).await.unwrap() {
        assert_eq!(
            message.vkey.is_empty(),
            !vkey.is_empty(),
            "in the first message only"
        );
        vkey.push_str(&message.vkey);
        assert!(!message.more, "{}", message.path);
        let path = folder.path().join(&message.path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &message.data).unwrap();
        paths.push(message.path);
    }
    assert_eq!(paths.last().map(String::as_str), Some("checkpoint"));
    assert!(
        paths.iter().any(|path| path == "tile/entries/000"),
        "{paths:?}"
    );
    let note = std::fs::read_to_string(folder.path().join("checkpoint")).unwrap();
    let size = open(&note, &vkey).size;
    let keys = [NoteKey::parse(&vkey).unwrap()];
    verify_folder(folder.path(), &keys, None).unwrap();
    // A mirror that has the first bundle does not get it again.
    let request = v1::ExportRequest {
        log: String::new(),
        from_size: size,
    };
    let mut files = within(audit.export(request)).await.unwrap().into_inner();
    let mut paths = Vec::new();
    while let Some(message) = within(files.message()).await.unwrap() {
        paths.push(message.path);
    }
    assert!(
        !paths.iter().any(|path| path == "tile/entries/000"),
        "{paths:?}"
    );
    assert_eq!(paths.last().map(String::as_str), Some("checkpoint"));
}
