//! Entries as lines, for scripts and for people.

use serde_json::json;

use super::*;

fn logged(json: &str) -> Logged {
    Logged::new("2026-11".parse().unwrap(), 7, json.as_bytes().to_vec()).unwrap()
}

#[test]
fn an_entry_is_passed_on_byte_for_byte() {
    let odd = r#"{"z":1.0,"a":"\u00e9", "b":[1e2]}"#;
    let line = logged(odd).line();
    assert_eq!(
        line,
        format!("{{\"log\":\"2026-11\",\"index\":7,\"entry\":{odd}}}")
    );
    let page = Listing {
        items: vec![logged(odd), logged("{}")],
        next_page_token: "2026-11/3\"".into(),
    };
    let page: Value = serde_json::from_str(&page_json(&page)).unwrap();
    assert_eq!(
        page["entries"][1],
        json!({"log": "2026-11", "index": 7, "entry": {}})
    );
    assert_eq!(page["next_page_token"], "2026-11/3\"");
}

#[test]
fn what_is_no_line_of_json_is_no_entry() {
    for bad in [&b"{"[..], b"", b"{}x", b"{\n}", b"{}\n", b"\"\xff\""] {
        assert_eq!(
            Logged::new("2026-11".parse().unwrap(), 0, bad.to_vec()),
            None
        );
    }
    let entry = v1::LogEntry {
        log: "november".into(),
        index: 0,
        json: b"{}".to_vec().into(),
    };
    assert_eq!(Logged::from_proto(entry).unwrap_err().reason(), "BAD_REPLY");
}

#[test]
fn people_read_who_did_what() {
    for (entry, expected) in [
        (
            json!({
                "at": "2026-11-22T20:22:47.169Z", "kind": "credential.token", "outcome": "allow",
                "actor": "agent/invoice-bot", "agent": "invoice-bot", "task": "T",
                "target": "https://t", "granted": {"scopes": ["https://t#a", "https://u#b"]},
                "credential": {"kind": "token", "id": "C"},
            }),
            "2026-11-22T20:22:47.169Z  2026-11/7  credential.token  allow  agent/invoice-bot  \
             token C for https://t [a https://u#b] task T\n",
        ),
        (
            json!({
                "at": "2026-11-22T20:22:47Z", "kind": "revocation", "outcome": "done",
                "actor": "operator/ops", "agent": "invoice-bot", "reason": "drill\u{1b}[31m",
                "revocation": {"selector": "agent", "value": "invoice-bot"},
            }),
            "2026-11-22T20:22:47Z      2026-11/7  revocation  done  operator/ops  agent \
             invoice-bot: drill\\u{1b}[31m\n",
        ),
        (
            json!({"at": "t", "kind": "log", "outcome": "done", "log": {"origin": "b/log/1"}}),
            "t                         2026-11/7  log  done  broker  b/log/1\n",
        ),
        (
            json!({"kind": "call", "reason": "METHOD_NOT_ALLOWED"}),
            "-                         2026-11/7  call  -  broker  METHOD_NOT_ALLOWED\n",
        ),
        (
            json!([]),
            "-                         2026-11/7  -  -  broker\n",
        ),
    ] {
        assert_eq!(logged(&entry.to_string()).text(), expected);
    }
}

#[test]
fn a_page_says_how_to_go_on() {
    let mut page = Listing {
        items: Vec::new(),
        next_page_token: String::new(),
    };
    assert_eq!(page_text(&page, &Ink::plain()), "no entries\n");
    page.items
        .push(logged(r#"{"at":"t","kind":"reap","outcome":"done"}"#));
    page.next_page_token = "2026-11/7".into();
    assert_eq!(
        page_text(&page, &Ink::plain()),
        "PLACE      TIME  KIND  OUTCOME  WHO     WHAT\n\
         2026-11/7  t     reap  done     broker\n\
         … more: --page-token 2026-11/7, or --all\n"
    );
}
