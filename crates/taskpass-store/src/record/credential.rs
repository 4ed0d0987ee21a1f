//! A credential on disk: the largest table, so nothing in it is written twice.

use taskpass_core::credential::{Credential, CredentialBody};
use taskpass_core::key::KeyId;
use taskpass_core::listing::ListPlace;
use taskpass_core::task::Ancestor;
use taskpass_core::{CredentialId, DecisionId, TaskId};

use crate::record::{instant, optional, sha256};

/// A [`Credential`] without its id, which is the key.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct CredentialRecord {
    #[prost(bytes = "vec", tag = "1")]
    task: Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    ancestors: Vec<AncestorRecord>,
    #[prost(string, tag = "3")]
    agent: String,
    #[prost(string, tag = "4")]
    owner: String,
    #[prost(uint64, tag = "5")]
    issued_at: u64,
    #[prost(string, tag = "6")]
    key: String,
    #[prost(bytes = "vec", tag = "7")]
    decision: Vec<u8>,
    #[prost(bytes = "vec", tag = "8")]
    digest: Vec<u8>,
    /// Present in a token's record only.
    #[prost(message, optional, tag = "9")]
    token: Option<TokenRecord>,
    /// Absent where the credential says no place.
    #[prost(uint64, optional, tag = "10")]
    listed: Option<u64>,
}

/// The task of a [`CredentialRecord`] alone, which is all that the reaper needs; the rest is skipped.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct CredentialTask {
    #[prost(bytes = "vec", tag = "1")]
    task: Vec<u8>,
}

impl CredentialTask {
    /// The task.
    pub(crate) fn task(&self) -> Option<TaskId> {
        TaskId::from_slice(&self.task)
    }
}

/// What only a token has.
#[derive(Clone, PartialEq, prost::Message)]
struct TokenRecord {
    #[prost(string, tag = "1")]
    target: String,
    #[prost(string, repeated, tag = "2")]
    scopes: Vec<String>,
    #[prost(bytes = "vec", optional, tag = "3")]
    bound_to: Option<Vec<u8>>,
}

/// A task above another one.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct AncestorRecord {
    #[prost(bytes = "vec", tag = "1")]
    task: Vec<u8>,
    #[prost(string, tag = "2")]
    agent: String,
}

impl From<&Ancestor> for AncestorRecord {
    fn from(ancestor: &Ancestor) -> Self {
        Self {
            task: ancestor.task.as_bytes().to_vec(),
            agent: ancestor.agent.to_string(),
        }
    }
}

impl AncestorRecord {
    /// Converts all of a list, or nothing.
    pub(super) fn all(records: Vec<Self>) -> Option<Vec<Ancestor>> {
        let convert = |record: Self| {
            Some(Ancestor {
                task: TaskId::from_slice(&record.task)?,
                agent: record.agent.parse().ok()?,
            })
        };
        records.into_iter().map(convert).collect()
    }
}

impl From<&Credential> for CredentialRecord {
    fn from(credential: &Credential) -> Self {
        let token = match &credential.body {
            CredentialBody::Token {
                target,
                scopes,
                bound_to,
            } => Some(TokenRecord {
                target: target.to_string(),
                scopes: scopes.iter().map(ToString::to_string).collect(),
                bound_to: bound_to.map(|digest| digest.as_bytes().to_vec()),
            }),
            CredentialBody::Certificate => None,
        };
        Self {
            task: credential.task.as_bytes().to_vec(),
            ancestors: credential.ancestors.iter().map(Into::into).collect(),
            agent: credential.agent.to_string(),
            owner: credential.owner.to_string(),
            issued_at: credential.issued_at.millis(),
            key: credential.key.to_string(),
            decision: credential.decision.as_bytes().to_vec(),
            digest: credential.digest.as_bytes().to_vec(),
            token,
            listed: credential.listed.map(ListPlace::to_number),
        }
    }
}

impl CredentialRecord {
    /// The credential `id`.
    pub(crate) fn into_credential(self, id: CredentialId) -> Option<Credential> {
        let body = match self.token {
            Some(token) => token.into_body()?,
            None => CredentialBody::Certificate,
        };
        Some(Credential {
            id,
            task: TaskId::from_slice(&self.task)?,
            ancestors: AncestorRecord::all(self.ancestors)?,
            agent: self.agent.parse().ok()?,
            owner: self.owner.parse().ok()?,
            issued_at: instant(self.issued_at)?,
            key: KeyId::parse(&self.key)?,
            decision: DecisionId::from_slice(&self.decision)?,
            digest: sha256(&self.digest)?,
            listed: optional(self.listed, ListPlace::from_number)?,
            body,
        })
    }
}

impl TokenRecord {
    fn into_body(self) -> Option<CredentialBody> {
        let scopes = self.scopes.iter().map(|scope| scope.parse().ok());
        Some(CredentialBody::Token {
            target: self.target.parse().ok()?,
            scopes: scopes.collect::<Option<_>>()?,
            bound_to: optional(self.bound_to, |digest| sha256(&digest))?,
        })
    }
}
