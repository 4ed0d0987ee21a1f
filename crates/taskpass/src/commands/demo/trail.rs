//! The audit trail of the story: every decision is in it, in order without a gap, and no secret.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use taskpass_api::v1::revocation_selector::Selector;
use taskpass_core::CredentialId;
use taskpass_core::secret::Secret;

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

/// A line of the log, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Line {
    index: u64,
    entry: Entry,
}

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
                .any(|line| line.entry.reason.as_deref() == Some(LAST))
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
    no_gap(&lines)?;
    all_there(&lines, expected)?;
    let searched = no_secret(house.layout().folder(), &audit, &expected.secrets)?;
    let mut told = vec![format!("{} entries", lines.len())];
    told.extend(by_kind(&lines));
    told.push(format!(
        "each of the {} credentials and the denial is there, and no index is missing",
        expected.credentials.len()
    ));
    told.push(format!(
        "{} tokens searched for in {searched}: none found",
        expected.secrets.len()
    ));
    Ok(((), told))
}

/// The whole lines of the log, file after file.
fn read(audit: &Path) -> Result<Vec<Line>, Unmet> {
    let mut lines = Vec::new();
    for file in files(audit)? {
        let text = std::fs::read_to_string(&file).expecting("the log can be read")?;
        lines.extend(parse(&text).expecting("each line of the log is JSON")?);
    }
    Ok(lines)
}

/// The lines of one file; the last one may be half written.
fn parse(text: &str) -> Result<Vec<Line>, serde_json::Error> {
    text.split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .map(serde_json::from_str)
        .collect()
}

/// The files of the log, which are named by month.
fn files(audit: &Path) -> Result<Vec<PathBuf>, Unmet> {
    let entries: Result<Vec<_>, _> = std::fs::read_dir(audit)
        .expecting("there is a log")?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect();
    let mut files = entries.expecting("the log can be listed")?;
    files.retain(|path| path.extension().is_some_and(|kind| kind == "jsonl"));
    files.sort();
    Ok(files)
}

fn no_gap(lines: &[Line]) -> Result<(), Unmet> {
    for (index, line) in (0_u64..).zip(lines) {
        let expected = format!("index {index} without a gap");
        ensure(line.index == index, expected, line.index)?;
    }
    Ok(())
}

fn all_there(lines: &[Line], expected: &Expected) -> Result<(), Unmet> {
    for id in expected.credentials.iter().map(ToString::to_string) {
        let found = lines.iter().any(|line| {
            let credential = line.entry.credential.as_ref();
            line.entry.outcome == "allow" && credential.is_some_and(|found| found.id == id)
        });
        ensure(found, format!("an entry of the issue of {id}"), "none")?;
    }
    let denied = lines
        .iter()
        .any(|line| line.entry.id == expected.denial && line.entry.outcome == "deny");
    let expected = format!("an entry of the denial {}", expected.denial);
    ensure(denied, expected, "none")
}

/// Looks through everything that the broker wrote but its keys; says where.
fn no_secret(folder: &Path, audit: &Path, secrets: &[Secret]) -> Result<&'static str, Unmet> {
    let mut places = files(audit)?;
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
fn by_kind(lines: &[Line]) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for line in lines {
        *counts.entry(&line.entry.kind).or_default() += 1;
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

    fn line(index: u64, id: &str, outcome: &str, credential: Option<&str>) -> String {
        let credential = credential.map(|id| serde_json::json!({"kind": "token", "id": id}));
        let entry = serde_json::json!({
            "v": 1, "id": id, "kind": "credential.token", "outcome": outcome, "credential": credential,
        });
        format!("{}\n", serde_json::json!({"index": index, "entry": entry}))
    }

    #[test]
    fn a_line_counts_when_it_is_whole() {
        let text = line(0, "a", "allow", None) + &line(1, "b", "deny", None);
        assert_eq!(parse(&text).unwrap().len(), 2);
        let half = text.trim_end();
        assert_eq!(parse(half).unwrap().len(), 1);
        assert!(parse("nothing\n").is_err());
    }

    #[test]
    fn what_is_missing_is_found_out() {
        let issued = "01M82G206YHC5JBHBN9WJ8HVA3";
        let expected = Expected {
            credentials: vec![issued.parse().unwrap()],
            denial: "no".to_owned(),
            secrets: Vec::new(),
        };
        let whole = line(0, "a", "allow", Some(issued)) + &line(1, "no", "deny", None);
        let denied = line(0, "a", "deny", Some(issued)) + &line(1, "no", "deny", None);
        for (text, there, gapless) in [
            (whole, true, true),
            (denied, false, true),
            (line(0, "a", "allow", Some(issued)), false, true),
            (line(1, "no", "deny", None), false, false),
            (
                line(0, "a", "allow", None) + &line(2, "b", "allow", None),
                false,
                false,
            ),
        ] {
            let lines = parse(&text).unwrap();
            assert_eq!(all_there(&lines, &expected).is_ok(), there, "{text}");
            assert_eq!(no_gap(&lines).is_ok(), gapless, "{text}");
        }
    }

    #[test]
    fn a_secret_is_found_wherever_it_is() {
        let dir = tempfile::TempDir::new().unwrap();
        let audit = dir.path().join("audit");
        std::fs::create_dir(&audit).unwrap();
        let secrets = [
            Secret::new("h.p.sig".to_owned()),
            Secret::new("tpe_x".to_owned()),
        ];
        let files = [
            dir.path().join("store.redb"),
            dir.path().join("broker.log"),
            audit.join("audit-2026-11.jsonl"),
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
