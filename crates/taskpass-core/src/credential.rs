//! A credential as it is recorded: everything about it but the credential itself.

use crate::access::words;
use crate::id::{CredentialId, DecisionId, TaskId};
use crate::key::KeyId;
use crate::listing::ListPlace;
use crate::name::{AgentName, OwnerName};
use crate::scope::{ScopeName, TargetUri};
use crate::secret::Sha256;
use crate::task::Ancestor;
use crate::time::Timestamp;

words!(
    /// The two kinds of credential.
    CredentialKind, "token, certificate", {
    /// A JWT: carries scopes for one target.
    Token => "token",
    /// An X.509 client certificate: proves which task is calling, carries no scope.
    Certificate => "certificate",
});

words!(
    /// What a credential is worth at some instant.
    CredentialState, "active, expired, revoked", {
    /// It is accepted.
    Active => "active",
    /// Its time is over.
    Expired => "expired",
    /// A rule matches it.
    Revoked => "revoked",
});

/// What was issued, to whom, for what. Never the token, never a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// `jti` or serial number; carries the expiry.
    pub id: CredentialId,
    /// The task it was issued under.
    pub task: TaskId,
    /// The tasks above that one, the nearest first.
    pub ancestors: Vec<Ancestor>,
    /// The agent of the task.
    pub agent: AgentName,
    /// The agent's owner when it was issued.
    pub owner: OwnerName,
    /// When it was issued; `iat` is this, rounded down to the second.
    pub issued_at: Timestamp,
    /// The key that signed it.
    pub key: KeyId,
    /// The decision that allowed it.
    pub decision: DecisionId,
    /// SHA-256 of the whole token, or of the certificate's DER.
    pub digest: Sha256,
    /// Where it stands on the published lists of its hour; `None` if it says no place.
    pub listed: Option<ListPlace>,
    /// What only one kind has.
    pub body: CredentialBody,
}

/// What only a token or only a certificate has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialBody {
    /// A token.
    Token {
        /// `aud`.
        target: TargetUri,
        /// `scope`.
        scopes: Vec<ScopeName>,
        /// `cnf.x5t#S256`: the certificate that must present it.
        bound_to: Option<Sha256>,
    },
    /// A certificate.
    Certificate,
}

impl Credential {
    /// Which kind it is.
    pub fn kind(&self) -> CredentialKind {
        match self.body {
            CredentialBody::Token { .. } => CredentialKind::Token,
            CredentialBody::Certificate => CredentialKind::Certificate,
        }
    }

    /// The target, of a token.
    pub fn target(&self) -> Option<&TargetUri> {
        match &self.body {
            CredentialBody::Token { target, .. } => Some(target),
            CredentialBody::Certificate => None,
        }
    }

    /// The instant from which it is no longer valid.
    pub fn expires_at(&self) -> Timestamp {
        self.id.expires_at()
    }

    /// Whether its time is over at `now`.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.expires_at()
    }

    /// What rules are matched against.
    pub fn facts(&self) -> crate::revocation::Facts {
        crate::revocation::Facts {
            credential: Some(self.id),
            agent: Some(self.agent.clone()),
            task: Some(self.task),
            ancestors: self.ancestors.clone(),
            target: self.target().cloned(),
            key: Some(self.key.clone()),
            issued_at: self.issued_at.secs(),
        }
    }
}
