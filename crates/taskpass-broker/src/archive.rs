//! The archiver: moves audit entries from the store's outbox into the log, each exactly once.
//!
//! There is one, and it alone gives entries their index. A step is: append to the tiles, commit the
//! log's new state together with the removal from the outbox, and only then sign a checkpoint and
//! publish it. Whatever a crash or a failure cuts off, the next step begins at the state that the
//! store has; what lies on disk beyond it was never signed, and is replaced.
//!
//! A month has a log of its own. Its first entry carries the last checkpoint of the log before, so
//! that the logs are one history.

mod begin;
mod publish;
mod retention;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use taskpass_core::Timestamp;
use taskpass_log::{LogName, State, TileLog};
use taskpass_store::{ArchiveCursor, Change, Commit, Lane, Outboxed};
use tokio::sync::watch;

use crate::audit::{AuditLog, Signed};
use crate::broker::Broker;
use crate::error::Error;
use crate::restore::Mark;

/// Entries moved in one step.
const STEP: usize = 2_000;
/// While there is something new, a checkpoint is published at least this often.
const CADENCE: Duration = Duration::from_secs(1);

/// Where the logs lie, and how long.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// The folder that holds the logs of all months.
    pub folder: PathBuf,
    /// How many months are kept, the current one included; `None` keeps all.
    pub keep_months: Option<u32>,
}

/// Moves entries from the outbox into the log.
#[derive(Debug)]
pub struct Archiver {
    broker: Arc<Broker>,
    settings: LogSettings,
    /// The log that is written to; `None` before the first entry, and after a failure.
    open: Option<OpenLog>,
    published: watch::Sender<Option<Signed>>,
    published_at: Duration,
    /// Whether it is still to be looked for logs that are not kept any more.
    removal_due: bool,
    audit: Arc<AuditLog>,
}

/// A log that is open for writing.
#[derive(Debug)]
struct OpenLog {
    name: LogName,
    log: TileLog,
}

impl Archiver {
    /// Opens the log where the store says that it ends, and publishes what a crash kept from being
    /// published.
    pub async fn open(broker: Arc<Broker>, settings: LogSettings) -> Result<Self, Error> {
        let (published, newest) = watch::channel(None);
        let audit = AuditLog::new(Arc::clone(&broker), settings.folder.clone(), newest);
        let mut archiver = Self {
            published_at: broker.clock.monotonic(),
            broker,
            settings,
            open: None,
            published,
            removal_due: true,
            audit: Arc::new(audit),
        };
        archiver.reopen().await?;
        if archiver.open.is_some() {
            archiver.publish().await?;
        }
        archiver.remove_old().await;
        Ok(archiver)
    }

    /// The log for reading.
    pub fn log(&self) -> Arc<AuditLog> {
        Arc::clone(&self.audit)
    }

    /// Opens the log that the store knows of, if there is one.
    async fn reopen(&mut self) -> Result<(), Error> {
        self.open = None;
        let cursor = self.broker.store.archive_cursor().await?;
        let known = (!cursor.log.is_empty()).then(|| cursor.log.parse());
        let known: Option<LogName> = known.transpose().map_err(Error::log)?;
        let root = self.settings.folder.clone();
        let newest = match known {
            Some(known) => Some(known),
            None => Mark::of(&*self.broker.store)
                .await?
                .and_then(|mark| mark.before),
        };
        aside(move || begin::clear_abandoned(&root, newest)).await?;
        let Some(name) = known else {
            return Ok(());
        };
        let state = State::from_bytes(&cursor.state).map_err(Error::log)?;
        let key = self.note_key(state.origin())?;
        let root = self.settings.folder.clone();
        let log = aside(move || {
            begin::check_key(&root, name, &key)?;
            TileLog::open(&name.folder(&root), state).map_err(begin::opening)
        })
        .await?;
        self.open = Some(OpenLog { name, log });
        Ok(())
    }

    /// Moves what lies in the outbox at this moment, publishes a checkpoint over it, and returns how
    /// many entries were moved.
    ///
    /// After an error the log is opened anew by the next call, at the end that the store knows.
    pub async fn drain(&mut self) -> Result<usize, Error> {
        let drained = self.try_drain().await;
        if drained.is_err() {
            self.broker.metrics.log_failures.one();
            self.open = None;
        }
        drained
    }

    async fn try_drain(&mut self) -> Result<usize, Error> {
        let mut moved = 0;
        if self.open.is_none() {
            self.reopen().await?;
        }
        loop {
            let entries = self.broker.store.outbox(STEP).await?;
            if entries.is_empty() {
                break;
            }
            moved += entries.len();
            self.step(&entries).await?;
            self.broker.record_late_start().await?;
            // What came meanwhile waits for the next turn: a few entries at a time would cost as
            // many syncs as many at once.
            if entries.len() < STEP {
                break;
            }
            let since = self.broker.clock.monotonic();
            if since.saturating_sub(self.published_at) >= CADENCE {
                self.publish().await?;
            }
        }
        if self.open.is_some() {
            self.publish().await?;
        }
        self.remove_old().await;
        Ok(moved)
    }

    async fn step(&mut self, entries: &[Outboxed]) -> Result<(), Error> {
        let now = self.broker.background_now();
        let mark = match self.open {
            Some(_) => None,
            None => Mark::of(&*self.broker.store).await?,
        };
        let month = mark
            .as_ref()
            .map_or_else(|| LogName::of(now), |mark| mark.log);
        let mut batch = Vec::with_capacity(entries.len() + 1);
        let begins = self.open.as_ref().is_none_or(|open| open.name < month);
        if begins {
            batch.push(self.begin(month, mark, now).await?);
        }
        batch.extend(entries.iter().map(|entry| entry.json.clone()));
        let Some(mut open) = self.open.take() else {
            return Err(Error::log(std::io::Error::other("the log is not open")));
        };
        let (open, state) = aside(move || {
            let state = open.log.append(&batch).map_err(Error::log)?;
            Ok((open, state))
        })
        .await?;
        let name = open.name;
        self.commit(name, &state, entries, now).await?;
        let open = self.open.insert(open);
        open.log.committed(state.size());
        let moved = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        self.broker.metrics.archived.add(moved);
        self.removal_due |= begins;
        Ok(())
    }

    /// Makes the store agree with the tiles. If this fails, whether it did is unknown, and the log
    /// stays closed.
    async fn commit(
        &self,
        name: LogName,
        state: &State,
        entries: &[Outboxed],
        now: Timestamp,
    ) -> Result<(), Error> {
        let change = Change::Archived {
            ids: entries.iter().map(|entry| entry.id).collect(),
            cursor: ArchiveCursor {
                log: name.to_string(),
                state: state.to_bytes(),
            },
        };
        let commit = Commit::new(now).in_lane(Lane::Background).change(change);
        self.broker
            .commit(commit)
            .await
            .map_err(Error::from_commit)?;
        Ok(())
    }
}

/// Runs file work off the runtime.
pub(crate) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(Error::internal)?
}
