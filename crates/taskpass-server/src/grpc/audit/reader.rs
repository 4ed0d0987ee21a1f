//! What the streams of the log, and of a backup, have in common: one reader, for as long as it may read.
//!
//! While a reader waits, and while it is waited for, its standing is asked for again every second; a
//! reader that lost it gets the error and no further entry. A few messages wait for a reader that is
//! slow; one that takes nothing for a long time is sent away. It keeps its place until it has gone,
//! since what waits for it keeps its room in memory. Every stream that ends before its end says so by
//! its status.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use taskpass_broker::{Error, Proved, Standing};
use taskpass_core::caller::Caller;
use taskpass_core::verb::Verb;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Interval, MissedTickBehavior};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::super::Service;
use crate::status;

/// The stream that a reader gets.
pub(crate) type Stream<T> = Pin<Box<dyn tokio_stream::Stream<Item = Result<T, Status>> + Send>>;

/// Tails at one time.
const TAILS: usize = 64;
/// Exports at one time: each reads a whole log.
const EXPORTS: usize = 4;
/// How often a reader is asked for whether it may go on.
const BEAT: Duration = Duration::from_secs(1);
/// Messages that may wait for a slow reader.
const WAITING: usize = 4;
/// How long a reader may take nothing although there is something.
const PATIENCE: Duration = Duration::from_mins(1);

/// Places for streams, which outlive their requests and so are not among those in flight.
#[derive(Debug)]
pub(crate) struct Streams {
    tails: Arc<Semaphore>,
    exports: Arc<Semaphore>,
    backups: Arc<Semaphore>,
}

impl Streams {
    pub(crate) fn new() -> Self {
        Self {
            tails: Arc::new(Semaphore::new(TAILS)),
            exports: Arc::new(Semaphore::new(EXPORTS)),
            backups: Arc::new(Semaphore::new(1)),
        }
    }

    pub(super) fn tail(&self) -> Result<OwnedSemaphorePermit, Error> {
        place(&self.tails)
    }

    pub(super) fn export(&self) -> Result<OwnedSemaphorePermit, Error> {
        place(&self.exports)
    }
}

impl Streams {
    /// One backup at a time: each reads the whole store.
    pub(crate) fn backup(&self) -> Result<OwnedSemaphorePermit, Error> {
        place(&self.backups)
    }
}

fn place(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Error> {
    Arc::clone(places)
        .try_acquire_owned()
        .map_err(|_| Error::QueueFull)
}

/// The reader has gone, or was told why it gets no more.
pub(crate) struct Gone;

/// One reader.
pub(crate) struct Reader<T> {
    service: Service,
    caller: Caller,
    proved: Proved,
    verb: Verb,
    sender: mpsc::Sender<Result<T, Status>>,
    beat: Interval,
}

impl Service {
    pub(crate) fn reader<T: Send + 'static>(
        &self,
        caller: Standing,
        proved: Proved,
        verb: Verb,
        slot: OwnedSemaphorePermit,
    ) -> (Reader<T>, Stream<T>) {
        let (sender, stream) = channel(slot);
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The gate has asked just now.
        beat.reset();
        let reader = Reader {
            service: self.clone(),
            caller: caller.caller,
            proved,
            verb,
            sender,
            beat,
        };
        (reader, stream)
    }
}

/// What is sent on the one end waits at the other, which has the place until it is dropped.
fn channel<T: Send + 'static>(
    slot: OwnedSemaphorePermit,
) -> (mpsc::Sender<Result<T, Status>>, Stream<T>) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let stream = ReceiverStream::new(receiver).map(move |message| {
        let _held = &slot;
        message
    });
    (sender, Box::pin(stream))
}

impl<T: Send + 'static> Reader<T> {
    /// The caller as it is now, if it may still read by the policies of now.
    async fn may_read_on(&self) -> Result<Standing, Error> {
        let broker = &self.service.broker;
        let standing = broker.standing(&self.proved, None).await?;
        broker.admit_operator(standing, self.verb)
    }

    /// Waits for `what`, for as long as the reader is there and may read.
    pub(crate) async fn meanwhile<O>(&mut self, what: impl Future<Output = O>) -> Result<O, Gone> {
        let mut what = pin!(what);
        let end = loop {
            tokio::select! {
                () = self.service.stop.cancelled() => {
                    break Status::unavailable("the broker is stopping; connect again");
                }
                () = self.sender.closed() => return Err(Gone),
                _ = self.beat.tick() => match self.may_read_on().await {
                    Ok(standing) if standing.caller == self.caller => {}
                    Ok(_) => break Status::unavailable("the registration has changed; connect again"),
                    Err(error) => break status::of(error),
                },
                done = &mut what => return Ok(done),
            }
        };
        self.end(end).await;
        Err(Gone)
    }

    /// Hands over a message, once there is room for it.
    pub(crate) async fn send(&mut self, message: T) -> Result<(), Gone> {
        let sender = self.sender.clone();
        let room = tokio::time::timeout(PATIENCE, sender.reserve());
        match self.meanwhile(room).await? {
            Ok(Ok(room)) => {
                room.send(Ok(message));
                Ok(())
            }
            Ok(Err(_)) => Err(Gone),
            Err(_) => {
                let end = "you have taken nothing for a minute; go on from where you are";
                self.end(Status::unavailable(end)).await;
                Err(Gone)
            }
        }
    }

    /// Says why there is no more, when the reader comes to it.
    pub(crate) async fn end(&self, status: Status) {
        // A reader that leaves is an ordinary end.
        let _ = self.sender.send(Err(status)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Or a reader that takes nothing could hold memory without end, stream after stream.
    #[tokio::test]
    async fn what_waits_for_a_reader_keeps_its_place() {
        let places = Arc::new(Semaphore::new(1));
        let slot = place(&places).unwrap();
        let (sender, stream) = channel(slot);
        sender.send(Ok(1)).await.unwrap();
        drop(sender);
        assert!(place(&places).is_err());
        drop(stream);
        assert!(place(&places).is_ok());
    }
}
