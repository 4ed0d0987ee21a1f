//! Single entries in the forms that other systems read: CloudEvents 1.0 and OCSF.
//!
//! Both carry the entry byte for byte as it is hashed, so that whoever has one of them can still find it
//! in the log and check it. Neither replaces the log: lines can be dropped on their way unseen.

mod cloudevents;
mod ocsf;

pub use cloudevents::cloudevents;
pub use ocsf::{OCSF_VERSION, ocsf};

/// An entry and its place.
#[derive(Debug, Clone, Copy)]
pub struct Placed<'a> {
    /// The origin of its log, as checkpoints name it.
    pub origin: &'a str,
    /// The name of its log.
    pub log: &'a str,
    /// Its index there.
    pub index: u64,
    /// The entry as it is hashed.
    pub json: &'a str,
}

#[cfg(test)]
mod tests;
