//! `taskpass audit proof` and `taskpass audit verify-proof`.
//!
//! The entry is in the proof's `extra` line. Nothing vouches for that line as such; but the entry is
//! what the proof is checked for, so another one there is noticed as if it lay in a file of its own.

use std::path::{Path, PathBuf};

use taskpass_api::v1;
use taskpass_api::v1::get_inclusion_proof_request::Entry;
use taskpass_log::proof_file::ProofVerifyError;
use taskpass_log::{Checkpoint, Hash, NoteKey, TlogProof};

use super::{keys, lines};
use crate::cli::audit::{ProofArgs, VerifyProofArgs};
use crate::context::Context;
use crate::errors::CliError;
use crate::files;
use crate::view::audit::chain::Invalid;
use crate::view::audit::proof::Proved;
use crate::view::audit::{Facts, Logged};

/// Writes the proof of a credential's issue.
pub(super) async fn write(context: &Context, args: ProofArgs) -> Result<(), CliError> {
    let out = match args.out {
        Some(out) => out,
        None => file_for(&args.credential)?,
    };
    if out.symlink_metadata().is_ok() {
        return Err(lines::exists(&out));
    }
    let session = context.session().await?;
    let request = v1::GetInclusionProofRequest {
        entry: Some(Entry::CredentialId(args.credential.clone())),
        log: String::new(),
    };
    let mut client = session.audit();
    let reply = client.get_inclusion_proof(request).await?.into_inner();
    let (proof, proved) = judge(reply, &args.credential)?;
    save(&out, proof.to_string().as_bytes())?;
    let file = Some(out.display().to_string());
    let proved = Proved { file, ..proved };
    context
        .output
        .show_line(|| proved.line(), |ink| proved.text(ink))
}

/// Where the proof of a credential goes. An id is no path.
fn file_for(credential: &str) -> Result<PathBuf, CliError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if credential.is_empty() || !credential.chars().all(plain) {
        let message = format!("`{credential}` is no credential's id");
        return Err(CliError::new("INVALID_FIELD", message)
            .hint("`taskpass issue` and `taskpass introspect` print the id"));
    }
    Ok(PathBuf::from(format!("{credential}.tlog-proof")))
}

/// Makes the file of what the broker answered, if that holds.
fn judge(
    reply: v1::GetInclusionProofResponse,
    credential: &str,
) -> Result<(TlogProof, Proved), CliError> {
    let entry = reply.entry.ok_or_else(|| CliError::bad_reply("entry"))?;
    let entry = Logged::from_proto(entry)?;
    let facts = Facts::of(entry.json());
    // A refusal or a revocation can name it too.
    if facts.maybe("/credential/id") != Some(credential) || facts.maybe("/outcome") != Some("allow")
    {
        return Err(CliError::bad_reply(
            "entry about the issue of this credential",
        ));
    }
    let path = reply.hashes.iter().map(|hash| {
        let hash = hash.as_ref().try_into().ok();
        hash.map(Hash::from_bytes)
            .ok_or_else(|| CliError::bad_reply("proof"))
    });
    let proof = TlogProof {
        extra: Some(entry.json().as_bytes().to_vec()),
        index: entry.index,
        path: path.collect::<Result<_, _>>()?,
        checkpoint: reply.checkpoint,
    };
    let key = NoteKey::parse(reply.vkey.trim()).map_err(|_| CliError::bad_reply("public key"))?;
    let checkpoint = proof
        .verify(entry.json().as_bytes(), &[key])
        .map_err(|error| {
            let message = "the broker's proof does not hold by its own key";
            CliError::caused("BAD_REPLY", message, error)
        })?;
    let proved = Proved {
        checkpoint,
        index: entry.index,
        entry: entry.json().to_owned(),
        file: None,
    };
    Ok((proof, proved))
}

fn save(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    use std::io::Write as _;
    let failed = |error| CliError::file("write", path, error);
    let mut file = std::fs::File::create_new(path).map_err(failed)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(failed)
}

/// Checks a proof, with no broker and no identity.
pub(super) fn verify(context: &Context, args: &VerifyProofArgs) -> Result<(), CliError> {
    match check(args) {
        Ok(proved) => context
            .output
            .show_line(|| proved.line(), |ink| proved.text(ink)),
        Err(error) => {
            if context.output.is_json() {
                context.output.json(&Invalid::because(error.reason()))?;
            }
            Err(error)
        }
    }
}

fn check(args: &VerifyProofArgs) -> Result<Proved, CliError> {
    let keys = keys::read(&args.keys)?.ok_or_else(|| {
        CliError::new(
            "NO_KEY",
            "a proof says nothing without the log's public key",
        )
    })?;
    let file = files::read(&args.file)?;
    let malformed = |error: Box<dyn std::error::Error + Send + Sync>| {
        let message = format!("{} is no proof", args.file.display());
        CliError::caused("PROOF_MALFORMED", message, error)
            .hint("`taskpass audit proof CREDENTIAL` writes one (C2SP tlog-proof)")
    };
    let proof = TlogProof::parse(&file).map_err(|error| malformed(error.into()))?;
    let origin = Checkpoint::parse_unverified(proof.checkpoint.as_bytes())
        .map_err(|error| malformed(error.into()))?
        .origin;
    let entry = entry(args, &proof)?;
    let keys = keys.of(&origin).map_err(|error| {
        let message = "the key is not for the log that the proof is from";
        CliError::caused("LOG_UNTRUSTED", message, error)
    })?;
    let checkpoint = proof.verify(&entry, &keys).map_err(refused)?;
    Ok(Proved {
        checkpoint,
        index: proof.index,
        entry: String::from_utf8_lossy(&entry).into_owned(),
        file: None,
    })
}

fn refused(error: ProofVerifyError) -> CliError {
    let reason = match &error {
        ProofVerifyError::Checkpoint(_) => "LOG_UNTRUSTED",
        ProofVerifyError::Proof(_) => "PROOF_INVALID",
    };
    CliError::caused(reason, error.to_string(), error)
}

/// The entry that the proof must be for.
fn entry(args: &VerifyProofArgs, proof: &TlogProof) -> Result<Vec<u8>, CliError> {
    match (&args.entry, &proof.extra) {
        (Some(path), _) => {
            let bytes = files::read(path)?;
            // An editor or a shell adds a line feed; an entry never ends in one.
            Ok(bytes.strip_suffix(b"\n").unwrap_or(&bytes).to_vec())
        }
        (None, Some(extra)) => Ok(extra.clone()),
        (None, None) => {
            let message = format!("{} does not hold the entry", args.file.display());
            Err(CliError::new("NO_ENTRY", message)
                .hint("give the entry, byte for byte as it is in the log, with --entry FILE"))
        }
    }
}

#[cfg(test)]
mod tests;
