//! The store of one node: a single redb file.
//!
//! redb is a copy-on-write B-tree with one writer and snapshot readers. A group of commits is one
//! write transaction, synced before it is answered, with quick repair, so that opening after a
//! crash reads no more than opening after a clean stop.
//!
//! Guaranteed here, beyond [`Backend`](crate::Backend):
//!
//! - A store that was made is never silently replaced by an empty one: a marker file beside it
//!   repeats its random birth id, and [`open`] refuses a file that is missing, empty, damaged or
//!   another store than the marker names.
//! - A store that a newer program wrote is refused; an older one is migrated in numbered steps.
//! - Opening reads rules, counters and a few single rows; never credentials or tasks.
//!
//! - A store that came out of a backup is sealed, and another one than before.
//!
//! Not done here: compacting the file, and noticing that a file was put back: the log's archiver does.

mod backend;
mod change;
mod copy;
mod create;
mod error;
mod group;
mod guard;
mod keys;
mod marker;
mod migrate;
mod open;
mod read;
mod reader;
mod reap;
mod remembered;
mod restore;
mod seen;
mod shared;
mod tables;
mod writing;

#[cfg(test)]
mod crash;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod tests;

pub use backend::RedbBackend;
pub use create::create;
pub use marker::marker_path;
pub use open::{in_memory, open};
pub use restore::{Restored, restore};
