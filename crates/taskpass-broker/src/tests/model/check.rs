//! Whether broker and model agree, by everything that the broker can be asked.

use std::collections::{BTreeMap, BTreeSet};

use taskpass_core::TaskId;
use taskpass_core::caller::Caller;
use taskpass_core::registry::State;
use taskpass_core::task::TaskState;

use super::control::key;
use super::op::Op;
use super::picture::{AGENTS, Held, OWNERS, TARGETS};
use super::run::Run;
use crate::testing::{as_agent, leaf, ops, verifier};
use crate::tree::MAX_TREE;
use crate::{Error, Presented, Standing, TaskFilter};

/// A verifier of both targets.
fn of_all() -> Standing {
    let targets = TARGETS.iter().map(|uri| uri.parse().unwrap()).collect();
    Standing {
        caller: Caller::Verifier("ledger".parse().unwrap(), targets),
        ..verifier()
    }
}

impl Run {
    pub(super) async fn check(&mut self, after: &Op) {
        self.states(after);
        self.credentials(after).await;
        self.identities(after).await;
        self.list(after).await;
        let roots =
            (0..self.model.tasks.len()).filter(|task| self.model.tasks[*task].line.len() == 1);
        for root in roots {
            self.tree(root, after).await;
        }
        self.sights(after).await;
    }

    /// What was suspended together with a rule is, and nothing else.
    fn states(&mut self, after: &Op) {
        let registry = self.t.broker.registry();
        for row in 0..=AGENTS.len() + OWNERS.len() + TARGETS.len() {
            let key = key(row);
            let found = crate::registry::read(&registry, &key).unwrap();
            let active = crate::registry::state(&found.value) == State::Active;
            assert_eq!(active, *self.model.active(row), "{key} after {after:?}");
        }
    }

    async fn credentials(&self, after: &Op) {
        let (now, caller) = (self.now(), of_all());
        for (place, credential) in self.model.credentials.iter().enumerate() {
            let der;
            let presented = match &credential.held {
                Held::Token(token) => Presented::Token(token.token.expose()),
                Held::Certificate(certificate) => {
                    der = leaf(certificate);
                    Presented::Certificate(&der)
                }
                Held::Nothing => continue,
            };
            let active = self.t.broker.introspect(&caller, &presented).await;
            let expected = !credential.revoked && now < credential.expires_at;
            assert_eq!(
                active.unwrap().is_some(),
                expected,
                "credential {place} after {after:?}"
            );
        }
    }

    async fn identities(&self, after: &Op) {
        let now = self.now();
        for agent in 0..AGENTS.len() {
            for back in 0..3 {
                let all = self.model.lines[agent].proved.iter().rev();
                let Some(proved) = all.clone().nth(back) else {
                    continue;
                };
                let standing = self.t.broker.standing(proved, None).await;
                let expected = back < 2 && self.model.accepts(now, agent, back);
                assert_eq!(standing.is_ok(), expected, "{agent} {back} after {after:?}");
            }
        }
    }

    async fn list(&self, after: &Op) {
        let (now, mut next) = (self.now(), None);
        let mut listed = BTreeSet::new();
        loop {
            let filter = TaskFilter {
                active_only: true,
                ..TaskFilter::default()
            };
            let page = self.t.broker.list_tasks(&ops(), filter, next, 5).await;
            let page = page.unwrap();
            listed.extend(page.items.iter().map(|view| view.task.id));
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        let all = 0..self.model.tasks.len();
        let live = all.filter(|task| self.model.is_live(now, *task));
        let live: BTreeSet<_> = live.map(|task| self.model.tasks[task].id).collect();
        assert_eq!(listed, live, "after {after:?}");
    }

    /// Each task with what it issued itself, after those above it.
    async fn tree(&self, root: usize, after: &Op) {
        let (model, now) = (&self.model, self.now());
        let top = model.tasks[root].id;
        let tree = match self.t.broker.task_tree(&ops(), top, MAX_TREE).await {
            Ok(tree) => tree,
            Err(Error::TaskNotFound { .. }) => {
                assert!(top.deadline() <= now, "task {root} is gone after {after:?}");
                return;
            }
            Err(error) => panic!("{error:?}"),
        };
        assert!(!tree.truncated);
        let mut told = BTreeMap::new();
        for node in &tree.nodes {
            let task = &node.view.task;
            if let Some(parent) = task.parent().filter(|_| task.id != top) {
                assert!(
                    told.contains_key(&parent),
                    "beneath nothing after {after:?}"
                );
            }
            assert!(node.exact);
            let live = node.view.state == TaskState::Active;
            told.insert(task.id, (live, node.credentials));
        }
        let mut expected = BTreeMap::new();
        for (place, task) in model.tasks.iter().enumerate() {
            // What the reaper has removed is past its deadline.
            let is_gone = task.id.deadline() <= now && !told.contains_key(&task.id);
            if model.is_beneath(place, root) && !is_gone {
                let credentials = model.live(now, |one| one.task == place);
                expected.insert(task.id, (model.is_live(now, place), credentials));
            }
        }
        assert_eq!(told, expected, "tree of {root} after {after:?}");
    }

    /// Whoever stands above a task may see it, and nobody else.
    async fn sights(&self, after: &Op) {
        let Some(task) = self.model.tasks.len().checked_sub(1) else {
            return;
        };
        let id: TaskId = self.model.tasks[task].id;
        if id.deadline() <= self.now() {
            return;
        }
        for (agent, name) in AGENTS.iter().enumerate() {
            let seen = self.t.broker.task_tree(&as_agent(name), id, MAX_TREE).await;
            let expected = self.model.chain(task).contains(&agent);
            assert_eq!(seen.is_ok(), expected, "{name} sees {id} after {after:?}");
        }
    }
}
