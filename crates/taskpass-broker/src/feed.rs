//! One subscriber's place in the feed of revocations.
//!
//! After a commit only the newest `seq` is told; each subscriber reads the rules from its own place,
//! so a slow one skips nothing. A verifier gets the rules that can concern its targets; frames name
//! the whole range that they cover, so that a filtered rule is not mistaken for a gap.

use std::collections::BTreeSet;
use std::sync::Arc;

use taskpass_core::caller::Caller;
use taskpass_core::revocation::{DigestView, Rule};
use taskpass_core::{TargetUri, Timestamp};
use taskpass_store::SharedRules;
use taskpass_token::feed::Heartbeat;
use tokio::sync::watch;

use crate::broker::Broker;
use crate::drill::Seat;
use crate::error::Error;
use crate::standing::Standing;

/// The most rules in one frame.
const FRAME: usize = 1_000;

/// What a subscriber is told first.
#[derive(Debug, Clone)]
pub enum FeedStart {
    /// All rules up to `seq`: begin with these.
    Snapshot {
        /// Why the subscriber's own history is not continued, if it had one.
        resync: Option<&'static str>,
        /// The newest rule covered.
        seq: u64,
        /// The rules.
        rules: Vec<Arc<Rule>>,
    },
    /// The subscriber's history is continued.
    Resumed {
        /// From here.
        seq: u64,
    },
}

/// The rules of `(from, to]` that concern the subscriber.
#[derive(Debug, Clone)]
pub struct FeedFrame {
    /// Exclusive.
    pub from: u64,
    /// Inclusive.
    pub to: u64,
    /// The rules.
    pub rules: Vec<Arc<Rule>>,
}

/// One subscriber.
#[derive(Debug)]
pub struct Subscription {
    rules: Arc<SharedRules>,
    newest: watch::Receiver<u64>,
    targets: Option<BTreeSet<TargetUri>>,
    seq: u64,
    epoch: u64,
    view: DigestView,
    /// Of a verifier: whom drills wait for.
    seat: Option<Seat>,
}

impl Broker {
    /// Begins a subscription, continuing after `after_seq` of `epoch` where that is possible.
    pub fn subscribe(
        &self,
        caller: &Standing,
        epoch: u64,
        after_seq: u64,
    ) -> Result<(Subscription, FeedStart), Error> {
        let targets = match &caller.caller {
            Caller::Verifier(_, targets) => Some(targets.clone()),
            Caller::Operator(..) => None,
            Caller::Agent(_) => {
                return Err(Error::MethodNotAllowed {
                    caller: caller.caller.to_string(),
                    method: "the feed".to_owned(),
                });
            }
        };
        let seat = targets
            .clone()
            .map(|targets| self.drills.seat(caller.caller.principal(), targets));
        let rules = self.store.rules();
        // Looking at the newest number first: what comes after it is still ahead of the receiver.
        let mut newest = rules.subscribe();
        let seq = *newest.borrow_and_update();
        let own = self.store.birth().epoch;
        let resync = match epoch {
            0 => None,
            other if other != own => Some("the epoch changed"),
            _ if after_seq > seq => Some("the history is shorter than the subscriber's"),
            _ => None,
        };
        let resumes = epoch == own && resync.is_none();
        let start = if resumes { after_seq } else { seq };
        let mut subscription = Subscription {
            rules,
            newest,
            targets,
            seq: start,
            epoch: own,
            view: DigestView::default(),
            seat,
        };
        let known = subscription.up_to(start);
        for rule in &known {
            subscription.view.add(rule);
        }
        let first = if resumes {
            FeedStart::Resumed { seq: start }
        } else {
            FeedStart::Snapshot {
                resync,
                seq: start,
                rules: known,
            }
        };
        Ok((subscription, first))
    }

    /// A signed heartbeat for a subscriber; `None` if it has not been told everything yet.
    pub fn heartbeat(&self, subscription: &mut Subscription) -> Option<(Heartbeat, Vec<u8>)> {
        if subscription.is_behind() {
            return None;
        }
        let heartbeat = subscription.heartbeat(self.clock.now());
        match self.issuer.load().sign_heartbeat(&heartbeat) {
            Ok(signature) => Some((heartbeat, signature)),
            Err(error) => {
                tracing::error!(%error, "a heartbeat could not be signed");
                None
            }
        }
    }
}

impl Subscription {
    fn concerns(&self, rule: &Rule) -> bool {
        self.targets
            .as_ref()
            .is_none_or(|targets| rule.concerns(targets))
    }

    fn up_to(&self, seq: u64) -> Vec<Arc<Rule>> {
        let mut rules = self.rules.after(0, usize::MAX);
        rules.retain(|rule| rule.seq <= seq && self.concerns(rule));
        rules
    }

    /// What the subscriber is to confirm `rule` with, if it is a drill's that waits for it.
    pub fn drill(&self, rule: &Rule) -> Option<[u8; 16]> {
        self.seat.as_ref()?.token(rule)
    }

    /// The epoch of the history.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How many rules the subscriber has not been told yet.
    pub fn lag(&self) -> u64 {
        self.rules.newest_seq().saturating_sub(self.seq)
    }

    fn is_behind(&self) -> bool {
        self.lag() > 0
    }

    /// Waits until there is something new.
    pub async fn changed(&mut self) {
        if self.is_behind() {
            return;
        }
        if self.newest.changed().await.is_err() {
            // The store is gone; so is the broker in a moment.
            std::future::pending::<()>().await;
        }
    }

    /// The next frame, if there is something new.
    pub fn next_frame(&mut self) -> Option<FeedFrame> {
        let newest = self.rules.newest_seq();
        if newest <= self.seq {
            return None;
        }
        let found = self.rules.after(self.seq, FRAME);
        // A full frame ends at its last rule; otherwise everything up to the newest is covered,
        // pruned rules included. A rule published between the two reads is told, at the latest,
        // by the next frame: frames are taken up to what was read here.
        let last = found.last().map(|rule| rule.seq);
        let to = if found.len() == FRAME {
            last.unwrap_or(newest)
        } else {
            last.unwrap_or(0).max(newest)
        };
        let from = self.seq;
        let rules: Vec<_> = found
            .into_iter()
            .filter(|rule| self.concerns(rule))
            .collect();
        for rule in &rules {
            self.view.add(rule);
        }
        self.seq = to;
        Some(FeedFrame { from, to, rules })
    }

    fn heartbeat(&mut self, now: Timestamp) -> Heartbeat {
        let digest = *self.view.at(now).as_bytes();
        Heartbeat {
            epoch: self.epoch,
            seq: self.seq,
            at: now,
            digest,
        }
    }
}
