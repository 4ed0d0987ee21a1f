//! Making the registry match a reviewed list of owners, agents and targets: one atomic change, or none.
//!
//! The difference is worked out from the registry as it stands, and committed only if the registry as a
//! whole still has the version that it was worked out from: whatever happened meanwhile, it is worked
//! out again, and refused if the caller named the version that was reviewed. Each changed entry is
//! checked against what the registry will be, so that an agent, its owner and its target may come
//! together.
//!
//! What the list does not name is left alone, unless pruning is asked for: then agents and owners that
//! are missing are retired, which revokes what they hold, and targets that are missing are suspended.
//! States are never changed otherwise: what an operator suspended stays suspended, and what is retired
//! cannot be named.

mod work;

use taskpass_core::audit::{Cause, EntryKind, Outcome, RevocationFacts};
use taskpass_core::identity::Principal;
use taskpass_core::registry::{Registry, Row, RowKey, Widening};
use taskpass_core::revocation::{RuleDraft, Selector};
use taskpass_core::verb::Verb;
use taskpass_core::{AgentName, Timestamp};
use taskpass_store::{
    Change, Commit, CommitError, Committed, Guard, MetaKey, Refusal, registry_version_value,
};

use super::diff::FieldChange;
use super::fault::Fault;
use super::{ATTEMPTS, Grounds, require_reason};
use crate::broker::Broker;
use crate::entry::{concern, outbox};
use crate::error::Error;
use crate::live::Live;
use crate::revoke::{Ended, check_reason};
use crate::standing::Standing;

/// The most entries that one list may have, and the most that one change may write.
const MAX_ENTRIES: usize = 1000;
/// How many retired agents' credentials are counted one by one; beyond it the counters' bounds do.
const COUNTED: usize = 50;

/// An entry as the list has it.
#[derive(Debug, Clone)]
pub struct Proposed {
    /// Its place in the list, from 0.
    pub entry: usize,
    /// The entry.
    pub row: Row,
    /// It does not say until when it is valid: of one that is registered, that stays.
    pub keeps_validity: bool,
}

/// A list to make the registry match.
#[derive(Debug)]
pub struct Apply {
    /// Its entries, as far as they could be read.
    pub entries: Vec<Proposed>,
    /// What could not be read of it.
    pub faults: Vec<Fault>,
    /// The version of the registry that the difference was reviewed against.
    pub expected_version: Option<u64>,
    /// Change nothing.
    pub dry_run: bool,
    /// Why; required where something is widened.
    pub reason: String,
    /// Retire owners and agents, and suspend targets, that the list does not have.
    pub prune: bool,
    /// Stages may rise by it, by the operator's word: a report is of one agent, and so never of a list.
    pub force: bool,
}

/// What happens to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is registered.
    Add,
    /// It says something else.
    Change,
    /// It is refused for ever, and what it holds is revoked.
    Retire,
    /// Nothing is issued for it until it is resumed.
    Suspend,
}

/// One entry that is not the same.
#[derive(Debug, Clone)]
pub struct RowChange {
    /// Which.
    pub key: RowKey,
    /// What happens to it.
    pub action: Action,
    /// What differs.
    pub fields: Vec<FieldChange>,
    /// What that lets somebody have or do.
    pub widened: Vec<Widening>,
    /// The version that the entry has from now on; 0 in a dry run.
    pub version: u64,
    /// What retiring it ends.
    pub ended: Ended,
}

/// A difference, and what became of it.
#[derive(Debug, Clone)]
pub struct Applied {
    /// What was changed, or would be.
    pub changes: Vec<RowChange>,
    /// The version of the registry from now on; of a dry run, and where nothing differs, the present
    /// one.
    pub version: u64,
}

impl Apply {
    const fn grounds(&self) -> Grounds {
        if self.force {
            Grounds::Force
        } else {
            Grounds::Nothing
        }
    }
}

impl Broker {
    /// Makes the registry match a list, or says what that would change.
    pub async fn apply(&self, caller: &Standing, request: &Apply) -> Result<Applied, Error> {
        if !request.reason.is_empty() {
            check_reason(&request.reason)?;
        }
        if request.entries.len() > MAX_ENTRIES {
            return Err(too_many(request.entries.len()));
        }
        for _ in 0..ATTEMPTS {
            let now = self.clock.safe_now()?;
            let registry = self.at_version(request.expected_version).await?;
            let mut work = work::work_out(&registry, request, now)?;
            if work.changes.len() > MAX_ENTRIES {
                return Err(too_many(work.changes.len()));
            }
            self.count_ended(&mut work, now).await?;
            let version = registry.version_of_all();
            if request.dry_run || work.changes.is_empty() {
                // What an act would do is told to whoever may do it.
                self.let_apply(caller, request, &registry, &work, now)
                    .await?;
                self.record_read(caller, "what applying a registry file would change")
                    .await?;
                let changes = work.changes;
                return Ok(Applied { changes, version });
            }
            let widened: Vec<_> = work.widened().collect();
            require_reason(&widened, &request.reason)?;
            if request.reason.is_empty() && work.ends_something() {
                let expected = "say why: this retires or suspends what the list does not have";
                return Err(Error::field("reason", expected));
            }
            let callers = self
                .let_apply(caller, request, &registry, &work, now)
                .await?;
            let commit = self.apply_commit(&callers, request, &registry, &work, now)?;
            match self.commit(commit).await {
                Ok(committed) => return Ok(applied(work, &committed)),
                Err(CommitError::Refused(
                    Refusal::MetaChanged { .. } | Refusal::Changed { .. },
                )) => self.read_again().await?,
                Err(error) => return Err(Error::from_commit(error)),
            }
        }
        Err(Error::QueueFull)
    }

    /// The registry, which is at the version that the caller expects.
    async fn at_version(&self, expected: Option<u64>) -> Result<std::sync::Arc<Registry>, Error> {
        let registry = self.registry.load_full();
        let Some(expected) = expected else {
            return Ok(registry);
        };
        if registry.version_of_all() == expected {
            return Ok(registry);
        }
        // What is in memory may lag behind.
        self.reload_registry().await?;
        let registry = self.registry.load_full();
        let found = registry.version_of_all();
        if found == expected {
            Ok(registry)
        } else {
            Err(Error::RegistryVersionChanged { expected, found })
        }
    }

    async fn count_ended(&self, work: &mut work::Work, now: Timestamp) -> Result<(), Error> {
        let mut counted = 0_usize;
        for change in &mut work.changes {
            let RowKey::Agent(name) = &change.key else {
                continue;
            };
            if change.action != Action::Retire {
                continue;
            }
            counted += 1;
            change.ended = if counted <= COUNTED {
                Ended {
                    agents: 1,
                    tasks: self.live_tasks_of(std::slice::from_ref(name), now).await?,
                    live: self.live_of_agents(std::slice::from_ref(name), now).await?,
                }
            } else {
                self.bound_of(name, now).await?
            };
        }
        Ok(())
    }

    async fn bound_of(&self, name: &AgentName, now: Timestamp) -> Result<Ended, Error> {
        let name = std::slice::from_ref(name);
        Ok(Ended {
            agents: 1,
            tasks: self.bound_of_tasks(name, now).await?,
            live: Live::at_most(self.bound_of_agents(name, now).await?),
        })
    }

    /// Asks whether the caller may do each of the changes: the caller of each, as it was let do it.
    async fn let_apply(
        &self,
        caller: &Standing,
        request: &Apply,
        registry: &Registry,
        work: &work::Work,
        now: Timestamp,
    ) -> Result<Vec<Standing>, Error> {
        let mut callers = Vec::with_capacity(work.rows.len());
        for (change, row) in work.changes.iter().zip(&work.rows) {
            let verb = match change.action {
                Action::Add => Verb::Register,
                Action::Change => Verb::Update,
                Action::Retire => Verb::Retire,
                Action::Suspend => Verb::Suspend,
            };
            let reason = request.reason.as_str();
            let decided = self
                .let_write(caller, verb, registry, row, reason, now)
                .await?;
            callers.push(decided);
        }
        Ok(callers)
    }

    /// Everything in one commit: rows, rules of those that are retired, and an entry for each.
    fn apply_commit(
        &self,
        callers: &[Standing],
        request: &Apply,
        registry: &Registry,
        work: &work::Work,
        now: Timestamp,
    ) -> Result<Commit, Error> {
        let reason = match request.reason.as_str() {
            "" => "applied from a file",
            reason => reason,
        };
        let mut commit = Commit::new(now).guard(Guard::MetaIs {
            key: MetaKey::RegistryVersion,
            value: registry_version_value(registry.version_of_all()),
        });
        commit
            .guards
            .extend(callers.iter().find_map(Standing::decided_by));
        let registered = callers.first();
        commit
            .guards
            .extend(registered.and_then(|caller| caller.registered_in(registry)));
        for ((change, row), caller) in work.changes.iter().zip(&work.rows).zip(callers) {
            commit.guards.push(Guard::Unchanged {
                key: change.key.clone(),
                version: registry.version(&change.key),
            });
            let mut entry = self.change_entry(caller, registry, row, reason, now);
            entry.promotion = self.rise_alone(registry, row, &request.grounds(), now)?;
            if let (Action::Retire, RowKey::Agent(name)) = (change.action, &change.key) {
                let revocation = self.retirement(caller, registry, name, change.ended, reason, now);
                entry.cause = Some(Cause::Entry(revocation.id));
                commit.changes.push(outbox(&revocation)?);
                commit.changes.push(Change::Revoke(RuleDraft {
                    selector: Selector::Agent(name.clone()),
                    only_target: None,
                    reason: reason.to_owned(),
                    actor: caller.caller.principal(),
                    owner: None,
                    key: None,
                    live_until: None,
                }));
                let voided = Principal::Agent(name.clone());
                commit.changes.push(Change::VoidEnrolments(voided));
            }
            commit.changes.push(Change::PutRow(row.clone()));
            commit.changes.push(outbox(&entry)?);
        }
        Ok(commit)
    }

    fn retirement(
        &self,
        caller: &Standing,
        registry: &Registry,
        name: &AgentName,
        ended: Ended,
        reason: &str,
        now: Timestamp,
    ) -> taskpass_core::audit::Entry {
        let mut entry = self.entry(caller, now, EntryKind::Revoke, Outcome::Done);
        concern(&mut entry, registry, &Principal::Agent(name.clone()));
        let selector = Selector::Agent(name.clone());
        let Live { credentials, exact } = ended.live;
        entry.revocation = Some(RevocationFacts::new(&selector, credentials, exact));
        entry.reason = Some(reason.to_owned());
        entry
    }
}

fn applied(work: work::Work, committed: &Committed) -> Applied {
    let mut changes = work.changes;
    for change in &mut changes {
        let version = committed.rows.iter().find(|(key, _)| *key == change.key);
        change.version = version.map_or(0, |(_, version)| *version);
    }
    Applied {
        changes,
        version: committed.registry_version.unwrap_or(0),
    }
}

fn too_many(found: usize) -> Error {
    Error::TooManyChanges {
        found,
        max: MAX_ENTRIES,
        advice: "apply it in parts, without pruning; `owner offboard` and `agent retire` end one by one",
    }
}
