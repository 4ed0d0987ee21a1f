//! A small world for the tests: one agent, its owner, and two targets.

use std::collections::{BTreeMap, BTreeSet};

use taskpass_core::access::{Access, Risk, Stage, TokenAlg, TokenProfile};
use taskpass_core::grant::Ask;
use taskpass_core::registry::{Agent, Limits, Owner, State, Target, Versioned};
use taskpass_core::rng::SeededRng;
use taskpass_core::{DecisionId, ScopeRef, TaskId, Timestamp, Ttl};

use crate::request::Request;
use crate::set::PolicySet;

pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
pub(crate) const SCHEMA: &str = include_str!("../../../config/policies/taskpass.cedarschema");

/// What requests are made from; the fields are there to be changed.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) agent: Versioned<Agent>,
    pub(crate) owner: Option<Versioned<Owner>>,
    pub(crate) ledger: Versioned<Target>,
    pub(crate) mail: Versioned<Target>,
    pub(crate) delegating_from: Option<taskpass_core::AgentName>,
    pub(crate) task: Option<TaskId>,
    pub(crate) purpose: String,
}

impl World {
    /// In which everything is in order: the agent is autonomous and registered for all six scopes.
    pub(crate) fn new() -> Self {
        let ledger = target("https://ledger.example");
        let mail = target("https://mail.example");
        let scopes = [&ledger, &mail].into_iter().flat_map(|target| {
            Access::ALL
                .iter()
                .map(|access| scope(target.value.uri.as_str(), *access))
        });
        Self {
            agent: Versioned {
                value: Agent {
                    name: "invoice-bot".parse().unwrap(),
                    owner: "payments".parse().unwrap(),
                    purpose: "pays invoices".into(),
                    stage: Stage::Autonomous,
                    scopes: scopes.collect(),
                    valid_until: Timestamp::from_secs(1_800_000_000),
                    max_ttl: None,
                    labels: BTreeMap::from([("env".into(), "prod".into())]),
                    state: State::Active,
                    created_at: Timestamp::ZERO,
                    client_keys: Vec::new(),
                    limits: Limits::NONE,
                },
                version: 7,
            },
            owner: Some(Versioned {
                value: Owner {
                    name: "payments".parse().unwrap(),
                    contact: "payments@corp.example".into(),
                    limits: Limits::NONE,
                    state: State::Active,
                },
                version: 3,
            }),
            ledger,
            mail,
            delegating_from: None,
            task: None,
            purpose: "invoice 4711".into(),
        }
    }

    pub(crate) fn request(&self, ask: Ask) -> Request<'_> {
        Request {
            agent: &self.agent,
            owner: self.owner.as_ref(),
            targets: vec![&self.ledger, &self.mail],
            ask,
            delegating_from: self.delegating_from.as_ref(),
            task: self.task,
            purpose: &self.purpose,
            depth: 1,
            ttl: Ttl::from_mins(5),
            attestation: "mtls",
            now: NOW,
        }
    }
}

fn target(uri: &str) -> Versioned<Target> {
    let value = Target {
        uri: uri.parse().unwrap(),
        scopes: Access::ALL
            .iter()
            .map(|access| (access.as_str().parse().unwrap(), *access))
            .collect(),
        risk: Risk::Medium,
        token_alg: TokenAlg::Es256,
        token_profile: TokenProfile::OAuth,
        limits: Limits::NONE,
        observe: None,
        max_ttl: None,
        state: State::Active,
    };
    Versioned { value, version: 5 }
}

/// The scope at `target` that is named as what it does.
pub(crate) fn scope(target: &str, access: Access) -> ScopeRef {
    format!("{target}#{access}").parse().unwrap()
}

pub(crate) fn ledger(access: Access) -> ScopeRef {
    scope("https://ledger.example", access)
}

pub(crate) fn mail(access: Access) -> ScopeRef {
    scope("https://mail.example", access)
}

pub(crate) fn scopes<const N: usize>(scopes: [ScopeRef; N]) -> Ask {
    Ask::Scopes(BTreeSet::from(scopes))
}

pub(crate) fn decision() -> DecisionId {
    DecisionId::generate(NOW, &SeededRng::new(1))
}

pub(crate) fn task() -> TaskId {
    TaskId::generate(Timestamp::from_secs(1_700_003_600), &SeededRng::new(2))
}

/// A set of one file under the shipped schema.
pub(crate) fn set(text: &str) -> PolicySet {
    PolicySet::from_sources(SCHEMA, &[("test.cedar".into(), text.into())]).unwrap()
}
