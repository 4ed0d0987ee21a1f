//! Policies as an operator meets them: which set is in force, why something was decided, and who can
//! have what.
//!
//! Answers are evaluations, by the policy set and the registry of this moment, of exactly the
//! requests that starting a task and issuing make. Nothing is granted by them. What is no part of a
//! decision is not foreseen: limits of live credentials, whether the agent holds an identity, what
//! was revoked.
//!
//! | file | what it does |
//! |---|---|
//! | `reload` | puts a changed set in force, or keeps the old one |
//! | `current` | the set that decides, as commits check it |
//! | `approve` | two operators for another set, where that is asked for |
//! | `ask` | requests as starting and issuing make them |
//! | `operate` | what operators may do |
//! | `explain` | one decision: made, or supposed |
//! | `reach` | who can have a scope, and what an agent can have |
//! | `offline` | the same of a registry and a set without a broker |

pub(crate) mod approve;
mod ask;
pub(crate) mod current;
mod explain;
mod offline;
pub(crate) mod operate;
mod reach;
mod reload;

pub use approve::PolicyApproved;
pub use ask::{Explained, Supposed, Terms};
pub use explain::PastDecision;
pub use offline::reaches;
pub use reach::{Reach, ReachPage, ReachQuery, WhatCan};
pub use reload::{Looked, PolicyDirectory};

#[cfg(test)]
mod tests;
