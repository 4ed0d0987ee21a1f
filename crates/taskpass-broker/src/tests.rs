//! The use cases against a whole broker in memory.

mod archive;
mod audit;
mod canary;
mod delegation;
mod drill;
mod enrol;
mod issue;
mod keys;
mod lifecycle;
mod limits;
mod lists;
mod liveness;
mod migrated;
mod model;
mod promotion;
mod restore;
mod revoke;
mod schema;
mod story;
mod trail;
mod uses;
