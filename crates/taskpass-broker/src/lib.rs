//! The use cases of taskpass, without a network and without a clock of their own.
//!
//! [`Broker`] holds what every request reads: the registry, the policy set, the keys, the rules. Each
//! use case is one file:
//!
//! | file | what it does |
//! |---|---|
//! | `standing` | decides whether a proved identity may call at all |
//! | `start`, `complete`, `tasks`, `tree` | tasks |
//! | `chain` | the agents above a task that was handed on |
//! | `liveness` | tasks that end with their process |
//! | `limits` | how much agents, owners and targets may take |
//! | `issue` | the one way to a credential: look up, decide, clamp, sign, record, release |
//! | `revoke`, `settle` | rules, and what follows from them |
//! | `drill` | how long it takes until everybody refuses |
//! | `introspect`, `feed`, `lists` | how verifiers learn what is valid |
//! | `places` | where a credential stands on the lists |
//! | `enrol` | how callers become callers |
//! | [`federation`] | callers by the word of others: another issuer, another trust domain, the kernel |
//! | `client_keys` | callers by a registered key instead of a certificate |
//! | `own` | what an agent does with a token of its own: exchange it, give it up |
//! | `uses` | what credentials were used for, by the word of verifiers and agents |
//! | `keys` | the life of the signing keys |
//! | `registry` | owners, agents, targets, operators, verifiers |
//! | `policy` | which policies are in force, and what they say |
//! | `reap`, `archive` | what happens in the background |
//! | `audit` | reading the log that the archiver writes |
//! | `restore` | what becomes of a store that came out of a backup |
//!
//! What is guaranteed: no credential leaves [`Broker`] before it and the decision about it are on
//! disk; what a decision read is checked again inside the commit that follows from it.

mod archive;
mod audit;
mod broker;
mod chain;
mod client_keys;
mod clock;
mod complete;
mod denials;
mod drill;
mod enrol;
mod entry;
mod error;
pub mod federation;
mod feed;
mod first;
mod introspect;
mod issue;
mod keys;
mod limits;
mod lists;
mod live;
mod liveness;
pub mod metrics;
mod own;
mod places;
mod policy;
mod read;
mod reap;
mod registry;
mod restore;
mod revoke;
mod settle;
mod standing;
mod start;
mod tasks;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod tree;
mod uses;

pub use archive::{Archiver, LogSettings};
pub use audit::{
    AuditLog, Consistency, EntryPage, EntryQuery, Export, Inclusion, KeptLog, LogFile, LoggedEntry,
    Place, Signed, Tail, WhichEntry,
};
pub use broker::{Broker, Deps, Limits, OpenError};
pub use drill::{CANARY, DRILL_TIMEOUT, DRILL_TIMEOUTS, Drill, Drilled};
pub use enrol::{Enrolled, FreshToken};
pub use error::Error;
pub use feed::{FeedFrame, FeedStart, Subscription};
pub use first::{first_enrolment, first_keys, first_rows};
pub use introspect::{Introspected, Presented};
pub use issue::{CertificateRequest, IssuedCertificate, IssuedToken, MAX_BATCH, TokenRequest};
pub use keys::{Brought, Rewrapped, Rotated, SigningRequest, rewrap_keys};
pub use limits::{Limit, LimitDefaults, LimitReached};
pub use lists::{Document, ListError, ListLane};
pub use live::Live;
pub use liveness::{KeptAlive, LOST_AFTER, LOST_AFTER_BOUNDS};
pub use own::Subject;
pub use policy::{
    Explained, Looked, PastDecision, PolicyApproved, PolicyDirectory, Reach, ReachPage, ReachQuery,
    Supposed, Terms, WhatCan, reaches,
};
pub use registry::{
    Action, Applied, Apply, ChangeRules, Fault, FieldChange, Grounds, PromotionRule, Proposed,
    Resume, RowChange, Statement, Update, Updated, Vouched, Written,
};
pub use restore::{Replayed, RestoreError, Restoring, Secured, secure};
pub use revoke::{Ended, Retired, Revoke, RevokeWhat, Revoked, Tainted, Tasks};
pub use standing::{Proved, Standing};
pub use start::{StartRequest, Started};
pub use tasks::{TaskFilter, TaskPage, TaskView};
pub use tree::{MAX_TREE, Tree, TreeNode};
pub use uses::{
    MAX_USE_BATCH, MAX_USE_ITEMS_PER_MINUTE, Reported, ReportedUse, UseBatch, UseLimits, UseReport,
};
