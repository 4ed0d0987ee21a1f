//! Two operators for another set of policies, where the configuration says so.
//!
//! Policies are files. Whoever can write them cannot put them in force alone: a set that is not the one in
//! force waits until two operators have approved its hash, also over a restart. No policy is asked about an
//! approval, so that a set which locks everybody out can be replaced; an administrator is who the registry
//! says. Whoever can write the configuration as well can take the question away.
//!
//! An approval is for once: it is gone when its set comes into force, in the same commit, and when it ends, or
//! whoever gave it is no administrator any more. Nobody has room for so many that another one has none.

use taskpass_core::audit::{Attestation, EntryKind, Outcome};
use taskpass_core::caller::Caller;
use taskpass_core::identity::Principal;
use taskpass_core::promotion::{MAX_PROPOSALS, PROPOSAL_TTL, PolicyApproval, SecondOperator};
use taskpass_core::registry::{Registry, Role, RowKey};
use taskpass_core::secret::Sha256;
use taskpass_core::{OperatorName, Timestamp};
use taskpass_store::{
    Change, Commit, CommitError, Guard, MetaKey, Refusal, policy_approvals, policy_approvals_value,
};

use super::operate::check_sealed;
use crate::broker::Broker;
use crate::entry::outbox;
use crate::error::Error;
use crate::revoke::check_reason;
use crate::standing::{Standing, active_caller};

/// How many operators it takes.
const NEEDED: usize = 2;
/// How many sets one operator can have approved at a time.
const EACH: usize = 4;
const ATTEMPTS: u32 = 4;

/// What an approval came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyApproved {
    /// Who has approved the set, in this order.
    pub by: Vec<OperatorName>,
    /// How many operators are missing.
    pub missing: usize,
    /// From this instant on the approval counts for nothing.
    pub ends_at: Timestamp,
}

/// What the commit by which a set comes into force has to say about its approvals.
#[derive(Debug, Default)]
pub(super) struct Succeeds {
    /// That it still may.
    pub(super) guards: Vec<Guard>,
    /// They are used up.
    pub(super) change: Option<Change>,
}

impl Broker {
    fn asks_two(&self) -> bool {
        let asks = &self.limits.changes.second_operator;
        asks.contains(&SecondOperator::Policy)
    }

    /// Whether a set may come into force: the one that last was, one that two operators approved, or any
    /// where that is not asked for.
    pub(crate) async fn may_come_into_force(&self, set: Sha256) -> Result<bool, Error> {
        if !self.asks_two() {
            return Ok(true);
        }
        let last = self.store.meta(MetaKey::PolicySet).await?;
        if last.is_none_or(|last| last == set.as_bytes()) {
            return Ok(true);
        }
        let kept = self.store.meta(MetaKey::PolicyApprovals).await?;
        let all = policy_approvals(kept.as_deref())?;
        let (registry, now) = (self.registry.load(), self.clock.now());
        Ok(counted(&all, set, &registry, now).len() >= NEEDED)
    }

    /// What of the commit by which `set` comes into force is about approvals; refused if it may not.
    pub(super) async fn succeeds(&self, set: Sha256, now: Timestamp) -> Result<Succeeds, Error> {
        let kept = self.store.meta(MetaKey::PolicyApprovals).await?;
        let mut all = policy_approvals(kept.as_deref())?;
        let registry = self.registry.load_full();
        let mut guards = Vec::new();
        if self.asks_two() {
            let value = self.store.meta(MetaKey::PolicySet).await?;
            let other = value.as_ref().is_some_and(|last| last != set.as_bytes());
            guards.push(Guard::MetaIs {
                key: MetaKey::PolicySet,
                value,
            });
            if other {
                let by = counted(&all, set, &registry, now);
                if by.len() < NEEDED {
                    return Err(Error::SecondOperatorRequired {
                        why: "these policies come into force when two operators have approved them",
                    });
                }
                guards.extend(by.into_iter().map(|name| unchanged(&registry, name)));
            }
        }
        if all.is_empty() && guards.is_empty() {
            return Ok(Succeeds::default());
        }
        guards.push(Guard::MetaIs {
            key: MetaKey::PolicyApprovals,
            value: kept,
        });
        all.retain(|approval| approval.set != set && stands(approval, &registry, now));
        Ok(Succeeds {
            guards,
            change: Some(Change::PutMeta {
                key: MetaKey::PolicyApprovals,
                value: policy_approvals_value(&all),
            }),
        })
    }

    /// Records that an operator wants a set in force.
    pub async fn approve_policy(
        &self,
        caller: &Standing,
        set: Sha256,
        reason: &str,
    ) -> Result<PolicyApproved, Error> {
        check_reason(reason)?;
        let refused = |why| Error::SecondOperatorRequired { why };
        let (Caller::Operator(by, _), Attestation::Mtls { key }) =
            (&caller.caller, &caller.attestation)
        else {
            return Err(refused(
                "only an operator with an identity certificate approves",
            ));
        };
        for _ in 0..ATTEMPTS {
            let now = self.clock.safe_now()?;
            let registry = self.registry.load_full();
            check_sealed(&registry, caller)?;
            let kept = self.store.meta(MetaKey::PolicyApprovals).await?;
            let mut all = policy_approvals(kept.as_deref())?;
            all.retain(|approval| stands(approval, &registry, now));
            let of_set = |approval: &&PolicyApproval| approval.set == set;
            let same = |approval: &PolicyApproval| approval.by == *by || approval.key == *key;
            if all.iter().filter(of_set).any(same) {
                return Err(refused(
                    "you have approved it: the other approval is for another operator, with another key",
                ));
            }
            make_room(&mut all, by);
            if all.len() >= MAX_PROPOSALS {
                return Err(Error::ProposalsFull);
            }
            let ends_at = now.plus(PROPOSAL_TTL);
            all.push(PolicyApproval {
                set,
                by: by.clone(),
                key: *key,
                ends_at,
            });
            let mut entry = self.entry(caller, now, EntryKind::Approval, Outcome::Done);
            entry.subject = Some(set.to_string());
            entry.state = Some("approved");
            entry.reason = Some(reason.to_owned());
            let mut commit = Commit::new(now).guard(Guard::MetaIs {
                key: MetaKey::PolicyApprovals,
                value: kept,
            });
            commit.guards.extend(caller.registered_in(&registry));
            let commit = commit
                .change(Change::PutMeta {
                    key: MetaKey::PolicyApprovals,
                    value: policy_approvals_value(&all),
                })
                .change(outbox(&entry)?);
            match self.commit(commit).await {
                Ok(_) => {
                    let by = counted(&all, set, &registry, now);
                    return Ok(PolicyApproved {
                        missing: NEEDED.saturating_sub(by.len()),
                        by,
                        ends_at,
                    });
                }
                Err(CommitError::Refused(
                    Refusal::MetaChanged { .. } | Refusal::Changed { .. },
                )) => self.read_again().await?,
                Err(error) => return Err(Error::from_commit(error)),
            }
        }
        Err(Error::QueueFull)
    }
}

/// Whose approvals of a set count: those of administrators, as of now. No two are of one name or key.
fn counted(
    all: &[PolicyApproval],
    set: Sha256,
    registry: &Registry,
    now: Timestamp,
) -> Vec<OperatorName> {
    let counts =
        |approval: &&PolicyApproval| approval.set == set && stands(approval, registry, now);
    let counting = all.iter().filter(counts);
    counting.map(|approval| approval.by.clone()).collect()
}

/// Whether an approval has not ended, and whoever gave it is an active administrator.
fn stands(approval: &PolicyApproval, registry: &Registry, now: Timestamp) -> bool {
    now < approval.ends_at && is_admin(registry, &approval.by, now)
}

/// Whether an operator is an active administrator.
pub(crate) fn is_admin(registry: &Registry, name: &OperatorName, now: Timestamp) -> bool {
    let by = Principal::Operator(name.clone());
    matches!(
        active_caller(registry, &by, now),
        Ok(Caller::Operator(_, roles)) if roles.contains(&Role::Admin)
    )
}

/// Drops the oldest approvals of `by` until there is room for one more of theirs.
fn make_room(all: &mut Vec<PolicyApproval>, by: &OperatorName) {
    let own = all.iter().filter(|approval| approval.by == *by).count();
    let mut too_many = (own + 1).saturating_sub(EACH);
    // The oldest come first.
    all.retain(|approval| {
        let goes = too_many > 0 && approval.by == *by;
        too_many -= usize::from(goes);
        !goes
    });
}

fn unchanged(registry: &Registry, name: OperatorName) -> Guard {
    let key = RowKey::Operator(name);
    let version = registry.version(&key);
    Guard::Unchanged { key, version }
}
