//! The terms of a credential: when it ends, and what a token is bound to.

use taskpass_core::access::Access;
use taskpass_core::credential::CredentialKind;
use taskpass_core::registry::{Agent, Target, Versioned};
use taskpass_core::revocation::Facts;
use taskpass_core::secret::Sha256;
use taskpass_core::task::{Task, TaskState};
use taskpass_core::ttl::{self, Clamp, Ttl};
use taskpass_core::{CredentialId, ScopeRef, Timestamp};

use super::TokenRequest;
use crate::broker::Broker;
use crate::error::Error;

/// The certificate that a token is bound to.
pub(super) struct Bound {
    /// SHA-256 of its DER: `cnf.x5t#S256`.
    pub(super) digest: Sha256,
    /// When it ends.
    pub(super) expires_at: Timestamp,
    /// What rules are matched against.
    pub(super) facts: Facts,
}

/// The end of a credential's life, and what shortened it. It is within the terms of the task's agent,
/// and of each one above it.
pub(super) fn end(
    now: Timestamp,
    asked: Ttl,
    (agent, above): (&Agent, &[&Agent]),
    target: Option<&Target>,
    task: &Task,
    bound: Option<&Bound>,
) -> (Timestamp, Option<Clamp>) {
    let until = |ttl: Ttl| now.plus(ttl.duration());
    let mut bounds = vec![ttl::Bound {
        until: task.deadline_at(),
        clamp: Clamp::TaskDeadline,
    }];
    if let Some(ttl) = target.and_then(|target| target.max_ttl) {
        bounds.push(ttl::Bound {
            until: until(ttl),
            clamp: Clamp::Target,
        });
    }
    for agent in std::iter::once(agent).chain(above.iter().copied()) {
        bounds.push(ttl::Bound {
            until: agent.valid_until,
            clamp: Clamp::AgentValidity,
        });
        bounds.extend(agent.max_ttl.map(|ttl| ttl::Bound {
            until: until(ttl),
            clamp: Clamp::Agent,
        }));
    }
    if let Some(bound) = bound {
        bounds.push(ttl::Bound {
            until: bound.expires_at,
            clamp: Clamp::Certificate,
        });
    }
    ttl::clamp(now, asked, &bounds)
}

/// Whether there is a second left to live in: credentials say their end in whole seconds. Of what
/// is about to end it is said that it is over.
pub(super) fn check_life(
    now: Timestamp,
    ends_at: Timestamp,
    clamped_by: Option<Clamp>,
    task: &Task,
) -> Result<(), Error> {
    if ends_at.secs() > now.secs() {
        return Ok(());
    }
    match clamped_by {
        Some(Clamp::TaskDeadline) => Err(Error::TaskNotActive {
            task: task.id,
            state: TaskState::Expired,
        }),
        Some(Clamp::AgentValidity) => Err(Error::AgentSuspended {
            agent: task.agent.to_string(),
            why: "its registration, or that of an agent above it, is about to end; the owner must \
                  extend `valid_until`",
        }),
        Some(Clamp::Certificate) => Err(NOT_OURS),
        // Lifetimes are a second or more.
        _ => Ok(()),
    }
}

const NOT_OURS: Error = Error::InvalidBinding {
    expected: "a live certificate that was issued under the same task",
};

impl Broker {
    /// What the token will be bound to. A scope that actuates needs a binding.
    ///
    /// The certificate is not verified but recognised: the record under its serial number holds the
    /// SHA-256 of the certificate that was issued, and nothing else has that hash.
    pub(super) async fn bound(
        &self,
        request: &TokenRequest,
        task: &Task,
        target: Option<&Versioned<Target>>,
        now: Timestamp,
    ) -> Result<Option<Bound>, Error> {
        let Some(der) = &request.bind else {
            let actuates = |scope: &&taskpass_core::ScopeName| {
                target.and_then(|row| row.value.scopes.get(*scope)) != Some(&Access::Read)
                    && target.and_then(|row| row.value.scopes.get(*scope)) != Some(&Access::Write)
            };
            return match request.scopes.iter().find(actuates) {
                Some(scope) => Err(Error::BindingRequired {
                    scope: ScopeRef {
                        target: request.target.clone(),
                        scope: scope.clone(),
                    },
                }),
                None => Ok(None),
            };
        };
        let digest = Sha256::of(der);
        let serial = taskpass_issuer::serial_number(der).ok_or(NOT_OURS)?;
        let id = CredentialId::from_slice(&serial).ok_or(NOT_OURS)?;
        let certificate = self.store.credential(id).await?.ok_or(NOT_OURS)?;
        let facts = certificate.facts();
        let live = certificate.kind() == CredentialKind::Certificate
            && certificate.digest == digest
            && certificate.task == task.id
            && !certificate.is_expired(now)
            && self.store.rules().matching(&facts).is_none();
        if !live {
            return Err(NOT_OURS);
        }
        Ok(Some(Bound {
            digest,
            expires_at: certificate.expires_at(),
            facts,
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use taskpass_core::access::Stage;
    use taskpass_core::registry::State;
    use taskpass_core::rng::SeededRng;
    use taskpass_core::{DecisionId, TaskId};

    fn agent(valid_until: u64, max: Option<u64>) -> Agent {
        Agent {
            name: "a".parse().unwrap(),
            owner: "o".parse().unwrap(),
            purpose: String::new(),
            stage: Stage::ReadOnly,
            scopes: BTreeSet::new(),
            valid_until: Timestamp::from_secs(valid_until),
            max_ttl: max.map(Ttl::from_mins),
            labels: BTreeMap::new(),
            state: State::Active,
            created_at: Timestamp::ZERO,
            client_keys: Vec::new(),
            limits: taskpass_core::registry::Limits::NONE,
        }
    }

    fn task(deadline: u64) -> Task {
        let rng = SeededRng::new(1);
        Task {
            id: TaskId::generate(Timestamp::from_secs(deadline), &rng),
            agent: "a".parse().unwrap(),
            purpose: "p".into(),
            scopes: BTreeSet::new(),
            ancestors: vec![],
            started_at: Timestamp::ZERO,
            decision: DecisionId::generate(Timestamp::ZERO, &rng),
            ended: None,
        }
    }

    #[test]
    fn whichever_ends_first_is_named() {
        let now = Timestamp::from_secs(1000);
        let asked = Ttl::from_mins(10);
        for (valid_until, max, deadline, expected) in [
            (9000, None, 9000, (1600, None)),
            (9000, Some(5), 9000, (1300, Some(Clamp::Agent))),
            (9000, Some(5), 1200, (1200, Some(Clamp::TaskDeadline))),
            (1100, Some(5), 1200, (1100, Some(Clamp::AgentValidity))),
        ] {
            let (end, clamp) = end(
                now,
                asked,
                (&agent(valid_until, max), &[]),
                None,
                &task(deadline),
                None,
            );
            assert_eq!((end.secs(), clamp), expected);
        }
    }

    #[test]
    fn no_longer_than_an_agent_above_could_have_it() {
        let now = Timestamp::from_secs(1000);
        let asked = Ttl::from_mins(10);
        let own = agent(9000, Some(8));
        for (valid_until, max, expected) in [
            (9000, None, (1480, Some(Clamp::Agent))),
            (9000, Some(9), (1480, Some(Clamp::Agent))),
            (9000, Some(2), (1120, Some(Clamp::Agent))),
            (1100, Some(2), (1100, Some(Clamp::AgentValidity))),
        ] {
            let above = agent(valid_until, max);
            let (end, clamp) = end(now, asked, (&own, &[&above]), None, &task(9000), None);
            assert_eq!((end.secs(), clamp), expected);
        }
    }
}
