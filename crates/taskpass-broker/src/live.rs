//! Counting live credentials, for replies that say what a revocation ended.

use std::collections::BTreeSet;

use taskpass_core::credential::Credential;
use taskpass_core::task::TaskState;
use taskpass_core::{AgentName, CredentialId, TaskId, Timestamp};
use taskpass_store::Counter;

use crate::broker::Broker;
use crate::error::Error;

/// Above this many, an upper bound from the counters is told instead of an exact number.
const EXACT_UP_TO: u64 = 2_000;
/// Rows read at a time.
const PAGE: usize = 500;
/// Rows looked at before counting gives up: a revocation must not wait for an agent that made
/// itself large.
const LOOK_AT: usize = 4_000;

/// How many credentials a selector would end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Live {
    /// How many.
    pub credentials: u64,
    /// Whether that is exact, or an upper bound.
    pub exact: bool,
}

impl Live {
    pub(crate) const NONE: Self = Self {
        credentials: 0,
        exact: true,
    };

    pub(crate) fn exactly(credentials: u64) -> Self {
        Self {
            credentials,
            exact: true,
        }
    }

    pub(crate) fn at_most(credentials: u64) -> Self {
        Self {
            credentials,
            exact: credentials == 0,
        }
    }
}

impl Broker {
    /// Whether a credential lives: unexpired, and no rule matches it.
    pub(crate) fn is_live(&self, credential: &Credential, now: Timestamp) -> bool {
        !credential.is_expired(now) && self.store.rules().matching(&credential.facts()).is_none()
    }

    /// The live credentials of a task and its subtree, counted one by one.
    pub(crate) async fn live_under(
        &self,
        root: TaskId,
        now: Timestamp,
    ) -> Result<LiveUnder, Error> {
        self.walk_under(root, &mut Walked::default(), now, |credential| {
            self.is_live(credential, now)
        })
        .await
    }

    /// The unexpired credentials of a task and its subtree, revoked or not.
    pub(crate) async fn unexpired_under(
        &self,
        root: TaskId,
        now: Timestamp,
    ) -> Result<LiveUnder, Error> {
        self.walk_under(root, &mut Walked::default(), now, |_| true)
            .await
    }

    async fn walk_under(
        &self,
        root: TaskId,
        walked: &mut Walked,
        now: Timestamp,
        counts: impl Fn(&Credential) -> bool + Send + Sync,
    ) -> Result<LiveUnder, Error> {
        let mut found = LiveUnder::default();
        let mut waiting = vec![root];
        while let Some(task) = waiting.pop() {
            if walked.rows >= LOOK_AT {
                return Ok(found);
            }
            if !walked.tasks.insert(task) {
                continue;
            }
            walked.rows += 1;
            // The table is ordered by expiry: what has expired lies before this edge.
            let mut after = Some(CredentialId::first_at(now));
            loop {
                let page = self.store.credentials(task, after, PAGE).await?;
                after = page.items.last().map(|credential| credential.id);
                walked.rows += page.items.len();
                for credential in page.items.iter().filter(|c| !c.is_expired(now)) {
                    found.unexpired += 1;
                    if !counts(credential) {
                        continue;
                    }
                    found.count += 1;
                    found.last_expiry = found.last_expiry.max(Some(credential.expires_at()));
                }
                if !page.more {
                    break;
                }
                if walked.rows >= LOOK_AT {
                    return Ok(found);
                }
            }
            let mut after = None;
            loop {
                let page = self.store.children(task, after, PAGE).await?;
                after = page.items.last().map(|task| task.id);
                for task in &page.items {
                    waiting.push(task.id);
                    if self.task_state(task, now) == TaskState::Active {
                        found.last_deadline = found.last_deadline.max(Some(task.deadline_at()));
                    }
                }
                if !page.more {
                    break;
                }
                if waiting.len() >= LOOK_AT {
                    return Ok(found);
                }
            }
        }
        found.whole = true;
        Ok(found)
    }

    /// The live credentials of these agents, their tasks' subtrees included, each counted once.
    pub(crate) async fn live_of_agents(
        &self,
        agents: &[AgentName],
        now: Timestamp,
    ) -> Result<Live, Error> {
        let bound = self.bound_of_agents(agents, now).await?;
        if bound > EXACT_UP_TO {
            return Ok(Live::at_most(bound));
        }
        let mut walked = Walked::default();
        let mut count = 0_u64;
        for agent in agents {
            match self.live_of_another(agent, &mut walked, now).await? {
                Some(more) => count += more,
                None => return Ok(Live::at_most(bound)),
            }
        }
        Ok(Live::exactly(count))
    }

    /// An upper bound on the live credentials of these agents.
    pub(crate) async fn bound_of_agents(
        &self,
        agents: &[AgentName],
        now: Timestamp,
    ) -> Result<u64, Error> {
        let mut bound = 0_u64;
        for agent in agents {
            let live = self.store.live(Counter::Agent(agent.clone()), now).await?;
            bound = bound.saturating_add(live);
        }
        Ok(bound)
    }

    /// What `walked` has not counted yet of an agent's; `None` if that is too much to look at.
    async fn live_of_another(
        &self,
        agent: &AgentName,
        walked: &mut Walked,
        now: Timestamp,
    ) -> Result<Option<u64>, Error> {
        let mut count = 0_u64;
        let mut after = Some(TaskId::first_at(now));
        loop {
            let page = self.store.tasks(Some(agent.clone()), after, PAGE).await?;
            after = page.items.last().map(|task| task.id);
            for task in &page.items {
                let live = |credential: &Credential| self.is_live(credential, now);
                let found = self.walk_under(task.id, walked, now, live).await?;
                if !found.whole {
                    return Ok(None);
                }
                count += found.count;
            }
            if !page.more {
                return Ok(Some(count));
            }
        }
    }

    /// An upper bound on the live tokens for a target.
    pub(crate) async fn live_at_target(
        &self,
        target: &taskpass_core::TargetUri,
        now: Timestamp,
    ) -> Result<Live, Error> {
        self.store
            .live(Counter::Target(target.clone()), now)
            .await
            .map(Live::at_most)
            .map_err(Into::into)
    }

    /// An upper bound on all live credentials.
    pub(crate) async fn live_at_all(&self, now: Timestamp) -> Result<Live, Error> {
        let registry = self.registry.load_full();
        let mut sum = 0_u64;
        // Of owners, not of agents: what an agent's subtasks have counts for each agent above.
        for owner in registry.owners() {
            let counter = Counter::Owner(owner.value.name.clone());
            let live = self.store.live(counter, now).await?;
            sum = sum.saturating_add(live);
        }
        Ok(Live::at_most(sum))
    }
}

/// What a count has looked at.
#[derive(Default)]
struct Walked {
    tasks: BTreeSet<TaskId>,
    rows: usize,
}

/// What was found under a task.
#[derive(Debug, Default)]
pub(crate) struct LiveUnder {
    /// Whether all of it was looked at.
    pub(crate) whole: bool,
    pub(crate) count: u64,
    /// Whether they live or not.
    pub(crate) unexpired: u64,
    pub(crate) last_expiry: Option<Timestamp>,
    /// Of the tasks beneath that neither their records nor a rule say are over.
    pub(crate) last_deadline: Option<Timestamp>,
}

impl LiveUnder {
    /// Whether something lives, or may: what was not looked at counts.
    pub(crate) fn may_live(&self) -> bool {
        self.count > 0 || self.last_deadline.is_some() || !self.whole
    }

    /// When the last of what was found ends by itself.
    pub(crate) fn last_end(&self) -> Option<Timestamp> {
        self.last_expiry.max(self.last_deadline)
    }
}
