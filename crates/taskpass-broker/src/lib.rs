//! The use cases of taskpass, without a network and without a clock of their own.
//!
//! [`Broker`] holds what every request reads: the registry, the policy set, the keys, the rules. Each
//! use case is one file:
//!
//! | file | what it does |
//! |---|---|
//! | `standing` | decides whether a proved identity may call at all |
//! | `start`, `complete`, `tasks` | tasks |
//! | `issue` | the one way to a credential: look up, decide, clamp, sign, record, release |
//! | `revoke`, `settle` | rules, and what follows from them |
//! | `introspect`, `feed`, `crl` | how verifiers learn what is valid |
//! | `enrol` | how callers become callers |
//! | `registry` | owners, agents, targets, operators, verifiers |
//! | `reap`, `archive` | what happens in the background |
//!
//! What is guaranteed: no credential leaves [`Broker`] before it and the decision about it are on
//! disk; what a decision read is checked again inside the commit that follows from it.

mod archive;
mod broker;
mod clock;
mod complete;
mod crl;
mod denials;
mod enrol;
mod entry;
mod error;
mod feed;
mod first;
mod introspect;
mod issue;
mod live;
pub mod metrics;
mod read;
mod reap;
mod registry;
mod revoke;
mod settle;
mod standing;
mod start;
mod tasks;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use archive::Archiver;
pub use broker::{Broker, Deps, Limits, OpenError};
pub use crl::CrlError;
pub use enrol::{Enrolled, FreshToken};
pub use error::Error;
pub use feed::{FeedFrame, FeedStart, Subscription};
pub use first::{first_enrolment, first_keys, first_rows};
pub use introspect::{Introspected, Presented};
pub use issue::{CertificateRequest, IssuedCertificate, IssuedToken, MAX_BATCH, TokenRequest};
pub use live::Live;
pub use registry::{Resume, Retired};
pub use revoke::{Revoke, RevokeWhat, Revoked};
pub use standing::{Proved, Standing};
pub use start::{StartRequest, Started};
pub use tasks::{TaskFilter, TaskView};
