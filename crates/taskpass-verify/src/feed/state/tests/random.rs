//! Whatever the network and the broker do, the verifier never believes a rule absent that it was
//! sent, and never takes a set for complete that is not.

use std::time::Duration;

use proptest::prelude::*;
use taskpass_api::v1::watch_revocations_response::Resync;
use taskpass_core::Timestamp;
use taskpass_core::revocation::{Facts, Rule, Selector};

use super::super::{Effect, FeedState};
use crate::refusal::Refusal;
use crate::settings::Staleness;
use crate::state::{Shared, View};
use crate::testing::{Broker, NOW, rule, task_id};
use taskpass_api::v1::WatchRevocationsResponse;
use taskpass_api::v1::watch_revocations_response::Message;

#[derive(Debug, Clone, Copy)]
enum Step {
    /// The broker commits a rule that lives so long.
    Revoke {
        mins: u64,
    },
    /// Everything that is new is sent, cut after so many rules, in so many frames.
    Send {
        pieces: usize,
    },
    /// As `Send`, but the network loses one rule without a trace.
    Corrupt {
        lose: usize,
    },
    /// A frame is lost.
    Lose,
    Heartbeat,
    Pass {
        secs: u64,
    },
    /// The connection breaks, and the next one continues.
    Reconnect,
    Resync,
    /// A replica answers that has heard of the first half only.
    Lag,
    /// The broker's store begins a new life with the same rules.
    Epoch,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u64..30).prop_map(|mins| Step::Revoke { mins }),
        4 => (1_usize..4).prop_map(|pieces| Step::Send { pieces }),
        1 => (0_usize..8).prop_map(|lose| Step::Corrupt { lose }),
        1 => Just(Step::Lose),
        4 => Just(Step::Heartbeat),
        2 => (1_u64..400).prop_map(|secs| Step::Pass { secs }),
        2 => Just(Step::Reconnect),
        2 => Just(Step::Resync),
        1 => Just(Step::Lag),
        1 => Just(Step::Epoch),
    ]
}

/// Both ends, and what went between them.
struct Run {
    broker: Broker,
    rules: Vec<Rule>,
    sent: u64,
    now: Timestamp,
    state: FeedState,
    shared: Shared,
    /// The rules that reached the verifier.
    received: Vec<Rule>,
    /// The epoch that was last confirmed.
    epoch: u64,
}

impl Run {
    fn new() -> Self {
        let mut run = Self {
            broker: Broker::new(1),
            rules: Vec::new(),
            sent: 0,
            now: NOW,
            state: FeedState::default(),
            shared: Shared::new(),
            received: Vec::new(),
            epoch: 0,
        };
        run.connect();
        run
    }

    fn newest(&self) -> u64 {
        self.rules.len() as u64
    }

    /// What the verifier should know by now.
    fn told(&self) -> Vec<Rule> {
        let alive = |rule: &&Rule| rule.seq <= self.sent && !rule.is_prunable(self.now);
        self.rules.iter().filter(alive).cloned().collect()
    }

    /// As the real feed does: an error means another stream.
    fn deliver(&mut self, message: WatchRevocationsResponse) {
        match self.state.on(message, self.now) {
            Ok(Effect::Load { rules }) => {
                self.received.extend(rules.iter().cloned());
                self.shared.load(rules);
            }
            Ok(Effect::Add { rules, seq, .. }) => {
                self.received.extend(rules.iter().cloned());
                self.shared.add(rules, seq);
            }
            Ok(Effect::Confirm { seq, at }) => {
                self.shared.confirm(seq, at, Duration::ZERO);
                if self.epoch != self.broker.epoch {
                    // Another life of the store: what it has heard of is the truth from now on.
                    self.received.retain(|rule| rule.seq <= seq);
                    self.epoch = self.broker.epoch;
                }
                self.complete(seq);
            }
            Ok(Effect::Reload { .. }) => self.shared.distrust(),
            Ok(Effect::Skewed { .. } | Effect::Nothing) => {}
            Err(_) => {
                self.shared.distrust();
                self.connect();
            }
        }
        self.holds();
    }

    fn connect(&mut self) {
        self.state.connected();
        let (epoch, seq) = self.state.resume_point();
        if epoch == self.broker.epoch {
            self.sent = seq;
            self.deliver(self.broker.resumed(seq));
        } else {
            self.snapshot();
        }
    }

    /// The first half; the rest follows in frames.
    fn snapshot(&mut self) {
        self.sent = self.newest() / 2;
        self.deliver(self.broker.snapshot(&self.told(), self.sent));
    }

    fn resync(&mut self) {
        let reason = "drill".into();
        self.deliver(WatchRevocationsResponse {
            message: Some(Message::Resync(Resync { reason })),
        });
    }

    fn beat(&mut self) {
        self.now = self.now.plus(Duration::from_millis(1));
        let beat = self.broker.heartbeat(&self.told(), self.sent, self.now);
        self.deliver(beat);
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Revoke { mins } => {
                let seq = self.newest() + 1;
                let mut rule = rule(seq, Selector::Task(task_id(seq)), self.now);
                rule.prune_at = self.now.plus(Duration::from_mins(mins));
                self.rules.push(rule);
            }
            Step::Send { pieces } => self.send(pieces, None),
            Step::Corrupt { lose } => self.send(1, Some(lose)),
            Step::Lose => self.sent = self.newest(),
            // The broker sends one only after all that it speaks of.
            Step::Heartbeat => {
                self.send(1, None);
                self.beat();
            }
            Step::Pass { secs } => self.now = self.now.plus(Duration::from_secs(secs)),
            Step::Reconnect => self.connect(),
            Step::Resync => {
                self.resync();
                self.snapshot();
            }
            Step::Lag => {
                self.resync();
                self.snapshot();
                self.beat();
                self.connect();
            }
            Step::Epoch => {
                self.broker = Broker::new(self.broker.epoch + 1);
                self.connect();
            }
        }
        self.holds();
    }

    fn send(&mut self, pieces: usize, lose: Option<usize>) {
        let fresh = self.newest() - self.sent;
        let size = fresh.div_ceil(pieces as u64).max(1);
        while self.sent < self.newest() {
            let (from, to) = (self.sent, (self.sent + size).min(self.newest()));
            let within = |rule: &&Rule| rule.seq > from && rule.seq <= to;
            let mut rules: Vec<_> = self.rules.iter().filter(within).cloned().collect();
            if let Some(lose) = lose {
                rules.remove(lose % rules.len());
            }
            self.sent = to;
            self.deliver(Broker::frame(from, to, &rules));
        }
    }

    fn judge(&self, rule: &Rule) -> Result<View, Refusal> {
        let Selector::Task(task) = &rule.selector else {
            unreachable!()
        };
        let facts = Facts {
            credential: None,
            agent: None,
            task: Some(*task),
            ancestors: Vec::new(),
            target: None,
            key: None,
            issued_at: rule.issued_before,
        };
        let strict = Staleness::default();
        self.shared.judge(&facts, &[], strict, Duration::ZERO)
    }

    /// What was sent and is not over is refused, whatever happened since.
    fn holds(&self) {
        for rule in self
            .received
            .iter()
            .filter(|rule| !rule.is_prunable(self.now))
        {
            assert!(self.judge(rule).is_err(), "{rule:?}");
        }
    }

    /// Just confirmed: exactly the broker's rules up to `seq` are in force.
    fn complete(&self, seq: u64) {
        for rule in self.rules.iter().filter(|rule| rule.seq <= seq) {
            match self.judge(rule) {
                Err(Refusal::Revoked { seq }) => assert_eq!(seq, rule.seq),
                Ok(_) => assert!(rule.is_prunable(self.now), "{rule:?}"),
                Err(other) => panic!("confirmed, and yet: {other}"),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn no_rule_is_believed_absent(steps in proptest::collection::vec(step(), 1..40)) {
        let mut run = Run::new();
        for step in steps {
            run.step(step);
        }
        // It always comes round: at most two heartbeats later, all is known.
        run.step(Step::Heartbeat);
        run.step(Step::Heartbeat);
        run.complete(run.newest());
    }
}
