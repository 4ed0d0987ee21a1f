//! Whether a proved identity may call at all, at this moment.
//!
//! The transport proves possession of a key that our Control authority certified. That is checked
//! against today: the principal is registered and active, the key is the newest of its line or the
//! one before, no rule matches, and, of an agent, the owner is active and the registration has not
//! ended. It is asked for every request, and again every second of a stream.

use taskpass_core::Timestamp;
use taskpass_core::caller::Caller;
use taskpass_core::identity::{self, Principal};
use taskpass_core::key::KeyId;
use taskpass_core::name::AgentName;
use taskpass_core::registry::{Agent, Registry, State};
use taskpass_core::revocation::Facts;
use taskpass_core::secret::Sha256;

use crate::broker::Broker;
use crate::error::Error;

/// What the transport proved: all of it from the verified end-entity certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proved {
    /// Who the certificate says its holder is.
    pub principal: Principal,
    /// SHA-256 of its subject public key info.
    pub key: Sha256,
    /// When it was issued, from our extension.
    pub issued_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// The authority that signed it.
    pub issued_by: Option<KeyId>,
}

/// A caller that may call, with what entries say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Who, with today's roles or targets.
    pub caller: Caller,
    /// The generation of the identity.
    pub generation: u64,
    /// The W3C trace id that came with the request.
    pub trace_id: Option<String>,
    /// SHA-256 of the key that was proved.
    pub key: Sha256,
    /// The registered key by which it authenticated, where that was no identity certificate.
    pub client_key: Option<KeyId>,
    /// What rules are matched against: checked again in the commits that let something out.
    pub facts: Facts,
}

impl Standing {
    /// How it proved itself: what policies see as `context.attestation`.
    pub(crate) const fn method(&self) -> &'static str {
        match self.client_key {
            None => "mtls",
            Some(_) => "private_key_jwt",
        }
    }
}

const NOT_ACCEPTED: Error = Error::Unauthenticated {
    message: "the identity is not accepted any more; enrol anew",
};

impl Broker {
    /// Decides whether `proved` may call now.
    pub async fn standing(
        &self,
        proved: &Proved,
        trace_id: Option<String>,
    ) -> Result<Standing, Error> {
        let now = self.clock.now();
        if now >= proved.expires_at {
            return Err(Error::Unauthenticated {
                message: "the identity has expired; renew it in time, or enrol anew",
            });
        }
        let facts = Facts::of_identity(
            &proved.principal,
            proved.issued_by.clone(),
            proved.issued_at,
        );
        if self.store.rules().matching(&facts).is_some() {
            return Err(NOT_ACCEPTED);
        }
        let line = self
            .store
            .identity(&proved.principal)
            .await?
            .ok_or(NOT_ACCEPTED)?;
        if line.standing(proved.key, now) == identity::Standing::Refused {
            return Err(NOT_ACCEPTED);
        }
        let registry = self.registry.load();
        let caller = active_caller(&registry, &proved.principal, now)?;
        Ok(Standing {
            caller,
            generation: line.generation,
            trace_id,
            key: proved.key,
            client_key: None,
            facts,
        })
    }
}

/// The caller behind a principal, if it is registered and active.
pub(crate) fn active_caller(
    registry: &Registry,
    principal: &Principal,
    now: Timestamp,
) -> Result<Caller, Error> {
    let suspended = || Error::CallerSuspended {
        caller: principal.to_string(),
    };
    match principal {
        Principal::Agent(name) => {
            let agent = registry.agent(name).ok_or(NOT_ACCEPTED)?;
            check_agent(registry, &agent.value, now)?;
            Ok(Caller::Agent(name.clone()))
        }
        Principal::Operator(name) => {
            let row = registry.operator(name).ok_or(NOT_ACCEPTED)?;
            if row.value.state != State::Active {
                return Err(suspended());
            }
            Ok(Caller::Operator(name.clone(), row.value.roles.clone()))
        }
        Principal::Verifier(name) => {
            let row = registry.verifier(name).ok_or(NOT_ACCEPTED)?;
            if row.value.state != State::Active {
                return Err(suspended());
            }
            Ok(Caller::Verifier(name.clone(), row.value.targets.clone()))
        }
    }
}

/// Whether an agent may get anything at all.
pub(crate) fn check_agent(registry: &Registry, agent: &Agent, now: Timestamp) -> Result<(), Error> {
    let refused = |why| Error::AgentSuspended {
        agent: agent.name.to_string(),
        why,
    };
    match agent.state {
        State::Active => {}
        State::Suspended => return Err(refused("it is suspended until an operator resumes it")),
        State::Retired => return Err(refused("it is retired")),
    }
    if now >= agent.valid_until {
        return Err(refused(
            "its registration has ended; its owner must extend `valid_until`",
        ));
    }
    match registry.owner(&agent.owner) {
        Some(owner) if owner.value.state == State::Active => Ok(()),
        _ => Err(refused("its owner is not active")),
    }
}

/// The agent that calls, of a caller that must be one.
pub(crate) fn calling_agent(standing: &Standing) -> Result<&AgentName, Error> {
    match &standing.caller {
        Caller::Agent(name) => Ok(name),
        other => Err(Error::MethodNotAllowed {
            caller: other.to_string(),
            method: "for agents only".to_owned(),
        }),
    }
}
