//! What each message of the feed means, given those before it.
//!
//! Pure: a message and the time in, an effect or an error out. It keeps the place in the order of all
//! rules and the digest of the set; a gap, a place that is taken twice, a wrong signature or another
//! digest is an error, after which only a snapshot goes on. A set counts as complete when a heartbeat
//! confirms it, not before: a large one arrives in pieces.

use taskpass_api::v1::WatchRevocationsResponse;
use taskpass_api::v1::watch_revocations_response::{
    Frame, Heartbeat as WireHeartbeat, Message, Resumed, Snapshot,
};
use taskpass_core::access::TokenAlg;
use taskpass_core::revocation::{DigestView, Rule};
use taskpass_core::{Timestamp, ttl};
use taskpass_token::{Heartbeat, Jwk};

use super::decode;
use super::drill::{self, Drill};

/// A message that does not fit. The stream is given up, and a snapshot asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// A message of no kind that is known.
    #[error("a message of an unknown kind")]
    Unknown,
    /// A message that cannot come now, such as a frame before anything that it could follow.
    #[error("a {kind} out of turn")]
    OutOfTurn {
        /// Which kind.
        kind: &'static str,
    },
    /// Rules are missing between two frames, or before the heartbeat.
    #[error("the feed is at {got}, and {expected} was known")]
    Gap {
        /// Where we are.
        expected: u64,
        /// Where the broker says that we should be.
        got: u64,
    },
    /// A complete set that ends before what was already known, as from a replica that lags.
    #[error("the feed ends at {got}, and {known} was reached before")]
    Behind {
        /// How far an earlier stream had come.
        known: u64,
        /// How far this one has.
        got: u64,
    },
    /// Another epoch than the one that was loaded.
    #[error("the feed is of another epoch")]
    Epoch,
    /// A rule outside its frame, or a second one in its place.
    #[error("rule {seq} is out of place")]
    Place {
        /// Its place.
        seq: u64,
    },
    /// A rule that cannot be read.
    #[error("rule {seq} cannot be read")]
    Rule {
        /// Its place.
        seq: u64,
    },
    /// The key of the feed cannot be read, or is not an Ed25519 key.
    #[error("the key of the feed cannot be used")]
    Key,
    /// A heartbeat that cannot be read.
    #[error("a heartbeat cannot be read")]
    Heartbeat,
    /// A heartbeat that the feed's key did not sign.
    #[error("the signature of a heartbeat is wrong")]
    Signature,
    /// The broker's set is another one than ours.
    #[error("the set of rules differs from the broker's")]
    Digest,
}

/// What follows from a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing to do.
    Nothing,
    /// A new set begins.
    Load {
        /// What it begins with.
        rules: Vec<Rule>,
    },
    /// Further rules are in force.
    Add {
        /// Which.
        rules: Vec<Rule>,
        /// Up to here all are known.
        seq: u64,
        /// The one of them that is to be confirmed.
        drill: Option<Drill>,
    },
    /// The set is complete and as the broker's.
    Confirm {
        /// Up to here all are known.
        seq: u64,
        /// When the broker said so.
        at: Timestamp,
    },
    /// A good heartbeat that proves nothing: the clocks differ, or it is no newer than the last.
    Skewed {
        /// When the broker says that it is.
        at: Timestamp,
    },
    /// A snapshot follows.
    Reload {
        /// Why.
        reason: String,
    },
}

/// Where in the feed we are.
#[derive(Debug, Default)]
pub(super) struct FeedState {
    place: Option<Place>,
    /// Whether this stream has begun: with a snapshot, or by continuing where we were.
    begun: bool,
    /// The time of the newest heartbeat that proved something.
    newest: Timestamp,
    /// The newest epoch, and how far any stream has come in it: a rule that was heard of is not to
    /// be lost to a set that is older.
    reached: (u64, u64),
}

#[derive(Debug)]
struct Place {
    epoch: u64,
    seq: u64,
    view: DigestView,
    key: Jwk,
}

impl FeedState {
    /// What to ask the next stream for; `(0, 0)` asks for a snapshot.
    pub(super) fn resume_point(&self) -> (u64, u64) {
        self.place
            .as_ref()
            .map_or((0, 0), |place| (place.epoch, place.seq))
    }

    /// A new stream is there; it has to begin before it goes on.
    pub(super) fn connected(&mut self) {
        self.begun = false;
    }

    /// Takes a message in.
    pub(super) fn on(
        &mut self,
        message: WatchRevocationsResponse,
        now: Timestamp,
    ) -> Result<Effect, FeedError> {
        let effect = match message.message {
            Some(Message::Snapshot(snapshot)) => self.snapshot(snapshot),
            Some(Message::Resumed(resumed)) => self.resumed(&resumed),
            Some(Message::Frame(frame)) => self.frame(frame),
            Some(Message::Heartbeat(beat)) => self.heartbeat(&beat, now),
            Some(Message::Resync(resync)) => {
                self.forget();
                Ok(Effect::Reload {
                    reason: resync.reason,
                })
            }
            None => Err(FeedError::Unknown),
        };
        if effect.is_err() {
            self.forget();
        }
        effect
    }

    fn forget(&mut self) {
        self.place = None;
        self.begun = false;
    }

    fn snapshot(&mut self, snapshot: Snapshot) -> Result<Effect, FeedError> {
        // Epoch 0 is how a snapshot is asked for; it could never be continued.
        if snapshot.epoch == 0 {
            return Err(FeedError::Epoch);
        }
        let rules = decode::rules(snapshot.revocations, 0, snapshot.seq)?;
        let mut view = DigestView::default();
        for rule in &rules {
            view.add(rule);
        }
        self.place = Some(Place {
            epoch: snapshot.epoch,
            seq: snapshot.seq,
            view,
            key: key(&snapshot.feed_jwk)?,
        });
        self.begun = true;
        self.reach(snapshot.epoch, snapshot.seq);
        Ok(Effect::Load { rules })
    }

    fn resumed(&mut self, resumed: &Resumed) -> Result<Effect, FeedError> {
        let out_of_turn = FeedError::OutOfTurn { kind: "resumption" };
        if self.begun {
            return Err(out_of_turn);
        }
        let place = self.place.as_mut().ok_or(out_of_turn)?;
        if resumed.epoch != place.epoch {
            return Err(FeedError::Epoch);
        }
        place.key = key(&resumed.feed_jwk)?;
        self.begun = true;
        Ok(Effect::Nothing)
    }

    fn reach(&mut self, epoch: u64, seq: u64) {
        let before = if self.reached.0 == epoch {
            self.reached.1
        } else {
            0
        };
        self.reached = (epoch, before.max(seq));
    }

    fn place(&mut self, kind: &'static str) -> Result<&mut Place, FeedError> {
        self.place
            .as_mut()
            .filter(|_| self.begun)
            .ok_or(FeedError::OutOfTurn { kind })
    }

    fn frame(&mut self, frame: Frame) -> Result<Effect, FeedError> {
        let place = self.place("frame")?;
        if frame.from_seq != place.seq || frame.to_seq < frame.from_seq {
            return Err(FeedError::Gap {
                expected: place.seq,
                got: frame.from_seq,
            });
        }
        let drill = drill::among(&frame.revocations);
        let rules = decode::rules(frame.revocations, frame.from_seq, frame.to_seq)?;
        for rule in &rules {
            place.view.add(rule);
        }
        place.seq = frame.to_seq;
        let (epoch, seq) = (place.epoch, place.seq);
        self.reach(epoch, seq);
        Ok(Effect::Add { rules, seq, drill })
    }

    fn heartbeat(&mut self, wire: &WireHeartbeat, now: Timestamp) -> Result<Effect, FeedError> {
        let (newest, reached) = (self.newest, self.reached);
        let place = self.place("heartbeat")?;
        let beat = read(wire).ok_or(FeedError::Heartbeat)?;
        beat.verify(&place.key, &wire.signature)
            .map_err(|_| FeedError::Signature)?;
        if beat.epoch != place.epoch {
            return Err(FeedError::Epoch);
        }
        if beat.seq != place.seq {
            return Err(FeedError::Gap {
                expected: place.seq,
                got: beat.seq,
            });
        }
        // An old one says nothing about now; one from far ahead would let rules be forgotten early.
        let apart = now.since(beat.at).max(beat.at.since(now));
        if beat.at <= newest || apart > ttl::CLOCK_SKEW {
            return Ok(Effect::Skewed { at: beat.at });
        }
        if *place.view.at(beat.at).as_bytes() != beat.digest {
            return Err(FeedError::Digest);
        }
        let seq = place.seq;
        if seq < reached.1 {
            return Err(FeedError::Behind {
                known: reached.1,
                got: seq,
            });
        }
        self.newest = beat.at;
        Ok(Effect::Confirm { seq, at: beat.at })
    }
}

fn key(json: &str) -> Result<Jwk, FeedError> {
    Jwk::from_json(json.as_bytes())
        .ok()
        .filter(|key| key.alg() == TokenAlg::EdDsa)
        .ok_or(FeedError::Key)
}

fn read(wire: &WireHeartbeat) -> Option<Heartbeat> {
    Some(Heartbeat {
        epoch: wire.epoch,
        seq: wire.seq,
        at: decode::instant(wire.at.as_ref().map(|at| (at.seconds, at.nanos)))?,
        digest: wire.digest.as_ref().try_into().ok()?,
    })
}

#[cfg(test)]
mod tests;
