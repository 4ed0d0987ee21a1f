//! Group commit: one thread owns the backend and writes whatever is waiting as one group.
//!
//! No timer: while one group is being synced the next one gathers. Callers are answered when their
//! group is durable; whoever stops waiting does not undo its commit. After the first failed write
//! everything answers [`StoreError::Stopped`], reads too, and nothing is tried again: what is on
//! disk is known only after the store was opened anew.

mod figures;
mod options;
mod queue;
mod reads;
mod writer;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use taskpass_core::Timestamp;
use tokio::sync::{Semaphore, oneshot};

use self::figures::Figures;
use self::queue::{Job, NotQueued, Queue, Reaping};
use self::writer::Writer;
use crate::backend::{Backend, Reader};
use crate::commit::{Commit, Committed, Lane};
use crate::error::{CommitError, StoreError};
use crate::store::Reaped;

pub use options::Options;

/// A [`Store`](crate::Store) over a backend.
///
/// Dropping it finishes what is queued and waits for it; [`close`](Self::close) does the same
/// without blocking a thread of the runtime.
#[derive(Debug)]
pub struct Batched<B: Backend> {
    reader: Arc<Readers>,
    queue: Arc<Queue>,
    figures: Arc<Figures>,
    background: Arc<Semaphore>,
    outbox_limit: u64,
    thread: Mutex<Option<JoinHandle<()>>>,
    backend: PhantomData<fn() -> B>,
}

/// The backend's reader, as something that prints.
struct Readers(Arc<dyn Reader>);

impl std::fmt::Debug for Readers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reader")
    }
}

impl<B: Backend> Batched<B> {
    /// Starts the writer of `backend`.
    ///
    /// Should the operating system refuse the thread, the store is stopped from the start.
    pub fn new(backend: B, options: Options) -> Self {
        let reader = backend.reader();
        let queue = Arc::new(Queue::new(&options));
        let figures = Arc::new(Figures::new());
        let background = Arc::new(Semaphore::new(options.background_queue.max(1)));
        let outbox_limit = options.outbox_limit;
        let writer = Writer {
            backend,
            reader: Arc::clone(&reader),
            queue: Arc::clone(&queue),
            figures: Arc::clone(&figures),
            options,
        };
        let thread = std::thread::Builder::new().name("taskpass-store".to_owned());
        let thread = match thread.spawn(move || writer.run()) {
            Ok(thread) => Some(thread),
            Err(error) => {
                tracing::error!(%error, "the store's thread did not start");
                figures.stop();
                queue.abandon();
                None
            }
        };
        Self {
            reader: Arc::new(Readers(reader)),
            queue,
            figures,
            background,
            outbox_limit,
            thread: Mutex::new(thread),
            backend: PhantomData,
        }
    }

    /// Resolves once the store has stopped after a failed write: the process should then exit.
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + 'static + use<B> {
        let mut stopped = self.figures.watch();
        async move {
            // The sender lives in the store; if that is gone without having failed, nothing will
            // ever stop, and this must not resolve.
            if stopped.wait_for(|stopped| *stopped).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Finishes what is queued, refuses everything after it, and closes the backend.
    pub async fn close(&self) {
        self.queue.close();
        let thread = self.take_thread();
        let joined = tokio::task::spawn_blocking(move || join(thread)).await;
        if let Err(error) = joined {
            tracing::error!(%error, "the store's thread was not waited for");
        }
    }

    fn take_thread(&self) -> Option<JoinHandle<()>> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        thread.take()
    }

    /// What a caller is told who was not, or no longer, queued.
    fn ended() -> CommitError {
        StoreError::Stopped.into()
    }

    async fn submit(&self, commit: Commit) -> Result<Committed, CommitError> {
        let place = match commit.lane {
            Lane::Background => {
                let places = Arc::clone(&self.background);
                let place = places.acquire_owned().await;
                Some(place.map_err(|_| Self::ended())?)
            }
            Lane::Urgent | Lane::Normal => None,
        };
        let (reply, answer) = oneshot::channel();
        let job = Job {
            commit,
            reply,
            place,
        };
        self.queue.push(job).map_err(|refused| match refused {
            NotQueued::Full => CommitError::QueueFull,
            NotQueued::Closed => Self::ended(),
        })?;
        answer.await.unwrap_or_else(|_| Err(Self::ended()))
    }

    async fn remove_expired(&self, before: Timestamp, limit: usize) -> Result<Reaped, CommitError> {
        let (reply, answer) = oneshot::channel();
        let reaping = Reaping {
            before,
            left: limit.max(1),
            reaped: Reaped::default(),
            reply,
        };
        let queued = self.queue.push_reaping(reaping);
        queued.map_err(|_| Self::ended())?;
        answer.await.unwrap_or_else(|_| Err(Self::ended()))
    }
}

impl<B: Backend> Drop for Batched<B> {
    fn drop(&mut self) {
        self.queue.close();
        join(self.take_thread());
    }
}

/// Waits for the writer. If it panicked, the store has stopped already and everybody knows.
fn join(thread: Option<JoinHandle<()>>) {
    if thread.is_some_and(|thread| thread.join().is_err()) {
        tracing::error!("the store's thread panicked");
    }
}
