//! `taskpass audit tail`: entries as they are logged, without a gap.
//!
//! Where to go on is known before the first entry comes: without --from, it is where the newest
//! checkpoint ends. So a stream that breaks loses nothing; it is taken up again until somebody stops
//! the command, or the broker refuses it.

use std::time::Duration;

use taskpass_api::v1;
use tonic::Code;

use super::{checkpoint, filter};
use crate::cli::audit::TailArgs;
use crate::context::Context;
use crate::errors::CliError;
use crate::session::Session;
use crate::view::audit::Logged;

/// The first wait before going on, and the longest.
const WAIT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));

/// Where to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Next {
    /// Empty for the current one.
    log: String,
    index: u64,
}

/// Prints entries until it is stopped.
pub(super) async fn run(context: &Context, args: TailArgs) -> Result<(), CliError> {
    let given = given(&args)?;
    let filter = filter::of(args.filter)?;
    let mut next = match given {
        Some(next) => Some(next),
        None => end(context).await?,
    };
    let mut connected = false;
    let mut wait = WAIT.0;
    loop {
        let before = next.clone();
        let ended = match stream(context, &filter, &mut next, &mut connected).await {
            Ok(()) => "the broker ended the stream".to_owned(),
            Err(error) if connected && passes(&error) => error.to_string(),
            Err(error) => return Err(context.with_readiness(error)),
        };
        // Whoever got on begins with the short wait again.
        wait = if next == before { wait } else { WAIT.0 };
        context
            .output
            .note(&format!("note: {ended}; going on in {}s", wait.as_secs()));
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(WAIT.1);
    }
}

/// Where to begin, if that was said.
fn given(args: &TailArgs) -> Result<Option<Next>, CliError> {
    let log = filter::log(args.log.as_deref())?;
    if args.from.is_none() && log.is_empty() {
        return Ok(None);
    }
    let index = args.from.unwrap_or_default();
    Ok(Some(Next { log, index }))
}

/// Where the log ends now; `None` if there is no log yet.
async fn end(context: &Context) -> Result<Option<Next>, CliError> {
    let session = context.session().await?;
    match checkpoint::fetch(&session, String::new()).await {
        Ok((reply, checkpoint)) => Ok(Some(Next {
            log: reply.log,
            index: checkpoint.size,
        })),
        Err(error) if error.reason() == "LOG_NOT_FOUND" => Ok(None),
        Err(error) => Err(error),
    }
}

/// Prints what one stream brings, and keeps where to go on.
async fn stream(
    context: &Context,
    filter: &v1::EntryFilter,
    next: &mut Option<Next>,
    connected: &mut bool,
) -> Result<(), CliError> {
    // The identity may have been renewed in its folder since the last time.
    let session = Session::for_stream(&context.required_address()?, &context.identity()?)?;
    let reply = session.audit().tail(request(filter, next.as_ref())).await?;
    *connected = true;
    let mut stream = reply.into_inner();
    while let Some(reply) = stream.message().await? {
        for entry in reply.entries {
            let entry = Logged::from_proto(entry)?;
            context
                .output
                .show_line(|| entry.line(), |_| entry.text())?;
            *next = Some(Next {
                log: entry.log.to_string(),
                index: entry.index.saturating_add(1),
            });
        }
    }
    Ok(())
}

fn request(filter: &v1::EntryFilter, next: Option<&Next>) -> v1::TailRequest {
    v1::TailRequest {
        filter: Some(filter.clone()),
        from_index: next.map(|next| next.index),
        log: next.map(|next| next.log.clone()).unwrap_or_default(),
    }
}

/// Whether it may be better in a moment: the broker restarts, or the connection broke.
fn passes(error: &CliError) -> bool {
    match error {
        CliError::Refused(refused) => {
            refused.is_transient()
                || matches!(
                    refused.code,
                    Code::Unknown | Code::Cancelled | Code::Internal
                )
        }
        CliError::Local { reason, .. } => *reason == "UNREACHABLE",
        CliError::OutputClosed | CliError::Ended { .. } | CliError::Faulty { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::audit::AuditCommand;
    use crate::cli::{Cli, Command};
    use clap::Parser as _;

    fn begin(line: &[&str]) -> Result<v1::TailRequest, CliError> {
        let line = [&["taskpass", "audit", "tail"], line].concat();
        match Cli::try_parse_from(line).unwrap().command {
            Command::Audit(AuditCommand::Tail(args)) => {
                let next = given(&args)?;
                Ok(request(&filter::of(args.filter)?, next.as_ref()))
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn where_to_begin() {
        for (line, index, log) in [
            (&["--agent", "a"][..], None, ""),
            (&["--from", "7"], Some(7), ""),
            (&["--from", "7", "--log", "2026-11"], Some(7), "2026-11"),
            (&["--log", "2026-11"], Some(0), "2026-11"),
        ] {
            let request = begin(line).unwrap();
            assert_eq!((request.from_index, request.log.as_str()), (index, log));
        }
        assert_eq!(
            begin(&["--log", "x"]).unwrap_err().reason(),
            "INVALID_FIELD"
        );
    }

    #[test]
    fn what_is_tried_again() {
        for (code, again) in [
            (Code::Unavailable, true),
            (Code::Unknown, true),
            (Code::InvalidArgument, false),
            (Code::PermissionDenied, false),
            (Code::Unauthenticated, false),
            (Code::NotFound, false),
        ] {
            let error = CliError::from(tonic::Status::new(code, "x"));
            assert_eq!(passes(&error), again, "{code:?}");
        }
        assert!(!passes(&CliError::bad_reply("log")));
        assert!(!passes(&CliError::OutputClosed));
    }
}
