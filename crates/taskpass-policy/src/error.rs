//! Why a policy set is not loaded.

use std::path::PathBuf;

use crate::place::Place;

/// Why a policy set is not loaded. The set in force stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file or directory does not read.
    #[error("cannot read {path}", path = path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file that would be ignored, such as a policy file with a misspelt ending.
    #[error(
        "{path} is neither a policy file (*.cedar) nor the schema (taskpass.cedarschema); move it \
         out of the directory",
        path = path.display()
    )]
    UnexpectedFile {
        /// Which.
        path: PathBuf,
    },
    /// Two files of one name.
    #[error("two files are named {file}")]
    DuplicateFile {
        /// The name.
        file: String,
    },
    /// No policy at all.
    #[error("there is no policy in the set; it would deny everything")]
    Empty,
    /// The schema does not parse, or contradicts itself.
    #[error("{place}: {message}")]
    Schema {
        /// Where.
        place: Place,
        /// What is wrong.
        message: String,
    },
    /// The schema is good, but does not describe what this program asks: every request would be
    /// denied.
    #[error("{file}: does not describe what this version asks of policies")]
    SchemaMismatch {
        /// The schema's file.
        file: String,
        /// What does not fit.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A policy does not parse.
    #[error("{place}: {message}")]
    Syntax {
        /// Where.
        place: Place,
        /// What is wrong.
        message: String,
    },
    /// A template: without links, which nothing here makes, it never applies.
    #[error(
        "{place}: a template has no effect here; write a policy without ?principal or ?resource"
    )]
    Template {
        /// Where.
        place: Place,
    },
    /// A policy without a name.
    #[error("{place}: policy {number} of the file has no @id annotation")]
    MissingId {
        /// Where.
        place: Place,
        /// Its number in the file, from one.
        number: usize,
    },
    /// A name that cannot stand in records and replies, or that means something else there.
    #[error(
        "{place}: `{id}` cannot name a policy: an @id is 1 to 63 characters of a-z, 0-9 and `-`, \
         and not `default-deny`",
        id = id.escape_debug()
    )]
    BadId {
        /// Where.
        place: Place,
        /// The name.
        id: String,
    },
    /// Two policies of one name.
    #[error("{place}: policy `{id}` is in {first} already")]
    DuplicateId {
        /// Where the second is.
        place: Place,
        /// The name.
        id: String,
        /// Where the first is.
        first: Place,
    },
    /// A policy does not fit the schema, could never apply, or hides what it says.
    #[error("{place}: policy `{id}`: {message}")]
    Invalid {
        /// Where.
        place: Place,
        /// The policy's name.
        id: String,
        /// What is wrong.
        message: String,
    },
}
