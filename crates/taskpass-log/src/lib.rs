//! A log that cannot be rewritten unseen: a Merkle tree over audit entries, in a plain folder.
//!
//! The folder can be mirrored by anything that copies files, and verified by anyone who has the
//! log's public key, with this crate or any other implementation of the formats:
//!
//! | module | what is in it | format |
//! |---|---|---|
//! | [`hash`], [`tree`], [`proof`] | the tree and its proofs | RFC 6962, section 2.1 |
//! | [`tile`] | names and contents of tiles and entry bundles | C2SP tlog-tiles v0.1.0 |
//! | [`note`], [`checkpoint`] | what the log signs | C2SP signed-note, tlog-checkpoint v1.0.0 |
//! | [`proof_file`] | one entry's proof | C2SP tlog-proof |
//! | [`state`], [`writer`] | writing the folder, whatever crashes between | |
//! | [`read`] | reading it | |
//! | [`verify`] | verifying the whole of it offline | |
//! | [`chain`] | the same for the logs of all months, one after the other | |
//! | [`find`] | finding entries without reading all of them | |
//! | [`name`] | logs of months in one folder | |
//! | [`files`] | the file operations beneath | |
//!
//! What is not guaranteed: whoever holds the signing key can begin a second history. It is seen only
//! by those who have kept a checkpoint of the first.
//!
//! This crate knows files, and nothing of the store; of what an entry says it knows the few fields
//! that entries are found by ([`find`]).

pub mod chain;
pub mod checkpoint;
pub mod files;
pub mod find;
pub mod hash;
pub mod name;
pub mod note;
pub mod proof;
pub mod proof_file;
pub mod read;
pub mod state;
pub mod tile;
pub mod tree;
pub mod verify;
pub mod writer;

#[cfg(test)]
mod testing;

pub use checkpoint::{Checkpoint, Origin};
pub use hash::Hash;
pub use name::LogName;
pub use note::NoteKey;
pub use proof_file::TlogProof;
pub use read::Reader;
pub use state::State;
pub use verify::{Report, VerifyError, verify_folder};
pub use writer::TileLog;
