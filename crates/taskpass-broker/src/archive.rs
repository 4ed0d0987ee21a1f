//! The archiver: moves audit entries from the store's outbox into the log, each exactly once.
//!
//! One at a time: it alone gives entries their index. A crash between writing the log and telling
//! the store leaves lines behind the store's cursor; the log cuts them off when it is opened, and
//! the entries, which still lie in the outbox, are written again at the same index.

use std::path::Path;
use std::sync::Arc;

use taskpass_core::Timestamp;
use taskpass_log::{End, JsonLines, LogError};
use taskpass_store::{ArchiveCursor, Change, Commit, Lane, Outboxed};

use crate::broker::Broker;
use crate::error::Error;

/// Entries moved in one step.
const STEP: usize = 2_000;

/// Moves entries from the outbox into the log.
#[derive(Debug)]
pub struct Archiver {
    broker: Arc<Broker>,
    log: Option<JsonLines>,
    folder: std::path::PathBuf,
}

impl Archiver {
    /// Opens the log in `folder` where the store says that it ends.
    pub async fn open(broker: Arc<Broker>, folder: &Path) -> Result<Self, Error> {
        let mut archiver = Self {
            broker,
            log: None,
            folder: folder.to_owned(),
        };
        archiver.reopen().await?;
        Ok(archiver)
    }

    async fn reopen(&mut self) -> Result<(), Error> {
        let cursor = self.broker.store.archive_cursor().await?;
        let end = End {
            next_index: cursor.next_index,
            file: cursor.file,
            length: cursor.length,
        };
        let folder = self.folder.clone();
        let log = tokio::task::spawn_blocking(move || JsonLines::open(&folder, end))
            .await
            .map_err(Error::internal)?
            .map_err(unavailable)?;
        self.log = Some(log);
        Ok(())
    }

    /// Moves what lies in the outbox; returns how many entries that were.
    ///
    /// After an error the log is opened anew by the next call, at the end that the store knows.
    pub async fn drain(&mut self) -> Result<usize, Error> {
        let mut moved = 0;
        loop {
            let entries = self.broker.store.outbox(STEP).await?;
            if entries.is_empty() {
                return Ok(moved);
            }
            moved += entries.len();
            let now = self.broker.background_now();
            let end = self.append(&entries, now).await?;
            let cursor = ArchiveCursor {
                next_index: end.next_index,
                file: end.file,
                length: end.length,
            };
            let ids = entries.iter().map(|entry| entry.id).collect();
            let commit = Commit::new(now)
                .in_lane(Lane::Background)
                .change(Change::Archived { ids, cursor });
            if let Err(error) = self.broker.commit(commit).await {
                self.log = None;
                return Err(Error::from_commit(error));
            }
            self.broker
                .metrics
                .archived
                .add(u64::try_from(entries.len()).unwrap_or(u64::MAX));
        }
    }

    async fn append(&mut self, entries: &[Outboxed], now: Timestamp) -> Result<End, Error> {
        if self.log.is_none() {
            self.reopen().await?;
        }
        let Some(mut log) = self.log.take() else {
            return Err(unavailable_io("the log is not open"));
        };
        let month: String = now.to_string().chars().take(7).collect();
        let lines: Vec<_> = entries.iter().map(|entry| entry.json.clone()).collect();
        let (log, end) = tokio::task::spawn_blocking(move || {
            let end = log.append(&month, lines.iter().map(AsRef::as_ref));
            (log, end)
        })
        .await
        .map_err(Error::internal)?;
        let end = end.map_err(unavailable)?;
        self.log = Some(log);
        Ok(end)
    }
}

fn unavailable(error: LogError) -> Error {
    Error::StoreUnavailable(Box::new(error))
}

fn unavailable_io(message: &'static str) -> Error {
    Error::StoreUnavailable(Box::new(std::io::Error::other(message)))
}
