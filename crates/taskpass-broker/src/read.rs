//! Reading credentials, rules and keys.

use std::sync::Arc;

use taskpass_core::credential::{Credential, CredentialState};
use taskpass_core::key::KeyState;
use taskpass_core::revocation::Rule;
use taskpass_core::{CredentialId, TaskId};
use taskpass_issuer::KeyView;
use taskpass_store::Page;

use crate::broker::Broker;
use crate::error::Error;
use crate::standing::Standing;
use crate::tasks::may_read;

impl Broker {
    /// What a credential is worth now.
    pub fn credential_state(&self, credential: &Credential) -> CredentialState {
        if credential.is_expired(self.clock.now()) {
            CredentialState::Expired
        } else if self.store.rules().matching(&credential.facts()).is_some() {
            CredentialState::Revoked
        } else {
            CredentialState::Active
        }
    }

    /// Reads what is recorded of a credential: the task's agent its own, an operator any.
    pub async fn credential(
        &self,
        caller: &Standing,
        id: CredentialId,
    ) -> Result<Credential, Error> {
        self.record_read(caller, format!("credential {id}")).await?;
        self.store
            .credential(id)
            .await?
            .filter(|credential| may_read(&caller.caller, &credential.agent))
            .ok_or(Error::CredentialNotFound { credential: id })
    }

    /// Lists the credentials of a task by expiry.
    pub async fn list_credentials(
        &self,
        caller: &Standing,
        task: TaskId,
        after: Option<CredentialId>,
        limit: usize,
    ) -> Result<Page<Credential>, Error> {
        self.record_read(caller, format!("credentials of task {task}"))
            .await?;
        let known = self.store.task(task).await?;
        if !known.is_some_and(|task| may_read(&caller.caller, &task.agent)) {
            return Err(Error::TaskNotFound { task });
        }
        Ok(self.store.credentials(task, after, limit).await?)
    }

    /// Lists the rules in force after `seq`.
    pub async fn list_revocations(
        &self,
        caller: &Standing,
        after: u64,
        limit: usize,
    ) -> Result<Page<Arc<Rule>>, Error> {
        self.record_read(caller, "revocations").await?;
        let mut items = self.store.rules().after(after, limit.saturating_add(1));
        let more = items.len() > limit;
        items.truncate(limit);
        Ok(Page { items, more })
    }

    /// Lists the keys.
    pub async fn list_keys(&self, caller: &Standing) -> Result<Vec<KeyView>, Error> {
        self.record_read(caller, "keys").await?;
        let issuer = self.issuer.load();
        let now = self.clock.now();
        let mut views = issuer.key_views();
        for view in &mut views {
            if view.state == KeyState::Active {
                view.takes_over_at = issuer.takes_over_at(view.purpose, now);
            }
        }
        Ok(views)
    }
}
