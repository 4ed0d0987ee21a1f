//! Runs a real `taskpass` for the black-box tests: the binary in a process of its own, on a
//! throw-away folder and free ports, and everything a test says to it.
//!
//! Every wait has a bound, and whatever was started ends with the value that started it. What goes
//! wrong here is the test's failure, so it panics, with the broker's log. It decides nothing: what a
//! test expects stands in the test.
//!
//! | module | what is in it |
//! |---|---|
//! | [`broker`] | the process: start, stop, kill, start again |
//! | [`cli`] | one run of the command line |
//! | [`people`] | agents, operators, verifiers, targets: registered and enrolled |
//! | [`calls`] | channels, and the refusal in an answer |
//! | [`policies()`] | a folder of policies |
//! | [`watch`] | a verifier on the feed |
//! | [`http`] | the public HTTP |
//! | [`wait`] | until something holds |

#![expect(
    clippy::panic,
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::match_wild_err_arm,
    reason = "for tests only: what fails here is the test"
)]

pub mod broker;
pub mod calls;
pub mod cli;
pub mod http;
pub mod people;
mod policies;
pub mod wait;
pub mod watch;

pub use broker::{Broker, Builder};
pub use calls::{refused, within};
pub use cli::{Outcome, run};
pub use http::Reply;
pub use policies::{pair, policies};
pub use wait::{eventually, until};
pub use watch::Watcher;
