//! The parts of an entry: what was asked, granted, decided, issued, revoked, and why.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::credential::{Credential, CredentialBody, CredentialKind};
use crate::grant::Basis;
use crate::id::{CredentialId, DecisionId};
use crate::identity::{IdentityLine, Principal};
use crate::key::KeyId;
use crate::revocation::{Rule, Selector};
use crate::scope::ScopeRef;
use crate::secret::Sha256;
use crate::time::Timestamp;
use crate::ttl::Ttl;

/// The most policies that an entry names; of more it says how many.
pub const MAX_POLICIES: usize = 16;

/// How a caller proved who it is; `method` is the word that policies see as `context.attestation`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "method", rename_all = "snake_case")]
pub enum Attestation {
    /// By the private key of an identity certificate, in the handshake.
    Mtls {
        /// SHA-256 of the certificate's subject public key info (DER).
        key: Sha256,
    },
    /// By a signed assertion (RFC 7523), under a key that is registered for the agent.
    PrivateKeyJwt {
        /// The key's thumbprint, as the registry has it.
        key: KeyId,
    },
    /// By an enrolment token.
    EnrolmentToken {
        /// SHA-256 of the token.
        token: Sha256,
    },
    /// By a token of another issuer that the broker is configured to believe.
    FederatedJwt {
        /// The issuer's name in the configuration.
        issuer: String,
        /// The token's `sub`.
        subject: String,
        /// The issuer's key that signed it.
        key: String,
    },
    /// By the private key of an X.509-SVID of another trust domain, in the handshake.
    ForeignSvid {
        /// The SPIFFE ID.
        spiffe_id: String,
        /// SHA-256 of the certificate's subject public key info (DER).
        key: Sha256,
    },
    /// By what the kernel says of the process at the other end of a Unix socket.
    Unix {
        /// Its user.
        uid: u32,
        /// Its group.
        gid: u32,
        /// The file that it runs, where a rule asked for it.
        #[serde(skip_serializing_if = "Option::is_none")]
        executable: Option<String>,
    },
}

impl Attestation {
    /// The words of the methods by which a caller can prove itself: those that policies can meet.
    pub const METHODS: [&'static str; 5] = [
        "mtls",
        "private_key_jwt",
        "federated_jwt",
        "foreign_svid",
        "unix",
    ];

    /// The word for the method.
    pub const fn method(&self) -> &'static str {
        match self {
            Self::Mtls { .. } => "mtls",
            Self::PrivateKeyJwt { .. } => "private_key_jwt",
            Self::EnrolmentToken { .. } => "enrolment_token",
            Self::FederatedJwt { .. } => "federated_jwt",
            Self::ForeignSvid { .. } => "foreign_svid",
            Self::Unix { .. } => "unix",
        }
    }
}

/// Scopes and lifetime, as asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// The scopes.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub scopes: BTreeSet<ScopeRef>,
    /// The lifetime in seconds; absent where the default was left to apply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Ttl>,
}

/// Scopes and lifetime, as granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Granted {
    /// The scopes; a certificate has none.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub scopes: BTreeSet<ScopeRef>,
    /// The lifetime in whole seconds: of a credential the difference of its `exp` and `iat`.
    pub ttl: u64,
    /// From this instant on it is over.
    pub expires_at: Timestamp,
}

impl Granted {
    /// What begins at `from` and is over at `expires_at`.
    pub fn new(scopes: BTreeSet<ScopeRef>, from: Timestamp, expires_at: Timestamp) -> Self {
        Self {
            scopes,
            ttl: expires_at.secs().saturating_sub(from.secs()),
            expires_at,
        }
    }
}

/// Which policies decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DecisionFacts {
    /// The determining policies, at most [`MAX_POLICIES`].
    pub policies: Vec<String>,
    /// How many more there were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more_policies: Option<usize>,
    /// SHA-256 of the policy set.
    pub policy_set: Sha256,
    /// Whether this was allowed although policy denies it, because its target is only observed.
    pub would_deny: bool,
    /// Whether a policy could not be evaluated.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub errored: bool,
}

impl From<&Basis> for DecisionFacts {
    fn from(basis: &Basis) -> Self {
        let more = basis.policies.len().saturating_sub(MAX_POLICIES);
        Self {
            policies: basis.policies.iter().take(MAX_POLICIES).cloned().collect(),
            more_policies: (more > 0).then_some(more),
            policy_set: basis.policy_set,
            would_deny: basis.would_deny,
            errored: false,
        }
    }
}

/// Which credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CredentialFacts {
    /// Its kind.
    pub kind: CredentialKind,
    /// Its id.
    pub id: CredentialId,
    /// SHA-256 of the token, or of the certificate's DER.
    pub sha256: Sha256,
    /// The key that signed it.
    pub key: KeyId,
    /// SHA-256 of the certificate that a token is bound to: its `cnf.x5t#S256`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound_to: Option<Sha256>,
}

impl From<&Credential> for CredentialFacts {
    fn from(credential: &Credential) -> Self {
        Self {
            kind: credential.kind(),
            id: credential.id,
            sha256: credential.digest,
            key: credential.key.clone(),
            bound_to: match &credential.body {
                CredentialBody::Token { bound_to, .. } => *bound_to,
                CredentialBody::Certificate => None,
            },
        }
    }
}

/// Which revocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RevocationFacts {
    /// `credential`, `task`, `agent`, `owner`, `target`, `key` or `all`.
    pub selector: &'static str,
    /// What it names; empty for `all`.
    pub value: String,
    /// How many live credentials it ended.
    pub credentials: u64,
    /// Whether that number is exact or an upper bound.
    pub exact: bool,
}

/// What an effect followed from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// What another entry records.
    Entry(DecisionId),
    /// A credential that this decision issued.
    Decision(DecisionId),
    /// A revocation's rule.
    Rule {
        /// Its place in the order of rules.
        seq: u64,
        /// What kind of thing it names.
        selector: &'static str,
        /// What it names; empty for `all`.
        value: String,
        /// When it was made.
        at: Timestamp,
        /// By whom.
        actor: Principal,
    },
}

impl From<&Rule> for Cause {
    fn from(rule: &Rule) -> Self {
        Self::Rule {
            seq: rule.seq,
            selector: rule.selector.kind(),
            value: rule.selector.value(),
            at: rule.at,
            actor: rule.actor.clone(),
        }
    }
}

/// Which enrolment token was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EnrolmentFacts {
    /// SHA-256 of the token.
    pub token: Sha256,
    /// From this instant on it is refused.
    pub expires_at: Timestamp,
}

/// Which identity certificate was issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IdentityFacts {
    /// SHA-256 of its subject public key info: what later calls name as their attestation's key.
    pub key: Sha256,
    /// Its place in its line.
    pub generation: u64,
    /// From this instant on it is over.
    pub expires_at: Timestamp,
}

impl From<&IdentityLine> for IdentityFacts {
    /// The newest certificate of the line.
    fn from(line: &IdentityLine) -> Self {
        Self {
            key: line.current.key,
            generation: line.generation,
            expires_at: line.current.expires_at,
        }
    }
}

/// Which log begins: the first entry of every log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogFacts {
    /// Its origin, as its checkpoints name it.
    pub origin: String,
    /// The last checkpoint of the log before, as it was signed; absent in the first log of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
}

impl RevocationFacts {
    /// A revocation of what `selector` names, which ended `credentials`.
    pub fn new(selector: &Selector, credentials: u64, exact: bool) -> Self {
        Self {
            selector: selector.kind(),
            value: selector.value(),
            credentials,
            exact,
        }
    }
}
