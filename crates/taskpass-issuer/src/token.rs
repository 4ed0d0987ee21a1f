//! Tokens: terms and a grant are prepared, what was prepared is signed.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use taskpass_core::access::{Stage, TokenAlg, TokenProfile};
use taskpass_core::credential::{Credential, CredentialBody};
use taskpass_core::grant::{Ask, Grant};
use taskpass_core::id::{CredentialId, DecisionId};
use taskpass_core::listing::{ListId, ListPlace, list_hour};
use taskpass_core::name::{AgentName, OwnerName};
use taskpass_core::rng::Rng;
use taskpass_core::scope::{ScopeName, ScopeRef, TargetUri};
use taskpass_core::secret::{Secret, Sha256};
use taskpass_core::spiffe::{SpiffeId, Subject};
use taskpass_core::time::Timestamp;
use taskpass_core::ttl::MAX_TOKEN_TTL;
use taskpass_token::jws::{CLOUD_TYPE, TOKEN_TYPE, assemble, header_json, signing_input};
use taskpass_token::{Claims, StatusRef, TaskClaims};

use crate::issuer::{Issuer, Slot};
use crate::prepare::{PrepareError, SignError, TaskFacts, may_live, same_agent};

/// What a token is to say.
#[derive(Debug, Clone)]
pub struct TokenTerms {
    /// The agent of the task.
    pub agent: AgentName,
    /// Its owner.
    pub owner: OwnerName,
    /// The task.
    pub task: TaskFacts,
    /// How far the agent is trusted.
    pub stage: Stage,
    /// The audience.
    pub target: TargetUri,
    /// The audience's algorithm.
    pub alg: TokenAlg,
    /// The scopes there.
    pub scopes: BTreeSet<ScopeName>,
    /// The instant of issuing.
    pub now: Timestamp,
    /// The clamped end.
    pub ends_at: Timestamp,
    /// The certificate that must present it.
    pub bound_to: Option<Sha256>,
}

/// A token whose terms a grant covers, with its id, not yet signed.
#[must_use = "what is prepared is there to be signed"]
pub struct PreparedToken {
    slot: Arc<Slot>,
    claims: Claims,
    profile: TokenProfile,
    listed: Option<ListPlace>,
    agent: AgentName,
    owner: OwnerName,
    issued_at: Timestamp,
}

impl PreparedToken {
    /// Its `jti`.
    pub fn id(&self) -> CredentialId {
        self.claims.id
    }

    /// The decision that allowed it.
    pub fn decision(&self) -> DecisionId {
        self.claims.task.decision
    }

    /// Gives it the form that its target wants.
    pub fn in_profile(mut self, profile: TokenProfile) -> Result<Self, PrepareError> {
        if profile == TokenProfile::Cloud && self.slot.jwk.alg() != TokenAlg::Es256 {
            return Err(PrepareError::ProfileAlg(profile));
        }
        self.profile = profile;
        Ok(self)
    }

    /// Gives it its place on a status list of its hour, which it then names.
    pub fn listed_at(mut self, place: ListPlace) -> Self {
        self.listed = Some(place);
        self
    }
}

impl fmt::Debug for PreparedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedToken")
            .field("claims", &self.claims)
            .finish_non_exhaustive()
    }
}

/// A signed token and its record. The record must be on disk before the token leaves.
#[derive(Debug)]
#[must_use = "a token without a durable record must not exist"]
pub struct SignedToken {
    /// The token itself.
    pub token: Secret,
    /// What is recorded of it.
    pub credential: Credential,
}

impl Issuer {
    /// Checks that `grant` covers `terms`, and consumes it.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "one grant is good for one credential"
    )]
    pub fn prepare_token(
        &self,
        grant: Grant,
        terms: TokenTerms,
        rng: &dyn Rng,
    ) -> Result<PreparedToken, PrepareError> {
        same_agent(&grant, &terms.agent)?;
        covers(&grant, &terms)?;
        may_live(&terms.task, terms.now, terms.ends_at, MAX_TOKEN_TTL)?;
        let id = CredentialId::generate(terms.ends_at, rng);
        let trust_domain = self.config.trust_domain.clone();
        let claims = Claims {
            issuer: self.config.issuer_url.clone(),
            subject: SpiffeId::new(trust_domain, Subject::Agent(terms.agent.clone())),
            audience: terms.target,
            client_id: terms.agent.clone(),
            expires_at: id.expires_at().secs(),
            issued_at: terms.now.secs(),
            not_before: terms.now.secs(),
            id,
            scopes: terms.scopes.into_iter().collect(),
            task: TaskClaims {
                task: terms.task.id,
                purpose: terms.task.purpose,
                ancestors: terms.task.ancestors,
                stage: terms.stage,
                decision: grant.basis().id,
            },
            bound_to: terms.bound_to,
        };
        Ok(PreparedToken {
            slot: Arc::clone(self.slot(terms.alg)),
            claims,
            profile: TokenProfile::OAuth,
            listed: None,
            agent: terms.agent,
            owner: terms.owner,
            issued_at: terms.now,
        })
    }

    /// Signs, and says what to record.
    pub fn sign_token(&self, prepared: PreparedToken) -> Result<SignedToken, SignError> {
        let PreparedToken {
            slot,
            claims,
            profile,
            listed,
            agent,
            owner,
            issued_at,
        } = prepared;
        let typ = match profile {
            TokenProfile::OAuth => TOKEN_TYPE,
            TokenProfile::Cloud => CLOUD_TYPE,
        };
        let header = header_json(slot.jwk.alg(), slot.jwk.id(), typ);
        let status = listed.map(|place| StatusRef {
            index: place.index().into(),
            uri: self.status_location(ListId {
                hour: list_hour(claims.id.expires_at()),
                list: place.list(),
            }),
        });
        let input = signing_input(&header, &claims.to_json_listed(status.as_ref()));
        let signature = slot.key.sign(input.as_bytes())?;
        let token = Secret::new(assemble(&input, &signature));
        let credential = Credential {
            id: claims.id,
            task: claims.task.task,
            ancestors: claims.task.ancestors,
            agent,
            owner,
            issued_at,
            key: slot.jwk.id().clone(),
            decision: claims.task.decision,
            digest: Sha256::of(token.expose().as_bytes()),
            listed,
            body: CredentialBody::Token {
                target: claims.audience,
                scopes: claims.scopes,
                bound_to: claims.bound_to,
            },
        };
        Ok(SignedToken { token, credential })
    }
}

/// Whether every scope of the terms, at the terms' target, was granted.
fn covers(grant: &Grant, terms: &TokenTerms) -> Result<(), PrepareError> {
    if terms.scopes.is_empty() {
        return Err(PrepareError::NoScope);
    }
    for scope in &terms.scopes {
        let asked = ScopeRef {
            target: terms.target.clone(),
            scope: scope.clone(),
        };
        match grant.ask() {
            Ask::Scopes(granted) if granted.contains(&asked) => {}
            Ask::Scopes(_) | Ask::Certificate | Ask::Svid => {
                return Err(PrepareError::ScopeNotGranted(asked));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
