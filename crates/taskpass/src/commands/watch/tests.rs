//! The lines that the feed makes.

use serde_json::json;
use taskpass_api::v1::watch_revocations_response::{Frame, Heartbeat, Resumed, Resync, Snapshot};
use taskpass_api::v1::{Revocation as Rule, RevocationSelector, revocation_selector::Selector};

use super::*;
use crate::output::{Ink, View as _};

fn rule(seq: u64) -> Rule {
    Rule {
        seq,
        selector: Some(RevocationSelector {
            selector: Some(Selector::TaskId("T".into())),
        }),
        issued_before: 1_700_000_000,
        reason: "drill".into(),
        at: Some(prost_types::Timestamp {
            seconds: 1_700_000_000,
            nanos: 0,
        }),
        ..Rule::default()
    }
}

fn lines(message: Message, heartbeats: bool) -> Vec<serde_json::Value> {
    let reply = v1::WatchRevocationsResponse {
        message: Some(message),
    };
    let events = events(reply, heartbeats).unwrap();
    events
        .iter()
        .map(|event| serde_json::to_value(event).unwrap())
        .collect()
}

fn beat() -> Message {
    Message::Heartbeat(Heartbeat {
        epoch: 1,
        seq: 5,
        at: None,
        digest: vec![0xab; 2].into(),
        signature: vec![0xff; 3].into(),
    })
}

#[test]
fn each_rule_is_a_line() {
    let snapshot = Message::Snapshot(Snapshot {
        epoch: 1,
        seq: 5,
        revocations: vec![rule(4), rule(5)],
        feed_jwk: "{}".into(),
    });
    let got = lines(snapshot, false);
    assert_eq!(got.len(), 3);
    assert_eq!(
        got[0],
        json!({"event": "snapshot", "epoch": 1, "seq": 5, "feed_jwk": "{}"})
    );
    assert_eq!(
        got[2],
        json!({
            "event": "revocation",
            "seq": 5,
            "selector": {
                "credential_id": null, "task_id": "T", "agent": null, "owner": null,
                "target": null, "key_id": null, "everything": false,
            },
            "issued_before": 1_700_000_000,
            "reason": "drill",
            "actor": null,
            "at": "2023-11-14T22:13:20Z",
            "prune_at": null,
            "owner": null,
        })
    );
    let frame = Message::Frame(Frame {
        from_seq: 5,
        to_seq: 6,
        revocations: vec![rule(6)],
    });
    assert_eq!(lines(frame, false)[0]["seq"], 6);
}

#[test]
fn the_other_events() {
    let resumed = Message::Resumed(Resumed {
        epoch: 1,
        seq: 5,
        feed_jwk: "{}".into(),
    });
    assert_eq!(lines(resumed, false)[0]["event"], "resumed");
    let resync = Message::Resync(Resync {
        reason: "history pruned".into(),
    });
    assert_eq!(
        lines(resync, false),
        [json!({"event": "resync", "reason": "history pruned"})]
    );
    assert!(lines(beat(), false).is_empty());
    assert_eq!(
        lines(beat(), true),
        [
            json!({"event": "heartbeat", "epoch": 1, "seq": 5, "at": null, "digest": "abab", "signature": "____"})
        ]
    );
}

#[test]
fn an_answer_that_says_nothing_is_an_error() {
    let nothing = v1::WatchRevocationsResponse { message: None };
    assert_eq!(events(nothing, true).unwrap_err().reason(), "BAD_REPLY");
    let nameless = Message::Frame(Frame {
        revocations: vec![Rule::default()],
        ..Frame::default()
    });
    let reply = v1::WatchRevocationsResponse {
        message: Some(nameless),
    };
    assert_eq!(events(reply, true).unwrap_err().reason(), "BAD_REPLY");
}

#[test]
fn a_line_for_people() {
    let event = Event::Revocation(Box::new(Revocation::from_proto(rule(5)).unwrap()));
    assert_eq!(
        event.text(&Ink::plain()),
        "2023-11-14T22:13:20Z  seq 5  task T  by -: drill\n"
    );
}
