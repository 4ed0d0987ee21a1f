//! The command line, judged: everything that can be wrong without the broker.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::time::Duration;

use taskpass_client::Wanted;
use taskpass_core::ttl::{MAX_CERTIFICATE_TTL, MAX_TASK_TTL, MAX_TOKEN_TTL, Ttl};
use taskpass_core::{ScopeName, ScopeRef, TargetUri, TaskId};

use super::user::{self, User};
use crate::cli::run::RunArgs;
use crate::errors::CliError;
use crate::values;

/// The longest time that a command may take to end.
const MAX_GRACE: Duration = Duration::from_mins(10);

/// What is to be done.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) purpose: String,
    /// As they were given.
    pub(super) scopes: Vec<String>,
    pub(super) ttl: Option<Duration>,
    pub(super) parent: Option<TaskId>,
    pub(super) wanted: Wanted,
    pub(super) user: Option<User>,
    pub(super) grace: Duration,
    pub(super) keep_running: bool,
    pub(super) keep_alive: bool,
    pub(super) quiet: bool,
    pub(super) command: Vec<OsString>,
}

impl Plan {
    pub(super) fn of(args: RunArgs) -> Result<Self, CliError> {
        let ttl = |text: &Option<String>, max| -> Result<Option<Duration>, CliError> {
            let parsed = text.as_deref().map(|text| values::life(text, max));
            Ok(parsed.transpose()?.map(Ttl::duration))
        };
        let scopes = values::scope_refs(&args.scopes)?;
        let (token_ttl, cert_ttl) = (
            ttl(&args.token_ttl, MAX_TOKEN_TTL)?,
            ttl(&args.cert_ttl, MAX_CERTIFICATE_TTL)?,
        );
        let nothing = Wanted::default();
        let certificate = if args.no_cert {
            nothing
        } else {
            nothing.certificate(cert_ttl)
        };
        Ok(Self {
            wanted: with_tokens(certificate, &scopes, token_ttl)?,
            ttl: ttl(&args.ttl, MAX_TASK_TTL)?,
            parent: args.parent.as_deref().map(task_id).transpose()?,
            user: args.user.as_deref().map(user::find).transpose()?,
            grace: grace(&args.grace)?,
            scopes,
            purpose: args.purpose,
            keep_running: args.keep_running,
            keep_alive: !args.no_keep_alive,
            quiet: args.quiet,
            command: args.command,
        })
    }
}

/// One token for each target with all of its scopes, in the order in which targets are first named.
fn with_tokens(
    mut wanted: Wanted,
    scopes: &[String],
    ttl: Option<Duration>,
) -> Result<Wanted, CliError> {
    let mut targets: Vec<(TargetUri, BTreeSet<ScopeName>)> = Vec::new();
    for text in scopes {
        let scope: ScopeRef = text
            .parse()
            .map_err(|error| CliError::caused("INVALID_SCOPE", text.clone(), error))?;
        match targets.iter_mut().find(|(uri, _)| *uri == scope.target) {
            Some((_, names)) => {
                names.insert(scope.scope);
            }
            None => targets.push((scope.target, BTreeSet::from([scope.scope]))),
        }
    }
    for (target, names) in targets {
        let names = names.iter().map(ScopeName::as_str);
        wanted = wanted.token(target.as_str(), names, ttl)?;
    }
    Ok(wanted)
}

fn task_id(text: &str) -> Result<TaskId, CliError> {
    text.parse()
        .map_err(|_| CliError::new("INVALID_ID", format!("`{text}` is not a task's id")))
}

fn grace(text: &str) -> Result<Duration, CliError> {
    match humantime::parse_duration(text) {
        Ok(grace) if grace <= MAX_GRACE => Ok(grace),
        Ok(_) => Err(CliError::new("INVALID_DURATION", "--grace is at most 10m")),
        Err(_) => Err(
            CliError::new("INVALID_DURATION", format!("`{text}` is not a duration"))
                .hint("write it like `90s`, `5m` or `1h`"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser as _;

    fn plan(rest: &str) -> Result<Plan, CliError> {
        let line = format!("taskpass run --purpose p {rest} -- sh -c true");
        match Cli::try_parse_from(line.split(' ')).unwrap().command {
            Command::Run(args) => Plan::of(args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_token_a_target_in_the_order_of_the_command_line() {
        let plan = plan("--scope https://b#x --scope https://a#y,https://b#z").unwrap();
        let shown = format!("{:?}", plan.wanted);
        let at = |text: &str| shown.find(text).unwrap();
        assert!(at("https://b") < at("https://a"));
        assert!(at("\"x\"") < at("\"z\"") && at("\"z\"") < at("https://a"));
        assert!(plan.keep_alive && !plan.keep_running && !plan.quiet);
        assert_eq!(plan.grace, Duration::from_secs(10));
        assert_eq!(plan.command, ["sh", "-c", "true"]);
    }

    #[test]
    fn values_are_judged_before_anything_is_asked_for() {
        for (rest, reason) in [
            ("--scope x", "INVALID_SCOPE"),
            ("--scope https://a#x --ttl 25h", "INVALID_TTL"),
            ("--scope https://a#x --ttl -5m", "INVALID_TTL"),
            ("--scope https://a#x --token-ttl 2h", "INVALID_TTL"),
            ("--scope https://a#x --cert-ttl 0s", "INVALID_TTL"),
            ("--scope https://a#x --grace 11m", "INVALID_DURATION"),
            ("--scope https://a#x --grace -1", "INVALID_DURATION"),
            ("--scope https://a#x --parent T", "INVALID_ID"),
            ("--scope https://a#x --user no-such-user", "INVALID_USER"),
        ] {
            assert_eq!(plan(rest).unwrap_err().reason(), reason, "{rest}");
        }
    }
}
