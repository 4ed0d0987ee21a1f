//! Removing the logs of months that are not kept.
//!
//! What is to go is decided once, in one commit with the entry that says so: the oldest log that is
//! kept. Removing the folders follows from it and is begun again until it is done. The later logs
//! still name the last checkpoint of the removed ones.
//!
//! Nothing is removed by a clock that leapt ahead: a wrong month would take every log with it.

use std::path::Path;

use taskpass_core::audit::{Entry, EntryKind, Outcome};
use taskpass_log::LogName;
use taskpass_log::read::CHECKPOINT;
use taskpass_store::{Change, Commit, Lane, MetaKey};

use super::{Archiver, aside};
use crate::entry::outbox;
use crate::error::Error;

impl Archiver {
    /// Removes what is older than what is kept, if that is due and the clock is safe to forget by; a
    /// failure is logged, and tried again with the next log or start.
    pub(super) async fn remove_old(&mut self) {
        if !self.removal_due || self.broker.clock.reap_now().is_none() {
            return;
        }
        self.removal_due = false;
        if let Err(error) = self.try_remove_old().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "old audit logs could not be removed"
            );
        }
    }

    async fn try_remove_old(&self) -> Result<(), Error> {
        let (Some(keep), Some(open)) = (self.settings.keep_months, &self.open) else {
            return Ok(());
        };
        let oldest = open.name.before(keep.max(1) - 1);
        let root = self.settings.folder.clone();
        let old = aside(move || older_than(&root, oldest)).await?;
        if old.is_empty() {
            return Ok(());
        }
        if self.kept_since().await?.is_none_or(|since| since < oldest) {
            self.record_removal(&old, oldest).await?;
        }
        let root = self.settings.folder.clone();
        aside(move || old.into_iter().try_for_each(|log| remove(&root, log))).await?;
        tracing::info!(%oldest, "older audit logs were removed");
        Ok(())
    }

    async fn kept_since(&self) -> Result<Option<LogName>, Error> {
        let value = self.broker.store.meta(MetaKey::OldestLog).await?;
        Ok(value.and_then(|value| String::from_utf8(value).ok()?.parse().ok()))
    }

    async fn record_removal(&self, old: &[LogName], oldest: LogName) -> Result<(), Error> {
        let now = self.broker.background_now();
        let id = self.broker.decision_id(now);
        let mut entry = Entry::new(id, now, EntryKind::Log, Outcome::Done);
        entry.subject = Some(format!("logs before {oldest}"));
        entry.count = u64::try_from(old.len()).ok();
        entry.reason = Some("RETENTION".to_owned());
        let commit = Commit::new(now)
            .in_lane(Lane::Background)
            .change(Change::PutMeta {
                key: MetaKey::OldestLog,
                value: oldest.to_string().into_bytes(),
            })
            .change(outbox(&entry)?);
        self.broker
            .commit(commit)
            .await
            .map_err(Error::from_commit)?;
        Ok(())
    }
}

fn older_than(root: &Path, oldest: LogName) -> Result<Vec<LogName>, Error> {
    let mut logs = LogName::list(root).map_err(Error::log)?;
    logs.retain(|log| *log < oldest);
    Ok(logs)
}

/// Removes a log's files. The checkpoint goes first, without which nobody reads a log; the folder goes
/// last, by which it is known to be there.
pub(super) fn remove(root: &Path, log: LogName) -> Result<(), Error> {
    let checkpoint = log.folder(root).join(CHECKPOINT);
    for file in [checkpoint, log.summaries(root), log.vkey(root)] {
        match std::fs::remove_file(file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::log(error));
            }
            _ => {}
        }
    }
    std::fs::remove_dir_all(log.folder(root)).map_err(Error::log)
}
