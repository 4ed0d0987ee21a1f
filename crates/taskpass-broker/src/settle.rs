//! What follows from a rule: tasks that have ended get it into their record and the trail, and
//! revoked certificates get onto their lists.
//!
//! None of this makes a revocation hold: the rule does that, from the moment it is committed. It is
//! derived in the background, rule by rule; the cursor is persisted, and every step can be done
//! twice.

use std::collections::BTreeSet;
use std::sync::Arc;

use taskpass_core::audit::{Entry, EntryKind, Outcome, RevocationFacts};
use taskpass_core::revocation::{Facts, Rule, Selector};
use taskpass_core::task::{EndReason, Ended, Task, TaskState};
use taskpass_core::{CredentialId, TaskId, Timestamp};
use taskpass_issuer::CrlReason;
use taskpass_store::{Change, Commit, Lane, MetaKey};

use crate::broker::Broker;
use crate::entry::outbox;
use crate::error::Error;

const PAGE: usize = 200;

/// What a walk over the tasks of a rule is for.
#[derive(Clone, Copy)]
enum Aim {
    /// Their certificates, for the lists.
    List,
    /// Their ends, for their records and the trail.
    Record,
}

/// How much a rule makes us look at, the least first.
fn breadth(selector: &Selector) -> u8 {
    match selector {
        Selector::Credential(_) | Selector::Target(_) => 0,
        Selector::Task(_) => 1,
        Selector::Agent(_) => 2,
        Selector::Key(_) | Selector::Everything => 3,
    }
}

impl Broker {
    /// Puts the certificates that the rules after `listed` revoke onto their lists, the narrow rules
    /// first, so that none waits for one that walks every task. Returns the newest rule listed.
    ///
    /// Begins with 0 at each start; until everything up to then is listed, no list is served.
    pub async fn list_revoked(&self, listed: u64) -> Result<u64, Error> {
        let mut listed = listed;
        loop {
            let mut rules = self.store.rules().after(listed, PAGE);
            let Some(last) = rules.last().map(|rule| rule.seq) else {
                self.revoked_certificates.set_ready();
                return Ok(listed);
            };
            rules.sort_by_key(|rule| breadth(&rule.selector));
            for rule in &rules {
                self.walk(rule, Aim::List).await?;
            }
            listed = last;
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

    pub(crate) fn background_now(&self) -> Timestamp {
        self.clock.now().max(self.store.last_committed_at())
    }

    /// Visits every task that the rule can concern, with its credentials.
    async fn walk(&self, rule: &Arc<Rule>, aim: Aim) -> Result<(), Error> {
        let mut seen = BTreeSet::new();
        match &rule.selector {
            Selector::Credential(id) => {
                if let Aim::List = aim
                    && let Some(credential) = self.store.credential(*id).await?
                {
                    self.revoked_certificates
                        .add(&credential, rule.at, crl_reason(rule));
                }
            }
            Selector::Task(id) => self.walk_tree(*id, rule, aim, &mut seen).await?,
            Selector::Agent(name) => {
                self.walk_tasks(Some(name.clone()), rule, aim, &mut seen)
                    .await?;
            }
            Selector::Everything | Selector::Key(_) => {
                self.walk_tasks(None, rule, aim, &mut seen).await?;
            }
            // Certificates have no target.
            Selector::Target(_) => {}
        }
        Ok(())
    }

    async fn walk_tasks(
        &self,
        agent: Option<taskpass_core::AgentName>,
        rule: &Arc<Rule>,
        aim: Aim,
        seen: &mut BTreeSet<TaskId>,
    ) -> Result<(), Error> {
        let mut after = Some(TaskId::first_at(self.clock.now()));
        loop {
            let page = self.store.tasks(agent.clone(), after, PAGE).await?;
            after = page.items.last().map(|task| task.id);
            for task in &page.items {
                self.walk_tree(task.id, rule, aim, seen).await?;
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
        seen: &mut BTreeSet<TaskId>,
    ) -> Result<(), Error> {
        let mut waiting = vec![root];
        while let Some(id) = waiting.pop() {
            if !seen.insert(id) {
                continue;
            }
            let Some(task) = self.store.task(id).await? else {
                continue;
            };
            match aim {
                Aim::List => self.list_certificates(id, rule).await?,
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
        entry.agent = Some(task.agent.clone());
        entry.owner = self
            .registry
            .load()
            .agent(&task.agent)
            .map(|row| row.value.owner.clone());
        entry.task = Some(task.id);
        entry.ancestors.clone_from(&task.ancestors);
        entry.revocation = Some(RevocationFacts::from(&rule.selector));
        entry.reason = Some(format!("revocation {}", rule.seq));
        let ended = Ended {
            at: rule.at,
            reason: EndReason::Revoked,
        };
        let commit = Commit::new(now)
            .in_lane(Lane::Background)
            .change(Change::EndTask { id: task.id, ended })
            .change(outbox(&entry)?);
        self.commit(commit)
            .await
            .map(drop)
            .map_err(Error::from_commit)
    }

    async fn list_certificates(&self, task: TaskId, rule: &Arc<Rule>) -> Result<(), Error> {
        let mut after = Some(CredentialId::first_at(self.clock.now()));
        loop {
            let page = self.store.credentials(task, after, PAGE).await?;
            after = page.items.last().map(|credential| credential.id);
            for credential in page.items.iter().filter(|c| rule.matches(&c.facts())) {
                self.revoked_certificates
                    .add(credential, rule.at, crl_reason(rule));
            }
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
        Selector::Task(_) if rule.reason == EndReason::Completed.as_str() => {
            CrlReason::CessationOfOperation
        }
        _ => CrlReason::PrivilegeWithdrawn,
    }
}
