//! Signing: the grant is consumed, and so is what was prepared from it.

use taskpass_core::Timestamp;
use taskpass_core::credential::Credential;
use taskpass_core::grant::Grant;
use taskpass_core::listing::ListPlace;
use taskpass_core::registry::{Agent, Target, Versioned};
use taskpass_core::spiffe::{SpiffeId, Subject};
use taskpass_core::task::Task;
use taskpass_issuer::{CertificateTerms, CsrKey, TaskFacts, TokenTerms};

use super::terms::Bound;
use super::wanted::Wanted;
use crate::broker::Broker;
use crate::error::Error;

/// A signed credential before it is recorded: nobody outside of issuing ever holds one.
pub(super) enum Signed {
    /// A token.
    Token(taskpass_issuer::SignedToken),
    /// A certificate.
    Certificate(taskpass_issuer::SignedCertificate),
}

/// What is signed over, beside the grant.
pub(super) struct Signing<'a> {
    pub(super) agent: &'a Agent,
    pub(super) task: &'a Task,
    pub(super) target: Option<&'a Versioned<Target>>,
    pub(super) bound: Option<Bound>,
    pub(super) now: Timestamp,
    pub(super) ends_at: Timestamp,
    pub(super) listed: ListPlace,
}

impl Signed {
    /// What will be recorded of it.
    pub(super) fn credential(&self) -> &Credential {
        match self {
            Self::Token(signed) => &signed.credential,
            Self::Certificate(signed) => &signed.credential,
        }
    }
}

impl Broker {
    pub(super) fn sign(
        &self,
        grant: Grant,
        wanted: &Wanted<'_>,
        signing: Signing<'_>,
    ) -> Result<Signed, Error> {
        let issuer = self.issuer.load();
        let Signing {
            agent,
            task,
            target,
            bound,
            now,
            ends_at,
            listed,
        } = signing;
        let (name, owner) = (agent.name.clone(), agent.owner.clone());
        let facts = TaskFacts::of(task);
        match (wanted, target) {
            (Wanted::Token(request), Some(target)) => {
                let terms = TokenTerms {
                    agent: name,
                    owner,
                    task: facts,
                    stage: agent.stage,
                    target: target.value.uri.clone(),
                    alg: target.value.token_alg,
                    scopes: request.scopes.clone(),
                    now,
                    ends_at,
                    bound_to: bound.map(|bound| bound.digest),
                };
                let prepared = issuer
                    .prepare_token(grant, terms, &*self.rng)
                    .and_then(|prepared| prepared.in_profile(target.value.token_profile))
                    .map_err(Error::internal)?;
                issuer
                    .sign_token(prepared.listed_at(listed))
                    .map(Signed::Token)
                    .map_err(Error::internal)
            }
            (Wanted::Certificate(request), _) => {
                let expected = SpiffeId::new(
                    self.trust_domain().clone(),
                    Subject::Task(name.clone(), task.id),
                );
                let public_key =
                    CsrKey::from_request(&request.csr, &expected).map_err(|error| {
                        Error::InvalidCsr {
                            message: error.to_string(),
                        }
                    })?;
                let terms = CertificateTerms {
                    agent: name,
                    owner,
                    task: facts,
                    public_key,
                    now,
                    ends_at,
                };
                let prepared = issuer
                    .prepare_certificate(grant, terms, &*self.rng)
                    .map_err(Error::internal)?;
                issuer
                    .sign_certificate(prepared.listed_at(listed))
                    .map(Signed::Certificate)
                    .map_err(Error::internal)
            }
            (Wanted::Token(request), None) => Err(Error::UnknownTarget {
                target: request.target.to_string(),
            }),
        }
    }
}
