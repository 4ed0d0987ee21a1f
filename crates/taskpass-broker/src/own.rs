//! What an agent does with a token of its own: show it to get another one, or give it up.
//!
//! Another agent's token is as unknown as none, whoever brings it.

use taskpass_core::audit::{EntryKind, Outcome};
use taskpass_core::credential::{Credential, CredentialBody};
use taskpass_core::secret::Sha256;
use taskpass_core::{ScopeName, TargetUri, TaskId};

use crate::broker::Broker;
use crate::error::Error;
use crate::introspect::{Introspected, Presented};
use crate::revoke::{Revoke, RevokeWhat};
use crate::standing::{Standing, calling_agent};

/// What the entry of a credential that was given up says.
const GIVEN_UP: &str = "given up by its agent";

/// A token that its own agent shows, valid now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Its task.
    pub task: TaskId,
    /// What that is for.
    pub purpose: String,
    /// What the token is for.
    pub target: TargetUri,
    /// Its scopes there.
    pub scopes: Vec<ScopeName>,
}

impl Broker {
    /// The caller's own token, if it is valid now. `certificate` is what the connection proved; a
    /// token that is bound counts only with its own.
    ///
    /// A token that is ours and valid but another agent's, or bound and shown without its
    /// certificate, is recorded: somebody has what is not theirs.
    pub async fn subject(
        &self,
        caller: &Standing,
        token: &str,
        certificate: Option<&[u8]>,
    ) -> Result<Option<Subject>, Error> {
        let agent = calling_agent(caller)?;
        let Some(credential) = self.recognise(&Presented::Token(token)).await? else {
            return Ok(None);
        };
        let Some(found) = self.valid(credential).await? else {
            return Ok(None);
        };
        let Introspected {
            credential,
            purpose,
        } = found;
        if credential.agent != *agent {
            self.record_misuse(caller, &not_its_own(&credential), &credential)
                .await?;
            return Ok(None);
        }
        let CredentialBody::Token {
            target,
            scopes,
            bound_to,
        } = &credential.body
        else {
            return Ok(None);
        };
        let proves = |digest: &Sha256| certificate.is_some_and(|der| Sha256::of(der) == *digest);
        if !bound_to.as_ref().is_none_or(proves) {
            let error = Error::InvalidBinding {
                expected: "the certificate that the token is bound to, proved on this connection",
            };
            self.record_misuse(caller, &error, &credential).await?;
            return Err(error);
        }
        Ok(Some(Subject {
            task: credential.task,
            purpose,
            target: target.clone(),
            scopes: scopes.clone(),
        }))
    }

    /// Ends a token of the caller's own. What is not one, or not valid any more, changes nothing.
    pub async fn give_up(&self, caller: &Standing, token: &str) -> Result<bool, Error> {
        let agent = calling_agent(caller)?;
        let Some(credential) = self.recognise(&Presented::Token(token)).await? else {
            return Ok(false);
        };
        if self.valid(credential.clone()).await?.is_none() {
            return Ok(false);
        }
        if credential.agent != *agent {
            self.record_misuse(caller, &not_its_own(&credential), &credential)
                .await?;
            return Ok(false);
        }
        let request = Revoke {
            what: RevokeWhat::Credential(credential.id),
            reason: GIVEN_UP.to_owned(),
            dry_run: false,
            no_suspend: true,
        };
        match self.revoke(caller, &request).await {
            Ok(_) => Ok(true),
            // It was reaped in between.
            Err(Error::CredentialNotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn record_misuse(
        &self,
        caller: &Standing,
        error: &Error,
        credential: &Credential,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let mut entry = self.entry(caller, now, EntryKind::Call, Outcome::Deny);
        entry.generation = None;
        entry.trace_id = None;
        entry.subject = Some(format!("presented credential {}", credential.id));
        self.record_denial(entry, error).await
    }
}

fn not_its_own(credential: &Credential) -> Error {
    Error::CredentialNotFound {
        credential: credential.id,
    }
}
