//! Benchmarks: of the whole, which `taskpass bench` runs, and of the parts, in `benches/`. What was
//! measured stands in `docs/PERFORMANCE.md`.
//!
//! [`run()`] starts brokers of its own on the loopback, loads them over TLS, and tells each figure
//! beside the floor it stands on, measured in the same run: signatures and syncs of this machine, and
//! calls on the same server that do nothing but the unavoidable. Throughput comes from closed
//! loops, latency from open ones, with lives from a minute to an hour mixed throughout. Nothing is asserted about
//! time; what is asserted is that what was timed did its work.
//!
//! | module | what is in it |
//! |---|---|
//! | [`plan`] | what a run measures, how long, on how much |
//! | [`run()`], `section` | a run and its parts |
//! | `house`, `service` | a broker of the bench, its callers, the floor calls |
//! | `load`, `station` | closed and open loops and a flood, and what one call is |
//! | `crowd`, `cpus` | idle connections; which CPUs a thread may use |
//! | `fill`, `dev` | stores full of records; a broker that is killed |
//! | [`outcome`] | floors, figures, goals: as JSON and as a table |
//! | [`progress`] | what a run is at |
//! | [`spread`] | percentiles of samples |
//! | [`floor`], `sign` | what the disk needs for a sync and a commit, a core for a signature |
//! | [`machine`] | CPUs, memory, free disk, open files |
//! | [`pace`] | time that has passed, and that is left |
//! | [`report`] | the lines that the benches of the parts print |
//!
//! | bench | what it measures |
//! |---|---|
//! | `parts` | the steps of issuing one token, one by one |
//! | `log_query` | the first page of a query over a log of 1 000 000 entries |
//! | `verify` | checking a token against 10, 10⁴ and 10⁶ rules, over its bare signature check |
//! | `revocation` | from the answer to a revocation until connected verifiers refuse |
//! | `agent` | revoking an agent with 1 000 000 live credentials; the published lists after it |
//! | `sizes` | bytes of the feed and of the lists where every task completes early |
//!
//! All but `log_query` and `parts` take `--json` behind `--`: one JSON object a line.

mod cpus;
mod crowd;
mod dev;
pub mod error;
mod fill;
pub mod floor;
mod house;
mod load;
pub mod machine;
pub mod outcome;
pub mod pace;
pub mod plan;
pub mod progress;
pub mod report;
mod run;
mod section;
mod service;
mod sign;
pub mod spread;
mod station;

pub use error::BenchError;
pub use outcome::Outcome;
pub use plan::{Plan, Section, Size};
pub use progress::Progress;
pub use report::Report;
pub use run::run;
pub use spread::Spread;
