//! `taskpass version`.

use serde::Serialize;

use crate::context::Context;
use crate::errors::CliError;
use crate::output::{Ink, View};

#[derive(Debug, Serialize)]
struct Version {
    version: &'static str,
}

impl View for Version {
    fn text(&self, _: &Ink) -> String {
        format!("taskpass {}\n", self.version)
    }
}

/// Prints the version.
pub(crate) fn run(context: &Context) -> Result<(), CliError> {
    context.output.show(&Version {
        version: env!("CARGO_PKG_VERSION"),
    })
}
