//! The feed's stream: a first message, frames as rules are made, a signed heartbeat every second.
//!
//! Before each heartbeat the caller's standing is asked for again; a caller that lost it gets the
//! error and no further rule. A reader that does not read holds up nobody: at most a few messages
//! wait for it, and it finds all it missed when it goes on.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use taskpass_api::v1::{self, watch_revocations_response as watch};
use taskpass_broker::{FeedStart, Proved, Standing, Subscription};
use taskpass_core::caller::Caller;
use taskpass_core::key::KeyId;
use taskpass_core::revocation::Rule;
use taskpass_core::verb::Verb;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::super::{Service, convert};
use crate::status;

/// The stream of one subscriber.
pub(crate) type Stream =
    Pin<Box<dyn tokio_stream::Stream<Item = Result<v1::WatchRevocationsResponse, Status>> + Send>>;

/// How often a subscriber hears of us, and we ask whether it may go on.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Messages that may wait for a slow reader.
const WAITING: usize = 4;
/// Frames that are sent before a heartbeat is given up for this second.
const CATCHING_UP: usize = 16;
/// Rules in one message.
const CHUNK: usize = 1_000;

type Sender = mpsc::Sender<Result<v1::WatchRevocationsResponse, Status>>;

/// The reader has gone.
struct Gone;

impl Service {
    pub(super) fn feed(
        &self,
        caller: Standing,
        proved: Proved,
        subscription: Subscription,
        first: FeedStart,
    ) -> Stream {
        let (sender, receiver) = mpsc::channel(WAITING);
        let feed = Feed {
            service: self.clone(),
            sender,
            for_operator: matches!(caller.caller, Caller::Operator(..)),
            caller,
            proved,
            subscription,
            key: self.broker.issuer().feed_key().id().clone(),
        };
        tokio::spawn(feed.run(first));
        Box::pin(ReceiverStream::new(receiver))
    }
}

struct Feed {
    service: Service,
    sender: Sender,
    caller: Standing,
    proved: Proved,
    subscription: Subscription,
    for_operator: bool,
    /// The key that the subscriber checks heartbeats by.
    key: KeyId,
}

impl Feed {
    async fn run(mut self, first: FeedStart) {
        let metrics = self.service.broker.metrics();
        metrics.feed_subscribers.one();
        let broker = Arc::clone(&self.service.broker);
        // A reader that leaves is an ordinary end.
        if self.start(first).await.is_ok() {
            let _: Result<(), Gone> = self.follow().await;
        }
        broker.metrics().feed_subscribers.less();
    }

    async fn send(&self, message: watch::Message) -> Result<(), Gone> {
        let response = v1::WatchRevocationsResponse {
            message: Some(message),
        };
        self.sender.send(Ok(response)).await.map_err(|_| Gone)
    }

    fn rules(&self, rules: &[Arc<Rule>]) -> Vec<v1::Revocation> {
        rules
            .iter()
            .map(|rule| {
                let drill = self.subscription.drill(rule).map(|token| token.to_vec());
                v1::Revocation {
                    drill: drill.unwrap_or_default().into(),
                    ..convert::rule(rule, self.for_operator)
                }
            })
            .collect()
    }

    async fn start(&mut self, first: FeedStart) -> Result<(), Gone> {
        let issuer = self.service.broker.issuer();
        let feed_jwk = issuer.feed_key().to_json();
        self.key = issuer.feed_key().id().clone();
        let epoch = self.subscription.epoch();
        match first {
            FeedStart::Resumed { seq } => {
                self.send(watch::Message::Resumed(watch::Resumed {
                    epoch,
                    seq,
                    feed_jwk,
                }))
                .await
            }
            FeedStart::Snapshot { resync, seq, rules } => {
                if let Some(reason) = resync {
                    let reason = reason.to_owned();
                    self.send(watch::Message::Resync(watch::Resync { reason }))
                        .await?;
                }
                // A large set comes as a snapshot of its first part, and frames; only then is the
                // subscriber told that it has reached `seq`.
                let (head, tail) = rules.split_at(rules.len().min(CHUNK));
                let mut reached = if tail.is_empty() { seq } else { last_seq(head) };
                let snapshot = watch::Snapshot {
                    epoch,
                    seq: reached,
                    revocations: self.rules(head),
                    feed_jwk,
                };
                self.send(watch::Message::Snapshot(snapshot)).await?;
                let mut chunks = tail.chunks(CHUNK).peekable();
                while let Some(chunk) = chunks.next() {
                    let to_seq = if chunks.peek().is_none() {
                        seq
                    } else {
                        last_seq(chunk)
                    };
                    let revocations = self.rules(chunk);
                    let frame = watch::Frame {
                        from_seq: reached,
                        to_seq,
                        revocations,
                    };
                    self.send(watch::Message::Frame(frame)).await?;
                    reached = to_seq;
                }
                Ok(())
            }
        }
    }

    async fn follow(&mut self) -> Result<(), Gone> {
        let mut beat = tokio::time::interval(HEARTBEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                () = self.service.stop.cancelled() => {
                    let ending = Status::unavailable("the broker is stopping; connect again");
                    return self.sender.send(Err(ending)).await.map_err(|_| Gone);
                }
                () = self.sender.closed() => return Err(Gone),
                () = self.subscription.changed() => self.next_frame().await.map(drop)?,
                _ = beat.tick() => self.beat().await?,
            }
        }
    }

    /// Sends the next frame, if there is one.
    async fn next_frame(&mut self) -> Result<bool, Gone> {
        let Some(frame) = self.subscription.next_frame() else {
            return Ok(false);
        };
        let frame = watch::Frame {
            from_seq: frame.from,
            to_seq: frame.to,
            revocations: self.rules(&frame.rules),
        };
        self.send(watch::Message::Frame(frame)).await?;
        Ok(true)
    }

    async fn beat(&mut self) -> Result<(), Gone> {
        let broker = Arc::clone(&self.service.broker);
        let standing = broker.standing(&self.proved, None).await;
        let verb = Verb::ReadRevocations;
        match standing.and_then(|standing| broker.admit_operator(standing, verb)) {
            // Today's targets and roles decide; a change begins a new stream with a new filter.
            Ok(standing) if standing.caller == self.caller.caller => {}
            Ok(_) => {
                let ending = Status::unavailable("the registration has changed; connect again");
                self.sender.send(Err(ending)).await.map_err(|_| Gone)?;
                return Err(Gone);
            }
            Err(error) => {
                self.sender
                    .send(Err(status::of(error)))
                    .await
                    .map_err(|_| Gone)?;
                return Err(Gone);
            }
        }
        if *broker.issuer().feed_key().id() != self.key {
            // A new stream names the new key; the history goes on where it was.
            let ending = Status::unavailable("the feed's key has changed; connect again");
            self.sender.send(Err(ending)).await.map_err(|_| Gone)?;
            return Err(Gone);
        }
        broker.metrics().feed_lag.set(self.subscription.lag());
        // A heartbeat speaks for all rules up to its own; rules that keep coming must not keep it off.
        let mut beat = broker.heartbeat(&mut self.subscription);
        for _ in 0..CATCHING_UP {
            if beat.is_some() || !self.next_frame().await? {
                break;
            }
            beat = broker.heartbeat(&mut self.subscription);
        }
        let Some((heartbeat, signature)) = beat else {
            return Ok(());
        };
        self.send(watch::Message::Heartbeat(watch::Heartbeat {
            epoch: heartbeat.epoch,
            seq: heartbeat.seq,
            at: Some(convert::timestamp(heartbeat.at)),
            digest: heartbeat.digest.to_vec().into(),
            signature: signature.into(),
        }))
        .await
    }
}

fn last_seq(rules: &[Arc<Rule>]) -> u64 {
    rules.last().map_or(0, |rule| rule.seq)
}
