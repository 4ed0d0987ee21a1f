//! Months of a log, and what a broker sends of them, for the tests of the audit commands.

use std::fs;
use std::path::Path;

use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::json;
use taskpass_api::v1;
use taskpass_log::files::{Disk, Files as _, FoundKind};
use taskpass_log::{LogName, NoteKey, Origin, State, TileLog};

/// The credential that entry 2 of each month is about.
pub(in crate::commands) const CREDENTIAL: &str = "01JCREDENTIAL";

/// Signs as the broker of a test.
pub(in crate::commands) struct Signer(Ed25519KeyPair);

impl Signer {
    pub(in crate::commands) fn new(seed: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }

    pub(super) fn key(&self, origin: &str) -> NoteKey {
        NoteKey::new(origin, self.0.public_key().as_ref().try_into().unwrap()).unwrap()
    }

    /// The public key without a name.
    pub(super) fn public(&self) -> String {
        data_encoding::HEXLOWER.encode(self.0.public_key().as_ref())
    }
}

pub(in crate::commands) fn name(month: &str) -> LogName {
    month.parse().unwrap()
}

pub(in crate::commands) fn origin(month: &str) -> String {
    format!("broker.example/log/{month}")
}

/// Entry `n` of a month.
pub(in crate::commands) fn entry(month: &str, n: u64, previous: Option<&str>) -> String {
    let entry = match (n, previous) {
        (0, Some(previous)) => json!({
            "at": format!("{month}-01T00:00:00Z"), "kind": "log", "outcome": "done",
            "log": {"origin": origin(month), "previous": previous},
        }),
        (0, None) => json!({
            "at": format!("{month}-01T00:00:00Z"), "kind": "log", "outcome": "done",
            "log": {"origin": origin(month)},
        }),
        (2, _) => json!({
            "at": format!("{month}-02T00:00:00Z"), "kind": "credential.token", "outcome": "allow",
            "actor": "agent/invoice-bot", "agent": "invoice-bot", "task": "01JTASK",
            "credential": {"kind": "token", "id": CREDENTIAL, "sha256": "ab"},
        }),
        (3, _) => json!({
            "at": format!("{month}-03T00:00:00Z"), "kind": "revocation", "outcome": "done",
            "credential": {"kind": "token", "id": CREDENTIAL},
        }),
        _ => {
            json!({"at": format!("{month}-03T00:00:00Z"), "kind": "read", "outcome": "done", "n": n})
        }
    };
    entry.to_string()
}

/// Writes a month with `size` entries and its key; returns the checkpoint.
pub(in crate::commands) fn month(
    root: &Path,
    month: &str,
    size: u64,
    previous: Option<&str>,
    signer: &Signer,
) -> String {
    let origin = origin(month);
    let mut log = TileLog::open(
        &root.join(month),
        State::new(Origin::parse(&origin).unwrap()),
    )
    .unwrap();
    let entries: Vec<_> = (0..size).map(|n| entry(month, n, previous)).collect();
    let state = log.append(&entries).unwrap();
    log.committed(state.size());
    let key = signer.key(&origin);
    let sign =
        |text: &[u8]| Ok::<_, std::convert::Infallible>(signer.0.sign(text).as_ref().to_vec());
    let note = state.checkpoint().sign(&key, sign).unwrap();
    log.publish_checkpoint(note.as_bytes()).unwrap();
    log.prune().unwrap();
    fs::write(root.join(format!("{month}.vkey")), format!("{key}\n")).unwrap();
    note
}

/// What a broker with the log in `root` sends of it, the checkpoint last.
pub(in crate::commands) fn messages(root: &Path, month: &str) -> Vec<v1::ExportResponse> {
    let disk = Disk::at(&root.join(month));
    let mut folders = vec!["tile".to_owned()];
    let mut paths = Vec::new();
    while let Some(folder) = folders.pop() {
        for found in disk.list(&folder).unwrap() {
            let path = format!("{folder}/{}", found.name);
            match found.kind {
                FoundKind::Folder => folders.push(path),
                _ => paths.push(path),
            }
        }
    }
    paths.push("checkpoint".to_owned());
    let message = |path: String| v1::ExportResponse {
        log: month.to_owned(),
        data: disk.read(&path, u64::MAX - 1).unwrap().into(),
        path,
        size: 0,
        vkey: String::new(),
        more: false,
    };
    let mut messages: Vec<_> = paths.into_iter().map(message).collect();
    messages[0].vkey = fs::read_to_string(root.join(format!("{month}.vkey"))).unwrap();
    messages
}
