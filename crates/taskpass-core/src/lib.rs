//! The domain of taskpass as plain values and pure functions.
//!
//! Nothing in this crate does input or output, knows a network, a store or a key. Whoever needs the
//! time or a random number is handed it ([`time::Clock`], [`rng::Rng`]); most functions here take
//! `now` instead. Every value that arrives from outside is parsed into a type that cannot hold a
//! wrong one.
//!
//! | module | what is in it |
//! |---|---|
//! | [`time`] | instants, the clock |
//! | [`rng`] | the random source |
//! | [`id`] | identifiers that carry their expiry |
//! | [`name`], [`scope`], [`spiffe`] | names, scopes at targets, SPIFFE IDs |
//! | [`access`] | what a scope does, how far an agent is trusted, how risky a target is |
//! | [`ttl`] | lifetimes, their hard maxima, and what clamped one |
//! | [`registry`] | owners, agents, targets, operators, verifiers |
//! | [`promotion`] | what lets an agent's stage rise, and what waits for a second operator |
//! | [`task`], [`credential`] | the two things a broker keeps for a while |
//! | [`grant`] | decisions, and the only proof that one was made |
//! | [`caller`], [`verb`] | who authenticated a request, and what operators do |
//! | [`revocation`] | rules, facts, and the one function that matches them |
//! | [`identity`], [`enrolment`] | how callers prove themselves |
//! | [`key`] | the life of a signing key |
//! | [`listing`] | places on the published lists of what was revoked |
//! | [`audit`] | entries of the audit trail |
//! | [`coverage`] | how far verifiers have reported what credentials are used for |
//! | [`secret`] | text that must not be shown |

pub mod access;
pub mod audit;
pub mod base32;
pub mod caller;
pub mod coverage;
pub mod credential;
pub mod enrolment;
pub mod grant;
pub mod id;
pub mod identity;
pub mod key;
pub mod listing;
pub mod name;
pub mod promotion;
pub mod rate;
pub mod registry;
pub mod revocation;
pub mod rng;
pub mod scope;
pub mod secret;
pub mod spiffe;
pub mod task;
pub mod tie;
pub mod time;
pub mod ttl;
pub mod verb;

pub use id::{CredentialId, DecisionId, TaskId};
pub use name::{AgentName, OperatorName, OwnerName, VerifierName};
pub use scope::{ScopeName, ScopeRef, TargetUri};
pub use time::{Clock, Timestamp};
pub use ttl::Ttl;
