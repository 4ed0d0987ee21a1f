//! The entries about uses, and the commit that they are in.

use taskpass_core::audit::{
    Cause, CoverageFacts, CredentialFacts, Entry, EntryKind, MAX_USE_ITEMS, Outcome, UseFacts,
    UseItem, UsedBy,
};
use taskpass_core::{TargetUri, Timestamp};
use taskpass_store::{Change, Commit, Guard};

use super::tie::{Bounds, Tied, Used};
use crate::broker::Broker;
use crate::entry::outbox;
use crate::error::Error;
use crate::standing::Standing;

impl Broker {
    /// A commit of the entries about these credentials: one each, or as many as their items need.
    pub(super) fn commit_uses(
        &self,
        caller: &Standing,
        now: Timestamp,
        by: UsedBy,
        bounds: &Bounds<'_>,
        tied: &Tied,
    ) -> Result<Commit, Error> {
        let mut commit = Commit::new(now).guard(Guard::NotRevoked(caller.facts.clone()));
        for used in &tied.credentials {
            let target = bounds.target(&used.credential);
            for items in used.items.chunks(MAX_USE_ITEMS) {
                let entry = self.use_entry(caller, now, target, used, by, items);
                commit = commit.change(outbox(&entry)?);
            }
        }
        Ok(commit)
    }

    fn use_entry(
        &self,
        caller: &Standing,
        now: Timestamp,
        target: Option<&TargetUri>,
        used: &Used,
        by: UsedBy,
        items: &[UseItem],
    ) -> Entry {
        let credential = &used.credential;
        let mut entry = self.entry(caller, now, EntryKind::Use, Outcome::Done);
        // As of the credential: whoever owned the agent when it was issued answers for its use.
        entry.agent = Some(credential.agent.clone());
        entry.owner = Some(credential.owner.clone());
        entry.task = Some(credential.task);
        entry.target = target.cloned();
        entry.credential = Some(CredentialFacts::from(credential));
        entry.cause = Some(Cause::Decision(credential.decision));
        entry.used = Some(UseFacts {
            by,
            items: items.to_vec(),
        });
        entry
    }

    /// The change that tells of covered time.
    pub(super) fn coverage(
        &self,
        caller: &Standing,
        now: Timestamp,
        target: &TargetUri,
        facts: CoverageFacts,
    ) -> Result<Change, Error> {
        let mut entry = self.entry(caller, now, EntryKind::Use, Outcome::Done);
        entry.target = Some(target.clone());
        entry.coverage = Some(facts);
        outbox(&entry)
    }
}
