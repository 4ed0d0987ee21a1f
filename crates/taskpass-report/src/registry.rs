//! What is registered, as reports need it: from a running broker, or from a reviewed file.
//!
//! A file does not say which entries are suspended, nor who verifies. What it does not say is `None`
//! here, and is taken from the log or reported as not known.

use std::collections::BTreeMap;

use taskpass_core::Timestamp;
use taskpass_core::access::{Access, Risk, Stage};

use crate::least_privilege::Permits;

/// Everything that is registered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registry {
    /// The version of the registry; a file has none.
    pub version: Option<u64>,
    /// Owners.
    pub owners: Vec<Owner>,
    /// Agents.
    pub agents: Vec<Agent>,
    /// Targets.
    pub targets: Vec<Target>,
    /// What the policies say to it; `None` if they were not asked.
    pub permits: Option<Permits>,
    /// Verifiers; `None` if that is not known.
    pub verifiers: Option<Vec<Verifier>>,
}

/// An owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its name.
    pub name: String,
    /// How to reach it.
    pub contact: String,
    /// Its state, if that is known.
    pub state: Option<String>,
}

/// An agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Its name.
    pub name: String,
    /// Its owner.
    pub owner: String,
    /// What it is for, in the owner's words.
    pub purpose: String,
    /// How far it is trusted; `None` is a word that is not known here, which admits nothing.
    pub stage: Option<Stage>,
    /// The scopes that it may be granted, as TARGET#SCOPE.
    pub scopes: Vec<String>,
    /// From this instant on it gets nothing.
    pub valid_until: Option<Timestamp>,
    /// Its state, if that is known.
    pub state: Option<String>,
    /// When it was registered, if that is known.
    pub created_at: Option<Timestamp>,
    /// Its registered keys, by thumbprint or whole.
    pub keys: Vec<String>,
}

/// A verifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    /// Its name.
    pub name: String,
    /// The URIs of the targets that it verifies for.
    pub targets: Vec<String>,
    /// Its state, if that is known.
    pub state: Option<String>,
}

/// A target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its URI.
    pub uri: String,
    /// How much harm it can do.
    pub risk: Option<Risk>,
    /// Its state, if that is known.
    pub state: Option<String>,
    /// Its scopes, and what each does; `None` is a word that is not known here.
    pub scopes: BTreeMap<String, Option<Access>>,
}

impl Registry {
    /// An owner by name.
    pub fn owner(&self, name: &str) -> Option<&Owner> {
        self.owners.iter().find(|owner| owner.name == name)
    }

    /// An agent by name.
    pub fn agent(&self, name: &str) -> Option<&Agent> {
        self.agents.iter().find(|agent| agent.name == name)
    }

    /// A target by its URI.
    pub fn target(&self, uri: &str) -> Option<&Target> {
        self.targets.iter().find(|target| target.uri == uri)
    }
}
