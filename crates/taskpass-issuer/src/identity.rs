//! Identity certificates: by which agents, operators and verifiers call the broker.
//!
//! From the Control hierarchy, for client authentication only. Who may have one is decided by
//! enrolment and succession, before this; here it is only made, no longer than
//! [`MAX_IDENTITY_TTL`].

use taskpass_core::id::CredentialId;
use taskpass_core::identity::{Link, Principal};
use taskpass_core::key::{KeyId, KeyPurpose};
use taskpass_core::rng::Rng;
use taskpass_core::spiffe::SpiffeId;
use taskpass_core::time::Timestamp;
use taskpass_core::ttl::{MAX_IDENTITY_TTL, Ttl};
use taskpass_token::TaskExtension;

use crate::authority::Hierarchy;
use crate::csr::CsrKey;
use crate::issuer::Issuer;
use crate::keys::KeyError;
use crate::pem;
use crate::profile::{self, Leaf, Role, Validity};
use crate::random::RandomError;

/// A certificate of the Control hierarchy could not be made.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// It would end before the second after its beginning.
    #[error("the certificate would end before it begins")]
    TooShort,
    /// It would live longer than it may.
    #[error("the certificate would live longer than {0}")]
    TooLong(Ttl),
    /// It would outlive the authority that issues it.
    #[error("the certificate would outlive the {0} authority")]
    BeyondAuthority(KeyPurpose),
    /// A name is not a DNS name.
    #[error("`{0}` is not a DNS name")]
    Name(String),
    /// No key.
    #[error("a key could not be made")]
    Key(#[from] KeyError),
    /// No serial number.
    #[error("a serial number could not be drawn")]
    Serial(#[from] RandomError),
    /// The certificate could not be put together or signed.
    #[error("the certificate could not be made")]
    Certificate(#[from] rcgen::Error),
}

/// A signed identity certificate, with what its line records of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIdentity {
    /// The certificate.
    pub der: Vec<u8>,
    /// The certificate, the issuing authority's, and those above that which others made, in PEM.
    pub chain_pem: String,
    /// What the identity line records.
    pub link: Link,
    /// Its serial number.
    pub serial: CredentialId,
    /// The authority that signed it.
    pub key: KeyId,
}

impl Issuer {
    /// Makes an identity certificate.
    pub fn sign_identity(
        &self,
        principal: &Principal,
        public_key: &CsrKey,
        now: Timestamp,
        expires_at: Timestamp,
        rng: &dyn Rng,
    ) -> Result<SignedIdentity, IdentityError> {
        self.may_certify(now, expires_at)?;
        let authority = &self.branch(Hierarchy::Control).active;
        let serial = CredentialId::generate(expires_at, rng);
        let until = serial.expires_at();
        let trust_domain = self.config.trust_domain.clone();
        let params = profile::leaf(Leaf {
            serial: *serial.as_bytes(),
            validity: Validity { from: now, until },
            id: SpiffeId::new(trust_domain, principal.subject()),
            more_names: Vec::new(),
            role: Role::Client,
            extension: Some(TaskExtension {
                issued_at: now.secs(),
                ancestors: Vec::new(),
            }),
            crl_url: None,
        })?;
        let certificate = params.signed_by(public_key, &authority.signer)?;
        let der = certificate.der().to_vec();
        Ok(SignedIdentity {
            chain_pem: pem::certificates(std::iter::once(&*der).chain(authority.path())),
            der,
            link: Link {
                key: public_key.digest(),
                issued_at: now,
                expires_at: until,
            },
            serial,
            key: authority.key.clone(),
        })
    }

    /// Whether the Control hierarchy may certify something from `now` to `until`.
    pub(crate) fn may_certify(
        &self,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<(), IdentityError> {
        if until.secs() <= now.secs() {
            return Err(IdentityError::TooShort);
        }
        let life = until.floor_to_second().since(now.floor_to_second());
        if life > MAX_IDENTITY_TTL.duration() {
            return Err(IdentityError::TooLong(MAX_IDENTITY_TTL));
        }
        if until > self.branch(Hierarchy::Control).active.not_after {
            return Err(IdentityError::BeyondAuthority(Hierarchy::Control.issuing()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
