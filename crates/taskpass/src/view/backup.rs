//! What `backup`, `restore` and `unseal` answer.

use std::fmt::Write as _;

use serde::Serialize;
use taskpass_broker::{Replayed, Secured};
use taskpass_core::Timestamp;
use taskpass_store::BackupHeader;

use crate::output::{Ink, View};

/// A backup that was made.
#[derive(Debug, Serialize)]
pub(crate) struct Backup {
    file: String,
    bytes: u64,
    made_at: Timestamp,
    issuer: String,
    schema: u32,
    epoch: u64,
    revocation_seq: u64,
    /// Empty if there was none yet.
    log: String,
    log_entries: u64,
}

impl Backup {
    /// Of what was written.
    pub(crate) fn new(file: String, bytes: u64, header: BackupHeader) -> Self {
        let log_entries =
            taskpass_log::State::from_bytes(&header.log_state).map_or(0, |state| state.size());
        Self {
            file,
            bytes,
            made_at: header.made_at,
            issuer: header.public_url,
            schema: header.schema,
            epoch: header.epoch,
            revocation_seq: header.newest_seq,
            log: header.log,
            log_entries,
        }
    }
}

impl View for Backup {
    fn text(&self, _: &Ink) -> String {
        let log = if self.log.is_empty() {
            "no audit log yet".to_owned()
        } else {
            format!("audit log {} at {} entries", self.log, self.log_entries)
        };
        format!(
            "{}: {} bytes, of {} as it was at {}; newest revocation {}, {log}.\n\n\
             It opens only with the key-encryption key, which is not in it. Copy the audit log as well \
             (`taskpass audit export`): it tells what happened after this.\n",
            self.file, self.bytes, self.issuer, self.made_at, self.revocation_seq
        )
    }
}

/// A store that was restored.
#[derive(Debug, Serialize)]
pub(crate) struct FromBackup {
    data: String,
    made_at: Timestamp,
    issuer: String,
    rows: u64,
    enrolments_voided: u64,
    tainted_keys: Vec<String>,
    kept_keys: Vec<String>,
    log: String,
    previous_checkpoint: Option<String>,
    operator: String,
    enrolment: String,
    replayed: Option<Since>,
}

/// What the mirror told.
#[derive(Debug, Serialize)]
struct Since {
    entries: u64,
    revocations: u64,
    suspended: Vec<String>,
    retired: Vec<String>,
    revoked_agents: Vec<String>,
    ended_identities: Vec<String>,
    apply_again: Vec<String>,
    resume_again: Vec<String>,
}

impl From<Replayed> for Since {
    fn from(replayed: Replayed) -> Self {
        Self {
            entries: replayed.entries,
            revocations: replayed.revocations,
            suspended: replayed.suspended,
            retired: replayed.retired,
            revoked_agents: replayed.revoked,
            ended_identities: replayed.ended_identities,
            apply_again: replayed.apply_again,
            resume_again: replayed.resume_again,
        }
    }
}

impl FromBackup {
    /// Of what was done.
    pub(crate) fn new(
        (data, enrolment): (String, String),
        restored: taskpass_store::redb_store::Restored,
        secured: Secured,
    ) -> Self {
        Self {
            data,
            made_at: restored.header.made_at,
            issuer: restored.header.public_url,
            rows: restored.rows,
            enrolments_voided: restored.enrolments,
            tainted_keys: secured.tainted,
            kept_keys: secured.kept,
            log: secured.log.to_string(),
            previous_checkpoint: secured.previous,
            operator: secured.operator.to_string(),
            enrolment,
            replayed: secured.replayed.map(Since::from),
        }
    }
}

impl View for FromBackup {
    fn text(&self, ink: &Ink) -> String {
        let mut text = format!(
            "{} holds {} as it was at {}, and is {}.\n\n\
             Every credential is revoked; {} keys are tainted; the audit log goes on as {}.\n",
            self.data,
            self.issuer,
            self.made_at,
            ink.alarm("sealed"),
            self.tainted_keys.len(),
            self.log,
        );
        for key in &self.kept_keys {
            let _ = writeln!(
                text,
                "Kept, because nothing could follow it: {key}. Bring the next one, then taint it."
            );
        }
        match &self.replayed {
            None => text.push_str(
                "No copy of the audit log was given: who was suspended, retired or registered since is not \
                 known. Retire and suspend again whom you remember.\n",
            ),
            Some(again) => {
                let _ = writeln!(
                    text,
                    "{} entries of the audit log came after it:",
                    again.entries
                );
                for (what, list) in [
                    ("suspended again", &again.suspended),
                    ("retired again", &again.retired),
                    ("revoked again", &again.revoked_agents),
                    ("must enrol anew", &again.ended_identities),
                    ("must be registered or updated again", &again.apply_again),
                    ("must be resumed again, if that is still right", &again.resume_again),
                ] {
                    if !list.is_empty() {
                        let _ = writeln!(text, "  {what}: {}", list.join(", "));
                    }
                }
            }
        }
        let _ = writeln!(
            text,
            "\nNext:\n  \
             let `data` of the configuration name {}, then start the broker\n  \
             taskpass enrol --token-file {} --out DIR   (as {}, within an hour)\n  \
             taskpass unseal --reason …",
            self.data, self.enrolment, self.operator
        );
        text
    }
}

/// A broker that issues again.
#[derive(Debug, Serialize)]
pub(crate) struct Unsealed {
    /// Whether it was sealed.
    pub(crate) was_sealed: bool,
}

impl View for Unsealed {
    fn text(&self, _: &Ink) -> String {
        if self.was_sealed {
            "The broker is unsealed.\n".to_owned()
        } else {
            "The broker was not sealed.\n".to_owned()
        }
    }
}
