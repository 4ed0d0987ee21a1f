//! Decisions: what an agent asks for, against Cedar policies.
//!
//! [`Engine::decide`] is the only place in the workspace that makes a
//! [`Grant`](taskpass_core::grant::Grant), so whatever is issued was allowed here. It denies by
//! default, and it denies whatever it cannot evaluate: Cedar itself *skips* a policy that fails, a
//! `forbid` included, and may then allow.
//!
//! Policies do not set the hard limits. Maximum lifetimes, the depth of tasks and the rule that an
//! actuating token is bound to a certificate are code, beneath any policy set.
//!
//! | module | what is in it |
//! |---|---|
//! | `request` | what is asked, in the words of the domain |
//! | `facts` | the same as Cedar entities and requests, checked against the schema |
//! | `engine` | one evaluation a scope, what was answered before, and the decision that follows |
//! | `set` | a compiled policy set, its names and its hash |
//! | `load` | from text to a compiled set, refusing whatever could silently not apply |
//! | `sources` | the texts of a set, before it is compiled |
//! | `operator` | what operators may do, by the same rules |
//! | `lockout` | whether anybody could still revoke |
//! | `explain` | the same evaluation for somebody who wants to know, without a grant |
//! | `cases` | requests and the decisions that are expected, from a file |

mod cases;
mod engine;
mod error;
mod explain;
mod facts;
mod load;
mod lockout;
mod operator;
mod place;
mod probe;
mod reads;
mod request;
mod set;
mod shipped;
mod sources;
mod vocabulary;

pub use cases::{CaseError, Cases, Expected, Outcome, Report};
pub use engine::{DEFAULT_DENY, Engine};
pub use error::LoadError;
pub use explain::{Answer, Explanation};
pub use operator::{Act, Thing};
pub use place::Place;
pub use request::Request;
pub use set::PolicySet;
pub use sources::Sources;

#[cfg(test)]
mod testing;
