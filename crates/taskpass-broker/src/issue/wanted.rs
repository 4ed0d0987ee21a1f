//! What an agent asks for, and what it gets.

use std::collections::BTreeSet;

use taskpass_core::access::CertificateProfile;
use taskpass_core::audit::{Asked, EntryKind};
use taskpass_core::credential::{Credential, CredentialKind};
use taskpass_core::grant::Ask;
use taskpass_core::secret::Secret;
use taskpass_core::task::MAX_SCOPES;
use taskpass_core::ttl::{Clamp, Ttl};
use taskpass_core::{ScopeName, ScopeRef, TargetUri, TaskId};

use crate::error::Error;

/// A token that an agent asks for.
#[derive(Debug, Clone)]
pub struct TokenRequest {
    /// A live task of the caller.
    pub task: TaskId,
    /// The target.
    pub target: TargetUri,
    /// Scopes there.
    pub scopes: BTreeSet<ScopeName>,
    /// The life asked for.
    pub ttl: Option<Ttl>,
    /// The DER of the certificate to bind to.
    pub bind: Option<Vec<u8>>,
}

/// A certificate that an agent asks for.
#[derive(Debug, Clone)]
pub struct CertificateRequest {
    /// A live task of the caller.
    pub task: TaskId,
    /// PKCS#10.
    pub csr: Vec<u8>,
    /// What it is for.
    pub profile: CertificateProfile,
    /// The life asked for.
    pub ttl: Option<Ttl>,
}

/// A token that is recorded and may leave.
#[derive(Debug)]
pub struct IssuedToken {
    /// The token.
    pub token: Secret,
    /// What is recorded of it.
    pub credential: Credential,
    /// What shortened its life.
    pub clamped_by: Option<Clamp>,
    /// Whether no policy permits it, and it was issued because its target is only observed.
    pub would_deny: bool,
    /// The newest rule that it was checked against.
    pub revocation_seq: u64,
}

/// A certificate that is recorded and may leave.
#[derive(Debug)]
pub struct IssuedCertificate {
    /// The certificate and the issuing authority's, in PEM.
    pub chain_pem: String,
    /// The anchors that downstream APIs trust, in PEM.
    pub anchors_pem: String,
    /// What is recorded of it.
    pub credential: Credential,
    /// What shortened its life.
    pub clamped_by: Option<Clamp>,
    /// The newest rule that it was checked against.
    pub revocation_seq: u64,
}

/// Either of the two.
pub(super) enum Wanted<'a> {
    /// A token.
    Token(&'a TokenRequest),
    /// A certificate.
    Certificate(&'a CertificateRequest),
}

impl Wanted<'_> {
    pub(super) fn task(&self) -> TaskId {
        match self {
            Self::Token(request) => request.task,
            Self::Certificate(request) => request.task,
        }
    }

    pub(super) fn ttl(&self) -> Option<Ttl> {
        match self {
            Self::Token(request) => request.ttl,
            Self::Certificate(request) => request.ttl,
        }
    }

    pub(super) fn target(&self) -> Option<&TargetUri> {
        match self {
            Self::Token(request) => Some(&request.target),
            Self::Certificate(_) => None,
        }
    }

    pub(super) fn credential_kind(&self) -> CredentialKind {
        match self {
            Self::Token(_) => CredentialKind::Token,
            Self::Certificate(_) => CredentialKind::Certificate,
        }
    }

    pub(super) fn kind(&self) -> EntryKind {
        match self {
            Self::Token(_) => EntryKind::Token,
            Self::Certificate(_) => EntryKind::Certificate,
        }
    }

    pub(super) fn scopes(&self) -> BTreeSet<ScopeRef> {
        match self {
            Self::Token(request) => request
                .scopes
                .iter()
                .map(|scope| ScopeRef {
                    target: request.target.clone(),
                    scope: scope.clone(),
                })
                .collect(),
            Self::Certificate(_) => BTreeSet::new(),
        }
    }

    /// A token is for some of its task's scopes, which are not more than these.
    pub(super) fn check_shape(&self) -> Result<(), Error> {
        match self {
            Self::Token(request) if !(1..=MAX_SCOPES).contains(&request.scopes.len()) => {
                let message = format!("name 1 to {MAX_SCOPES} scopes of the target");
                Err(Error::InvalidScope { message })
            }
            Self::Token(_) | Self::Certificate(_) => Ok(()),
        }
    }

    pub(super) fn ask(&self) -> Ask {
        match self {
            Self::Token(_) => Ask::Scopes(self.scopes()),
            Self::Certificate(request) => match request.profile {
                CertificateProfile::Client => Ask::Certificate,
                CertificateProfile::SpiffeSvid => Ask::Svid,
            },
        }
    }

    /// What was asked for; nothing, where a certificate was asked for with every default.
    pub(super) fn asked(&self) -> Option<Asked> {
        let asked = Asked {
            scopes: self.scopes(),
            ttl: self.ttl(),
        };
        (asked != Asked::default()).then_some(asked)
    }
}
