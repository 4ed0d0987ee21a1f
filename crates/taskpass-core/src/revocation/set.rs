//! All rules in force, found without looking at each.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use super::{Facts, Rule, Selector};
use crate::id::{CredentialId, TaskId};
use crate::key::KeyId;
use crate::name::AgentName;
use crate::scope::TargetUri;
use crate::time::Timestamp;

type Index<K> = HashMap<K, Vec<Arc<Rule>>>;

/// The rules that have not been pruned, indexed by what they select.
///
/// [`RuleSet::matching`] finds a rule exactly if [`Rule::matches`] holds for one in the set: the
/// index only narrows down which rules are asked.
#[derive(Debug, Clone, Default)]
pub struct RuleSet {
    by_seq: BTreeMap<u64, Arc<Rule>>,
    by_prune: BTreeMap<(Timestamp, u64), Arc<Rule>>,
    credentials: Index<CredentialId>,
    tasks: Index<TaskId>,
    agents: Index<AgentName>,
    targets: Index<TargetUri>,
    keys: Index<KeyId>,
    everything: Vec<Arc<Rule>>,
}

impl RuleSet {
    /// Adds a rule. A rule of the same `seq` is kept as it is: rules do not change.
    pub fn insert(&mut self, rule: Rule) {
        if self.by_seq.contains_key(&rule.seq) {
            return;
        }
        let rule = Arc::new(rule);
        self.by_seq.insert(rule.seq, Arc::clone(&rule));
        self.by_prune
            .insert((rule.prune_at, rule.seq), Arc::clone(&rule));
        self.bucket(&rule.selector).push(rule);
    }

    fn bucket(&mut self, selector: &Selector) -> &mut Vec<Arc<Rule>> {
        match selector {
            Selector::Credential(id) => self.credentials.entry(*id).or_default(),
            Selector::Task(id) => self.tasks.entry(*id).or_default(),
            Selector::Agent(name) => self.agents.entry(name.clone()).or_default(),
            Selector::Target(uri) => self.targets.entry(uri.clone()).or_default(),
            Selector::Key(id) => self.keys.entry(id.clone()).or_default(),
            Selector::Everything => &mut self.everything,
        }
    }

    /// Forgets the rules that can match nothing any more; returns how many.
    pub fn prune(&mut self, now: Timestamp) -> usize {
        let mut pruned = 0;
        while let Some(entry) = self.by_prune.first_entry() {
            if !entry.get().is_prunable(now) {
                break;
            }
            let rule = entry.remove();
            self.remove(&rule);
            pruned += 1;
        }
        pruned
    }

    fn remove(&mut self, rule: &Rule) {
        self.by_seq.remove(&rule.seq);
        let seq = rule.seq;
        match &rule.selector {
            Selector::Credential(id) => drop_from(&mut self.credentials, id, seq),
            Selector::Task(id) => drop_from(&mut self.tasks, id, seq),
            Selector::Agent(name) => drop_from(&mut self.agents, name, seq),
            Selector::Target(uri) => drop_from(&mut self.targets, uri, seq),
            Selector::Key(id) => drop_from(&mut self.keys, id, seq),
            Selector::Everything => self.everything.retain(|other| other.seq != seq),
        }
    }

    /// A rule that revokes what `facts` describe, if there is one.
    pub fn matching(&self, facts: &Facts) -> Option<&Arc<Rule>> {
        if self.by_seq.is_empty() {
            return None;
        }
        let own_agent = facts.agent.iter();
        let agents = own_agent.chain(facts.ancestors.iter().map(|above| &above.agent));
        let own_task = facts.task.iter();
        let tasks = own_task.chain(facts.ancestors.iter().map(|above| &above.task));
        None.or_else(|| {
            facts
                .credential
                .and_then(|id| find(&self.credentials, &id, facts))
        })
        .or_else(|| {
            tasks
                .into_iter()
                .find_map(|id| find(&self.tasks, id, facts))
        })
        .or_else(|| {
            agents
                .into_iter()
                .find_map(|name| find(&self.agents, name, facts))
        })
        .or_else(|| {
            facts
                .target
                .as_ref()
                .and_then(|uri| find(&self.targets, uri, facts))
        })
        .or_else(|| {
            facts
                .key
                .as_ref()
                .and_then(|id| find(&self.keys, id, facts))
        })
        .or_else(|| self.everything.iter().find(|rule| rule.matches(facts)))
    }

    /// Whether a key is tainted by a rule.
    pub fn taints(&self, key: &KeyId) -> bool {
        self.keys.contains_key(key)
    }

    /// The rules after `seq`, in order.
    pub fn after(&self, seq: u64) -> impl Iterator<Item = &Arc<Rule>> {
        self.by_seq
            .range((std::ops::Bound::Excluded(seq), std::ops::Bound::Unbounded))
            .map(|(_, rule)| rule)
    }

    /// How many rules are in force.
    pub fn len(&self) -> usize {
        self.by_seq.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.by_seq.is_empty()
    }
}

fn find<'a, K, Q>(index: &'a Index<K>, key: &Q, facts: &Facts) -> Option<&'a Arc<Rule>>
where
    K: Borrow<Q> + Hash + Eq,
    Q: Hash + Eq + ?Sized,
{
    index
        .get(key)?
        .iter()
        .rev()
        .find(|rule| rule.matches(facts))
}

fn drop_from<K: Hash + Eq>(index: &mut Index<K>, key: &K, seq: u64) {
    if let Some(rules) = index.get_mut(key) {
        rules.retain(|rule| rule.seq != seq);
        if rules.is_empty() {
            index.remove(key);
        }
    }
}
