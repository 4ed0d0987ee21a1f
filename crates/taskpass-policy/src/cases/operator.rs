//! Cases about what operators may do.

use std::collections::BTreeSet;

use taskpass_core::registry::{Agent, Operator, Role, State, Verifier};
use taskpass_core::verb::Verb;
use taskpass_core::{
    AgentName, CredentialId, DecisionId, OperatorName, OwnerName, TargetUri, TaskId, Timestamp,
};

use super::file::CaseRow;
use super::parse::{Result, invalid, word};
use super::{Cases, Expected};
use crate::operator::{Act, Thing};
use crate::set::PolicySet;

/// What an operator does in a case.
#[derive(Debug)]
pub(super) struct OperatorCase {
    operator: OperatorName,
    roles: BTreeSet<Role>,
    verb: Verb,
    on: On,
    reason: String,
}

/// What it is done to.
#[derive(Debug)]
enum On {
    Broker,
    Agent(AgentName),
    Owner(OwnerName),
    Target(TargetUri),
    Operator(Operator),
    Verifier(Verifier),
    TaskOf(AgentName),
    CredentialOf(AgentName),
    Key(String),
}

impl OperatorCase {
    pub(super) fn parse(known: &Cases, place: &str, row: &CaseRow, name: &str) -> Result<Self> {
        let of_agents = [
            row.agent.is_some(),
            row.scopes.is_some(),
            row.certificate.is_some(),
            row.from.is_some(),
            row.purpose.is_some(),
            row.ttl.is_some(),
            row.depth.is_some(),
            row.attestation.is_some(),
            row.would_allow.is_some(),
            row.would_deny,
        ];
        if of_agents.contains(&true) {
            return Err(invalid(
                place,
                "of an operator a case says `roles`, `action`, `on`, `reason` and `at`",
            ));
        }
        let Some(action) = &row.action else {
            return Err(invalid(place, "`action` says what the operator does"));
        };
        let roles: Result<BTreeSet<Role>> =
            row.roles.iter().map(|role| word(place, role)).collect();
        Ok(Self {
            operator: word(place, name)?,
            roles: roles?,
            verb: word(place, action)?,
            on: match &row.on {
                Some(text) => on(known, place, text, &row.on_roles)?,
                None => On::Broker,
            },
            reason: row.reason.clone().unwrap_or_default(),
        })
    }

    pub(super) fn put(&self, known: &Cases, set: &PolicySet, at: Timestamp) -> Expected {
        let Some(thing) = self.thing(known, at) else {
            return Expected::unanswered();
        };
        let decided = set.authorize(
            DecisionId::first_at(at),
            &Act {
                operator: &self.operator,
                roles: &self.roles,
                verb: self.verb,
                things: vec![thing],
                reason: &self.reason,
                now: at,
            },
        );
        let (allowed, errored, basis) = match decided {
            Ok(basis) => (true, false, basis),
            Err(denial) => (false, denial.errored, denial.basis),
        };
        Expected {
            allowed,
            policies: basis.policies.into_iter().collect(),
            errored,
            would_deny: false,
            narrower: None,
        }
    }

    /// The parser found every row that a case names.
    fn thing<'a>(&'a self, known: &'a Cases, at: Timestamp) -> Option<Thing<'a>> {
        let agent = |name: &AgentName| -> Option<&'a Agent> {
            known.agents.get(name).map(|row| &row.value)
        };
        Some(match &self.on {
            On::Broker => Thing::Broker,
            On::Agent(name) => {
                let agent = agent(name)?;
                let owner = known.owners.get(&agent.owner);
                Thing::Agent(agent, owner.map(|row| &row.value))
            }
            On::Owner(name) => Thing::Owner(&known.owners.get(name)?.value),
            On::Target(uri) => Thing::Target(&known.targets.get(uri)?.value),
            On::Operator(operator) => Thing::Operator(operator),
            On::Verifier(verifier) => Thing::Verifier(verifier),
            On::TaskOf(name) => Thing::Task {
                id: TaskId::first_at(at),
                agent: agent(name)?,
            },
            On::CredentialOf(name) => Thing::Credential {
                id: CredentialId::first_at(at),
                agent: agent(name)?,
            },
            On::Key(id) => Thing::Key(id),
        })
    }
}

fn on(known: &Cases, place: &str, text: &str, roles: &[String]) -> Result<On> {
    let unknown = || invalid(place, format!("there is no {text} in the file"));
    let agent = |name: &str| {
        let name = word(place, name)?;
        if known.agents.contains_key(&name) {
            Ok(name)
        } else {
            Err(unknown())
        }
    };
    if !roles.is_empty() && !text.starts_with("operator ") {
        return Err(invalid(
            place,
            "`on_roles` is about `on = \"operator NAME\"`",
        ));
    }
    Ok(match text.rsplit_once(' ') {
        None if text == "broker" => On::Broker,
        Some(("agent", name)) => On::Agent(agent(name)?),
        Some(("task of agent", name)) => On::TaskOf(agent(name)?),
        Some(("credential of agent", name)) => On::CredentialOf(agent(name)?),
        Some(("owner", name)) => {
            let name = word(place, name)?;
            known.owners.get(&name).ok_or_else(unknown)?;
            On::Owner(name)
        }
        Some(("target", uri)) => {
            let uri = word(place, uri)?;
            known.targets.get(&uri).ok_or_else(unknown)?;
            On::Target(uri)
        }
        Some(("operator", name)) => On::Operator(Operator {
            name: word(place, name)?,
            roles: roles
                .iter()
                .map(|role| word(place, role))
                .collect::<Result<_>>()?,
            state: State::Active,
        }),
        Some(("verifier", name)) => On::Verifier(Verifier {
            name: word(place, name)?,
            targets: known.targets.keys().cloned().collect(),
            state: State::Active,
        }),
        Some(("key", id)) => On::Key(id.to_owned()),
        _ => {
            let expected = "`on` is broker, owner NAME, agent NAME, target URI, operator NAME, verifier \
                            NAME, task of agent NAME, credential of agent NAME or key ID";
            return Err(invalid(place, expected));
        }
    })
}
