//! Task certificates: they prove which task is calling, and carry no scope.
//!
//! Valid for client authentication only, unless an X.509-SVID was asked for. The serial number is the credential's id, so a rule that
//! names the credential finds the certificate; the extension carries what other rules match.

use std::fmt;
use std::sync::Arc;

use rcgen::CertificateParams;
use taskpass_core::access::CertificateProfile;
use taskpass_core::credential::{Credential, CredentialBody};
use taskpass_core::grant::{Ask, Grant};
use taskpass_core::id::{CredentialId, DecisionId};
use taskpass_core::listing::{ListId, ListPlace, list_hour};
use taskpass_core::name::{AgentName, OwnerName};
use taskpass_core::rng::Rng;
use taskpass_core::secret::Sha256;
use taskpass_core::spiffe::{SpiffeId, Subject};
use taskpass_core::time::Timestamp;
use taskpass_core::ttl::MAX_CERTIFICATE_TTL;
use taskpass_token::TaskExtension;

use crate::authority::{Authority, Hierarchy};
use crate::csr::CsrKey;
use crate::issuer::Issuer;
use crate::pem;
use crate::prepare::{PrepareError, SignError, TaskFacts, may_live, same_agent};
use crate::profile::{self, Leaf, Role, Validity};

/// What a task certificate is to say.
#[derive(Debug, Clone)]
pub struct CertificateTerms {
    /// The agent of the task.
    pub agent: AgentName,
    /// Its owner.
    pub owner: OwnerName,
    /// The task.
    pub task: TaskFacts,
    /// The key to certify; its holder proved to have it.
    pub public_key: CsrKey,
    /// The instant of issuing.
    pub now: Timestamp,
    /// The clamped end.
    pub ends_at: Timestamp,
}

/// A certificate whose terms a grant covers, with its id, not yet signed.
#[must_use = "what is prepared is there to be signed"]
pub struct PreparedCertificate {
    authority: Arc<Authority>,
    id: CredentialId,
    decision: DecisionId,
    subject: SpiffeId,
    profile: CertificateProfile,
    listed: Option<ListPlace>,
    terms: CertificateTerms,
}

impl PreparedCertificate {
    /// Its serial number.
    pub fn id(&self) -> CredentialId {
        self.id
    }

    /// The decision that allowed it.
    pub fn decision(&self) -> DecisionId {
        self.decision
    }

    /// Gives it its place on a list of its hour, which it then names.
    pub fn listed_at(mut self, place: ListPlace) -> Self {
        self.listed = Some(place);
        self
    }
}

impl fmt::Debug for PreparedCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedCertificate")
            .field("id", &self.id)
            .field("terms", &self.terms)
            .finish_non_exhaustive()
    }
}

/// A signed certificate and its record. The record must be on disk before the certificate leaves.
#[derive(Debug)]
#[must_use = "a certificate without a durable record must not exist"]
pub struct SignedCertificate {
    /// The certificate.
    pub der: Vec<u8>,
    /// The certificate, the issuing authority's, and those above that which others made, in PEM.
    pub chain_pem: String,
    /// What is recorded of it.
    pub credential: Credential,
}

impl Issuer {
    /// Checks that `grant` covers `terms`, and consumes it.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "one grant is good for one credential"
    )]
    pub fn prepare_certificate(
        &self,
        grant: Grant,
        terms: CertificateTerms,
        rng: &dyn Rng,
    ) -> Result<PreparedCertificate, PrepareError> {
        same_agent(&grant, &terms.agent)?;
        let profile = match grant.ask() {
            Ask::Certificate => CertificateProfile::Client,
            Ask::Svid => CertificateProfile::SpiffeSvid,
            Ask::Scopes(_) => return Err(PrepareError::CertificateNotGranted),
        };
        may_live(&terms.task, terms.now, terms.ends_at, MAX_CERTIFICATE_TTL)?;
        let authority = &self.branch(Hierarchy::Task).active;
        if terms.ends_at > authority.not_after {
            return Err(PrepareError::BeyondAuthority(Hierarchy::Task.issuing()));
        }
        let subject = Subject::Task(terms.agent.clone(), terms.task.id);
        Ok(PreparedCertificate {
            authority: Arc::clone(authority),
            id: CredentialId::generate(terms.ends_at, rng),
            decision: grant.basis().id,
            subject: SpiffeId::new(self.config.trust_domain.clone(), subject),
            profile,
            listed: None,
            terms,
        })
    }

    /// Signs, and says what to record.
    pub fn sign_certificate(
        &self,
        prepared: PreparedCertificate,
    ) -> Result<SignedCertificate, SignError> {
        let params = self.task_params(&prepared)?;
        let PreparedCertificate {
            authority,
            id,
            decision,
            terms,
            listed,
            ..
        } = prepared;
        let certificate = params.signed_by(&terms.public_key, &authority.signer)?;
        let der = certificate.der().to_vec();
        let credential = Credential {
            id,
            task: terms.task.id,
            ancestors: terms.task.ancestors,
            agent: terms.agent,
            owner: terms.owner,
            issued_at: terms.now,
            key: authority.key.clone(),
            decision,
            digest: Sha256::of(&der),
            listed,
            body: CredentialBody::Certificate,
        };
        Ok(SignedCertificate {
            chain_pem: pem::certificates(std::iter::once(&*der).chain(authority.path())),
            der,
            credential,
        })
    }

    fn task_params(&self, prepared: &PreparedCertificate) -> Result<CertificateParams, SignError> {
        let until = prepared.id.expires_at();
        let extension = TaskExtension {
            issued_at: prepared.terms.now.secs(),
            ancestors: prepared.terms.task.ancestors.clone(),
        };
        let list = ListId {
            hour: list_hour(until),
            list: prepared.listed.map_or(0, ListPlace::list),
        };
        let url = self.crl_location(&prepared.authority.id, list);
        let leaf = Leaf {
            serial: *prepared.id.as_bytes(),
            validity: Validity {
                from: prepared.terms.now,
                until,
            },
            id: prepared.subject.clone(),
            more_names: Vec::new(),
            role: match prepared.profile {
                CertificateProfile::Client => Role::Client,
                CertificateProfile::SpiffeSvid => Role::Svid,
            },
            extension: Some(extension),
            crl_url: Some(url),
        };
        Ok(profile::leaf(leaf)?)
    }
}

#[cfg(test)]
pub(crate) mod tests;
