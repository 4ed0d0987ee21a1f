//! Callers that prove themselves by a registered key instead of an identity certificate.
//!
//! An agent that cannot bring its certificate into the TLS handshake signs a short assertion instead
//! (RFC 7523), with a key that an administrator registered for it, with an end. What is decided about
//! such a caller is decided as about any other: the agent is active, its owner too, and no rule
//! matches; the key counts as issued when it was registered. Each assertion is good once.

mod assertion;
mod replay;

use taskpass_core::audit::{Attestation, Entry, EntryKind, Outcome};
use taskpass_core::caller::Caller;
use taskpass_core::identity::Principal;
use taskpass_core::registry::ClientKey;
use taskpass_core::revocation::Facts;
use taskpass_core::{AgentName, Timestamp};

use crate::broker::Broker;
use crate::entry::concern;
use crate::error::Error;
use crate::standing::{Standing, active_caller};
use assertion::Presented;

pub(crate) use replay::Assertions;

/// The one answer to whoever does not prove to hold a registered key: it tells neither which agents
/// there are nor what was wrong.
const NOT_PROVED: Error = Error::Unauthenticated {
    message: "the client assertion is not accepted: sign it with a key that is registered for the \
              agent and has not ended, with the agent's name as `iss` and `sub`",
};

impl Broker {
    /// Decides whether the signer of `assertion` may call now. `method` is what it calls.
    ///
    /// `client_id` is what the request claims beside it, which must agree.
    pub async fn standing_by_assertion(
        &self,
        assertion: &str,
        client_id: Option<&str>,
        method: &str,
        trace_id: Option<String>,
    ) -> Result<Standing, Error> {
        let now = self.clock.now();
        let presented = Presented::read(assertion).ok_or(NOT_PROVED)?;
        if client_id.is_some_and(|id| id != presented.agent().as_str()) {
            return Err(NOT_PROVED);
        }
        let registry = self.registry.load_full();
        let agent = registry.agent(presented.agent()).ok_or(NOT_PROVED)?;
        let key = presented
            .signed_by(&agent.value.client_keys, now)
            .ok_or(NOT_PROVED)?;
        let name = agent.value.name.clone();
        let claims = presented.claims(&self.birth().public_url, now)?;
        self.assertions.take(&name, &claims, now)?;
        if let Some(ahead) = claims.ahead_of(now) {
            // What follows is recorded no earlier than the assertion was made: after a restart that
            // tells assertions that may have been used from those that cannot have been.
            tokio::time::sleep(ahead).await;
        }
        self.standing_by_key(name, key, method, trace_id).await
    }

    async fn standing_by_key(
        &self,
        name: AgentName,
        key: &ClientKey,
        method: &str,
        trace_id: Option<String>,
    ) -> Result<Standing, Error> {
        let principal = Principal::Agent(name.clone());
        let facts = Facts::of_identity(&principal, None, key.added_at);
        if self.store.rules().matching(&facts).is_some() {
            return Err(NOT_PROVED);
        }
        let now = self.clock.now();
        if let Err(error) = active_caller(&self.registry.load(), &principal, now) {
            let entry = self.refused_entry(&principal, key, method, now);
            self.record_denial(entry, &error).await?;
            return Err(error);
        }
        Ok(Standing {
            decision: None,
            caller: Caller::Agent(name),
            generation: 0,
            trace_id,
            attestation: Attestation::PrivateKeyJwt {
                key: key.id.clone(),
            },
            facts,
        })
    }

    fn refused_entry(
        &self,
        principal: &Principal,
        key: &ClientKey,
        method: &str,
        now: Timestamp,
    ) -> Entry {
        let mut entry = Entry::new(self.decision_id(now), now, EntryKind::Call, Outcome::Deny);
        entry.actor = Some(principal.clone());
        entry.attestation = Some(Attestation::PrivateKeyJwt {
            key: key.id.clone(),
        });
        concern(&mut entry, &self.registry.load(), principal);
        entry.subject = Some(method.to_owned());
        entry
    }
}
