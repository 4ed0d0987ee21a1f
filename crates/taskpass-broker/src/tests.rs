//! The use cases against a whole broker in memory.

mod archive;
mod audit;
mod canary;
mod enrol;
mod issue;
mod keys;
mod lists;
mod model;
mod revoke;
mod schema;
mod story;
mod trail;
