//! The broker of the month: in this process, on a clock that is moved, with its store in memory and
//! its log on disk.
//!
//! Everything is what a broker in service has, but for the sockets: what they prove of a caller is read
//! from the certificates that the broker issued. What runs in the background there is done here each
//! time the clock strikes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use taskpass_broker::{Archiver, Broker, Deps, Limits, LogSettings, first_keys, first_rows};
use taskpass_core::registry::{Operator, Role, Row, State};
use taskpass_core::time::ManualClock;
use taskpass_core::ttl::MAX_IDENTITY_TTL;
use taskpass_core::{Clock as _, Timestamp};
use taskpass_issuer::KeyEncryptionKey;
use taskpass_policy::{Engine, PolicySet};
use taskpass_store::{Batched, Birth, Options, RedbBackend, redb_store};

use super::{OPERATOR, broken};
use crate::context::Context;
use crate::errors::CliError;

/// How often the background has its turn.
const TURN: Duration = Duration::from_hours(1);

/// The broker and its surroundings.
pub(super) struct House {
    pub(super) broker: Arc<Broker>,
    pub(super) clock: ManualClock,
    store: Arc<Batched<RedbBackend>>,
    archiver: Archiver,
    next_turn: Timestamp,
}

impl House {
    /// Opens one at `from`, with its log in `folder`.
    pub(super) async fn open(
        context: &Context,
        policies: PolicySet,
        folder: &Path,
        from: Timestamp,
    ) -> Result<Self, CliError> {
        let clock = ManualClock::new(from);
        let (rng, shared) = (Arc::clone(&context.rng), Arc::new(clock.clone()));
        let birth = Birth {
            trust_domain: "month.taskpass.test"
                .parse()
                .map_err(broken("name a trust domain"))?,
            public_url: "https://broker.month.test".to_owned(),
            crl_url: "http://broker.month.test".to_owned(),
            // No broker serves what was simulated.
            dev: true,
            born_at: from,
            epoch: 1,
        };
        let domain = birth.trust_domain.clone();
        let store = redb_store::in_memory(birth, Options::default());
        let store = Arc::new(store.map_err(broken("make a store"))?);
        let kek = KeyEncryptionKey::from_bytes(rng.bytes32());
        first_keys(&*store, &domain, &kek, &*rng, from)
            .await
            .map_err(broken("make the keys"))?;
        let operator = Row::Operator(Operator {
            name: OPERATOR.parse().map_err(broken("name the operator"))?,
            roles: [Role::Admin].into(),
            state: State::Active,
        });
        first_rows(&*store, vec![operator], &*rng, from)
            .await
            .map_err(broken("register the operator"))?;
        let broker = Broker::open(Deps {
            store: Arc::clone(&store) as Arc<dyn taskpass_store::Store>,
            policy: Engine::new(policies),
            kek,
            clock: shared,
            rng,
            limits: Limits {
                identity_ttl: MAX_IDENTITY_TTL,
                ..Limits::default()
            },
        })
        .await
        .map_err(broken("open the broker"))?;
        let settings = LogSettings {
            folder: folder.to_owned(),
            keep_months: None,
        };
        let archiver = Archiver::open(Arc::clone(&broker), settings)
            .await
            .map_err(broken("open the log"))?;
        Ok(Self {
            broker,
            clock,
            store,
            archiver,
            next_turn: from.plus(TURN),
        })
    }

    /// The store beneath the broker.
    pub(super) fn store(&self) -> &Batched<RedbBackend> {
        &self.store
    }

    /// The next instant up to `at` at which the background has its turn, if there is one.
    pub(super) fn turn_before(&self, at: Timestamp) -> Option<Timestamp> {
        (self.next_turn <= at).then_some(self.next_turn)
    }

    /// Lets time pass until `at`.
    pub(super) fn pass_until(&self, at: Timestamp) {
        self.clock.advance(at.since(self.clock.now()));
    }

    /// What a broker in service does beside the requests, once.
    pub(super) async fn turn(&mut self) -> Result<(), CliError> {
        self.next_turn = self.next_turn.plus(TURN);
        let broker = &self.broker;
        self.settle().await?;
        broker.end_lost().await.map_err(broken("end lost tasks"))?;
        broker.reap().await.map_err(broken("reap"))?;
        broker.rotate_due().await.map_err(broken("rotate keys"))?;
        broker
            .record_counted_denials()
            .await
            .map_err(broken("record counted denials"))?;
        self.archive().await
    }

    /// Records what the newest rules ended.
    pub(super) async fn settle(&self) -> Result<(), CliError> {
        let settled = self.broker.settle().await;
        settled.map(drop).map_err(broken("settle rules"))
    }

    /// Moves entries to the log, and publishes a checkpoint over them.
    async fn archive(&mut self) -> Result<(), CliError> {
        loop {
            let moved = self.archiver.drain().await;
            if moved.map_err(broken("write the log"))? == 0 {
                return Ok(());
            }
        }
    }

    /// Ends as a broker does that is told to stop: everything is in the log.
    pub(super) async fn close(mut self) -> Result<Arc<Broker>, CliError> {
        self.settle().await?;
        let broker = Arc::clone(&self.broker);
        let recorded = broker.record_all_denials().await;
        recorded.map_err(broken("record counted denials"))?;
        broker
            .record_stop()
            .await
            .map_err(broken("record the stop"))?;
        self.archive().await?;
        self.store.close().await;
        Ok(broker)
    }
}
