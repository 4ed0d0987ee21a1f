//! A proof is written, and every way in which it does not hold later.

use std::path::Path;

use taskpass_log::Reader;
use tempfile::TempDir;

use super::*;
use crate::cli::audit::AuditCommand;
use crate::cli::{Cli, Command};
use crate::commands::audit::testing::{CREDENTIAL, Signer, entry as entry_of, month, origin};
use clap::Parser as _;

const MONTH: &str = "2026-11";

/// What a broker answers about the credential.
fn reply(signer: &Signer) -> v1::GetInclusionProofResponse {
    reply_with(signer, 2)
}

fn reply_with(signer: &Signer, index: u64) -> v1::GetInclusionProofResponse {
    let root = tempfile::tempdir().unwrap();
    let note = month(root.path(), MONTH, 700, None, signer);
    let reader = Reader::open(&root.path().join(MONTH));
    let hashes = reader.at(700).inclusion(index).unwrap();
    v1::GetInclusionProofResponse {
        entry: Some(v1::LogEntry {
            log: MONTH.into(),
            index,
            json: entry_of(MONTH, index, None).into_bytes().into(),
        }),
        hashes: hashes
            .iter()
            .map(|hash| hash.as_bytes().to_vec().into())
            .collect(),
        checkpoint: note,
        vkey: signer.key(&origin(MONTH)).to_string(),
    }
}

fn checked(file: &Path, rest: &[&str]) -> Result<Proved, CliError> {
    let line = [
        &["taskpass", "audit", "verify-proof", file.to_str().unwrap()],
        rest,
    ]
    .concat();
    match Cli::try_parse_from(line).unwrap().command {
        Command::Audit(AuditCommand::VerifyProof(args)) => check(&args),
        other => panic!("{other:?}"),
    }
}

/// A folder with a proof in it.
fn proof() -> (TempDir, PathBuf, TlogProof) {
    let dir = tempfile::TempDir::new().unwrap();
    let (proof, proved) = judge(reply(&Signer::new(7)), CREDENTIAL).unwrap();
    assert_eq!((proved.index, proved.checkpoint.size), (2, 700));
    let path = dir.path().join("x.tlog-proof");
    save(&path, proof.to_string().as_bytes()).unwrap();
    (dir, path, proof)
}

#[test]
fn a_proof_holds_with_the_public_key_alone() {
    let (dir, file, proof) = proof();
    let signer = Signer::new(7);
    let key = dir.path().join("key");
    std::fs::write(&key, signer.key(&origin("2030-01")).to_string()).unwrap();
    for key in [signer.public().as_str(), key.to_str().unwrap()] {
        let proved = checked(&file, &["--key", key]).unwrap();
        assert_eq!(
            proved.checkpoint.origin.as_str(),
            "broker.example/log/2026-11"
        );
        assert_eq!(proved.entry, entry_of(MONTH, 2, None));
    }
    // The entry beside it, as an editor leaves it, with a proof that does not hold it.
    let bare = TlogProof {
        extra: None,
        ..proof
    };
    std::fs::write(&file, bare.to_string()).unwrap();
    let error = checked(&file, &["--key", &signer.public()]).unwrap_err();
    assert_eq!(error.reason(), "NO_ENTRY");
    let entry = dir.path().join("entry.json");
    std::fs::write(&entry, format!("{}\n", entry_of(MONTH, 2, None))).unwrap();
    let with = [
        "--key",
        &signer.public(),
        "--entry",
        entry.to_str().unwrap(),
    ];
    assert_eq!(checked(&file, &with).unwrap().index, 2);
}

#[test]
fn what_does_not_hold_says_why() {
    let (dir, file, proof) = proof();
    let public = Signer::new(7).public();
    let entry = |text: &str| Some(text.as_bytes().to_vec());
    let other = Signer::new(7).key("other.example/log/2026-11").to_string();
    let cases: [(&str, String, &str, &str); 8] = [
        ("no key", proof.to_string(), "", "NO_KEY"),
        ("no proof", "{}".into(), &public, "PROOF_MALFORMED"),
        (
            "no checkpoint in it",
            proof.to_string().replace("\n700\n", "\nseven\n"),
            &public,
            "PROOF_MALFORMED",
        ),
        (
            "another entry",
            TlogProof {
                extra: entry(r#"{"kind":"read"}"#),
                ..proof.clone()
            }
            .to_string(),
            &public,
            "PROOF_INVALID",
        ),
        (
            "another index",
            TlogProof {
                index: 3,
                ..proof.clone()
            }
            .to_string(),
            &public,
            "PROOF_INVALID",
        ),
        (
            "another size",
            proof.to_string().replace("\n700\n", "\n701\n"),
            &public,
            "LOG_UNTRUSTED",
        ),
        (
            "another key",
            proof.to_string(),
            &Signer::new(8).public(),
            "LOG_UNTRUSTED",
        ),
        (
            "a key for other logs",
            proof.to_string(),
            &other,
            "LOG_UNTRUSTED",
        ),
    ];
    for (what, text, key, reason) in cases {
        std::fs::write(&file, text).unwrap();
        let key: &[&str] = if key.is_empty() { &[] } else { &["--key", key] };
        let error = checked(&file, key).unwrap_err();
        assert_eq!(error.reason(), reason, "{what}: {error}");
    }
    let missing = dir.path().join("none");
    let error = checked(&missing, &["--key", &public]).unwrap_err();
    assert_eq!(error.reason(), "FILE_ERROR");
}

#[test]
fn what_the_broker_answers_is_judged() {
    let signer = Signer::new(7);
    let good = || reply(&signer);
    let bad = |change: &dyn Fn(&mut v1::GetInclusionProofResponse)| {
        let mut reply = good();
        change(&mut reply);
        judge(reply, CREDENTIAL).unwrap_err().reason().to_owned()
    };
    assert!(judge(good(), CREDENTIAL).is_ok());
    assert_eq!(judge(good(), "another").unwrap_err().reason(), "BAD_REPLY");
    let revoked = reply_with(&Signer::new(7), 3);
    assert_eq!(
        judge(revoked, CREDENTIAL).unwrap_err().reason(),
        "BAD_REPLY"
    );
    assert_eq!(bad(&|reply| reply.entry = None), "BAD_REPLY");
    assert_eq!(bad(&|reply| reply.hashes.truncate(1)), "BAD_REPLY");
    assert_eq!(
        bad(&|reply| reply.hashes[0] = vec![1, 2].into()),
        "BAD_REPLY"
    );
    assert_eq!(bad(&|reply| reply.vkey.clear()), "BAD_REPLY");
    let other = Signer::new(8).key(&origin(MONTH)).to_string();
    assert_eq!(bad(&|reply| reply.vkey.clone_from(&other)), "BAD_REPLY");
}

#[test]
fn an_id_is_no_path() {
    assert_eq!(file_for("01J").unwrap(), Path::new("01J.tlog-proof"));
    for bad in ["", "../x", "a/b", "a b", "."] {
        assert_eq!(
            file_for(bad).unwrap_err().reason(),
            "INVALID_FIELD",
            "{bad}"
        );
    }
}
