//! The summaries that queries go by: one file a log, brought up to date behind the checkpoints.
//!
//! A query never waits for them: bundles without a summary are read. They are derived from the
//! bundles, so a failure costs time and nothing else.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use taskpass_log::find::{BUNDLE, Snapshot, Summary, SummaryFile};
use taskpass_log::{LogName, Reader};

use super::AuditLog;
use crate::archive::aside;
use crate::error::Error;

/// Bundles that are summarised in one piece of work.
const PIECE: u64 = 64;

/// The open files of summaries.
#[derive(Debug, Default)]
pub(super) struct Index {
    files: Mutex<BTreeMap<LogName, SummaryFile>>,
    one_at_a_time: tokio::sync::Mutex<()>,
}

impl Index {
    /// The summaries of a log as far as there are any.
    pub(super) fn snapshot(&self, log: LogName) -> Option<Snapshot> {
        // What cannot be opened is not known.
        self.files().get(&log)?.snapshot().ok()
    }

    fn files(&self) -> std::sync::MutexGuard<'_, BTreeMap<LogName, SummaryFile>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AuditLog {
    /// Summarises the bundles that were completed since the last time, in all logs that are kept,
    /// the newest first.
    pub async fn index(&self) -> Result<(), Error> {
        let _alone = self.index.one_at_a_time.lock().await;
        let mut logs = self.names().await?;
        self.index.files().retain(|log, _| logs.contains(log));
        while let Some(log) = logs.pop() {
            match self.checkpoint(Some(log)).await {
                Ok(signed) => self.index_log(log, signed.size).await?,
                // Without a checkpoint yet, or removed meanwhile.
                Err(Error::LogNotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn index_log(&self, log: LogName, size: u64) -> Result<(), Error> {
        let full = size / BUNDLE;
        if !self.index.files().contains_key(&log) {
            let path = log.summaries(&self.root);
            let file = aside(move || SummaryFile::open(&path).map_err(Error::log)).await?;
            self.index.files().insert(log, file);
        }
        loop {
            let known = self.index.files().get(&log).map(SummaryFile::bundles);
            let Some(known) = known.filter(|known| *known < full) else {
                return Ok(());
            };
            let folder = log.folder(&self.root);
            let end = full.min(known.saturating_add(PIECE));
            let summaries = aside(move || summarise(&Reader::open(&folder), known..end)).await?;
            let mut files = self.index.files();
            let Some(file) = files.get_mut(&log) else {
                return Ok(());
            };
            for summary in &summaries {
                file.push(summary).map_err(Error::log)?;
            }
        }
    }
}

fn summarise(reader: &Reader, bundles: std::ops::Range<u64>) -> Result<Vec<Summary>, Error> {
    let view = reader.at(bundles.end * BUNDLE);
    bundles
        .map(|bundle| {
            let entries = view.entries(bundle * BUNDLE..(bundle + 1) * BUNDLE);
            let entries = entries
                .map(|entry| entry.map(|(_, json)| json))
                .collect::<Result<Vec<_>, _>>()
                .map_err(Error::log)?;
            Ok(Summary::of(entries.iter().map(Vec::as_slice)))
        })
        .collect()
}
