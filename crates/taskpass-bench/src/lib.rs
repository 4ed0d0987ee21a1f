//! Benchmarks of the parts; see `benches/`, and `docs/PERFORMANCE.md` for what was measured.
//!
//! Nothing is asserted about time: they print figures, and beside each the floor it stands on,
//! measured in the same run. What they do assert is that what was timed did its work.
//!
//! | bench | what it measures |
//! |---|---|
//! | `log_query` | the first page of a query over a log of 1 000 000 entries |
//! | `verify` | checking a token against 10, 10⁴ and 10⁶ rules, over its bare signature check |
//! | `revocation` | from the answer to a revocation until connected verifiers refuse |
//! | `agent` | revoking an agent with 1 000 000 live credentials; the published lists after it |
//! | `sizes` | bytes of the feed and of the lists where every task completes early |
//!
//! All but `log_query` take `--json` behind `--`: one JSON object a line.
//!
//! | module | what is in it |
//! |---|---|
//! | [`spread`] | percentiles of samples |
//! | [`floor`] | what the disk needs for a sync |
//! | [`pace`] | time that has passed, and that is left |
//! | [`report`] | the lines that are printed |

pub mod floor;
pub mod pace;
pub mod report;
pub mod spread;

pub use report::Report;
pub use spread::Spread;
