//! What commands answer: the proto's messages as JSON and as text for people.
//!
//! JSON has the proto's names, every field always: absent is `null`, `[]`, `0` or `""`. Instants are
//! RFC 3339, durations seconds, enumerations the product's words.

pub(crate) mod apply;
pub(crate) mod approval;
pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod credential;
pub(crate) mod drill;
pub(crate) mod enrolment;
pub(crate) mod key;
pub(crate) mod listing;
pub(crate) mod policy;
pub(crate) mod registry;
pub(crate) mod report;
pub(crate) mod revocation;
pub(crate) mod task;
pub(crate) mod tree;
pub(crate) mod verification;
pub(crate) mod wire;

#[cfg(test)]
mod tests;
