//! Checking policies, and putting cases to them: from files, with no broker and no store.

use std::path::Path;

use taskpass_policy::{Cases, PolicySet};

use crate::cli::policy::{TestArgs, ValidateArgs};
use crate::context::Context;
use crate::errors::CliError;
use crate::files;
use crate::host;
use crate::view::policy::{Tested, Valid};

/// The cases that come with the program.
const SHIPPED: &str = include_str!("../../../../../config/policies/shipped.cases.toml");
/// What a folder of policies has, and no other.
const SCHEMA: &str = "taskpass.cedarschema";

/// `taskpass policy validate`.
pub(super) fn validate(context: &Context, args: &ValidateArgs) -> Result<(), CliError> {
    let set = host::policies(args.dir.as_deref())?;
    context.output.show(&Valid {
        dir: args.dir.as_deref().map(shown),
        policy_set: set.hash().to_string(),
        policies: set.policy_ids(),
        locked_out: set.locked_out().iter().map(|verb| verb.as_str()).collect(),
    })
}

/// `taskpass policy test`: an error if a case fails.
pub(super) fn test(context: &Context, args: &TestArgs) -> Result<(), CliError> {
    let bytes = match &args.file {
        Some(file) => files::read(file)?.to_vec(),
        None => SHIPPED.as_bytes().to_vec(),
    };
    let name = args
        .file
        .as_deref()
        .map_or("the shipped cases".to_owned(), shown);
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| CliError::new("INVALID_CASES", format!("{name} is not text")))?;
    let cases = Cases::parse(&name, text)
        .map_err(|error| CliError::new("INVALID_CASES", error.to_string()))?;
    let dir = args
        .policies
        .as_deref()
        .or_else(|| beside(args.file.as_deref()?));
    let set: PolicySet = host::policies(dir)?;
    let report = cases.run(&set);
    let failed = report.failed();
    let total = report.outcomes.len();
    context
        .output
        .show(&Tested::new(dir.map(shown), set.hash().to_string(), report))?;
    if failed == 0 {
        return Ok(());
    }
    let message = format!("{failed} of {total} cases do not hold");
    Err(CliError::new("CASES_FAILED", message)
        .hint("is the policy wrong, or the case? Each line says what was expected and what is so"))
}

/// The folder of a file, if it holds policies.
fn beside(file: &Path) -> Option<&Path> {
    let folder = file.parent()?;
    folder.join(SCHEMA).exists().then_some(folder)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
