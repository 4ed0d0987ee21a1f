//! Whether a proved identity may call at all, at this moment.
//!
//! The transport proves possession of a key that our Control authority certified, or what somebody
//! else vouches for: another issuer, another trust domain, the kernel. That is checked against today: the
//! principal is registered and active, the key is the newest of its line or the one before, no rule
//! matches, and, of an agent, the owner is active and the registration has not ended. Who is vouched
//! for by others has no line, and is never more than an agent. It is asked for every request, and
//! again every second of a stream.

use taskpass_core::Timestamp;
use taskpass_core::audit::Attestation;
use taskpass_core::caller::Caller;
use taskpass_core::grant::Basis;
use taskpass_core::identity::{self, Principal};
use taskpass_core::key::KeyId;
use taskpass_core::name::AgentName;
use taskpass_core::registry::{Agent, Registry, State};
use taskpass_core::revocation::Facts;

use crate::broker::Broker;
use crate::error::Error;

/// What the transport proved: all of it from a verified certificate or token, or from the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proved {
    /// Who its holder is.
    pub principal: Principal,
    /// By what: [`Attestation::Mtls`] of an identity of ours, or one of those that others vouch for.
    pub attestation: Attestation,
    /// When it was issued: of an identity of ours, from our extension.
    pub issued_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// The authority of ours that signed it.
    pub issued_by: Option<KeyId>,
}

/// A caller that may call, with what entries say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Who, with today's roles or targets.
    pub caller: Caller,
    /// The generation of the identity; zero of a caller that proved itself by something else.
    pub generation: u64,
    /// The W3C trace id that came with the request.
    pub trace_id: Option<String>,
    /// How it proved itself.
    pub attestation: Attestation,
    /// What rules are matched against: checked again in the commits that let something out.
    pub facts: Facts,
    /// By which policies an operator was let do what it does.
    pub decision: Option<Basis>,
}

impl Standing {
    /// How it proved itself: what policies see as `context.attestation`.
    pub(crate) const fn method(&self) -> &'static str {
        self.attestation.method()
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
        self.judge(proved, trace_id, false).await
    }

    /// The same for a renewal, and nothing else: an earlier key of a line is heard too, so that a
    /// second successor of it is noticed, however far the line has moved on. It gets nothing.
    pub async fn standing_to_renew(
        &self,
        proved: &Proved,
        trace_id: Option<String>,
    ) -> Result<Standing, Error> {
        self.judge(proved, trace_id, true).await
    }

    async fn judge(
        &self,
        proved: &Proved,
        trace_id: Option<String>,
        renews: bool,
    ) -> Result<Standing, Error> {
        let now = self.clock.now();
        if now >= proved.expires_at {
            return Err(Error::Unauthenticated {
                message: match proved.attestation {
                    Attestation::Mtls { .. } => {
                        "the identity has expired; renew it in time, or enrol anew"
                    }
                    _ => "what proved the caller has expired; present a fresh one",
                },
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
        let generation = self.generation(proved, now, renews).await?;
        let registry = self.registry.load();
        let caller = active_caller(&registry, &proved.principal, now)?;
        Ok(Standing {
            decision: None,
            caller,
            generation,
            trace_id,
            attestation: proved.attestation.clone(),
            facts,
        })
    }

    /// Where an identity stands in its line; who is vouched for by others has none, and is an agent.
    async fn generation(
        &self,
        proved: &Proved,
        now: Timestamp,
        renews: bool,
    ) -> Result<u64, Error> {
        let key = match (&proved.attestation, &proved.principal) {
            (Attestation::Mtls { key }, _) => *key,
            (
                Attestation::FederatedJwt { .. }
                | Attestation::ForeignSvid { .. }
                | Attestation::Unix { .. },
                Principal::Agent(_),
            ) => return Ok(0),
            // No transport proves these, nor an operator by the word of others.
            (
                Attestation::FederatedJwt { .. }
                | Attestation::ForeignSvid { .. }
                | Attestation::Unix { .. }
                | Attestation::PrivateKeyJwt { .. }
                | Attestation::EnrolmentToken { .. },
                _,
            ) => return Err(NOT_ACCEPTED),
        };
        let line = self.store.identity(&proved.principal).await?;
        match line {
            Some(line)
                if line.standing(key, now) != identity::Standing::Refused
                    || renews && line.is_earlier(key, now) =>
            {
                Ok(line.generation)
            }
            _ => Err(NOT_ACCEPTED),
        }
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
