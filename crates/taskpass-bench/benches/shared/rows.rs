//! Whom the benches of the parts register.

use std::collections::BTreeSet;
use std::time::Duration;

use taskpass_core::access::{Access, Risk, Stage, TokenAlg, TokenProfile};
use taskpass_core::registry::{Agent, Limits, Owner, State, Target};
use taskpass_core::{ScopeRef, Timestamp};

pub(crate) const LEDGER: &str = "https://ledger.example";

/// The owner of all agents.
pub(crate) fn owner() -> Owner {
    Owner {
        name: "team".parse().unwrap(),
        contact: "team@example.org".into(),
        limits: Limits::NONE,
        state: State::Active,
    }
}

/// A target with a scope for each of these, of the same name.
pub(crate) fn target(uri: &str, token_alg: TokenAlg, scopes: &[Access]) -> Target {
    let scopes = scopes.iter();
    Target {
        uri: uri.parse().unwrap(),
        scopes: scopes
            .map(|access| (access.as_str().parse().unwrap(), *access))
            .collect(),
        risk: Risk::Medium,
        token_alg,
        token_profile: TokenProfile::OAuth,
        limits: Limits::NONE,
        observe: None,
        max_ttl: None,
        state: State::Active,
    }
}

/// An agent with these scopes.
pub(crate) fn agent(name: &str, stage: Stage, scopes: BTreeSet<ScopeRef>, now: Timestamp) -> Agent {
    Agent {
        name: name.parse().unwrap(),
        owner: "team".parse().unwrap(),
        purpose: "bench".into(),
        stage,
        scopes,
        valid_until: now.plus(Duration::from_hours(24)),
        client_keys: Vec::new(),
        limits: Limits::NONE,
        max_ttl: None,
        labels: [].into(),
        state: State::Active,
        created_at: now,
    }
}
