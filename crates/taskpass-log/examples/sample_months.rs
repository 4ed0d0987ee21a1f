//! Writes the logs of three months for checkers in other languages to judge.
//!
//! `sample_months ROOT` makes them in the folder ROOT, each with its key beside it, and beside ROOT the
//! file `ROOT.since`, a checkpoint of the second month when it had one entry. Their key is no secret:
//! it is made of sevens.

use std::convert::Infallible;
use std::error::Error;
use std::path::{Path, PathBuf};

use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::json;
use taskpass_log::{LogName, NoteKey, State, TileLog};

/// The months, and how many entries each has. Without entries, there is no log of a month.
const MONTHS: [(&str, u64); 3] = [("2026-09", 700), ("2026-11", 256), ("2026-12", 3)];

/// Writes one month; returns its checkpoints at one entry and at the end.
fn month(
    root: &Path,
    name: LogName,
    size: u64,
    previous: Option<&str>,
) -> Result<(String, String), Box<dyn Error>> {
    let secret = SigningKey::from_bytes(&[7; 32]);
    let origin = name.origin("log.example")?;
    let key = NoteKey::new(origin.as_str(), secret.verifying_key().as_bytes())?;
    let sign = |text: &[u8]| Ok::<_, Infallible>(secret.sign(text).to_bytes().to_vec());
    let mut facts = json!({ "origin": origin.as_str() });
    if let (Some(previous), Some(facts)) = (previous, facts.as_object_mut()) {
        facts.insert("previous".to_owned(), previous.into());
    }
    let first = json!({"v": 1, "kind": "log", "outcome": "done", "log": facts}).to_string();
    let rest: Vec<_> = (1..size).map(|n| json!({ "n": n }).to_string()).collect();

    let mut log = TileLog::open(&name.folder(root), State::new(origin))?;
    let mut notes = Vec::new();
    for batch in [vec![first], rest] {
        let state = log.append(&batch)?;
        log.committed(state.size());
        let note = state.checkpoint().sign(&key, sign)?;
        log.publish_checkpoint(note.as_bytes())?;
        notes.push(note);
    }
    log.prune()?;
    std::fs::write(name.vkey(root), format!("{key}\n"))?;
    let last = notes.pop().unwrap_or_default();
    Ok((notes.pop().unwrap_or_default(), last))
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(root), None) = (args.next(), args.next()) else {
        return Err("expected ROOT".into());
    };
    let (root, since) = (PathBuf::from(&root), format!("{root}.since"));
    let mut previous: Option<String> = None;
    for (name, size) in MONTHS {
        let (early, last) = month(&root, name.parse()?, size, previous.as_deref())?;
        if name == "2026-11" {
            std::fs::write(&since, early)?;
        }
        previous = Some(last);
    }
    Ok(())
}
