//! Random lives of a broker: time passes, keys are rotated and tainted, the process dies in the middle.
//! After each step every slot signs with one key that verifiers can know, and whatever may still live can
//! be checked.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use taskpass_core::Timestamp;
use taskpass_core::key::{JWKS_MAX_AGE, KeyId, KeyPurpose, KeyRecord, KeyState};
use taskpass_issuer::rotation::{self, MAX_PUBLISHED};
use taskpass_store::Store;

use super::DAY;
use crate::Broker;
use crate::testing::faulty::{Fault, Faulty};
use crate::testing::{TestBroker, cases, open_on, ops};

#[derive(Debug, Clone)]
enum Op {
    Advance(u64),
    Rotate(usize, bool),
    Taint(usize, KeyState),
    /// The next change of a key dies, before or after it is on disk; then the broker starts again.
    Die(usize, bool),
    Restart,
}

const SLOTS: [KeyPurpose; 5] = [
    KeyPurpose::TokenEs256,
    KeyPurpose::TokenEdDsa,
    KeyPurpose::Feed,
    KeyPurpose::ControlIssuing,
    KeyPurpose::TaskIssuing,
];

fn op() -> impl Strategy<Value = Op> {
    let state = prop_oneof![
        Just(KeyState::Active),
        Just(KeyState::Prepared),
        Just(KeyState::Retired)
    ];
    prop_oneof![
        3 => (1_u64..600).prop_map(Op::Advance),
        2 => (1_u64..DAY).prop_map(Op::Advance),
        3 => (1_u64..50).prop_map(|days| Op::Advance(days * DAY)),
        1 => (200_u64..500).prop_map(|days| Op::Advance(days * DAY)),
        5 => (0..SLOTS.len(), any::<bool>()).prop_map(|(slot, now)| Op::Rotate(slot, now)),
        2 => (0..SLOTS.len(), state).prop_map(|(slot, state)| Op::Taint(slot, state)),
        3 => (0..SLOTS.len(), any::<bool>()).prop_map(|(slot, done)| Op::Die(slot, done)),
        1 => Just(Op::Restart),
    ]
}

struct Run {
    t: TestBroker,
    store: Arc<Faulty>,
    broker: Arc<Broker>,
    /// Until when something that a key signed may live.
    signed_until: BTreeMap<KeyId, Timestamp>,
    active: BTreeMap<KeyPurpose, KeyId>,
}

impl Run {
    async fn new(seed: u64) -> Self {
        let t = TestBroker::seeded(seed).await;
        let store = Faulty::over(Arc::clone(&t.store) as Arc<dyn Store>).await;
        let mut run = Self {
            broker: Arc::clone(&t.broker),
            t,
            store,
            signed_until: BTreeMap::new(),
            active: BTreeMap::new(),
        };
        run.restart().await;
        run
    }

    async fn restart(&mut self) {
        let store = Arc::clone(&self.store) as Arc<dyn Store>;
        self.broker = open_on(store, &self.t.clock, &self.t.rng).await;
    }

    /// Does it; says whether a key may sign that not everybody knows yet.
    async fn apply(&mut self, op: &Op) -> bool {
        match op {
            Op::Advance(secs) => {
                self.sign();
                self.t.advance(*secs);
                false
            }
            Op::Rotate(slot, now) => {
                let purpose = SLOTS[*slot].as_str();
                let rotated = self.broker.rotate_key(&ops(), purpose, *now).await;
                if let Err(error) = rotated {
                    assert_eq!(error.reason(), "KEY_NOT_READY");
                }
                *now
            }
            Op::Taint(slot, state) => {
                let keys = self.store.keys().await.unwrap();
                let found = keys
                    .iter()
                    .find(|key| key.purpose == SLOTS[*slot] && key.state == *state);
                if let Some(key) = found {
                    let id = key.id.as_str();
                    self.broker.taint_key(&ops(), id, "drill").await.unwrap();
                    let keys = self.store.keys().await.unwrap();
                    let tainted = keys.iter().find(|other| other.id == key.id).unwrap();
                    assert_eq!(tainted.state, KeyState::Tainted);
                    self.signed_until.remove(&key.id);
                }
                true
            }
            Op::Die(slot, done) => {
                let fault = if *done {
                    Fault::DoneUnheard
                } else {
                    Fault::NotDone
                };
                self.store.fail_next_key(Some(fault));
                let purpose = SLOTS[*slot].as_str();
                let _ = self.broker.rotate_due().await;
                let _ = self.broker.rotate_key(&ops(), purpose, true).await;
                self.store.fail_next_key(None);
                self.restart().await;
                true
            }
            Op::Restart => {
                self.restart().await;
                false
            }
        }
    }

    /// Whatever is active signs something that lives as long as it may.
    fn sign(&mut self) {
        let now = self.broker.now();
        for record in self.broker.issuer().records() {
            if let (KeyState::Active, Some(longest)) =
                (record.state, record.purpose.longest_signed())
            {
                let until = now.plus(longest.duration());
                self.signed_until.insert(record.id.clone(), until);
            }
        }
    }

    async fn check(&mut self, early: bool) {
        let now = self.broker.now();
        let keys = self.store.keys().await.unwrap();
        assert_eq!(self.broker.issuer().records(), keys);
        let states = |purpose, state| -> Vec<&KeyRecord> {
            keys.iter()
                .filter(|key| key.purpose == purpose && key.state == state)
                .collect()
        };
        for purpose in KeyPurpose::ALL {
            assert_eq!(states(*purpose, KeyState::Active).len(), 1, "{purpose}");
        }
        for purpose in SLOTS {
            let [active] = states(purpose, KeyState::Active)[..] else {
                unreachable!()
            };
            assert_eq!(states(purpose, KeyState::Prepared).len(), 1, "{purpose}");
            let published = keys
                .iter()
                .filter(|key| key.purpose == purpose && key.is_published(now));
            assert!(published.count() <= MAX_PUBLISHED, "{purpose}");
            let private = keys
                .iter()
                .filter(|key| key.purpose == purpose && key.has_private());
            assert!(private.count() <= MAX_PUBLISHED, "{purpose}");
            let before = self.active.insert(purpose, active.id.clone());
            let took_over = before.is_some_and(|before| before != active.id);
            if took_over && !early && purpose.longest_signed().is_some() {
                let since = active.activated_at.unwrap();
                let known = since >= active.created_at.plus(JWKS_MAX_AGE);
                // Unless what it replaced was over: then nobody is kept waiting.
                assert!(
                    known || active.not_after.is_some(),
                    "{purpose} signs too early"
                );
            }
            if let (Some(end), Some(longest)) = (active.not_after, purpose.longest_signed()) {
                assert!(
                    end >= now.plus(longest.duration()),
                    "{purpose} covers its leaves"
                );
            }
            assert!(rotation::takes_over_at(&keys, purpose, now).is_some());
        }
        self.check_published(&keys, now);
    }

    /// What may still live can be checked with what is published.
    fn check_published(&mut self, keys: &[KeyRecord], now: Timestamp) {
        self.signed_until.retain(|_, until| now < *until);
        let issuer = self.broker.issuer();
        let jwks = issuer.jwks(now);
        assert!(jwks.len() <= 2 * MAX_PUBLISHED);
        let authorities: Vec<_> = taskpass_issuer::Hierarchy::ALL
            .into_iter()
            .flat_map(|hierarchy| issuer.authorities(hierarchy, now))
            .map(|view| view.key)
            .collect();
        for id in self.signed_until.keys() {
            let key = keys.iter().find(|key| key.id == *id).unwrap();
            assert!(
                jwks.get(id).is_some() || authorities.contains(id),
                "{} {id} is {} and not published",
                key.purpose,
                key.state
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(48), ..ProptestConfig::default() })]

    #[test]
    fn keys_live_as_they_should(seed: u64, ops in prop::collection::vec(op(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut run = Run::new(seed).await;
            for op in &ops {
                let early = run.apply(op).await;
                run.broker.rotate_due().await.unwrap();
                run.check(early).await;
            }
        });
    }
}
