//! The audit entries of issuing: what was asked, decided, granted.

use taskpass_core::Timestamp;
use taskpass_core::audit::{CredentialFacts, Entry, Outcome, Terms};
use taskpass_core::credential::{Credential, CredentialBody};
use taskpass_core::grant::Grant;
use taskpass_core::task::Task;
use taskpass_core::ttl::Clamp;

use super::wanted::Wanted;
use crate::broker::Broker;
use crate::standing::Standing;

impl Broker {
    pub(super) fn granted_entry(
        &self,
        caller: &Standing,
        wanted: &Wanted<'_>,
        grant: &Grant,
        task: &Task,
        now: Timestamp,
    ) -> Entry {
        let mut entry = self.entry(caller, now, wanted.kind(), Outcome::Allow);
        entry.id = grant.basis().id;
        entry.task = Some(task.id);
        entry.ancestors.clone_from(&task.ancestors);
        entry.target = wanted.target().cloned();
        entry.asked = wanted.asked();
        entry.decision = Some(grant.basis().into());
        entry
    }

    pub(super) fn denied_entry(&self, caller: &Standing, wanted: &Wanted<'_>) -> Entry {
        let mut entry = self.entry(caller, self.clock.now(), wanted.kind(), Outcome::Deny);
        entry.task = Some(wanted.task());
        entry.target = wanted.target().cloned();
        entry.asked = wanted.asked();
        entry
    }
}

/// Adds what is known once the credential is signed.
pub(super) fn complete_entry(
    entry: &mut Entry,
    credential: &Credential,
    clamped_by: Option<Clamp>,
) {
    let bound_to = match &credential.body {
        CredentialBody::Token { bound_to, .. } => *bound_to,
        CredentialBody::Certificate => None,
    };
    entry.granted = Some(Terms {
        scopes: entry
            .asked
            .as_ref()
            .map(|asked| asked.scopes.clone())
            .unwrap_or_default(),
        ttl: None,
        expires_at: Some(credential.expires_at()),
    });
    entry.clamped_by = clamped_by;
    entry.credential = Some(CredentialFacts {
        kind: credential.kind(),
        id: credential.id,
        sha256: credential.digest,
        key: credential.key.clone(),
        bound_to,
    });
}
