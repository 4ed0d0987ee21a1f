//! The broker: what every use case reads, and how it is opened.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use taskpass_core::identity::Principal;
use taskpass_core::listing::ListId;
use taskpass_core::registry::{Registry, Row, RowKey, Versioned};
use taskpass_core::rng::Rng;
use taskpass_core::spiffe::{SpiffeId, TrustDomain};
use taskpass_core::ttl::{self, Ttl};
use taskpass_core::{Clock, DecisionId, Timestamp};
use taskpass_issuer::{Issuer, IssuerConfig, KeyEncryptionKey};
use taskpass_policy::Engine;
use taskpass_store::{Birth, Commit, CommitError, Committed, MetaKey, Store, StoreError};

use crate::client_keys::Assertions;
use crate::clock::WatchedClock;
use crate::denials::Denials;
use crate::error::Error;
use crate::limits::{LimitDefaults, Rates};
use crate::lists::{Cache, CrlName, CrlNumbers, RevokedLists};
use crate::metrics::Metrics;
use crate::places::{self, Places};
use crate::policy::current::Succession;
use crate::registry::ChangeRules;
use crate::standing::Standing;

/// Pieces of a backup that wait to be taken, a quarter of a megabyte each.
const PIECES: usize = 4;

/// Limits and defaults, beneath the code's hard maxima.
#[derive(Debug, Clone)]
pub struct Limits {
    /// A token's life where the request names none.
    pub token_ttl: Ttl,
    /// A certificate's life where the request names none.
    pub certificate_ttl: Ttl,
    /// A task's life where the request names none.
    pub task_ttl: Ttl,
    /// The longest task.
    pub task_max_ttl: Ttl,
    /// The life of an identity certificate.
    pub identity_ttl: Ttl,
    /// How much may be taken at once, where a registration says nothing.
    pub amounts: LimitDefaults,
    /// What changes of the registry ask for.
    pub changes: ChangeRules,
    /// How much may be reported of what credentials are used for.
    pub uses: crate::uses::UseLimits,
    /// How long a tied task goes on without its process.
    pub lost_after: Duration,
    /// How far the clocks of those who check may differ from ours; records outlive it.
    pub skew: Duration,
    /// How long expired records are kept for reading, beyond the skew.
    pub retention: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            token_ttl: Ttl::from_mins(5),
            certificate_ttl: Ttl::from_mins(15),
            task_ttl: Ttl::from_hours(1),
            task_max_ttl: ttl::MAX_TASK_TTL,
            identity_ttl: Ttl::from_hours(24),
            amounts: LimitDefaults::default(),
            uses: crate::uses::UseLimits::default(),
            changes: ChangeRules::default(),
            lost_after: crate::liveness::LOST_AFTER,
            skew: ttl::CLOCK_SKEW,
            retention: Duration::from_mins(5),
        }
    }
}

/// What a broker is made of.
pub struct Deps {
    /// The durable memory.
    pub store: Arc<dyn Store>,
    /// The policy engine.
    pub policy: Engine,
    /// Unseals the signing keys.
    pub kek: KeyEncryptionKey,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids, jitter and enrolment secrets.
    pub rng: Arc<dyn Rng>,
    /// Limits and defaults.
    pub limits: Limits,
}

impl std::fmt::Debug for Deps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deps")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Why a broker did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store did not answer.
    #[error("the store could not be read")]
    Store(#[from] StoreError),
    /// The keys did not open.
    #[error("the signing keys could not be unsealed")]
    Keys(#[from] taskpass_issuer::OpenError),
    /// The key that orders places on lists could not be read or drawn.
    #[error("the key of the published lists could not be opened")]
    Lists(#[source] Error),
    /// Other policies than those that were last in force, and two operators have to approve them.
    #[error(
        "the policies {set} were not approved by two operators, and are not those that were in force"
    )]
    PolicyNotApproved {
        /// The hash of the set.
        set: taskpass_core::secret::Sha256,
    },
    /// The first entry could not be written.
    #[error("the start could not be recorded")]
    Record(#[source] Error),
}

/// The broker.
pub struct Broker {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) policy: Engine,
    pub(crate) succession: Succession,
    pub(crate) kek: KeyEncryptionKey,
    pub(crate) clock: WatchedClock,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) limits: Limits,
    pub(crate) registry: ArcSwap<Registry>,
    pub(crate) issuer: ArcSwap<Issuer>,
    reloading_keys: tokio::sync::Mutex<()>,
    keys_seen: tokio::sync::watch::Sender<u64>,
    pub(crate) denials: Denials,
    /// The entry of this start, while there is no room for it.
    pub(crate) late_start: tokio::sync::Mutex<Option<Commit>>,
    pub(crate) rates: Rates,
    pub(crate) use_paces: crate::uses::UsePaces,
    pub(crate) assertions: Assertions,
    pub(crate) places: Places,
    pub(crate) ties: crate::liveness::Ties,
    pub(crate) drills: crate::drill::Drills,
    pub(crate) revoked_lists: RevokedLists,
    pub(crate) status_documents: Cache<ListId>,
    pub(crate) crl_documents: Cache<CrlName>,
    pub(crate) crl_numbers: CrlNumbers,
    pub(crate) metrics: Metrics,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker")
            .field("birth", self.store.birth())
            .finish_non_exhaustive()
    }
}

impl Broker {
    /// Opens a broker on a store that was initialised.
    pub async fn open(deps: Deps) -> Result<Arc<Self>, OpenError> {
        let registry = read_registry(&*deps.store).await?;
        let records = deps.store.keys().await?;
        let issuer = Issuer::open(records, issuer_config(deps.store.birth()), &deps.kek)?;
        let clock = WatchedClock::new(deps.clock, deps.store.last_committed_at());
        let list_key = places::list_key(&deps.store, &*deps.rng, clock.now())
            .await
            .map_err(OpenError::Lists)?;
        let ties = crate::liveness::recorded(&*deps.store).await?;
        let broker = Self {
            policy: deps.policy,
            succession: Succession::default(),
            kek: deps.kek,
            clock,
            rng: deps.rng,
            limits: deps.limits,
            registry: ArcSwap::from_pointee(registry),
            issuer: ArcSwap::from_pointee(issuer),
            reloading_keys: tokio::sync::Mutex::default(),
            keys_seen: tokio::sync::watch::Sender::default(),
            denials: Denials::default(),
            late_start: tokio::sync::Mutex::default(),
            rates: Rates::default(),
            use_paces: crate::uses::UsePaces::default(),
            assertions: Assertions::since(deps.store.last_committed_at()),
            places: Places::new(list_key),
            ties,
            drills: crate::drill::Drills::default(),
            revoked_lists: RevokedLists::default(),
            status_documents: Cache::default(),
            crl_documents: Cache::default(),
            crl_numbers: CrlNumbers::default(),
            metrics: Metrics::default(),
            store: deps.store,
        };
        let set = broker.policy_hash();
        let approved = broker.may_come_into_force(set).await;
        if !approved.map_err(OpenError::Record)? {
            return Err(OpenError::PolicyNotApproved { set });
        }
        broker.record_start().await.map_err(OpenError::Record)?;
        Ok(Arc::new(broker))
    }

    /// What the store was made for.
    pub fn birth(&self) -> &Birth {
        self.store.birth()
    }

    /// The trust domain.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.store.birth().trust_domain
    }

    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What the store counts.
    pub fn store_stats(&self) -> taskpass_store::Stats {
        self.store.stats()
    }

    /// How many rules are in force, and the newest `seq`.
    pub fn rules_in_force(&self) -> (usize, u64) {
        let rules = self.store.rules();
        (rules.len(), rules.newest_seq())
    }

    /// Tells of each newer rule's `seq`.
    pub fn watch_rules(&self) -> tokio::sync::watch::Receiver<u64> {
        self.store.rules().subscribe()
    }

    /// Tells whenever the keys have changed.
    pub fn watch_keys(&self) -> tokio::sync::watch::Receiver<u64> {
        self.keys_seen.subscribe()
    }

    /// The keys and authorities of this moment.
    pub fn issuer(&self) -> Arc<Issuer> {
        self.issuer.load_full()
    }

    /// The registry of this moment.
    pub fn registry(&self) -> Arc<Registry> {
        self.registry.load_full()
    }

    /// The hash of the policy set in force.
    pub fn policy_hash(&self) -> taskpass_core::secret::Sha256 {
        self.policy.current().hash()
    }

    /// Whether the wall clock is trusted for issuing.
    pub fn clock_is_safe(&self) -> bool {
        self.clock.is_safe()
    }

    /// Since when the broker is sealed, if it is.
    pub fn sealed_at(&self) -> Option<Timestamp> {
        self.registry.load().system().sealed_at
    }

    /// Hands over the store as it is now, as the pieces of a backup file.
    pub async fn backup(
        self: &Arc<Self>,
        caller: &Standing,
    ) -> Result<tokio::sync::mpsc::Receiver<Result<bytes::Bytes, Error>>, Error> {
        // Recorded before the moment of which it is.
        self.record_read(caller, "a backup of the store").await?;
        let (out, mut pieces) = tokio::sync::mpsc::channel(PIECES);
        let (answer, answers) = tokio::sync::mpsc::channel(PIECES);
        let broker = Arc::clone(self);
        tokio::spawn(async move {
            let backup = broker.store.backup(broker.clock.now(), out);
            let hand_over = async {
                while let Some(piece) = pieces.recv().await {
                    if answer.send(Ok(piece)).await.is_err() {
                        // Whoever asked has gone; without this end the store's stops, too.
                        drop(pieces);
                        return;
                    }
                }
            };
            let (done, ()) = tokio::join!(backup, hand_over);
            if let Err(error) = done {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a backup ended early"
                );
                let _ = answer.send(Err(error.into())).await;
            }
        });
        Ok(answers)
    }

    /// The wall clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn decision_id(&self, now: Timestamp) -> DecisionId {
        DecisionId::generate(now, &*self.rng)
    }

    pub(crate) fn spiffe_id(&self, principal: &Principal) -> SpiffeId {
        SpiffeId::new(self.trust_domain().clone(), principal.subject())
    }

    /// Reads the whole registry again: after a guard said that it has changed.
    pub(crate) async fn reload_registry(&self) -> Result<(), Error> {
        let (version, rows) = registry_rows(&*self.store).await?;
        // A row that was committed since the rows were read is newer, and stays.
        self.registry.rcu(|registry| {
            let mut next = Registry::clone(registry);
            for row in &rows {
                next.put(row.clone());
            }
            next.reaches(version);
            next
        });
        Ok(())
    }

    /// Reads the keys again: after one changed its state.
    pub(crate) async fn reload_keys(&self) -> Result<(), Error> {
        // One at a time, reading included: the newest reading is the last to be put in place.
        let _alone = self.reloading_keys.lock().await;
        let records = self.store.keys().await?;
        let issuer = Issuer::open(records, issuer_config(self.birth()), &self.kek)
            .map_err(Error::internal)?;
        self.issuer.store(Arc::new(issuer));
        self.keys_seen
            .send_modify(|seen| *seen = seen.wrapping_add(1));
        Ok(())
    }

    /// Commits, and brings the registry up to date with what was written.
    pub(crate) async fn commit(&self, commit: Commit) -> Result<Committed, CommitError> {
        let rows: Vec<_> = commit
            .changes
            .iter()
            .filter_map(|change| match change {
                taskpass_store::Change::PutRow(row) => Some(row.clone()),
                _ => None,
            })
            .collect();
        let committed = self.store.commit(commit).await?;
        if !rows.is_empty() {
            self.adopt(&rows, &committed);
        }
        for rule in &committed.rules {
            self.metrics.revocations.one();
            tracing::info!(seq = rule.seq, selector = %rule.selector, actor = %rule.actor, "revoked");
        }
        Ok(committed)
    }

    fn adopt(&self, rows: &[taskpass_core::registry::Row], committed: &Committed) {
        // A row that is written twice in a commit has the later version.
        let versions: BTreeMap<&RowKey, u64> = committed
            .rows
            .iter()
            .map(|(key, version)| (key, *version))
            .collect();
        self.registry.rcu(|registry| {
            let mut next = Registry::clone(registry);
            for value in rows {
                let key = value.key();
                if let Some(version) = versions.get(&key) {
                    next.put(taskpass_core::registry::Versioned {
                        value: value.clone(),
                        version: *version,
                    });
                }
            }
            if let Some(version) = committed.registry_version {
                next.took(version);
            }
            next
        });
    }
}

/// The rows, and a version that they have reached: read before them, so that it never says too much.
async fn registry_rows(store: &dyn Store) -> Result<(u64, Vec<Versioned<Row>>), StoreError> {
    let version = store.meta(MetaKey::RegistryVersion).await?;
    let rows = store.registry().await?;
    Ok((taskpass_store::registry_version(version.as_deref()), rows))
}

async fn read_registry(store: &dyn Store) -> Result<Registry, StoreError> {
    let (version, rows) = registry_rows(store).await?;
    let mut registry = Registry::from_rows(rows);
    registry.reaches(version);
    Ok(registry)
}

pub(crate) fn issuer_config(birth: &Birth) -> IssuerConfig {
    IssuerConfig {
        trust_domain: birth.trust_domain.clone(),
        issuer_url: birth.public_url.clone(),
        crl_url: birth.crl_url.clone(),
    }
}
