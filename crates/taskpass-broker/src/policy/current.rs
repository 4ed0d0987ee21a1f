//! The policy set that decisions are made by, as the commits that follow from them check it.
//!
//! Which set is in force is a value in the store, written in the commit that puts it there. A commit
//! that follows from a decision holds only while that value names the set by which it was decided: so
//! a set that came into force in between wins, and what was decided by the one before is decided
//! again.

use std::sync::atomic::{AtomicBool, Ordering};

use taskpass_core::Timestamp;
use taskpass_core::grant::Basis;
use taskpass_core::secret::Sha256;
use taskpass_policy::PolicySet;
use taskpass_store::{Commit, CommitError, Guard, Lane, MetaKey, Refusal};

use crate::broker::Broker;
use crate::error::Error;

const ATTEMPTS: u32 = 4;

/// Puts sets in force one after the other.
#[derive(Debug, Default)]
pub(crate) struct Succession {
    pub(super) alone: tokio::sync::Mutex<()>,
    /// A commit that puts a set in force was handed to the store, and nothing came of it that we know.
    pub(super) in_doubt: AtomicBool,
}

/// The guard that the set which decided is still in force.
pub(crate) fn decided_by(basis: &Basis) -> Guard {
    Guard::MetaIs {
        key: MetaKey::PolicySet,
        value: Some(basis.policy_set.as_bytes().to_vec()),
    }
}

/// Whether a commit was refused because what it was decided on is not so any more: rows of the
/// registry, or the policies.
pub(crate) fn is_outdated(error: &CommitError) -> bool {
    matches!(
        error,
        CommitError::Refused(
            Refusal::Changed { .. }
                | Refusal::MetaChanged {
                    key: MetaKey::PolicySet
                }
        )
    )
}

/// Says that by `set` nobody could answer an incident: it may be meant, and comes into force.
pub(crate) fn warn_of_lockout(set: &PolicySet) {
    let locked: Vec<_> = set.locked_out().iter().map(|verb| verb.as_str()).collect();
    if !locked.is_empty() {
        tracing::warn!(
            verbs = locked.join(", "),
            "by these policies no operator can do this; to repair it, change the files and reload"
        );
    }
}

impl Broker {
    /// Records that `set` comes into force, and puts it there.
    pub(crate) async fn put_in_force(&self, set: PolicySet) -> Result<(), Error> {
        let _alone = self.succession.alone.lock().await;
        let now = self.background_now();
        let hash = set.hash();
        // If this is given up or fails, the store may name a set that does not decide here: then
        // nothing can be committed by the one that does, until one of them is put in force again.
        self.succession.in_doubt.store(true, Ordering::Release);
        self.commit_in_force(hash, now).await?;
        let before = self.policy_hash();
        tracing::info!(policy_set = %hash, %before, policies = set.policy_ids().len(), "policies are in force");
        warn_of_lockout(&set);
        self.policy.replace(set);
        self.succession.in_doubt.store(false, Ordering::Release);
        self.metrics.policy_loads.one();
        Ok(())
    }

    async fn commit_in_force(&self, hash: Sha256, now: Timestamp) -> Result<(), Error> {
        for _ in 0..ATTEMPTS {
            let commit = Commit::new(now).in_lane(Lane::Background);
            let commit = self.came_into_force(commit, now, hash).await?;
            match self.commit(commit).await {
                Ok(_) => return Ok(()),
                // Somebody approved something meanwhile, or may not any more.
                Err(CommitError::Refused(
                    Refusal::MetaChanged { .. } | Refusal::Changed { .. },
                )) => self.reload_registry().await?,
                Err(error) => return Err(Error::from_commit(error)),
            }
        }
        Err(Error::QueueFull)
    }

    /// Whether the store may name another set than the one that decides here.
    pub(crate) fn policies_in_doubt(&self) -> bool {
        self.succession.in_doubt.load(Ordering::Acquire)
    }

    /// Reads again what a decision is made on, after a commit said that it has changed. A set that is on
    /// its way into force is waited for: to decide again by the one before would be in vain.
    pub(crate) async fn read_again(&self) -> Result<(), Error> {
        drop(self.succession.alone.lock().await);
        self.reload_registry().await
    }
}
