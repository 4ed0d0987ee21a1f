//! A certificate that proves a task: its chain, its shape, and what it says.
//!
//! The chain goes to a root of the Task hierarchy, for client authentication, from a P-256 authority
//! and by our clock. A certificate of the Control hierarchy, an authority of somebody else's, a
//! leaf that signed another leaf: each is refused with its own reason. Then the shape, in which
//! whatever is not exactly as the broker issues it is refused. Revocation is the verifier's to judge.

pub mod crl;

mod anchors;
mod shape;

use taskpass_core::key::KeyId;
use taskpass_core::name::AgentName;
use taskpass_core::revocation::Facts;
use taskpass_core::secret::Sha256;
use taskpass_core::spiffe::TrustDomain;
use taskpass_core::task::Ancestor;
use taskpass_core::{CredentialId, TaskId, Timestamp};

use crate::refusal::Reason;

pub(crate) use anchors::Anchors;
pub use anchors::{AnchorsError, Extended};
pub use crl::{CrlError, CrlVerifier};

/// Why a certificate was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not the DER of an X.509 certificate, or with something critical that is not known.
    #[error("not a certificate that can be read")]
    Malformed,
    /// No path to a trusted root: of another hierarchy, another broker, or of nobody.
    #[error("no trusted authority of the task hierarchy issued the certificate")]
    Untrusted,
    /// A signature in the path is wrong, or of an algorithm that is not accepted.
    #[error("a signature in the certificate's path is not acceptable")]
    Signature,
    /// An end certificate stands where an authority belongs.
    #[error("the certificate was issued by one that may not issue")]
    NotAnAuthority,
    /// An authority was presented as if it were a task's.
    #[error("the certificate is an authority's and proves no task")]
    IsAnAuthority,
    /// Not for authenticating a client.
    #[error("the certificate is not for client authentication")]
    Usage,
    /// Its time is over, or that of an authority above it.
    #[error("the certificate has expired")]
    Expired,
    /// Its time has not begun.
    #[error("the certificate is not valid yet")]
    NotYetValid,
    /// The path breaks a constraint of an authority.
    #[error("the certificate's path breaks a constraint")]
    Path,
    /// Its names are not those of a task: empty subject, one critical URI.
    #[error("the certificate's names are not those of a task certificate: {0}")]
    Names(&'static str),
    /// It names an identity, not a task.
    #[error("the certificate names no task")]
    NotATask,
    /// It is of another trust domain.
    #[error("the certificate is of another trust domain")]
    TrustDomain,
    /// An extension or field is not as in a task certificate.
    #[error("the certificate is not shaped like a task certificate: {0}")]
    Shape(&'static str),
    /// Serial number, issue and end contradict each other, or it lives too long.
    #[error("the certificate's times are not ones that it can have: {0}")]
    Lifetime(&'static str),
}

impl CertificateError {
    pub(crate) const fn reason(&self) -> Reason {
        match self {
            Self::Malformed => Reason::Malformed,
            Self::Untrusted | Self::Signature | Self::NotAnAuthority | Self::Path => {
                Reason::Untrusted
            }
            Self::Expired => Reason::Expired,
            Self::NotYetValid => Reason::NotYetValid,
            Self::TrustDomain => Reason::Issuer,
            Self::Lifetime(_) => Reason::Lifetime,
            Self::IsAnAuthority
            | Self::Usage
            | Self::Names(_)
            | Self::NotATask
            | Self::Shape(_) => Reason::Shape,
        }
    }
}

/// What a certificate says, once it is known to be good. Only a [`Verifier`](crate::Verifier) makes
/// one. It proves a task and no scope; scopes come from a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedCertificate {
    claims: shape::Claims,
    digest: Sha256,
    issuer: KeyId,
    authorities: Vec<KeyId>,
    root: KeyId,
    trust_domain: TrustDomain,
}

impl VerifiedCertificate {
    /// The agent that acts.
    pub fn agent(&self) -> &AgentName {
        &self.claims.agent
    }

    /// The task it acts in.
    pub fn task(&self) -> TaskId {
        self.claims.task
    }

    /// The tasks above that one, the nearest first.
    pub fn ancestors(&self) -> &[Ancestor] {
        &self.claims.ancestors
    }

    /// Its serial number.
    pub fn credential_id(&self) -> CredentialId {
        self.claims.id
    }

    /// When it was issued, to the second.
    pub fn issued_at(&self) -> Timestamp {
        Timestamp::from_secs(self.claims.issued_at)
    }

    /// The instant from which it is no longer valid.
    pub fn expires_at(&self) -> Timestamp {
        self.claims.expires_at
    }

    /// SHA-256 of its DER: what `cnf.x5t#S256` of a bound token holds.
    pub fn digest(&self) -> Sha256 {
        self.digest
    }

    /// The key of the authority that signed it.
    pub fn issuer_key(&self) -> &KeyId {
        &self.issuer
    }

    pub(crate) fn authorities(&self) -> &[KeyId] {
        &self.authorities
    }

    pub(crate) fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    pub(crate) fn root(&self) -> &KeyId {
        &self.root
    }

    pub(crate) fn facts(&self) -> Facts {
        Facts {
            credential: Some(self.claims.id),
            agent: Some(self.claims.agent.clone()),
            task: Some(self.claims.task),
            ancestors: self.claims.ancestors.clone(),
            target: None,
            key: Some(self.issuer.clone()),
            issued_at: self.claims.issued_at,
        }
    }
}

#[cfg(test)]
mod tests;
