//! The agent's and operator's side of the gRPC API.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use taskpass_client::{Agent, Identity};
//!
//! let agent = Agent::connect("broker.example:7443", &Identity::load("identity".as_ref())?).await?;
//! let task = agent.start_task("pay invoice 17", ["https://ledger.example#invoices:read"], None).await?;
//! let token = task.token("https://ledger.example", ["invoices:read"], None).await?;
//! # drop(token); Ok(())
//! # }
//! ```
//!
//! Private keys are made here and never leave; the broker sees signing requests only. This crate
//! decides nothing: every limit is the broker's, and every reply says what was granted.
//!
//! | module | what is in it |
//! |---|---|
//! | [`agent`] | tasks, tokens, certificates |
//! | [`mod@connect`] | channels with mutual TLS, or over a Unix socket |
//! | [`connection`] | what a channel presents with each call |
//! | [`mod@enrol`] | the first identity, and the next |
//! | [`error`] | refusals, with their reason |
//! | [`mod@follow`] | channels that take up a renewed identity by themselves |
//! | [`identity`] | an identity in its folder |
//! | [`key`] | key pairs and signing requests |

pub mod agent;
pub mod connect;
pub mod connection;
pub mod enrol;
pub mod error;
pub mod follow;
pub mod identity;
pub mod key;
#[cfg(test)]
mod testing;
mod wire;

pub use agent::{Agent, AgentError, Certificate, Delegated, Task, Token};
pub use agent::{Credentials, KeepAlive, Liveness, Renewal, Renewed, Renewing, Said, Use, Wanted};
pub use connect::{ConnectError, connect, connect_feed, connect_presenting};
pub use connection::Connection;
pub use enrol::{EnrolError, Enrolled, enrol, renew, renew_in};
pub use error::Refused;
pub use follow::{FollowError, follow, follow_feed};
pub use identity::{Identity, IdentityError};
pub use key::{KeyError, LocalKey};
