//! Reports for whoever must answer for agents: pure functions of the audit log and the registry.
//!
//! [`Facts`] is built by streaming the entries of a log that was verified, one after the other;
//! [`Registry`] is what was registered at the end of them. Every figure of a report is computed from
//! these two and nothing else, so that anybody with a copy of both computes the same.
//!
//! | module | what it answers |
//! |---|---|
//! | [`inventory`] | which agents are there, whose are they, what is wrong with them |
//! | [`least_privilege`] | what each agent may have, and what it was granted |
//! | [`exposure`] | for how long credentials lived, and outlived their tasks |
//! | [`readiness`] | whether an agent may go to a stage, or stay at it |
//! | [`evidence`] | what was measured for each control of a framework |
//! | [`siem`] | single entries in the forms that other systems read |
//! | [`sheet`] | each of them as tables and charts; as CSV and as one HTML page |
//!
//! What is not known is said to be unknown. The log says what was granted; what a credential was used
//! for is known to the API that accepted it, and no report takes silence for disuse.
//!
//! This crate reads no files and verifies nothing: whoever hands it entries has verified them.

pub mod entry;
pub mod evidence;
pub mod exposure;
pub mod facts;
pub mod histogram;
pub mod inventory;
pub mod least_privilege;
pub mod period;
pub mod readiness;
pub mod registry;
pub mod sheet;
pub mod siem;

#[cfg(test)]
mod testing;

pub use entry::{Entry, EntryError};
pub use facts::{About, Facts};
pub use period::{Period, PeriodError};
pub use registry::Registry;
