//! How much may be taken at once: what holds for an agent, an owner or a target, and what is said
//! when it is reached.
//!
//! A registration's own limit wins over the configuration's, and none is above what the code allows
//! ([`LimitName::ceiling`]). Counts are guards of the commit that would exceed them; rates are in
//! this process's memory. A task counts against every agent above it, and so do its credentials:
//! nobody gets more by handing work on.

mod reached;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use taskpass_core::identity::Principal;
use taskpass_core::rate::{Paces, TooFast};
use taskpass_core::registry::{
    Agent, LimitName, Limits as Own, Owner, Registry, RowKey, Target, Versioned,
};
use taskpass_core::task::{Ancestor, MAX_CHILDREN, MAX_DEPTH, Task, agents_in_chain};
use taskpass_core::{AgentName, OwnerName};
use taskpass_store::{Counter, Guard};

use crate::broker::Broker;
use crate::error::Error;
use crate::standing::Standing;

pub use reached::{Limit, LimitReached};

/// What holds where a registration says nothing; what is absent here too is what the code allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitDefaults {
    /// Of each agent.
    pub agent: Own,
    /// Of each owner: of its agents together; depth and fan-out of each of them.
    pub owner: Own,
    /// Of each target.
    pub target: Own,
}

impl LimitDefaults {
    /// What the code allows: of everything the most.
    pub const CEILINGS: Self = Self {
        agent: Own::NONE,
        owner: Own::NONE,
        target: Own::NONE,
    };
}

impl Default for LimitDefaults {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "two constants of one and two digits"
    )]
    fn default() -> Self {
        Self {
            agent: Own {
                live_credentials: Some(100_000),
                live_tasks: Some(10_000),
                issues_per_second: Some(10_000),
                depth: Some(MAX_DEPTH as u8),
                fan_out: Some(MAX_CHILDREN as u32),
            },
            owner: Own {
                live_credentials: Some(1_000_000),
                live_tasks: Some(100_000),
                issues_per_second: Some(20_000),
                ..Own::NONE
            },
            target: Own {
                live_credentials: Some(2_000_000),
                issues_per_second: Some(50_000),
                ..Own::NONE
            },
        }
    }
}

fn effective(name: LimitName, own: &Own, default: &Own) -> u32 {
    let ceiling = name.ceiling();
    own.get(name)
        .or_else(|| default.get(name))
        .unwrap_or(ceiling)
        .min(ceiling)
}

impl LimitDefaults {
    pub(crate) fn of_agent(&self, name: LimitName, agent: &Agent) -> u32 {
        effective(name, &agent.limits, &self.agent)
    }

    pub(crate) fn of_owner(&self, name: LimitName, owner: &Owner) -> u32 {
        effective(name, &owner.limits, &self.owner)
    }

    pub(crate) fn of_target(&self, name: LimitName, target: &Target) -> u32 {
        effective(name, &target.limits, &self.target)
    }

    /// What bounds the form of an agent's tasks: the lower of its own and its owner's.
    fn of_form(&self, name: LimitName, registry: &Registry, agent: &AgentName) -> u32 {
        let Some(agent) = registry.agent(agent) else {
            return 0;
        };
        let own = self.of_agent(name, &agent.value);
        let owner = registry.owner(&agent.value.owner);
        owner.map_or(0, |owner| own.min(self.of_owner(name, &owner.value)))
    }

    /// How many tasks may stand above a task that `agent` runs beneath `ancestors`: what is the least
    /// of all of them.
    pub(crate) fn depth(
        &self,
        registry: &Registry,
        agent: &AgentName,
        ancestors: &[Ancestor],
    ) -> usize {
        let least = agents_in_chain(agent, ancestors)
            .into_iter()
            .map(|agent| self.of_form(LimitName::Depth, registry, agent))
            .min();
        usize::try_from(least.unwrap_or(0)).map_or(MAX_DEPTH, |depth| depth.min(MAX_DEPTH))
    }

    /// How many live tasks may stand directly beneath one that `agent` runs.
    pub(crate) fn fan_out(&self, registry: &Registry, agent: &AgentName) -> u64 {
        self.of_form(LimitName::FanOut, registry, agent).into()
    }

    /// The guards of one more credential of `task`, at `target` if it is a token.
    pub(crate) fn credential_guards(
        &self,
        registry: &Registry,
        task: &Task,
        target: Option<&Versioned<Target>>,
    ) -> Vec<Guard> {
        let name = LimitName::LiveCredentials;
        let mut guards = self.agent_guards(name, registry, task, Counter::Agent);
        guards.extend(self.owner_guard(name, registry, task, Counter::Owner));
        guards.extend(target.map(|target| Guard::Below {
            counter: Counter::Target(target.value.uri.clone()),
            limit: self.of_target(name, &target.value).into(),
        }));
        guards
    }

    /// The guards of one more task.
    pub(crate) fn task_guards(&self, registry: &Registry, task: &Task) -> Vec<Guard> {
        let name = LimitName::LiveTasks;
        let mut guards = self.agent_guards(name, registry, task, Counter::AgentTasks);
        guards.extend(self.owner_guard(name, registry, task, Counter::OwnerTasks));
        guards
    }

    /// The agent of the task and those above it, whose rows are checked to be unchanged: their limits
    /// are read from them.
    fn agent_guards(
        &self,
        name: LimitName,
        registry: &Registry,
        task: &Task,
        counter: fn(AgentName) -> Counter,
    ) -> Vec<Guard> {
        let mut guards = Vec::new();
        for agent in agents_in_chain(&task.agent, &task.ancestors) {
            let limit = registry
                .agent(agent)
                .map_or(0, |row| self.of_agent(name, &row.value));
            if *agent != task.agent {
                let key = RowKey::Agent(agent.clone());
                let version = registry.version(&key);
                guards.push(Guard::Unchanged { key, version });
            }
            guards.push(Guard::Below {
                counter: counter(agent.clone()),
                limit: limit.into(),
            });
        }
        guards
    }

    fn owner_guard(
        &self,
        name: LimitName,
        registry: &Registry,
        task: &Task,
        counter: fn(OwnerName) -> Counter,
    ) -> Option<Guard> {
        let owner = registry.owner(&registry.agent(&task.agent)?.value.owner)?;
        Some(Guard::Below {
            counter: counter(owner.value.name.clone()),
            limit: self.of_owner(name, &owner.value).into(),
        })
    }
}

/// How fast credentials are issued, by row. Forgotten with the process: a restart begins with full
/// buckets.
#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<Paces<RowKey>>);

impl Rates {
    /// Takes one issue from the agent's, its owner's and the target's bucket, or from none.
    pub(crate) fn take(
        &self,
        defaults: &LimitDefaults,
        registry: &Registry,
        agent: &Agent,
        target: Option<&Target>,
        now: Duration,
    ) -> Result<(), LimitReached> {
        let name = LimitName::IssuesPerSecond;
        let mut wanted = vec![(
            RowKey::Agent(agent.name.clone()),
            defaults.of_agent(name, agent),
        )];
        if let Some(owner) = registry.owner(&agent.owner) {
            let rate = defaults.of_owner(name, &owner.value);
            wanted.push((RowKey::Owner(owner.value.name.clone()), rate));
        }
        wanted.extend(target.map(|target| {
            let rate = defaults.of_target(name, target);
            (RowKey::Target(target.uri.clone()), rate)
        }));
        let mut paces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = paces.take(&wanted, 1, now);
        drop(paces);
        taken.map_err(|TooFast { which, wait }| {
            let (key, rate) = wanted.swap_remove(which);
            LimitReached::too_fast(&key, rate, wait)
        })
    }
}

/// One issue's place in the buckets: it is taken once, however often it is decided again.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    taken: bool,
}

impl Pace {
    /// Takes it, if it was not taken.
    pub(crate) fn take(
        &mut self,
        broker: &Broker,
        registry: &Registry,
        agent: &Agent,
        target: Option<&Target>,
    ) -> Result<(), LimitReached> {
        if !self.taken {
            let (defaults, now) = (&broker.limits.amounts, broker.clock.monotonic());
            broker.rates.take(defaults, registry, agent, target, now)?;
            self.taken = true;
        }
        Ok(())
    }
}

impl Broker {
    /// Counts a refusal for a limit. Whether that was all: of a pace each refusal is counted, and one
    /// entry a window says how many there were; a commit each would let whoever goes too fast go on.
    pub(crate) fn count_limited(&self, caller: &Standing, error: &Error) -> bool {
        self.count_limit(&caller.caller.principal(), error)
    }

    /// The same for a caller of whom nothing else is known yet.
    pub fn count_limit(&self, caller: &Principal, error: &Error) -> bool {
        let Error::LimitReached(reached) = error else {
            return false;
        };
        let limits = Limit::ALL.iter().zip(&self.metrics.limited);
        for (_, count) in limits.filter(|(limit, _)| **limit == reached.limit) {
            count.one();
        }
        if !reached.limit.is_counted_only() {
            return false;
        }
        self.metrics.denials.one();
        self.denials.count(caller, self.clock.now());
        true
    }
}

#[cfg(test)]
mod tests;
