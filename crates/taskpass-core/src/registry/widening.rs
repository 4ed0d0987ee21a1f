//! Whether a change of the registry lets somebody have, or do, what they could not before.
//!
//! Such a change is a recorded act with a reason; one that only takes away needs none. The rows are
//! taken apart field by field, so that a new field is judged here before it compiles. What cannot be
//! compared (a label may be what a policy permits by; a default may be higher than what replaces it)
//! counts as wider: the answer is never "no" where it might be "yes".

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Agent, ClientKey, LimitName, Limits, Observe, Operator, Owner, Role, Row, Target, Verifier,
};
use crate::access::{Access, TokenProfile, words};
use crate::scope::ScopeName;
use crate::time::Timestamp;
use crate::ttl::Ttl;

words!(
    /// What a change widens: the name of the field.
    Widening, "the name of a field", {
    /// Somebody else is accountable.
    Owner => "owner",
    /// It is trusted further.
    Stage => "stage",
    /// It may be granted more scopes; of a target, a scope is said to do less harm than before.
    Scopes => "scopes",
    /// It is let for longer.
    ValidUntil => "valid_until",
    /// Its credentials, or those for it, may live longer.
    MaxTtl => "max_ttl",
    /// What policies see of it is another.
    Labels => "labels",
    /// It may prove itself by another key, or by one for longer.
    ClientKeys => "client_keys",
    /// It may take more, or may: what is not set is the configuration's default.
    Limits => "limits",
    /// It is said to be less risky.
    Risk => "risk",
    /// Its tokens leave out what binding and status lists need (the profile for clouds).
    TokenProfile => "token_profile",
    /// What no policy permits there is allowed, or for longer.
    Observe => "observe",
    /// It may do more.
    Roles => "roles",
    /// It may speak for more targets.
    Targets => "targets",
});

/// What `new` lets somebody have or do that `old` did not. Nothing for rows of different kinds, which
/// no change makes of each other, and for states, which are changed by verbs of their own.
pub fn widening(old: &Row, new: &Row) -> Vec<Widening> {
    let judged = match (old, new) {
        (Row::Owner(old), Row::Owner(new)) => owner(old, new),
        (Row::Agent(old), Row::Agent(new)) => agent(old, new),
        (Row::Target(old), Row::Target(new)) => target(old, new),
        (Row::Operator(old), Row::Operator(new)) => operator(old, new),
        (Row::Verifier(old), Row::Verifier(new)) => verifier(old, new),
        (
            Row::Owner(_)
            | Row::Agent(_)
            | Row::Target(_)
            | Row::Operator(_)
            | Row::Verifier(_)
            | Row::System(_),
            _,
        ) => Vec::new(),
    };
    let wider = judged.into_iter().filter(|(wider, _)| *wider);
    wider.map(|(_, what)| what).collect()
}

type Judged = Vec<(bool, Widening)>;

fn owner(old: &Owner, new: &Owner) -> Judged {
    let Owner {
        name: _,
        contact: _,
        state: _,
        limits,
    } = new;
    vec![(looser(&old.limits, limits), Widening::Limits)]
}

fn agent(old: &Agent, new: &Agent) -> Judged {
    let Agent {
        name: _,
        owner,
        purpose: _,
        stage,
        scopes,
        valid_until,
        max_ttl,
        labels,
        state: _,
        created_at: _,
        client_keys,
        limits,
    } = new;
    vec![
        (*owner != old.owner, Widening::Owner),
        (*stage > old.stage, Widening::Stage),
        (!scopes.is_subset(&old.scopes), Widening::Scopes),
        (*valid_until > old.valid_until, Widening::ValidUntil),
        (longer(old.max_ttl, *max_ttl), Widening::MaxTtl),
        (*labels != old.labels, Widening::Labels),
        (
            more_keys(&old.client_keys, client_keys),
            Widening::ClientKeys,
        ),
        (looser(&old.limits, limits), Widening::Limits),
    ]
}

fn target(old: &Target, new: &Target) -> Judged {
    let Target {
        uri: _,
        scopes,
        risk,
        token_alg: _,
        token_profile,
        max_ttl,
        state: _,
        limits,
        observe,
    } = new;
    let for_clouds = |profile| profile == TokenProfile::Cloud;
    vec![
        (milder(&old.scopes, scopes), Widening::Scopes),
        (*risk < old.risk, Widening::Risk),
        (
            for_clouds(*token_profile) && !for_clouds(old.token_profile),
            Widening::TokenProfile,
        ),
        (
            observed_until(observe.as_ref()) > observed_until(old.observe.as_ref()),
            Widening::Observe,
        ),
        (longer(old.max_ttl, *max_ttl), Widening::MaxTtl),
        (looser(&old.limits, limits), Widening::Limits),
    ]
}

fn observed_until(observe: Option<&Observe>) -> Option<Timestamp> {
    observe.map(|observe| observe.until)
}

fn operator(old: &Operator, new: &Operator) -> Judged {
    let Operator {
        name: _,
        roles,
        state: _,
    } = new;
    let had = |role: &Role| {
        let covering: &[Role] = match role {
            Role::Admin => &[Role::Admin],
            Role::Responder => &[Role::Responder, Role::Admin],
            Role::Auditor => &[Role::Auditor, Role::Responder, Role::Admin],
        };
        covering.iter().any(|role| old.roles.contains(role))
    };
    vec![(!roles.iter().all(had), Widening::Roles)]
}

fn verifier(old: &Verifier, new: &Verifier) -> Judged {
    let Verifier {
        name: _,
        targets,
        state: _,
    } = new;
    vec![(!targets.is_subset(&old.targets), Widening::Targets)]
}

/// Whether a cap was raised or removed.
fn longer(old: Option<Ttl>, new: Option<Ttl>) -> bool {
    match (old, new) {
        (Some(old), Some(new)) => new > old,
        (Some(_), None) => true,
        (None, _) => false,
    }
}

/// Whether a scope that was there is now said to do less: policies, stages and binding go by it.
fn milder(old: &BTreeMap<ScopeName, Access>, new: &BTreeMap<ScopeName, Access>) -> bool {
    new.iter()
        .any(|(scope, access)| old.get(scope).is_some_and(|before| access < before))
}

fn more_keys(old: &[ClientKey], new: &[ClientKey]) -> bool {
    let until: BTreeMap<_, _> = old.iter().map(|key| (&key.id, key.until)).collect();
    new.iter()
        .any(|key| until.get(&key.id).is_none_or(|until| key.until > *until))
}

fn looser(old: &Limits, new: &Limits) -> bool {
    let Limits {
        live_credentials: _,
        live_tasks: _,
        issues_per_second: _,
        depth: _,
        fan_out: _,
    } = new;
    let names: BTreeSet<_> = LimitName::ALL.iter().copied().collect();
    names
        .into_iter()
        .any(|name| match (old.get(name), new.get(name)) {
            (Some(old), Some(new)) => new > old,
            (None, Some(new)) => new > 0,
            (Some(_), None) => true,
            (None, None) => false,
        })
}

#[cfg(test)]
mod tests;
