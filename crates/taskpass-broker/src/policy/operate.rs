//! What operators may do: asked once for each act.
//!
//! Which roles may call a method is a table in code, asked before this and never widened by it. Acts whose
//! object matters (registry, enrolment, revocation, tainting) are asked in their use case, about what is
//! changed, and again whenever the change is tried again; all others at the gate, about the broker as a
//! whole. The decision goes with the caller: into the entries that it makes, and, of a change, into the
//! guards of its commit.
//!
//! Nothing that repairs a set of policies is asked here: they are files, reloaded by a signal.

use std::collections::BTreeSet;

use taskpass_core::Timestamp;
use taskpass_core::audit::{EntryKind, Outcome};
use taskpass_core::caller::Caller;
use taskpass_core::identity::Principal;
use taskpass_core::registry::{Agent, Registry, Role, Row, RowKey};
use taskpass_core::verb::Verb;
use taskpass_core::{AgentName, CredentialId, TaskId};
use taskpass_policy::{Act, Thing};
use taskpass_store::Guard;

use super::current;
use crate::broker::Broker;
use crate::error::Error;
use crate::registry::read;
use crate::standing::{Standing, active_caller};

/// An act before it is asked about.
#[derive(Debug)]
pub(crate) struct Doing<'a> {
    pub(crate) verb: Verb,
    pub(crate) things: Vec<Thing<'a>>,
    /// What entries of a refusal call it.
    pub(crate) object: String,
    pub(crate) reason: &'a str,
}

impl Standing {
    /// The guard that the policies which let the caller do this are still in force; none for callers whom
    /// no policy was asked about.
    pub(crate) fn decided_by(&self) -> Option<Guard> {
        self.decision.as_ref().map(current::decided_by)
    }

    /// The guard that an operator is registered as it was when it was asked about: whoever is suspended
    /// meanwhile, or loses a role, gives nothing any more, least of all to itself.
    pub(crate) fn registered_in(&self, registry: &Registry) -> Option<Guard> {
        let Caller::Operator(name, _) = &self.caller else {
            return None;
        };
        let key = RowKey::Operator(name.clone());
        let version = registry.version(&key);
        Some(Guard::Unchanged { key, version })
    }
}

/// Whether an operator is still who it was admitted as: active, and with each role.
fn check_admitted(
    registry: &Registry,
    caller: &Caller,
    roles: &BTreeSet<Role>,
    doing: &Doing<'_>,
    now: Timestamp,
) -> Result<(), Error> {
    match active_caller(registry, &caller.principal(), now)? {
        Caller::Operator(_, today) if roles.is_subset(&today) => Ok(()),
        today => Err(Error::MethodNotAllowed {
            caller: today.to_string(),
            method: doing.verb.to_string(),
        }),
    }
}

/// Whether the broker is sealed to a caller: it is, by restoring it, to every identity from before.
pub(crate) fn check_sealed(registry: &Registry, caller: &Standing) -> Result<(), Error> {
    let sealed_at = registry.system().sealed_at;
    if sealed_at.is_some_and(|at| caller.facts.issued_at <= at.secs()) {
        return Err(Error::BrokerSealed);
    }
    Ok(())
}

impl Broker {
    /// Asks whether an operator may do what is about the broker as a whole. Other callers are the table's
    /// matter alone. Who refuses records it.
    pub fn admit_operator(&self, caller: Standing, verb: Verb) -> Result<Standing, Error> {
        let doing = Doing {
            verb,
            things: vec![Thing::Broker],
            object: String::new(),
            reason: "",
        };
        self.ask_operator(caller, &doing, self.clock.now())
    }

    /// Asks whether the caller may do this, and records it if not.
    pub(crate) async fn let_operator(
        &self,
        caller: &Standing,
        doing: Doing<'_>,
        now: Timestamp,
    ) -> Result<Standing, Error> {
        match self.ask_operator(caller.clone(), &doing, now) {
            Ok(decided) => Ok(decided),
            Err(error) => {
                let mut entry = self.entry(caller, now, EntryKind::Call, Outcome::Deny);
                entry.subject = Some(format!("{} {}", doing.verb, doing.object));
                self.record_denial(entry, &error).await?;
                Err(error)
            }
        }
    }

    /// Asks whether the caller may write `row` in the place of what is there.
    pub(crate) async fn let_write(
        &self,
        caller: &Standing,
        verb: Verb,
        registry: &Registry,
        row: &Row,
        reason: &str,
        now: Timestamp,
    ) -> Result<Standing, Error> {
        let key = row.key();
        let present = read(registry, &key).ok().map(|present| present.value);
        let rows = match verb {
            Verb::Register | Verb::Update => present.as_ref().into_iter().chain([row]).collect(),
            _ => vec![present.as_ref().unwrap_or(row)],
        };
        let doing = Doing {
            verb,
            things: rows.into_iter().map(|row| thing(registry, row)).collect(),
            object: key.to_string(),
            reason,
        };
        self.let_operator(caller, doing, now).await
    }

    fn ask_operator(
        &self,
        mut caller: Standing,
        doing: &Doing<'_>,
        now: Timestamp,
    ) -> Result<Standing, Error> {
        let Caller::Operator(operator, roles) = &caller.caller else {
            return Ok(caller);
        };
        let registry = self.registry.load();
        check_admitted(&registry, &caller.caller, roles, doing, now)?;
        if !while_sealed(doing.verb) {
            check_sealed(&registry, &caller)?;
        }
        let act = Act {
            operator,
            roles,
            verb: doing.verb,
            things: doing.things.clone(),
            reason: doing.reason,
            now,
        };
        match self.policy.authorize(self.decision_id(now), &act) {
            Ok(basis) => {
                caller.decision = Some(basis);
                Ok(caller)
            }
            Err(denial) => Err(Error::PolicyDenied(Box::new(denial))),
        }
    }
}

/// What an operator may do on a sealed broker with an identity from before: whoever was retired since the
/// backup is an operator again, so it is no more than to look and to refuse.
const fn while_sealed(verb: Verb) -> bool {
    match verb {
        Verb::Revoke
        | Verb::Suspend
        | Verb::ReadRegistry
        | Verb::ReadTasks
        | Verb::ReadRevocations
        | Verb::Introspect
        | Verb::ReadKeys
        | Verb::ExplainPolicy
        | Verb::ReadAudit
        | Verb::ExportAudit => true,
        Verb::Register
        | Verb::Update
        | Verb::Resume
        | Verb::Retire
        | Verb::CreateEnrolmentToken
        | Verb::TaintKey
        | Verb::RotateKey
        | Verb::ExportCsr
        | Verb::ImportCertificate
        | Verb::ForgetRoot
        | Verb::Apply
        | Verb::Backup
        | Verb::Unseal => false,
    }
}

/// A row as policies see it.
pub(crate) fn thing<'a>(registry: &'a Registry, row: &'a Row) -> Thing<'a> {
    match row {
        Row::Owner(owner) => Thing::Owner(owner),
        Row::Agent(agent) => of_agent(registry, agent),
        Row::Target(target) => Thing::Target(target),
        Row::Operator(operator) => Thing::Operator(operator),
        Row::Verifier(verifier) => Thing::Verifier(verifier),
        Row::System(_) => Thing::Broker,
    }
}

fn of_agent<'a>(registry: &'a Registry, agent: &'a Agent) -> Thing<'a> {
    let owner = registry.owner(&agent.owner).map(|row| &row.value);
    Thing::Agent(agent, owner)
}

/// A task of an agent that is registered.
pub(crate) fn task<'a>(
    registry: &'a Registry,
    id: TaskId,
    agent: &AgentName,
) -> Result<Thing<'a>, Error> {
    let agent = holder(registry, agent)?;
    Ok(Thing::Task { id, agent })
}

/// A credential of an agent that is registered.
pub(crate) fn credential<'a>(
    registry: &'a Registry,
    id: CredentialId,
    agent: &AgentName,
) -> Result<Thing<'a>, Error> {
    let agent = holder(registry, agent)?;
    Ok(Thing::Credential { id, agent })
}

/// Entries of the registry are never removed.
fn holder<'a>(registry: &'a Registry, agent: &AgentName) -> Result<&'a Agent, Error> {
    let row = registry.agent(agent).map(|row| &row.value);
    row.ok_or_else(|| Error::EntryNotFound {
        key: RowKey::Agent(agent.clone()),
    })
}

/// The row of somebody who can have an identity.
pub(crate) fn key_of(principal: &Principal) -> RowKey {
    match principal {
        Principal::Agent(name) => RowKey::Agent(name.clone()),
        Principal::Operator(name) => RowKey::Operator(name.clone()),
        Principal::Verifier(name) => RowKey::Verifier(name.clone()),
    }
}
