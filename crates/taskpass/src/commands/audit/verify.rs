//! `taskpass audit verify DIR`: offline, with no broker and no identity.

use taskpass_log::chain::verify_logs;

use super::{keys, refusal};
use crate::cli::audit::VerifyArgs;
use crate::context::Context;
use crate::errors::CliError;
use crate::files;
use crate::view::audit::chain::{Invalid, Verified};

/// Verifies a folder.
pub(super) fn run(context: &Context, args: &VerifyArgs) -> Result<(), CliError> {
    let keys = keys::read(&args.keys)?;
    let since = args.since.as_deref().map(files::read).transpose()?;
    let since = since.as_deref().map(Vec::as_slice);
    match verify_logs(&args.dir, keys.as_ref(), since) {
        Ok(report) => {
            let verified = Verified::from(&report);
            if let Some(warning) = verified.warning() {
                context.output.note(&warning);
            }
            context.output.show(&verified)
        }
        Err(error) => {
            let error = refusal::of_chain(error);
            if context.output.is_json() {
                context.output.json(&Invalid::because(error.reason()))?;
            }
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests;
