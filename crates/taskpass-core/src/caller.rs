//! Who authenticated a request.

use std::collections::BTreeSet;
use std::fmt;

use crate::identity::Principal;
use crate::name::{AgentName, OperatorName, VerifierName};
use crate::registry::Role;
use crate::scope::TargetUri;

/// A caller whose identity was proved and whose registration is active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// An agent.
    Agent(AgentName),
    /// An operator, with the roles it has now.
    Operator(OperatorName, BTreeSet<Role>),
    /// A verifier, with the targets it speaks for now.
    Verifier(VerifierName, BTreeSet<TargetUri>),
}

impl Caller {
    /// The caller's name and kind, without what it may do.
    pub fn principal(&self) -> Principal {
        match self {
            Self::Agent(name) => Principal::Agent(name.clone()),
            Self::Operator(name, _) => Principal::Operator(name.clone()),
            Self::Verifier(name, _) => Principal::Verifier(name.clone()),
        }
    }

    /// Whether this is an operator with one of `roles`.
    pub fn has_role(&self, roles: &[Role]) -> bool {
        match self {
            Self::Operator(_, own) => roles.iter().any(|role| own.contains(role)),
            Self::Agent(_) | Self::Verifier(..) => false,
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.principal().fmt(f)
    }
}
