//! Revoking: one durable rule, and everybody is refused.

mod describe;
mod plan;
mod retire;
mod taint;

use taskpass_core::audit::{Cause, EntryKind, Outcome, RevocationFacts};
use taskpass_core::caller::Caller;
use taskpass_core::registry::{Registry, Row, RowKey, State};
use taskpass_core::revocation::{MAX_REASON_LEN, RuleDraft};
use taskpass_core::verb::Verb;
use taskpass_core::{AgentName, CredentialId, DecisionId, OwnerName, TargetUri, TaskId, Timestamp};
use taskpass_policy::Thing;
use taskpass_store::{Change, Commit, CommitError, Committed, Lane, Refusal};

use crate::broker::Broker;
use crate::entry::outbox;
use crate::error::Error;
use crate::live::Live;
use crate::policy::operate::{self, Doing};
use crate::standing::Standing;
use crate::start::Attempt;
use describe::{Named, describe};
use plan::{Count, Plan};

pub(crate) use retire::retired;
pub use retire::{Ended, Retired, Tasks};
pub use taint::Tainted;

/// How often a revocation is tried again because the registry changed in between.
const ATTEMPTS: u32 = 8;

/// What to revoke, in the operator's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RevokeWhat {
    /// One credential.
    Credential(CredentialId),
    /// A task with its subtree.
    Task(TaskId),
    /// Whatever an agent holds.
    Agent(AgentName),
    /// Whatever each agent of an owner holds.
    Owner(OwnerName),
    /// Tokens for a target.
    Target(TargetUri),
    /// Whatever a key signed.
    Key(String),
    /// Every credential of every task.
    Everything,
}

/// A revocation as it is asked for.
#[derive(Debug, Clone)]
pub struct Revoke {
    /// What.
    pub what: RevokeWhat,
    /// Why.
    pub reason: String,
    /// Change nothing.
    pub dry_run: bool,
    /// Do not suspend the agent, owner or target.
    pub no_suspend: bool,
}

/// A revocation that holds.
#[derive(Debug, Clone)]
pub struct Revoked {
    /// The newest rule that it made; 0 for a dry run.
    pub seq: u64,
    /// What it ended.
    pub live: Live,
    /// What is refused from now on.
    pub suspended: Vec<RowKey>,
    /// When.
    pub at: Timestamp,
    /// The entry that records it; of a dry run, none does.
    pub entry: DecisionId,
}

impl Broker {
    /// Revokes what the selector names. On disk before this returns.
    pub async fn revoke(&self, caller: &Standing, request: &Revoke) -> Result<Revoked, Error> {
        let began = self.clock.monotonic();
        check_reason(&request.reason)?;
        for attempt in 0..ATTEMPTS {
            let now = self.clock.now().max(self.store.last_committed_at());
            let registry = self.registry.load_full();
            let id = self.decision_id(now);
            let counted = (now, Count::at(attempt));
            let plan = self.plan(&registry, request, id, counted).await?;
            let caller = &self
                .let_revoke(caller, Verb::Revoke, &registry, request, &plan, now)
                .await?;
            let live = plan.live.unwrap_or(Live::NONE);
            let suspended: Vec<_> = plan
                .rows
                .iter()
                .filter(|row| crate::registry::state(row) != State::Active)
                .map(Row::key)
                .collect();
            if request.dry_run {
                let (kind, value) = request.what.parts();
                self.record_read(caller, format!("what revoking {kind} {value} would end"))
                    .await?;
                return Ok(Revoked {
                    seq: 0,
                    live,
                    suspended,
                    at: now,
                    entry: id,
                });
            }
            let keys_change = plan.keys_change;
            match self
                .commit_plan(caller, request, id, &registry, plan, now)
                .await
            {
                Ok(committed) => {
                    let seq = newest(&committed);
                    if keys_change {
                        self.reload_keys().await?;
                    }
                    self.metrics
                        .revoke
                        .record(self.clock.monotonic().saturating_sub(began));
                    return Ok(Revoked {
                        seq,
                        live,
                        suspended,
                        at: now,
                        entry: id,
                    });
                }
                Err(Attempt::Again) => self.read_again().await?,
                Err(Attempt::Failed(error)) => return Err(error),
            }
        }
        Err(Error::QueueFull)
    }

    /// Asks whether the caller may revoke this: about what is named, as it was read.
    async fn let_revoke(
        &self,
        caller: &Standing,
        verb: Verb,
        registry: &Registry,
        request: &Revoke,
        plan: &Plan,
        now: Timestamp,
    ) -> Result<Standing, Error> {
        let (kind, value) = request.what.parts();
        let key = match (&request.what, &plan.named) {
            (RevokeWhat::Agent(name), _) => Some(RowKey::Agent(name.clone())),
            (RevokeWhat::Owner(name), _) => Some(RowKey::Owner(name.clone())),
            (RevokeWhat::Target(uri), _) => Some(RowKey::Target(uri.clone())),
            _ => None,
        };
        let row = key.map(|key| crate::registry::read(registry, &key));
        let row = row.transpose()?.map(|row| row.value);
        let thing = match (&row, &plan.named) {
            (Some(row), _) => operate::thing(registry, row),
            (None, Some(Named::Credential(credential))) => {
                operate::credential(registry, credential.id, &credential.agent)?
            }
            (None, Some(Named::Task(task))) => operate::task(registry, task.id, &task.agent)?,
            (None, None) => match &request.what {
                RevokeWhat::Key(_) => Thing::Key(&value),
                RevokeWhat::Everything => Thing::Broker,
                // What is read of them is in the plan.
                _ => return Err(Error::internal(std::io::Error::other("nothing was read"))),
            },
        };
        let doing = Doing {
            verb,
            things: vec![thing],
            object: format!("{kind} {value}").trim_end().to_owned(),
            reason: &request.reason,
        };
        self.let_operator(caller, doing, now).await
    }

    async fn commit_plan(
        &self,
        caller: &Standing,
        request: &Revoke,
        id: DecisionId,
        registry: &Registry,
        plan: Plan,
        now: Timestamp,
    ) -> Result<Committed, Attempt> {
        let mut entry = self.entry(caller, now, EntryKind::Revoke, Outcome::Done);
        entry.id = id;
        describe(&mut entry, registry, &request.what, plan.named);
        let (selector, value) = request.what.parts();
        let live = plan.live.unwrap_or(Live::NONE);
        entry.revocation = Some(RevocationFacts {
            selector,
            value,
            credentials: live.credentials,
            exact: live.exact,
        });
        entry.reason = Some(request.reason.clone());
        let rows: Vec<_> = plan
            .rows
            .iter()
            .map(|row| {
                let mut entry = self.change_entry(caller, registry, row, &request.reason, now);
                entry.cause = Some(Cause::Entry(id));
                entry
            })
            .collect();
        // What an agent gives up is no emergency, and takes no room of those.
        let lane = match caller.caller {
            Caller::Agent(_) => Lane::Normal,
            Caller::Operator(..) | Caller::Verifier(..) => Lane::Urgent,
        };
        let mut commit = Commit::new(now).in_lane(lane);
        commit.guards = plan.guards;
        commit.guards.extend(caller.decided_by());
        commit.guards.extend(caller.registered_in(registry));
        let owner = plan.owner;
        commit
            .changes
            .extend(plan.drafts.into_iter().map(|(selector, only_target, key)| {
                Change::Revoke(RuleDraft {
                    selector,
                    only_target,
                    reason: request.reason.clone(),
                    actor: caller.caller.principal(),
                    owner: owner.clone(),
                    key,
                    live_until: None,
                })
            }));
        commit
            .changes
            .extend(plan.rows.into_iter().map(Change::PutRow));
        commit.changes.extend(plan.changes);
        commit.changes.push(outbox(&entry)?);
        for entry in rows {
            commit.changes.push(outbox(&entry)?);
        }
        match self.commit(commit).await {
            Ok(committed) => Ok(committed),
            Err(CommitError::Refused(Refusal::Changed { .. } | Refusal::MetaChanged { .. })) => {
                Err(Attempt::Again)
            }
            Err(error) => Err(Error::from_commit(error).into()),
        }
    }
}

/// The newest rule that a commit made; 0 if it made none.
fn newest(committed: &Committed) -> u64 {
    committed.rules.last().map_or(0, |rule| rule.seq)
}

impl RevokeWhat {
    fn parts(&self) -> (&'static str, String) {
        match self {
            Self::Credential(id) => ("credential", id.to_string()),
            Self::Task(id) => ("task", id.to_string()),
            Self::Agent(name) => ("agent", name.to_string()),
            Self::Owner(name) => ("owner", name.to_string()),
            Self::Target(uri) => ("target", uri.to_string()),
            Self::Key(id) => ("key", id.clone()),
            Self::Everything => ("all", String::new()),
        }
    }
}

/// A reason is recorded and shown: it is text of one line.
pub(crate) fn check_reason(reason: &str) -> Result<(), Error> {
    let length = reason.chars().count();
    if (1..=MAX_REASON_LEN).contains(&length) && !reason.chars().any(char::is_control) {
        Ok(())
    } else {
        let expected = format!("why, in 1 to {MAX_REASON_LEN} characters without line breaks");
        Err(Error::field("reason", expected))
    }
}
