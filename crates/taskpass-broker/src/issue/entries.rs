//! The audit entries of issuing: what was asked, decided, granted.

use taskpass_core::AgentName;
use taskpass_core::Timestamp;
use taskpass_core::audit::{CredentialFacts, Entry, Granted, Outcome};
use taskpass_core::credential::Credential;
use taskpass_core::grant::Grant;
use taskpass_core::task::Task;
use taskpass_core::ttl::Clamp;

use super::wanted::Wanted;
use crate::broker::Broker;
use crate::error::Error;
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
        entry.set_task(task);
        entry.target = wanted.target().cloned();
        entry.asked = wanted.asked();
        entry.decision = Some(grant.basis().into());
        entry
    }

    pub(super) async fn denied_entry(
        &self,
        caller: &Standing,
        agent: &AgentName,
        wanted: &Wanted<'_>,
    ) -> Result<Entry, Error> {
        let mut entry = self.entry(caller, self.clock.now(), wanted.kind(), Outcome::Deny);
        entry.task = Some(wanted.task());
        if let Some(task) = self.own_task(agent, wanted.task()).await? {
            entry.set_task(&task);
        }
        entry.target = wanted.target().cloned();
        entry.asked = wanted.asked();
        Ok(entry)
    }
}

/// Adds what is known once the credential is signed.
pub(super) fn complete_entry(
    entry: &mut Entry,
    credential: &Credential,
    clamped_by: Option<Clamp>,
) {
    let asked = entry.asked.as_ref();
    entry.granted = Some(Granted::new(
        asked.map(|asked| asked.scopes.clone()).unwrap_or_default(),
        credential.issued_at,
        credential.expires_at(),
    ));
    entry.clamped_by = clamped_by;
    entry.credential = Some(CredentialFacts::from(credential));
}
