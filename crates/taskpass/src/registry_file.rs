//! A registry as a file: owners, agents and targets in TOML, for review, `taskpass apply` and
//! `taskpass registry export`; with operators and verifiers too, the sample of `taskpass dev`.
//!
//! Nothing is guessed: a field that nobody knows, a word that is none, a key that is there twice is
//! refused, with its line and column. What the broker finds wrong is said at the same places.

mod entries;
mod fault;
mod form;
mod limits;
mod place;
mod write;

use taskpass_api::v1;

use crate::errors::CliError;
pub(crate) use entries::Dates;
pub(crate) use fault::Fault;
pub(crate) use place::Places;
pub(crate) use write::{Snapshot, write, write_agents};

/// A file as it was read.
#[derive(Debug)]
pub(crate) struct RegistryFile {
    /// Its entries: owners, targets, agents, then what only `dev` knows.
    pub(crate) entries: Vec<v1::Entry>,
    /// What is wrong with it. The entries then have values that no broker accepts in those places.
    pub(crate) faults: Vec<Fault>,
    /// Where everything stands.
    pub(crate) places: Places,
}

impl RegistryFile {
    /// Reads the text of a file.
    pub(crate) fn parse(text: &str, dates: Dates) -> Result<Self, CliError> {
        let form: form::File = toml::from_str(text).map_err(|error| {
            let (line, column) = place::line_and_column(text, error.span().map_or(0, |s| s.start));
            let message = format!("line {line}, column {column}: {}", error.message());
            CliError::new("INVALID_REGISTRY", message)
                .hint("docs/REGISTRY.md shows the form; `taskpass registry export` writes one")
        })?;
        Ok(entries::read(form, text, dates))
    }
}

#[cfg(test)]
mod tests;
