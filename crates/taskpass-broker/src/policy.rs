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
//! | `ask` | requests as starting and issuing make them |
//! | `operate` | what operators may do |
//! | `explain` | one decision: made, or supposed |
//! | `reach` | who can have a scope, and what an agent can have |

mod ask;
pub(crate) mod current;
mod explain;
pub(crate) mod operate;
mod reach;
mod reload;

pub use ask::{Explained, Supposed, Terms};
pub use explain::PastDecision;
pub use reach::{Reach, ReachPage, ReachQuery, WhatCan};
pub use reload::{Looked, PolicyDirectory};

#[cfg(test)]
mod tests;
