//! The use cases against a whole broker in memory.

mod enrol;
mod issue;
mod model;
mod revoke;
mod trail;
