//! What waits for the writer: three bounded lanes and the reaper.
//!
//! A group takes the urgent commits first, then the normal ones, then the background ones. As long
//! as a background commit waits, one place of the group is kept for it: the archiver must get
//! through under full load, or the outbox would fill.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use taskpass_core::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::options::Options;
use crate::commit::{Commit, Committed, Lane};
use crate::error::CommitError;
use crate::store::Reaped;

/// A commit and whom to tell.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) commit: Commit,
    pub(super) reply: oneshot::Sender<Result<Committed, CommitError>>,
    /// A place among the background commits, given back when the writer takes the job.
    pub(super) place: Option<OwnedSemaphorePermit>,
}

/// A call of the reaper, and how far it has come.
#[derive(Debug)]
pub(super) struct Reaping {
    pub(super) before: Timestamp,
    pub(super) left: usize,
    pub(super) reaped: Reaped,
    pub(super) reply: oneshot::Sender<Result<Reaped, CommitError>>,
}

/// What the writer does next: a group, and then one step of the reaper.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) group: Vec<Job>,
    pub(super) reaping: Option<Reaping>,
}

/// Why a job was not queued.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotQueued {
    /// No room in its lane.
    Full,
    /// Nothing is accepted any more.
    Closed,
}

#[derive(Debug, Default)]
struct Lanes {
    urgent: VecDeque<Job>,
    normal: VecDeque<Job>,
    background: VecDeque<Job>,
    reapings: VecDeque<Reaping>,
    closed: bool,
}

/// The queue between the callers and the writer.
#[derive(Debug)]
pub(super) struct Queue {
    lanes: Mutex<Lanes>,
    filled: Condvar,
    urgent_limit: usize,
    normal_limit: usize,
    group_limit: usize,
}

impl Queue {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            lanes: Mutex::default(),
            filled: Condvar::new(),
            urgent_limit: options.urgent_queue,
            normal_limit: options.normal_queue,
            group_limit: options.group_limit.max(2),
        }
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a commit in its lane.
    pub(super) fn push(&self, job: Job) -> Result<(), NotQueued> {
        let mut lanes = self.lanes();
        if lanes.closed {
            return Err(NotQueued::Closed);
        }
        let (lane, limit) = match job.commit.lane {
            Lane::Urgent => (&mut lanes.urgent, self.urgent_limit),
            Lane::Normal => (&mut lanes.normal, self.normal_limit),
            // Bounded by the places, for which callers wait.
            Lane::Background => (&mut lanes.background, usize::MAX),
        };
        if lane.len() >= limit {
            return Err(NotQueued::Full);
        }
        lane.push_back(job);
        drop(lanes);
        self.filled.notify_one();
        Ok(())
    }

    /// Queues a call of the reaper.
    pub(super) fn push_reaping(&self, reaping: Reaping) -> Result<(), NotQueued> {
        let mut lanes = self.lanes();
        if lanes.closed {
            return Err(NotQueued::Closed);
        }
        lanes.reapings.push_back(reaping);
        drop(lanes);
        self.filled.notify_one();
        Ok(())
    }

    /// Puts back what is left of a call of the reaper; works while closing, so that it finishes.
    pub(super) fn put_back(&self, reaping: Reaping) {
        self.lanes().reapings.push_front(reaping);
    }

    /// What to do next; waits until there is something. `None` once closed and empty.
    pub(super) fn take(&self) -> Option<Turn> {
        let mut lanes = self.lanes();
        loop {
            let group = lanes.group(self.group_limit);
            let reaping = lanes.reapings.pop_front();
            if !group.is_empty() || reaping.is_some() {
                return Some(Turn { group, reaping });
            }
            if lanes.closed {
                return None;
            }
            lanes = self
                .filled
                .wait(lanes)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Accepts nothing more; what is queued is still taken.
    pub(super) fn close(&self) {
        self.lanes().closed = true;
        self.filled.notify_all();
    }

    /// Accepts nothing more and drops what is queued, whose callers learn that the store stopped.
    pub(super) fn abandon(&self) {
        let mut lanes = self.lanes();
        let dropped = std::mem::take(&mut *lanes);
        lanes.closed = true;
        drop(lanes);
        drop(dropped);
    }

    /// How many commits wait.
    pub(super) fn len(&self) -> usize {
        let lanes = self.lanes();
        lanes.urgent.len() + lanes.normal.len() + lanes.background.len()
    }
}

impl Lanes {
    fn group(&mut self, limit: usize) -> Vec<Job> {
        let kept = usize::from(!self.background.is_empty());
        let ahead = limit.saturating_sub(kept);
        let urgent = self.urgent.len().min(ahead);
        let mut group: Vec<Job> = self.urgent.drain(..urgent).collect();
        let normal = self.normal.len().min(ahead - urgent);
        group.extend(self.normal.drain(..normal));
        let background = self.background.len().min(limit - group.len());
        group.extend(self.background.drain(..background).map(|mut job| {
            drop(job.place.take());
            job
        }));
        group
    }
}
