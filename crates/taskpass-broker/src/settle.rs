//! What follows from a rule: tasks that have ended get it into their record and the trail, and
//! what was revoked gets onto the published lists.
//!
//! None of this makes a revocation hold: the rule does that, from the moment it is committed. It is
//! derived in the background, rule by rule; the cursor is persisted, and every step can be done
//! twice.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use taskpass_core::audit::{Cause, Entry, EntryKind, Outcome};
use taskpass_core::identity::Principal;
use taskpass_core::revocation::{Facts, Rule, Selector};
use taskpass_core::task::{EndReason, Ended, Task, TaskState};
use taskpass_core::{CredentialId, TaskId, Timestamp};
use taskpass_issuer::CrlReason;
use taskpass_issuer::crl::CRL_LIFE;
use taskpass_store::{Change, Commit, CommitError, Guard, Lane, MetaKey, Refusal};

use crate::broker::Broker;
use crate::entry::{concern, outbox};
use crate::error::Error;
use crate::lists::ListLane;

const PAGE: usize = 200;
/// Credentials of one task that are read at a time for the lists.
const LIST_PAGE: usize = 1_000;

/// The tasks that a walk has visited: a task is found under its parent and by its agent.
#[derive(Default)]
struct Seen(Mutex<BTreeSet<TaskId>>);

impl Seen {
    fn first_time(&self, task: TaskId) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(task)
    }
}

/// What a walk over the tasks of a rule is for.
#[derive(Clone, Copy)]
enum Aim {
    /// Their credentials, for the lists.
    List,
    /// Their ends, for their records and the trail.
    Record,
}

impl Broker {
    /// Puts what the rules of a lane revoke onto the lists, from where it was left; at each start,
    /// from the beginning. Until every lane was worked through once, no list is served. Call it for
    /// each new rule, and every second: lists say up to when they are known to be complete.
    pub async fn list_revoked(&self, lane: ListLane) -> Result<(), Error> {
        loop {
            let as_of = self.clock.now();
            let rules = self.store.rules();
            // Read first: whatever has a number up to this one is among the rules below.
            let newest = rules.newest_seq();
            let page = rules.after(self.revoked_lists.listed(lane), PAGE);
            let of_lane = page
                .iter()
                .filter(|rule| ListLane::of(&rule.selector) == lane);
            for rule in of_lane {
                self.walk(rule, Aim::List).await?;
            }
            let last = page.last().map_or(0, |rule| rule.seq);
            if page.len() < PAGE {
                let seq = last.max(newest);
                self.revoked_lists.advance(lane, seq, Some(as_of));
                return Ok(());
            }
            self.revoked_lists.advance(lane, last, None);
        }
    }

    /// Records the ends of the tasks that the rules not settled yet have ended; returns how many
    /// rules that were.
    pub async fn settle(&self) -> Result<usize, Error> {
        let mut done = 0;
        loop {
            let settled = self.settled().await?;
            let rules = self.store.rules().after(settled, PAGE);
            let Some(last) = rules.last().map(|rule| rule.seq) else {
                return Ok(done);
            };
            for rule in &rules {
                self.walk(rule, Aim::Record).await?;
            }
            done += rules.len();
            let commit = Commit::new(self.background_now())
                .in_lane(Lane::Background)
                .change(Change::PutMeta {
                    key: MetaKey::SettledSeq,
                    value: last.to_be_bytes().to_vec(),
                });
            self.commit(commit).await.map_err(Error::from_commit)?;
        }
    }

    async fn settled(&self) -> Result<u64, Error> {
        let value = self.store.meta(MetaKey::SettledSeq).await?;
        Ok(value
            .and_then(|bytes| bytes.try_into().ok())
            .map_or(0, u64::from_be_bytes))
    }

    /// What ended before this can be left out: it has been on a list that was made after its end, and
    /// has ended by everybody's clock. While the time is in doubt, nothing that is still recorded can.
    fn may_live_from(&self) -> Timestamp {
        let now = self.clock.reap_now();
        now.map_or(Timestamp::ZERO, |now| now.minus(CRL_LIFE))
    }

    pub(crate) fn background_now(&self) -> Timestamp {
        self.clock.now().max(self.store.last_committed_at())
    }

    /// Visits every task that the rule can concern, with its credentials.
    async fn walk(&self, rule: &Arc<Rule>, aim: Aim) -> Result<(), Error> {
        let seen = Seen::default();
        match &rule.selector {
            Selector::Credential(id) => {
                if let Aim::List = aim
                    && let Some(credential) = self.store.credential(*id).await?
                {
                    self.revoked_lists
                        .add([&credential], rule.at, crl_reason(rule));
                }
            }
            Selector::Task(id) => self.walk_tree(*id, rule, aim, &seen).await?,
            Selector::Agent(name) => {
                self.walk_tasks(Some(name.clone()), rule, aim, &seen)
                    .await?;
            }
            Selector::Everything | Selector::Key(_) => {
                self.walk_tasks(None, rule, aim, &seen).await?;
            }
            // Tokens are found through their tasks; the tasks themselves go on.
            Selector::Target(_) => {
                if let Aim::List = aim {
                    self.walk_tasks(None, rule, aim, &seen).await?;
                }
            }
        }
        Ok(())
    }

    async fn walk_tasks(
        &self,
        agent: Option<taskpass_core::AgentName>,
        rule: &Arc<Rule>,
        aim: Aim,
        seen: &Seen,
    ) -> Result<(), Error> {
        let mut after = Some(TaskId::first_at(self.may_live_from()));
        loop {
            let page = self.store.tasks(agent.clone(), after, PAGE).await?;
            after = page.items.last().map(|task| task.id);
            // Two at a time: reading one task's credentials leaves half of a small machine idle.
            for pair in page.items.chunks(2) {
                let walk = |task: &Task| self.walk_tree(task.id, rule, aim, seen);
                match pair {
                    [first, second] => {
                        tokio::try_join!(walk(first), walk(second))?;
                    }
                    single => {
                        for task in single {
                            walk(task).await?;
                        }
                    }
                }
            }
            if !page.more {
                return Ok(());
            }
        }
    }

    async fn walk_tree(
        &self,
        root: TaskId,
        rule: &Arc<Rule>,
        aim: Aim,
        seen: &Seen,
    ) -> Result<(), Error> {
        let mut waiting = vec![root];
        while let Some(id) = waiting.pop() {
            if !seen.first_time(id) {
                continue;
            }
            let Some(task) = self.store.task(id).await? else {
                continue;
            };
            match aim {
                Aim::List => self.list_task(id, rule).await?,
                Aim::Record => self.end_if_matched(&task, rule).await?,
            }
            let mut after = None;
            loop {
                let page = self.store.children(id, after, PAGE).await?;
                after = page.items.last().map(|task| task.id);
                waiting.extend(page.items.iter().map(|task| task.id));
                if !page.more {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn end_if_matched(&self, task: &Task, rule: &Arc<Rule>) -> Result<(), Error> {
        let now = self.background_now();
        if task.state(now) != TaskState::Active || !rule.matches(&Facts::of_task(task)) {
            return Ok(());
        }
        let mut entry = Entry::new(
            self.decision_id(now),
            now,
            EntryKind::TaskEnd,
            Outcome::Done,
        );
        let agent = Principal::Agent(task.agent.clone());
        concern(&mut entry, &self.registry.load(), &agent);
        entry.set_task(task);
        entry.cause = Some(Cause::from(&**rule));
        entry.reason = Some(EndReason::Revoked.to_string());
        let ended = Ended {
            at: rule.at,
            reason: EndReason::Revoked,
        };
        let commit = Commit::new(now)
            .in_lane(Lane::Background)
            .guard(Guard::NotEnded { id: task.id })
            .change(Change::EndTask { id: task.id, ended })
            .change(outbox(&entry)?);
        match self.commit(commit).await {
            // Its agent completed it meanwhile, or it is gone: nothing is left to record.
            Ok(_)
            | Err(CommitError::Refused(
                Refusal::TaskNotLive { .. } | Refusal::TaskUnknown { .. },
            )) => Ok(()),
            Err(error) => Err(Error::from_commit(error)),
        }
    }

    async fn list_task(&self, task: TaskId, rule: &Arc<Rule>) -> Result<(), Error> {
        let mut after = Some(CredentialId::first_at(self.may_live_from()));
        loop {
            let page = self.store.credentials(task, after, LIST_PAGE).await?;
            after = page.items.last().map(|credential| credential.id);
            let revoked = page.items.iter().filter(|c| rule.matches(&c.facts()));
            self.revoked_lists.add(revoked, rule.at, crl_reason(rule));
            if !page.more {
                return Ok(());
            }
        }
    }
}

/// RFC 5280 §5.3.1: why, as far as the list can say it.
fn crl_reason(rule: &Rule) -> CrlReason {
    match &rule.selector {
        Selector::Key(_) => CrlReason::KeyCompromise,
        Selector::Task(_)
            if rule.reason == EndReason::Completed.as_str()
                || rule.reason == EndReason::Lost.as_str() =>
        {
            CrlReason::CessationOfOperation
        }
        _ => CrlReason::PrivilegeWithdrawn,
    }
}
