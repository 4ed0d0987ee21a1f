//! A mirror of the audit log: verified whole, under the backup's own key and from its checkpoint on, before
//! a single entry is read.

use std::path::Path;

use serde::Deserialize;
use taskpass_core::DecisionId;
use taskpass_issuer::Issuer;
use taskpass_log::chain::{LogReport, PublicKeys, verify_logs};
use taskpass_log::{LogName, Reader, State};
use taskpass_store::{BackupHeader, Store};

use super::{RestoreError, mark};
use crate::error::Error;

/// What a mirror tells of the time after a backup.
#[derive(Debug)]
pub(super) struct Mirror {
    /// The newest log in it, and its checkpoint.
    pub(super) newest: Option<(LogName, String)>,
    /// The entries after the backup, in order, as far as they tell of something that must not be forgotten.
    pub(super) entries: Vec<Told>,
    /// How many entries there are after the backup.
    pub(super) count: u64,
    /// Which entries those are.
    pub(super) ids: Vec<DecisionId>,
}

/// An entry, as far as it matters.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Told {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) outcome: String,
    pub(super) subject: Option<String>,
    pub(super) state: Option<String>,
    pub(super) version: Option<u64>,
    pub(super) revocation: Option<Revocation>,
}

/// What was revoked.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Revocation {
    pub(super) selector: String,
    pub(super) value: String,
}

const MATTERS: &[&str] = &[
    "registry",
    "revocation",
    "enrolment",
    "identity.renew",
    "identity.theft",
];

impl Mirror {
    /// Verifies the mirror in `root` and reads what came after the backup. `signed` is the checkpoint of the
    /// backup, which the mirror must have grown from.
    pub(super) fn read(
        root: &Path,
        header: &BackupHeader,
        store: &dyn Store,
        issuer: &Issuer,
        signed: Option<&str>,
    ) -> Result<Self, RestoreError> {
        let url = &store.birth().public_url;
        let host = url.split_once("://").map_or(url.as_str(), |(_, host)| host);
        let origin = LogName::of(header.made_at)
            .origin(host.trim_end_matches('/'))
            .map_err(Error::log)?;
        let key = mark::note_key(issuer, &origin)?;
        let keys = PublicKeys::parse(&key.to_string()).map_err(Error::log)?;
        let report = verify_logs(root, Some(&keys), signed.map(str::as_bytes))
            .map_err(|error| RestoreError::Mirror(Box::new(error)))?;
        let (known, size) = if header.log.is_empty() {
            (None, 0)
        } else {
            let name: LogName = header.log.parse().map_err(Error::log)?;
            let state = State::from_bytes(&header.log_state).map_err(Error::log)?;
            (Some(name), state.size())
        };
        let mut mirror = Self {
            newest: None,
            entries: Vec::new(),
            count: 0,
            ids: Vec::new(),
        };
        for log in &report.logs {
            let from = match (log.name, known) {
                (Some(name), Some(known)) if name < known => continue,
                (Some(name), Some(known)) if name == known => size,
                _ => 0,
            };
            mirror.take(log, from)?;
        }
        Ok(mirror)
    }

    fn take(&mut self, log: &LogReport, from: u64) -> Result<(), RestoreError> {
        let reader = Reader::open(&log.folder);
        let size = log.report.checkpoint.size;
        for entry in reader.at(size).entries(from..size) {
            let (_, entry) = entry?;
            self.count = self.count.saturating_add(1);
            let told: Told = serde_json::from_slice(&entry).map_err(Error::log)?;
            self.ids.extend(told.id.parse::<DecisionId>().ok());
            if MATTERS.contains(&told.kind.as_str()) {
                self.entries.push(told);
            }
        }
        let note = reader
            .checkpoint()?
            .and_then(|note| String::from_utf8(note).ok());
        if let (Some(name), Some(note)) = (log.name, note) {
            self.newest = Some((name, note));
        }
        Ok(())
    }
}
