//! Saying whether a credential is valid at this instant.
//!
//! A token is recognised, not verified: its record holds the SHA-256 of the token that was issued,
//! and nothing but that token has this hash. So one lookup and one hash answer for signature, claims
//! and expiry at once, and a token that was never recorded is never active.

use taskpass_core::CredentialId;
use taskpass_core::caller::Caller;
use taskpass_core::credential::{Credential, CredentialKind};
use taskpass_core::secret::Sha256;
use taskpass_core::task::TaskState;

use crate::broker::Broker;
use crate::error::Error;
use crate::standing::Standing;

/// What is asked about.
#[derive(Debug)]
pub enum Presented<'a> {
    /// A token.
    Token(&'a str),
    /// A certificate in DER.
    Certificate(&'a [u8]),
}

/// What a valid credential says.
#[derive(Debug, Clone)]
pub struct Introspected {
    /// What is recorded.
    pub credential: Credential,
    /// The purpose of its task.
    pub purpose: String,
}

impl Broker {
    /// The credential, if it is valid now and concerns the caller. For verifiers, within their
    /// targets, and operators.
    pub async fn introspect(
        &self,
        caller: &Standing,
        presented: &Presented<'_>,
    ) -> Result<Option<Introspected>, Error> {
        let found = self.recognise(presented).await?;
        let found = found.filter(|credential| concerns(&caller.caller, credential));
        if matches!(caller.caller, Caller::Operator(..)) {
            let subject = match &found {
                Some(credential) => format!("introspected credential {}", credential.id),
                None => "introspected nothing valid".to_owned(),
            };
            self.record_read(caller, subject).await?;
        }
        let Some(credential) = found else {
            self.metrics.introspected_inactive.one();
            return Ok(None);
        };
        let found = self.valid(credential).await?;
        match found {
            Some(_) => self.metrics.introspected_active.one(),
            None => self.metrics.introspected_inactive.one(),
        }
        Ok(found)
    }

    /// Whether a recognised credential is valid at this instant.
    pub(crate) async fn valid(
        &self,
        credential: Credential,
    ) -> Result<Option<Introspected>, Error> {
        let now = self.clock.now();
        let task = self.store.task(credential.task).await?;
        // A completed task's credentials end by its rule; between the two commits the record
        // already says that the task is over.
        let over = task.as_ref().is_none_or(|task| {
            let state = task.state(now);
            matches!(
                state,
                TaskState::Completed | TaskState::Revoked | TaskState::Lost
            )
        });
        if over || !self.is_live(&credential, now) {
            return Ok(None);
        }
        let purpose = task.map(|task| task.purpose).unwrap_or_default();
        Ok(Some(Introspected {
            credential,
            purpose,
        }))
    }

    /// The record of what was presented, if it is one of ours; whether it is valid is not asked.
    pub(crate) async fn recognise(
        &self,
        presented: &Presented<'_>,
    ) -> Result<Option<Credential>, Error> {
        let (id, digest, kind) = match presented {
            Presented::Token(token) => (
                token_id(token),
                Sha256::of(token.as_bytes()),
                CredentialKind::Token,
            ),
            Presented::Certificate(der) => {
                let serial = taskpass_issuer::serial_number(der);
                let id = serial.and_then(|serial| CredentialId::from_slice(&serial));
                (id, Sha256::of(der), CredentialKind::Certificate)
            }
        };
        let Some(id) = id else { return Ok(None) };
        let record = self.store.credential(id).await?;
        Ok(record.filter(|record| record.kind() == kind && record.digest == digest))
    }
}

/// The `jti` that a token claims; believed only if the record's hash agrees.
fn token_id(token: &str) -> Option<CredentialId> {
    #[derive(serde::Deserialize)]
    struct Jti {
        jti: String,
    }
    if token.len() > taskpass_token::jws::MAX_TOKEN_LEN {
        return None;
    }
    let payload = token.split('.').nth(1)?;
    let json = data_encoding::BASE64URL_NOPAD
        .decode(payload.as_bytes())
        .ok()?;
    serde_json::from_slice::<Jti>(&json).ok()?.jti.parse().ok()
}

fn concerns(caller: &Caller, credential: &Credential) -> bool {
    match caller {
        Caller::Operator(..) => true,
        // A certificate is for every target; a token for one.
        Caller::Verifier(_, targets) => credential
            .target()
            .is_none_or(|target| targets.contains(target)),
        Caller::Agent(_) => false,
    }
}
