//! Tokens and certificates under a task.

use std::collections::BTreeSet;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use taskpass_api::v1::credential_service_client::CredentialServiceClient;
use taskpass_api::v1::{self, IssueCertificateRequest, IssueTokenRequest};
use taskpass_core::scope::ParseScopeError;
use taskpass_core::secret::Secret;
use taskpass_core::{CredentialId, ScopeName, TargetUri, Timestamp};
use zeroize::Zeroizing;

use super::{AgentError, Task, once_more};
use crate::identity::Identity;
use crate::key::LocalKey;
use crate::wire;

/// A token. The text is shown by no `Debug`.
#[derive(Debug, Clone)]
pub struct Token {
    secret: Secret,
    id: CredentialId,
    expires_at: Timestamp,
    scopes: BTreeSet<ScopeName>,
    clamped_by: Vec<String>,
    revocation_seq: u64,
}

/// A certificate with its private key, in memory.
#[derive(Debug, Clone)]
pub struct Certificate {
    inner: Identity,
    leaf: Vec<u8>,
    id: CredentialId,
    clamped_by: Vec<String>,
    revocation_seq: u64,
}

impl Token {
    /// The token itself, to be sent as `Authorization: Bearer …`. Keep it secret.
    pub fn expose(&self) -> &str {
        self.secret.expose()
    }

    /// Its `jti`.
    pub fn id(&self) -> CredentialId {
        self.id
    }

    /// The instant from which it is no longer valid.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// The scopes that were granted.
    pub fn scopes(&self) -> &BTreeSet<ScopeName> {
        &self.scopes
    }

    /// What shortened its life; empty if nothing did.
    pub fn clamped_by(&self) -> &[String] {
        &self.clamped_by
    }

    /// The newest revocation that it was checked against.
    pub fn revocation_seq(&self) -> u64 {
        self.revocation_seq
    }
}

impl Certificate {
    /// The certificate and the issuing authority's, in PEM.
    pub fn cert_pem(&self) -> &str {
        self.inner.cert_pem()
    }

    /// The certificate alone, in DER.
    pub fn leaf_der(&self) -> &[u8] {
        &self.leaf
    }

    /// The private key, in PEM. Keep it secret.
    pub fn key_pem(&self) -> &Zeroizing<String> {
        self.inner.key_pem()
    }

    /// The anchors that downstream APIs trust, in PEM.
    pub fn ca_pem(&self) -> &str {
        self.inner.ca_pem()
    }

    /// Its serial number.
    pub fn id(&self) -> CredentialId {
        self.id
    }

    /// The instant from which it is no longer valid.
    pub fn expires_at(&self) -> Timestamp {
        self.inner.expires_at()
    }

    /// What shortened its life; empty if nothing did.
    pub fn clamped_by(&self) -> &[String] {
        &self.clamped_by
    }

    /// The newest revocation that it was checked against.
    pub fn revocation_seq(&self) -> u64 {
        self.revocation_seq
    }
}

impl Task {
    /// Takes a token for `target` with `scopes` there.
    pub async fn token<S: AsRef<str>>(
        &self,
        target: &str,
        scopes: impl IntoIterator<Item = S>,
        ttl: Option<Duration>,
    ) -> Result<Token, AgentError> {
        self.issue(target, scopes, ttl, None).await
    }

    /// As [`token`](Self::token), bound to a certificate of the same task: the token is worth
    /// something only to whoever also proves that key.
    pub async fn bound_token<S: AsRef<str>>(
        &self,
        target: &str,
        scopes: impl IntoIterator<Item = S>,
        ttl: Option<Duration>,
        certificate: &Certificate,
    ) -> Result<Token, AgentError> {
        self.issue(target, scopes, ttl, Some(certificate)).await
    }

    pub(super) async fn issue<S: AsRef<str>>(
        &self,
        target: &str,
        scopes: impl IntoIterator<Item = S>,
        ttl: Option<Duration>,
        certificate: Option<&Certificate>,
    ) -> Result<Token, AgentError> {
        let target: TargetUri = target.parse()?;
        let scopes: BTreeSet<ScopeName> = scopes
            .into_iter()
            .map(|text| text.as_ref().parse())
            .collect::<Result<_, _>>()?;
        let request = IssueTokenRequest {
            task_id: self.id.to_string(),
            target: target.to_string(),
            scopes: scopes.iter().map(ToString::to_string).collect(),
            ttl: ttl.map(wire::duration),
            bind_certificate: certificate
                .map(|bound| bound.leaf.clone())
                .unwrap_or_default()
                .into(),
        };
        let client = CredentialServiceClient::new(self.agent.channel.clone());
        let reply = once_more(|| {
            let (mut client, request) = (client.clone(), request.clone());
            async move { client.issue_token(request).await }
        })
        .await?;
        Token::read(reply.into_inner())
    }

    /// Takes a certificate that proves this task, for a key pair that is made here.
    pub async fn certificate(&self, ttl: Option<Duration>) -> Result<Certificate, AgentError> {
        let key = LocalKey::generate()?;
        let request = IssueCertificateRequest {
            task_id: self.id.to_string(),
            csr: key.csr_der().to_vec().into(),
            ttl: ttl.map(wire::duration),
            ..IssueCertificateRequest::default()
        };
        let client = CredentialServiceClient::new(self.agent.channel.clone());
        let reply = once_more(|| {
            let (mut client, request) = (client.clone(), request.clone());
            async move { client.issue_certificate(request).await }
        })
        .await?;
        Certificate::read(reply.into_inner(), key)
    }
}

fn lacks(field: &'static str) -> AgentError {
    AgentError::Answer { field }
}

impl Token {
    pub(super) fn read(reply: v1::IssueTokenResponse) -> Result<Self, AgentError> {
        let secret = Secret::new(reply.token);
        if secret.expose().is_empty() {
            return Err(lacks("token"));
        }
        let scopes: Result<_, ParseScopeError> =
            reply.scopes.iter().map(|text| text.parse()).collect();
        Ok(Self {
            secret,
            id: reply
                .credential_id
                .parse()
                .map_err(|_| lacks("credential id"))?,
            expires_at: wire::timestamp(reply.expires_at).ok_or_else(|| lacks("expiry"))?,
            scopes: scopes.map_err(|_| lacks("scopes"))?,
            clamped_by: reply.clamped_by,
            revocation_seq: reply.revocation_seq,
        })
    }
}

impl Certificate {
    fn read(reply: v1::IssueCertificateResponse, key: LocalKey) -> Result<Self, AgentError> {
        let inner = Identity::new(reply.cert_pem, key.into_key_pem(), reply.ca_pem)
            .map_err(AgentError::Certificate)?;
        let leaf = CertificateDer::from_pem_slice(inner.cert_pem().as_bytes())
            .map_err(|_| lacks("certificate"))?;
        Ok(Self {
            leaf: leaf.to_vec(),
            id: reply
                .credential_id
                .parse()
                .map_err(|_| lacks("credential id"))?,
            clamped_by: reply.clamped_by,
            revocation_seq: reply.revocation_seq,
            inner,
        })
    }
}
