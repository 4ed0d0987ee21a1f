//! Writes a log for checkers in other languages to judge.
//!
//! `sample_log FOLDER SIZE` makes a log of SIZE entries in FOLDER, beside it `FOLDER.vkey`,
//! `FOLDER.since` (the checkpoint at half the size) and `FOLDER.tlog-proof` with `FOLDER.entry`
//! (the proof of the middle entry). Its key is no secret: it is made of sevens.

use std::convert::Infallible;
use std::error::Error;
use std::path::{Path, PathBuf};

use ed25519_dalek::{Signer as _, SigningKey};
use taskpass_log::{NoteKey, Origin, Reader, State, TileLog};

const ORIGIN: &str = "log.example/sample";

fn entry(n: u64) -> Vec<u8> {
    format!(
        "{{\"n\":{n},\"text\":\"{}\"}}",
        "é".repeat(usize::try_from(n % 40).unwrap_or(0))
    )
    .into_bytes()
}

fn beside(folder: &Path, extension: &str) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(format!(".{extension}"));
    name.into()
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(folder), Some(size), None) = (args.next(), args.next(), args.next()) else {
        return Err("expected FOLDER and SIZE".into());
    };
    let (folder, size) = (PathBuf::from(folder), size.parse::<u64>()?);
    let secret = SigningKey::from_bytes(&[7; 32]);
    let key = NoteKey::new(ORIGIN, secret.verifying_key().as_bytes())?;
    let sign = |text: &[u8]| Ok::<_, Infallible>(secret.sign(text).to_bytes().to_vec());

    let mut log = TileLog::open(&folder, State::new(Origin::parse(ORIGIN)?))?;
    let mut note = String::new();
    for range in [0..size / 2, size / 2..size] {
        std::fs::write(beside(&folder, "since"), &note)?;
        let batch: Vec<_> = range.map(entry).collect();
        let state = log.append(&batch)?;
        log.committed(state.size());
        note = state.checkpoint().sign(&key, sign)?;
        log.publish_checkpoint(note.as_bytes())?;
        log.prune()?;
    }
    let proof = Reader::open(&folder)
        .at(size)
        .proof_file(size / 2, None, note)?;
    std::fs::write(beside(&folder, "tlog-proof"), proof.to_string())?;
    std::fs::write(beside(&folder, "entry"), entry(size / 2))?;
    std::fs::write(beside(&folder, "vkey"), format!("{key}\n"))?;
    Ok(())
}
