//! A task with everything beneath it, whoever runs it: what ending it would end.

use std::collections::VecDeque;

use taskpass_core::{CredentialId, TaskId, Timestamp};

use crate::broker::Broker;
use crate::error::Error;
use crate::standing::Standing;
use crate::tasks::{TaskView, may_see};

/// The most tasks in one answer.
pub const MAX_TREE: usize = 1000;
/// Credentials that are looked at for one answer; beyond, those found so far are told.
const LOOK_AT: usize = 20_000;
/// Rows read at a time.
const PAGE: usize = 500;

/// One task of a tree.
#[derive(Debug, Clone)]
pub struct TreeNode {
    /// The task.
    pub view: TaskView,
    /// How many live credentials were issued under it, those of its children not counted.
    pub credentials: u64,
    /// Whether that is all of them; otherwise there are at least so many.
    pub exact: bool,
}

/// A task and what is beneath it.
#[derive(Debug, Clone)]
pub struct Tree {
    /// Each task before those beneath it; the one that was asked for is the first.
    pub nodes: Vec<TreeNode>,
    /// Whether there are more tasks than are told.
    pub truncated: bool,
}

impl Broker {
    /// Reads a task with everything beneath it: an agent from any task that it may see, an operator
    /// any. Whoever may see a task may see what is beneath it.
    pub async fn task_tree(
        &self,
        caller: &Standing,
        root: TaskId,
        limit: usize,
    ) -> Result<Tree, Error> {
        self.record_read(caller, format!("task tree {root}"))
            .await?;
        let now = self.clock.now();
        let top = self.store.task(root).await?;
        let top = top
            .filter(|task| may_see(&caller.caller, task))
            .ok_or(Error::TaskNotFound { task: root })?;
        let limit = limit.clamp(1, MAX_TREE);
        let mut tasks = vec![top];
        let mut parents = VecDeque::from([root]);
        let mut truncated = false;
        'all: while let Some(parent) = parents.pop_front() {
            let mut after = None;
            loop {
                let page = self.store.children(parent, after, PAGE).await?;
                for task in page.items {
                    if tasks.len() >= limit {
                        truncated = true;
                        break 'all;
                    }
                    after = Some(task.id);
                    parents.push_back(task.id);
                    tasks.push(task);
                }
                if !page.more {
                    break;
                }
            }
        }
        let mut nodes = Vec::with_capacity(tasks.len());
        let mut budget = LOOK_AT;
        for task in tasks {
            let state = self.state_with_ancestors(&task, now).await?;
            let (credentials, exact) = self.live_of_task(task.id, &mut budget, now).await?;
            nodes.push(TreeNode {
                view: TaskView { task, state },
                credentials,
                exact,
            });
        }
        Ok(Tree { nodes, truncated })
    }

    /// How many live credentials a task issued itself, and whether all were looked at.
    async fn live_of_task(
        &self,
        task: TaskId,
        budget: &mut usize,
        now: Timestamp,
    ) -> Result<(u64, bool), Error> {
        let mut count = 0_u64;
        let mut after = Some(CredentialId::first_at(now));
        while *budget > 0 {
            let page = self
                .store
                .credentials(task, after, PAGE.min(*budget))
                .await?;
            *budget = budget.saturating_sub(page.items.len());
            after = page.items.last().map(|credential| credential.id);
            let live = page.items.iter().filter(|one| self.is_live(one, now));
            count = count.saturating_add(u64::try_from(live.count()).unwrap_or(u64::MAX));
            if !page.more {
                return Ok((count, true));
            }
        }
        Ok((count, false))
    }
}
