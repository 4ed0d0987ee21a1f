//! The model: what must be so, of which the broker is not asked.

use std::collections::BTreeSet;

use taskpass_core::key::KeyId;
use taskpass_core::{CredentialId, ScopeRef, TaskId, Timestamp};

use crate::testing::{LEDGER, MAIL};
use crate::{IssuedCertificate, IssuedToken, Proved};

pub(super) const AGENTS: [&str; 4] = ["payer", "stranger", "reader", "third"];
pub(super) const OWNERS: [&str; 2] = ["team", "others"];
/// Who answers for each agent.
pub(super) const OWNER_OF: [usize; 4] = [0, 1, 0, 1];
pub(super) const TARGETS: [&str; 2] = [LEDGER, MAIL];
/// Each with its target.
pub(super) const SCOPES: [(usize, &str); 3] = [(0, "read"), (0, "write"), (1, "read")];
/// Minutes that a task asks for.
pub(super) const LIVES: [u64; 3] = [2, 8, 20];

pub(super) const LIVE_CREDENTIALS: u32 = 12;
pub(super) const LIVE_TASKS: u32 = 9;
pub(super) const FAN_OUT: u32 = 3;
pub(super) const MAX_ABOVE: usize = 3;
/// Seconds that a tied task goes on alone.
pub(super) const GRACE: u64 = 30;
/// Processes that may keep one task alive.
pub(super) const MOST_HOLDS: usize = 4;

pub(super) struct Task {
    pub(super) id: TaskId,
    /// Its own number, its parent's, and so on.
    pub(super) line: Vec<usize>,
    pub(super) agent: usize,
    pub(super) scopes: usize,
    pub(super) over: bool,
    pub(super) tie: Option<Tie>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tie {
    Held,
    /// Since when, if anybody has looked since the start.
    Away(Option<u64>),
}

pub(super) enum Held {
    Token(IssuedToken),
    Certificate(IssuedCertificate),
    /// It was recorded, and its answer was lost.
    Nothing,
}

pub(super) struct Credential {
    pub(super) id: CredentialId,
    pub(super) held: Held,
    pub(super) task: usize,
    pub(super) target: Option<usize>,
    pub(super) key: KeyId,
    pub(super) expires_at: Timestamp,
    pub(super) revoked: bool,
}

/// The identities of one agent, the newest last; of an answer that was lost nothing is known.
#[derive(Default)]
pub(super) struct Line {
    pub(super) proved: Vec<Proved>,
    pub(super) refused: bool,
}

pub(super) struct Model {
    pub(super) tasks: Vec<Task>,
    pub(super) credentials: Vec<Credential>,
    pub(super) lines: [Line; AGENTS.len()],
    pub(super) agents: [bool; AGENTS.len()],
    pub(super) owners: [bool; OWNERS.len()],
    pub(super) targets: [bool; TARGETS.len()],
    pub(super) runs: bool,
    /// Seconds that have passed.
    pub(super) second: u64,
}

/// The scopes of a set that is written as bits.
pub(super) fn scopes(set: usize) -> BTreeSet<ScopeRef> {
    let all = SCOPES.iter().enumerate();
    all.filter(|(at, _)| set & (1 << at) != 0)
        .map(|(_, (target, name))| format!("{}#{name}", TARGETS[*target]).parse().unwrap())
        .collect()
}

impl Model {
    pub(super) fn new() -> Self {
        Self {
            tasks: Vec::new(),
            credentials: Vec::new(),
            lines: std::array::from_fn(|_| Line::default()),
            agents: [true; AGENTS.len()],
            owners: [true; OWNERS.len()],
            targets: [true; TARGETS.len()],
            runs: true,
            second: 0,
        }
    }

    pub(super) fn takes_part(&self, agent: usize) -> bool {
        self.agents[agent] && self.owners[OWNER_OF[agent]]
    }

    /// The agents of a task and of those above it.
    pub(super) fn chain(&self, task: usize) -> BTreeSet<usize> {
        let line = self.tasks[task].line.iter();
        line.map(|above| self.tasks[*above].agent).collect()
    }

    pub(super) fn is_beneath(&self, task: usize, root: usize) -> bool {
        self.tasks[task].line.contains(&root)
    }

    pub(super) fn is_live(&self, now: Timestamp, task: usize) -> bool {
        let line = self.tasks[task].line.iter();
        line.map(|above| &self.tasks[*above])
            .all(|task| !task.over && now < task.id.deadline())
    }

    /// Whether a token for a scope may be issued, or a certificate.
    pub(super) fn may_issue(&self, now: Timestamp, task: usize, scope: Option<usize>) -> bool {
        let takes_part = |agent: usize| self.takes_part(agent);
        self.runs
            && self.is_live(now, task)
            && self.chain(task).into_iter().all(takes_part)
            && scope.is_none_or(|scope| {
                self.tasks[task].scopes & (1 << scope) != 0 && self.targets[SCOPES[scope].0]
            })
    }

    pub(super) fn may_start(
        &self,
        now: Timestamp,
        parent: Option<usize>,
        agent: usize,
        scopes: usize,
    ) -> bool {
        let beneath = |parent: usize| {
            let mut children = (0..self.tasks.len()).collect::<Vec<_>>();
            children.retain(|child| self.tasks[*child].line.get(1) == Some(&parent));
            children.retain(|child| self.is_live(now, *child));
            self.is_live(now, parent)
                && self.chain(parent).into_iter().all(|a| self.takes_part(a))
                && scopes & !self.tasks[parent].scopes == 0
                && self.tasks[parent].line.len() <= MAX_ABOVE
                && children.len() < usize::try_from(FAN_OUT).unwrap()
        };
        let mut wanted = (0..SCOPES.len()).filter(|scope| scopes & (1 << scope) != 0);
        self.runs
            && self.takes_part(agent)
            && wanted.all(|scope| self.targets[SCOPES[scope].0])
            && parent.is_none_or(beneath)
    }

    /// Whether one of the agents above has as many credentials as it may, counted by the minute.
    pub(super) fn is_full(&self, now: Timestamp, task: usize) -> bool {
        let counted = |agent: usize| {
            let all = self.credentials.iter();
            all.filter(|one| one.expires_at.minute() >= now.minute())
                .filter(|one| self.chain(one.task).contains(&agent))
                .count()
        };
        let most = usize::try_from(LIVE_CREDENTIALS).unwrap();
        self.chain(task)
            .into_iter()
            .any(|agent| counted(agent) >= most)
    }

    /// The most tasks that one of these agents has: live ones, and those that may still be counted.
    pub(super) fn most_tasks(&self, now: Timestamp, agents: &BTreeSet<usize>) -> (usize, usize) {
        let of = |agent: usize, counts: &dyn Fn(usize) -> bool| {
            let all = 0..self.tasks.len();
            all.filter(|task| self.chain(*task).contains(&agent) && counts(*task))
                .count()
        };
        let live = |task: usize| self.is_live(now, task);
        let minute = |task: usize| self.tasks[task].id.deadline().minute() >= now.minute();
        let most = |counts: &dyn Fn(usize) -> bool| {
            let each = agents.iter().map(|agent| of(*agent, counts));
            each.max().unwrap_or(0)
        };
        (most(&live), most(&minute))
    }

    /// Ends tasks, and what was issued under them.
    pub(super) fn end(&mut self, matches: impl Fn(&Self, usize) -> bool) {
        let ended: Vec<bool> = (0..self.tasks.len())
            .map(|task| matches(self, task))
            .collect();
        for (task, ended) in self.tasks.iter_mut().zip(&ended) {
            task.over |= ended;
        }
        self.revoke(|credential| ended[credential.task]);
    }

    pub(super) fn revoke(&mut self, matches: impl Fn(&Credential) -> bool) {
        for credential in &mut self.credentials {
            credential.revoked |= matches(credential);
        }
    }

    /// How many credentials live of those that match.
    pub(super) fn live(&self, now: Timestamp, matches: impl Fn(&Credential) -> bool) -> u64 {
        let all = self.credentials.iter();
        let live = all.filter(|one| !one.revoked && now < one.expires_at && matches(one));
        u64::try_from(live.count()).unwrap()
    }

    /// Looks at the ties at this second; which tasks nobody has kept alive for too long.
    pub(super) fn lost(&mut self, now: Timestamp) -> Vec<usize> {
        let live: Vec<bool> = (0..self.tasks.len())
            .map(|task| self.is_live(now, task))
            .collect();
        let second = self.second;
        let mut lost = Vec::new();
        for (place, task) in self.tasks.iter_mut().enumerate() {
            if !live[place] {
                task.tie = None;
            }
            let Some(Tie::Away(since)) = task.tie else {
                continue;
            };
            let since = since.unwrap_or(second);
            task.tie = Some(Tie::Away(Some(since)));
            if second - since >= GRACE {
                lost.push(place);
            }
        }
        lost
    }
}
