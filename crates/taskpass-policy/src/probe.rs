//! Whether a schema describes what the engine asks.
//!
//! A schema can be changed together with the policies: labels made stricter, an entity extended.
//! One that no longer fits would deny every request; trying all forms of a request at load says so
//! while the set that works is still in force.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

use taskpass_core::access::{Access, Risk, Stage, TokenAlg, TokenProfile};
use taskpass_core::grant::Ask;
use taskpass_core::registry::{
    Agent, Limits, Operator, Owner, Role, State, Target, Verifier, Versioned,
};
use taskpass_core::verb::Verb;
use taskpass_core::{CredentialId, ScopeName, ScopeRef, TargetUri, TaskId, Timestamp, ttl};

use crate::facts::Facts;
use crate::operator::{Act, Thing};
use crate::request::Request;
use crate::set::PolicySet;

/// Builds every form of request under `set`'s schema.
pub(crate) fn fits(set: &PolicySet) -> Result<(), Box<dyn Error + Send + Sync>> {
    let owner = owner()?;
    for stage in Stage::ALL {
        for risk in Risk::ALL {
            let target = target(*risk)?;
            let agent = agent(*stage, &target)?;
            for ask in [
                Ask::Scopes(agent.value.scopes.clone()),
                Ask::Certificate,
                Ask::Svid,
            ] {
                let request = Request {
                    agent: &agent,
                    owner: Some(&owner),
                    targets: vec![&target],
                    ask,
                    delegating_from: Some(&agent.value.name),
                    task: Some(TaskId::first_at(Timestamp::ZERO)),
                    purpose: "",
                    depth: 0,
                    ttl: ttl::MIN_TTL,
                    attestation: "mtls",
                    now: Timestamp::ZERO,
                };
                Facts::of(set, &request)?;
            }
        }
    }
    operators(set, &owner.value)
}

/// An agent and its owner.
pub(crate) fn rows() -> Result<(Agent, Owner), Box<dyn Error + Send + Sync>> {
    let target = target(Risk::Low)?;
    Ok((agent(Stage::ReadOnly, &target)?.value, owner()?.value))
}

/// Builds every form of an operator's act.
fn operators(set: &PolicySet, owner: &Owner) -> Result<(), Box<dyn Error + Send + Sync>> {
    let target = target(Risk::Low)?.value;
    let (agent, _) = rows()?;
    let operator = Operator {
        name: "probe".parse()?,
        roles: Role::ALL.iter().copied().collect(),
        state: State::Active,
    };
    let verifier = Verifier {
        name: "probe".parse()?,
        targets: [target.uri.clone()].into(),
        state: State::Active,
    };
    let entries = || {
        vec![
            Thing::Owner(owner),
            Thing::Agent(&agent, Some(owner)),
            Thing::Target(&target),
            Thing::Operator(&operator),
            Thing::Verifier(&verifier),
        ]
    };
    for verb in Verb::ALL {
        let mut things = match verb {
            Verb::Register
            | Verb::Update
            | Verb::Suspend
            | Verb::Resume
            | Verb::Retire
            | Verb::CreateEnrolmentToken => entries(),
            Verb::Revoke => vec![
                Thing::Credential {
                    id: CredentialId::first_at(Timestamp::ZERO),
                    agent: &agent,
                },
                Thing::Task {
                    id: TaskId::first_at(Timestamp::ZERO),
                    agent: &agent,
                },
                Thing::Agent(&agent, None),
                Thing::Owner(owner),
                Thing::Target(&target),
                Thing::Key("probe"),
            ],
            Verb::TaintKey => vec![Thing::Key("probe")],
            _ => vec![Thing::Broker],
        };
        if matches!(verb, Verb::Resume | Verb::Revoke) {
            things.push(Thing::Broker);
        }
        let act = Act {
            operator: &operator.name,
            roles: &operator.roles,
            verb: *verb,
            things,
            reason: "",
            now: Timestamp::ZERO,
        };
        for thing in &act.things {
            Facts::of_act(set, &act, thing)?;
        }
    }
    Ok(())
}

fn owner() -> Result<Versioned<Owner>, Box<dyn Error + Send + Sync>> {
    Ok(first(Owner {
        name: "probe".parse()?,
        contact: String::new(),
        limits: Limits::NONE,
        state: State::Active,
    }))
}

fn target(risk: Risk) -> Result<Versioned<Target>, Box<dyn Error + Send + Sync>> {
    let scopes: Result<BTreeMap<ScopeName, Access>, _> = Access::ALL
        .iter()
        .map(|access| access.as_str().parse().map(|name| (name, *access)))
        .collect();
    Ok(first(Target {
        uri: "urn:probe".parse::<TargetUri>()?,
        scopes: scopes?,
        risk,
        token_alg: TokenAlg::Es256,
        token_profile: TokenProfile::OAuth,
        limits: Limits::NONE,
        observe: None,
        max_ttl: None,
        state: State::Active,
    }))
}

fn agent(
    stage: Stage,
    target: &Versioned<Target>,
) -> Result<Versioned<Agent>, Box<dyn Error + Send + Sync>> {
    let uri = &target.value.uri;
    let scopes: BTreeSet<ScopeRef> = target
        .value
        .scopes
        .keys()
        .map(|scope| ScopeRef {
            target: uri.clone(),
            scope: scope.clone(),
        })
        .collect();
    Ok(first(Agent {
        name: "probe".parse()?,
        owner: "probe".parse()?,
        purpose: String::new(),
        stage,
        scopes,
        valid_until: Timestamp::ZERO,
        max_ttl: None,
        labels: BTreeMap::from([("env".to_owned(), "probe".to_owned())]),
        state: State::Active,
        created_at: Timestamp::ZERO,
        client_keys: Vec::new(),
        limits: Limits::NONE,
    }))
}

const fn first<T>(value: T) -> Versioned<T> {
    Versioned { value, version: 1 }
}
