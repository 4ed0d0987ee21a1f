//! The whole registry at one moment, in memory.
//!
//! The broker reads it on every request and replaces it after every committed change; requests that
//! began before keep the one they saw, and their guards notice if it mattered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Agent, Operator, Owner, Row, RowKey, System, Target, Verifier, Versioned};
use crate::name::{AgentName, OperatorName, OwnerName, VerifierName};
use crate::scope::TargetUri;

/// How many versions beyond a gap are remembered.
const MOST_AHEAD: usize = 1024;

/// Every row of the registry, by name. Cloning is cheap where the rows are unchanged.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    owners: BTreeMap<OwnerName, Arc<Versioned<Owner>>>,
    agents: BTreeMap<AgentName, Arc<Versioned<Agent>>>,
    targets: BTreeMap<TargetUri, Arc<Versioned<Target>>>,
    operators: BTreeMap<OperatorName, Arc<Versioned<Operator>>>,
    verifiers: BTreeMap<VerifierName, Arc<Versioned<Verifier>>>,
    system: Option<Arc<Versioned<System>>>,
    version: u64,
    ahead: BTreeSet<u64>,
}

impl Registry {
    /// A registry of these rows.
    pub fn from_rows(rows: impl IntoIterator<Item = Versioned<Row>>) -> Self {
        let mut registry = Self::default();
        for row in rows {
            registry.put(row);
        }
        registry
    }

    /// The version of the registry as a whole that this is at: it has every change up to that one,
    /// and may have later ones. So a commit that is made only if that version still stands was worked
    /// out from exactly what stands.
    pub fn version_of_all(&self) -> u64 {
        self.version
    }

    /// Notes that every change up to `version` is in.
    pub fn reaches(&mut self, version: u64) {
        self.version = self.version.max(version);
        self.catch_up();
    }

    /// Notes that the change that made `version` is in. Commits may be taken over in another order than
    /// they were made in: one that is ahead counts when those before it have come.
    pub fn took(&mut self, version: u64) {
        // What is never filled, because somebody else wrote it, must not be remembered for ever: to
        // forget only says less than is true.
        if self.ahead.len() < MOST_AHEAD {
            self.ahead.insert(version);
        }
        self.catch_up();
    }

    fn catch_up(&mut self) {
        while let Some(next) = self.ahead.first().copied() {
            if next > self.version.saturating_add(1) {
                return;
            }
            self.version = self.version.max(next);
            self.ahead.pop_first();
        }
    }

    /// Adds a row or replaces the one of the same name, unless that one is newer.
    pub fn put(&mut self, row: Versioned<Row>) {
        let Versioned { value, version } = row;
        if self.version(&value.key()) > version {
            return;
        }
        match value {
            Row::Owner(value) => {
                self.owners
                    .insert(value.name.clone(), Arc::new(Versioned { value, version }));
            }
            Row::Agent(value) => {
                self.agents
                    .insert(value.name.clone(), Arc::new(Versioned { value, version }));
            }
            Row::Target(value) => {
                self.targets
                    .insert(value.uri.clone(), Arc::new(Versioned { value, version }));
            }
            Row::Operator(value) => {
                self.operators
                    .insert(value.name.clone(), Arc::new(Versioned { value, version }));
            }
            Row::Verifier(value) => {
                self.verifiers
                    .insert(value.name.clone(), Arc::new(Versioned { value, version }));
            }
            Row::System(value) => self.system = Some(Arc::new(Versioned { value, version })),
        }
    }

    /// The version of a row; 0 if there is none.
    pub fn version(&self, key: &RowKey) -> u64 {
        match key {
            RowKey::Owner(name) => self.owners.get(name).map(|row| row.version),
            RowKey::Agent(name) => self.agents.get(name).map(|row| row.version),
            RowKey::Target(uri) => self.targets.get(uri).map(|row| row.version),
            RowKey::Operator(name) => self.operators.get(name).map(|row| row.version),
            RowKey::Verifier(name) => self.verifiers.get(name).map(|row| row.version),
            RowKey::System => self.system.as_ref().map(|row| row.version),
        }
        .unwrap_or(0)
    }

    /// An owner by name.
    pub fn owner(&self, name: &OwnerName) -> Option<&Arc<Versioned<Owner>>> {
        self.owners.get(name)
    }

    /// An agent by name.
    pub fn agent(&self, name: &AgentName) -> Option<&Arc<Versioned<Agent>>> {
        self.agents.get(name)
    }

    /// A target by its URI.
    pub fn target(&self, uri: &TargetUri) -> Option<&Arc<Versioned<Target>>> {
        self.targets.get(uri)
    }

    /// An operator by name.
    pub fn operator(&self, name: &OperatorName) -> Option<&Arc<Versioned<Operator>>> {
        self.operators.get(name)
    }

    /// A verifier by name.
    pub fn verifier(&self, name: &VerifierName) -> Option<&Arc<Versioned<Verifier>>> {
        self.verifiers.get(name)
    }

    /// The broker as a whole; active if nothing was ever said about it.
    pub fn system(&self) -> System {
        self.system
            .as_ref()
            .map(|row| row.value.clone())
            .unwrap_or_default()
    }

    /// All owners, by name.
    pub fn owners(&self) -> impl Iterator<Item = &Arc<Versioned<Owner>>> {
        self.owners.values()
    }

    /// All agents, by name.
    pub fn agents(&self) -> impl Iterator<Item = &Arc<Versioned<Agent>>> {
        self.agents.values()
    }

    /// All targets, by URI.
    pub fn targets(&self) -> impl Iterator<Item = &Arc<Versioned<Target>>> {
        self.targets.values()
    }

    /// All operators, by name.
    pub fn operators(&self) -> impl Iterator<Item = &Arc<Versioned<Operator>>> {
        self.operators.values()
    }

    /// All verifiers, by name.
    pub fn verifiers(&self) -> impl Iterator<Item = &Arc<Versioned<Verifier>>> {
        self.verifiers.values()
    }

    /// The agents of an owner, by name.
    pub fn agents_of<'a>(
        &'a self,
        owner: &'a OwnerName,
    ) -> impl Iterator<Item = &'a Arc<Versioned<Agent>>> {
        self.agents
            .values()
            .filter(move |row| row.value.owner == *owner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, State};
    use super::*;

    fn owner(state: State, version: u64) -> Versioned<Row> {
        let name = "team".parse().unwrap();
        Versioned {
            value: Row::Owner(Owner {
                name,
                contact: String::new(),
                state,
                limits: Limits::NONE,
            }),
            version,
        }
    }

    #[test]
    fn a_version_counts_when_all_before_it_have_come() {
        let mut registry = Registry::default();
        assert_eq!(registry.version_of_all(), 0);
        for (took, stands) in [(2, 0), (3, 0), (1, 3), (3, 3), (5, 3), (4, 5)] {
            registry.took(took);
            assert_eq!(registry.version_of_all(), stands, "after {took}");
        }
        registry.took(8);
        registry.reaches(7);
        assert_eq!(registry.version_of_all(), 8);
        registry.reaches(2);
        assert_eq!(registry.version_of_all(), 8, "never backwards");
    }

    #[test]
    fn an_older_row_does_not_replace_a_newer_one() {
        let mut registry = Registry::from_rows([owner(State::Suspended, 2)]);
        registry.put(owner(State::Active, 1));
        let name = "team".parse().unwrap();
        assert_eq!(
            registry.owner(&name).map(|row| row.value.state),
            Some(State::Suspended)
        );
        assert_eq!(registry.version(&RowKey::Owner(name)), 2);
        assert_eq!(registry.version(&RowKey::System), 0);
    }
}
