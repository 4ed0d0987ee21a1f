//! The writer's thread: groups of commits, and the reaper between them.

use std::sync::Arc;
use std::time::Duration;

use super::figures::Figures;
use super::options::Options;
use super::queue::{Job, Queue, Reaping};
use crate::backend::{Backend, Reader};
use crate::commit::{Change, Commit, Lane};
use crate::error::{CommitError, StoreError};

/// Owns the backend; lives on its thread.
pub(super) struct Writer<B> {
    pub(super) backend: B,
    pub(super) reader: Arc<dyn Reader>,
    pub(super) queue: Arc<Queue>,
    pub(super) figures: Arc<Figures>,
    pub(super) options: Options,
}

/// Stops the store if the writer's thread ends for any reason but that the queue was closed.
struct StopOnExit<'a> {
    queue: &'a Queue,
    figures: &'a Figures,
    finished: bool,
}

impl Drop for StopOnExit<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.figures.stop();
        }
        self.queue.abandon();
    }
}

impl<B: Backend> Writer<B> {
    /// Works until the queue is closed and empty, or until the first failure.
    pub(super) fn run(mut self) {
        let (queue, figures) = (Arc::clone(&self.queue), Arc::clone(&self.figures));
        let mut exit = StopOnExit {
            queue: &queue,
            figures: &figures,
            finished: false,
        };
        while let Some(turn) = queue.take() {
            let worked = self.write(turn.group).is_ok();
            let reaped = match turn.reaping {
                Some(reaping) if worked => self.reap(reaping).is_ok(),
                _ => true,
            };
            if !(worked && reaped) {
                return;
            }
        }
        exit.finished = true;
    }

    /// Writes a group and answers its callers. An error has been told to one of them.
    fn write(&mut self, jobs: Vec<Job>) -> Result<(), Failed> {
        let (commits, replies) = self.admit(jobs);
        if commits.is_empty() {
            return Ok(());
        }
        let started = self.monotonic();
        match self.backend.apply(&commits) {
            Ok(outcomes) => {
                let made = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
                let time = self.monotonic().saturating_sub(started);
                self.figures.group(commits.len(), made, time);
                for (reply, outcome) in replies.into_iter().zip(outcomes) {
                    // Whoever asked may have gone; the commit stands all the same.
                    drop(reply.send(outcome.map_err(CommitError::Refused)));
                }
                self.reader.rules().announce();
                Ok(())
            }
            Err(error) => {
                self.fail(&error);
                let mut replies = replies.into_iter();
                if let Some(first) = replies.next() {
                    drop(first.send(Err(error.into())));
                }
                for reply in replies {
                    drop(reply.send(Err(StoreError::Stopped.into())));
                }
                Err(Failed)
            }
        }
    }

    /// Answers the commits for which, or for whose audit entries, there is no room; returns the others.
    fn admit(&mut self, jobs: Vec<Job>) -> (Vec<Commit>, Vec<Reply>) {
        let room_on_disk = self.has_room();
        let mut outbox = self.reader.outbox_len();
        let admitted = jobs.into_iter().filter_map(|job| {
            if !room_on_disk && job.commit.lane == Lane::Normal {
                drop(job.reply.send(Err(CommitError::DiskFull)));
                return None;
            }
            let added = added_to_outbox(&job.commit);
            let reserve = match job.commit.lane {
                Lane::Normal => 0,
                // What follows from a revocation must not take the room of the next one.
                Lane::Background => self.options.outbox_reserve / 2,
                Lane::Urgent => self.options.outbox_reserve,
            };
            let room = self.options.outbox_limit.saturating_add(reserve);
            let after = outbox.saturating_add(added);
            if added > 0 && after > room {
                drop(job.reply.send(Err(CommitError::OutboxFull)));
                return None;
            }
            outbox = after;
            Some((job.commit, job.reply))
        });
        admitted.unzip()
    }

    fn has_room(&mut self) -> bool {
        let room = self.backend.has_room();
        self.figures.disk(room);
        room
    }

    /// One step of the reaper; what is left goes back to the queue, behind waiting commits.
    fn reap(&mut self, mut reaping: Reaping) -> Result<(), Failed> {
        self.has_room();
        let chunk = reaping.left.min(self.options.reap_chunk.max(1));
        match self.backend.reap(reaping.before, chunk) {
            Ok(step) => {
                reaping.left -= chunk;
                let sum = &mut reaping.reaped;
                sum.credentials += step.credentials;
                sum.tasks += step.tasks;
                sum.rules += step.rules;
                sum.others += step.others;
                sum.more = step.more;
                if step.more && reaping.left > 0 {
                    self.queue.put_back(reaping);
                } else {
                    drop(reaping.reply.send(Ok(reaping.reaped)));
                }
                Ok(())
            }
            Err(error) => {
                self.fail(&error);
                drop(reaping.reply.send(Err(error.into())));
                Err(Failed)
            }
        }
    }

    fn fail(&self, error: &StoreError) {
        let cause = std::error::Error::source(error);
        tracing::error!(%error, cause, "the store stopped; it must be opened anew");
        // Before anybody is answered, so that whoever hears of the failure finds it stopped.
        self.figures.stop();
        self.queue.close();
    }

    fn monotonic(&self) -> Duration {
        let clock = self.options.clock.as_ref();
        clock.map_or(Duration::ZERO, |clock| clock.monotonic())
    }
}

/// The store has failed, and its callers know.
struct Failed;

type Reply = tokio::sync::oneshot::Sender<Result<crate::Committed, CommitError>>;

fn added_to_outbox(commit: &Commit) -> u64 {
    let entries = commit.changes.iter();
    let entries = entries.filter(|change| matches!(change, Change::Outbox(_)));
    u64::try_from(entries.count()).unwrap_or(u64::MAX)
}
