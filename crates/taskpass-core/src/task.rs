//! A task: one bounded piece of work of one agent.

use std::collections::BTreeSet;

use crate::access::words;
use crate::id::TaskId;
use crate::name::AgentName;
use crate::scope::ScopeRef;
use crate::time::Timestamp;

/// How many ancestors a task may have at most.
pub const MAX_DEPTH: usize = 3;
/// How many live tasks may stand directly beneath one, unless a limit says otherwise.
pub const MAX_CHILDREN: u64 = 64;
/// The longest purpose.
pub const MAX_PURPOSE_LEN: usize = 256;
/// The most scopes in one ceiling.
pub const MAX_SCOPES: usize = 64;

words!(
    /// Why a task ended before its deadline.
    EndReason, "completed, revoked, lost", {
    /// Its agent said that the work is done.
    Completed => "completed",
    /// A rule ended it.
    Revoked => "revoked",
    /// It was tied to a process, which went and did not come back.
    Lost => "lost",
});

/// A task above another one, with the agent that runs it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct Ancestor {
    /// The task.
    pub task: TaskId,
    /// Its agent.
    pub agent: AgentName,
}

/// A task as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its id; carries the deadline.
    pub id: TaskId,
    /// The agent that runs it.
    pub agent: AgentName,
    /// What it is for, in the agent's words.
    pub purpose: String,
    /// All that credentials of this task may ever carry.
    pub scopes: BTreeSet<ScopeRef>,
    /// The tasks above it, the nearest first.
    pub ancestors: Vec<Ancestor>,
    /// When it started.
    pub started_at: Timestamp,
    /// The decision that let it start.
    pub decision: crate::id::DecisionId,
    /// When and why it ended before its deadline, if it did.
    pub ended: Option<Ended>,
}

/// The early end of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: EndReason,
}

words!(
    /// What a task is doing at some instant.
    TaskState, "active, completed, revoked, lost, expired", {
    /// Credentials can be issued under it.
    Active => "active",
    /// Its agent ended it.
    Completed => "completed",
    /// A rule ended it.
    Revoked => "revoked",
    /// The process that it was tied to is gone.
    Lost => "lost",
    /// Its deadline passed.
    Expired => "expired",
});

impl Task {
    /// The instant it ends at the latest.
    pub fn deadline_at(&self) -> Timestamp {
        self.id.deadline()
    }

    /// The parent task, if it has one.
    pub fn parent(&self) -> Option<TaskId> {
        self.ancestors.first().map(|ancestor| ancestor.task)
    }

    /// What the record alone says at `now`; rules may say more.
    pub fn state(&self, now: Timestamp) -> TaskState {
        match self.ended {
            Some(Ended {
                reason: EndReason::Completed,
                ..
            }) => TaskState::Completed,
            Some(Ended {
                reason: EndReason::Revoked,
                ..
            }) => TaskState::Revoked,
            Some(Ended {
                reason: EndReason::Lost,
                ..
            }) => TaskState::Lost,
            None if now >= self.deadline_at() => TaskState::Expired,
            None => TaskState::Active,
        }
    }

    /// The agent that started it: of a child task the one that runs the parent.
    pub fn starter(&self) -> &AgentName {
        let above = self.ancestors.first();
        above.map_or(&self.agent, |above| &above.agent)
    }

    /// Every agent that it is run for, each once: its own first, then from the nearest ancestor up.
    pub fn agents_in_chain(&self) -> Vec<&AgentName> {
        agents_in_chain(&self.agent, &self.ancestors)
    }

    /// Whether `agent` runs it or any task above it, and so may see it and end it.
    pub fn is_in_chain(&self, agent: &AgentName) -> bool {
        self.agent == *agent || self.ancestors.iter().any(|above| above.agent == *agent)
    }

    /// Its own and every ancestor's place in the tree, itself first: what a child carries.
    pub fn lineage(&self) -> Vec<Ancestor> {
        let own = Ancestor {
            task: self.id,
            agent: self.agent.clone(),
        };
        std::iter::once(own)
            .chain(self.ancestors.iter().cloned())
            .collect()
    }
}

/// Every agent of a chain of tasks, each once: the one that runs the task first, then from the
/// nearest ancestor up.
pub fn agents_in_chain<'a>(agent: &'a AgentName, ancestors: &'a [Ancestor]) -> Vec<&'a AgentName> {
    let mut agents = vec![agent];
    for above in ancestors {
        if !agents.contains(&&above.agent) {
            agents.push(&above.agent);
        }
    }
    agents
}

/// Who acts, and who acted before: the agent that runs the task first, then one agent for each
/// time that the work was handed on, back to the one that began. An agent's own subtasks hand on
/// nothing. Only the first may decide anything (RFC 8693 §4.1).
pub fn actors<'a>(agent: &'a AgentName, ancestors: &'a [Ancestor]) -> Vec<&'a AgentName> {
    let mut actors = vec![agent];
    for above in ancestors {
        if actors.last() != Some(&&above.agent) {
            actors.push(&above.agent);
        }
    }
    actors
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::SeededRng;

    #[test]
    fn a_chain_names_each_agent_once_and_actors_each_hand_over() {
        let rng = SeededRng::new(1);
        let above = |agents: &[&str]| -> Vec<Ancestor> {
            let place = |agent: &&str| Ancestor {
                task: TaskId::generate(Timestamp::from_secs(9), &rng),
                agent: agent.parse().unwrap(),
            };
            agents.iter().map(place).collect()
        };
        for (ancestors, chain, acted) in [
            (&[][..], &["a"][..], &["a"][..]),
            (&["a", "a"], &["a"], &["a"]),
            (&["b"], &["a", "b"], &["a", "b"]),
            (&["a", "b", "b"], &["a", "b"], &["a", "b"]),
            // Handed on and back again: one agent, twice an actor.
            (&["b", "a"], &["a", "b"], &["a", "b", "a"]),
            (&["b", "c", "b"], &["a", "b", "c"], &["a", "b", "c", "b"]),
        ] {
            let (own, ancestors) = ("a".parse().unwrap(), above(ancestors));
            let names = |agents: Vec<&AgentName>| -> Vec<String> {
                agents.iter().map(ToString::to_string).collect()
            };
            assert_eq!(names(agents_in_chain(&own, &ancestors)), chain);
            assert_eq!(names(actors(&own, &ancestors)), acted);
        }
    }

    #[test]
    fn a_task_is_over_at_its_deadline_and_not_before() {
        let rng = SeededRng::new(1);
        let deadline = Timestamp::from_secs(100);
        let mut task = Task {
            id: TaskId::generate(deadline, &rng),
            agent: "a".parse().unwrap(),
            purpose: "p".into(),
            scopes: BTreeSet::new(),
            ancestors: vec![],
            started_at: Timestamp::ZERO,
            decision: crate::id::DecisionId::generate(Timestamp::ZERO, &rng),
            ended: None,
        };
        assert_eq!(
            task.state(Timestamp::from_millis(99_999)),
            TaskState::Active
        );
        assert_eq!(task.state(deadline), TaskState::Expired);
        task.ended = Some(Ended {
            at: Timestamp::from_secs(5),
            reason: EndReason::Revoked,
        });
        assert_eq!(task.state(Timestamp::from_secs(200)), TaskState::Revoked);
    }
}
