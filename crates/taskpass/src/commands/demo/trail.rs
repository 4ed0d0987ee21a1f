//! The audit log of the story: it verifies, every decision is in it, and no secret.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use taskpass_api::v1::revocation_selector::Selector;
use taskpass_core::CredentialId;
use taskpass_core::secret::Secret;
use taskpass_log::{Checkpoint, LogName, NoteKey, Reader, verify_folder};

use super::house::House;
use super::revocation::send;
use super::step::{Expecting as _, Outcome, Unmet, ensure};

/// How long the archiver may take to write what is committed.
const ARCHIVED_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The last thing that happens; what came before it is archived before it.
const LAST: &str = "the end of the story";
const KINDS_A_LINE: usize = 6;
/// What a private key in PEM says of itself.
const PRIVATE_KEY: &[u8] = b"PRIVATE KEY";

/// What the trail must and must not hold.
pub(super) struct Expected {
    /// What was issued.
    pub(super) credentials: Vec<CredentialId>,
    /// The decision that denied.
    pub(super) denial: String,
    /// What was handed out.
    pub(super) secrets: Vec<Secret>,
}

/// An entry of the log, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Entry {
    id: String,
    kind: String,
    outcome: String,
    credential: Option<Credential>,
    reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Credential {
    id: String,
}

/// Step: the trail is whole.
pub(super) async fn check(
    house: &House<'_>,
    expected: &Expected,
    last: CredentialId,
) -> Outcome<()> {
    send(house, Selector::CredentialId(last.to_string()), LAST).await?;
    let audit = house.layout().audit();
    let archived = async {
        loop {
            let lines = read(&audit)?;
            if lines
                .iter()
                .any(|line| line.reason.as_deref() == Some(LAST))
            {
                return Ok(lines);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let lines = tokio::time::timeout(ARCHIVED_WITHIN, archived)
        .await
        .unwrap_or_else(|_| {
            let expected = format!("the log has it within {}s", ARCHIVED_WITHIN.as_secs());
            Err(Unmet::new(expected, "it has not"))
        })?;
    let verified = verify(&audit)?;
    all_there(&lines, expected)?;
    let searched = no_secret(house.layout().folder(), &audit, &expected.secrets)?;
    let mut told = vec![verified];
    told.extend(by_kind(&lines));
    told.push(format!(
        "each of the {} credentials and the denial is there",
        expected.credentials.len()
    ));
    told.push(format!(
        "{} tokens searched for in {searched}: none found",
        expected.secrets.len()
    ));
    Ok(((), told))
}

/// The entries under the checkpoints, the oldest first.
fn read(audit: &Path) -> Result<Vec<Entry>, Unmet> {
    let mut entries = Vec::new();
    for log in LogName::list(audit).expecting("the logs can be listed")? {
        let reader = Reader::open(&log.folder(audit));
        let Some(note) = reader
            .checkpoint()
            .expecting("the checkpoint can be read")?
        else {
            continue;
        };
        let checkpoint = Checkpoint::parse_unverified(&note).expecting("a checkpoint")?;
        let view = reader.at(checkpoint.size);
        for entry in view.entries(0..checkpoint.size) {
            let (_, json) = entry.expecting("the entries can be read")?;
            entries.push(serde_json::from_slice(&json).expecting("each entry is JSON")?);
        }
    }
    Ok(entries)
}

/// Hashes every entry anew, and compares with what was signed.
fn verify(audit: &Path) -> Result<String, Unmet> {
    let mut told = Vec::new();
    for log in LogName::list(audit).expecting("the logs can be listed")? {
        let vkey = std::fs::read_to_string(log.vkey(audit)).expecting("its public key")?;
        let key = NoteKey::parse(vkey.trim_end()).expecting("a public key")?;
        let report = verify_folder(&log.folder(audit), &[key], None)
            .expecting("the log verifies against its signed checkpoint")?;
        let Checkpoint { size, root, .. } = report.checkpoint;
        told.push(format!("log {log}: {size} entries verified, root {root}"));
    }
    Ok(told.join("; "))
}

fn all_there(lines: &[Entry], expected: &Expected) -> Result<(), Unmet> {
    for id in expected.credentials.iter().map(ToString::to_string) {
        let found = lines.iter().any(|line| {
            let credential = line.credential.as_ref();
            line.outcome == "allow" && credential.is_some_and(|found| found.id == id)
        });
        ensure(found, format!("an entry of the issue of {id}"), "none")?;
    }
    let denied = lines
        .iter()
        .any(|line| line.id == expected.denial && line.outcome == "deny");
    let expected = format!("an entry of the denial {}", expected.denial);
    ensure(denied, expected, "none")
}

/// Looks through everything that the broker wrote but its keys; says where.
fn no_secret(folder: &Path, audit: &Path, secrets: &[Secret]) -> Result<&'static str, Unmet> {
    let mut places = Vec::new();
    files(audit, &mut places).expecting("the log's files can be listed")?;
    places.push(folder.join("store.redb"));
    places.push(folder.join("broker.log"));
    for place in places {
        let bytes = std::fs::read(&place).expecting("what the broker wrote can be read")?;
        let expected = format!("no secret in {}", place.display());
        for secret in secrets {
            let found = contains(&bytes, telling(secret).as_bytes());
            ensure(!found, expected.as_str(), "a token that was handed out")?;
        }
        ensure(!contains(&bytes, PRIVATE_KEY), expected, "a private key")?;
    }
    Ok("the trail, the store and the diagnostics")
}

/// Every file below `folder`.
fn files(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files(&entry.path(), found)?;
        } else {
            found.push(entry.path());
        }
    }
    Ok(())
}

/// The part of a token without which it is worth nothing: the signature, or the whole of it.
fn telling(secret: &Secret) -> &str {
    let whole = secret.expose();
    whole
        .rsplit_once('.')
        .map_or(whole, |(_, signature)| signature)
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes
        .windows(wanted.len().max(1))
        .any(|part| part == wanted)
}

/// How many of each kind, some to a line.
fn by_kind(lines: &[Entry]) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for line in lines {
        *counts.entry(&line.kind).or_default() += 1;
    }
    let counts: Vec<String> = counts
        .iter()
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    counts
        .chunks(KINDS_A_LINE)
        .map(|row| row.join(", "))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str, outcome: &str, credential: Option<&str>) -> Entry {
        Entry {
            id: id.to_owned(),
            kind: "credential.token".to_owned(),
            outcome: outcome.to_owned(),
            credential: credential.map(|id| Credential { id: id.to_owned() }),
            reason: None,
        }
    }

    #[test]
    fn what_is_missing_is_found_out() {
        let issued = "01M82G206YHC5JBHBN9WJ8HVA3";
        let expected = Expected {
            credentials: vec![issued.parse().unwrap()],
            denial: "no".to_owned(),
            secrets: Vec::new(),
        };
        for (outcome, credential, last, there) in [
            ("allow", Some(issued), "no", true),
            ("deny", Some(issued), "no", false),
            ("allow", None, "no", false),
            ("allow", Some(issued), "b", false),
        ] {
            let lines = [entry("a", outcome, credential), entry(last, "deny", None)];
            assert_eq!(all_there(&lines, &expected).is_ok(), there, "{lines:?}");
        }
    }

    #[test]
    fn a_secret_is_found_wherever_it_is() {
        let dir = tempfile::TempDir::new().unwrap();
        let audit = dir.path().join("audit");
        std::fs::create_dir_all(audit.join("2026-11/tile")).unwrap();
        let secrets = [
            Secret::new("h.p.sig".to_owned()),
            Secret::new("tpe_x".to_owned()),
        ];
        let files = [
            dir.path().join("store.redb"),
            dir.path().join("broker.log"),
            audit.join("2026-11/tile/000"),
        ];
        for file in &files {
            std::fs::write(file, "h.p.other tpe_ PRIVATE").unwrap();
        }
        assert!(no_secret(dir.path(), &audit, &secrets).is_ok());
        for (file, bad) in files.iter().zip(["xxsigx", "tpe_x", "BEGIN PRIVATE KEY"]) {
            std::fs::write(file, bad).unwrap();
            assert!(no_secret(dir.path(), &audit, &secrets).is_err(), "{bad}");
            std::fs::write(file, "").unwrap();
        }
    }
}
