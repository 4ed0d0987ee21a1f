//! `taskpass demo`: the whole story on a throw-away broker; or a month of many agents (`month`).
//!
//! The broker is a process of its own, started as `taskpass dev` starts one; everything else happens
//! over real sockets with the client and verifier libraries. However the story ends (told, a step
//! that did not hold, a signal), the broker is gone and its data removed before the command ends.

mod broker;
mod caller;
mod calls;
mod denial;
mod downstream;
mod expiry;
mod house;
mod month;
mod people;
mod place;
mod revocation;
mod sample_api;
mod step;
mod story;
mod tls;
mod trail;
mod work;
mod wreck;

use std::path::PathBuf;

use clap::Args;

use crate::context::Context;
use crate::errors::CliError;
use crate::logging;
use broker::Process;
use place::Place;
use step::Teller;

/// What to leave behind.
#[derive(Debug, Args)]
#[command(after_help = "\
It starts a broker as a process of its own, with its data in a temporary folder, and tells, a line
per step with what it took:
  who is registered and enrols, a task, a token, a certificate, the check that an API makes offline,
  a call over mutual TLS, a request that policy denies, a revocation and how soon it is felt,
  an expiry, a crash and what is known after it, and the audit trail of all that.

Exit code 0: every step held. 1: one did not; it says what was expected and what happened.

With --month it plays a month of many agents instead, on a broker in this process whose clock is moved,
and writes its log, registry, policies and every report on it into a folder (--out). It takes a minute.

Examples:
  taskpass demo
  taskpass demo -o json               one object per step: step, name, held, millis, detail
  taskpass demo --keep ./story        look at the data afterwards: ./story/audit, ./story/identities
  taskpass demo --month               30 days of 200 agents, in ./taskpass-month
  taskpass demo --month --seed 7 --agents 40 --owners 5 --days 10 --out small")]
pub(crate) struct DemoArgs {
    /// Keep the broker's data and the identities here (a new or empty folder)
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
    /// Be the demonstration's broker, on this folder, for as long as standard input is open
    #[arg(long, value_name = "DIR", hide = true, conflicts_with = "keep")]
    pub(crate) broker: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) month: month::MonthArgs,
}

/// Runs it.
pub(crate) async fn run(context: &Context, args: DemoArgs) -> Result<(), CliError> {
    if let Some(folder) = &args.broker {
        return broker::serve(context, folder).await;
    }
    if context.verbosity() > 0 {
        logging::init(context.verbosity());
    }
    if args.month.month {
        return month::run(context, &args.month).await;
    }
    // Before anything is made that would have to be removed.
    let interrupted = interrupted()?;
    let place = Place::choose(args.keep)?;
    let mut process = Process::new(place.path());
    let mut teller = Teller::new(context);
    let outcome = tokio::select! {
        outcome = Box::pin(story::tell(context, &mut teller, &mut process)) => outcome,
        () = interrupted => Err(CliError::new("INTERRUPTED", "the story was cut short")),
    };
    teller.stop();
    process.kill().await;
    place.leave(context);
    // To have told a part of it is not to have told it.
    outcome.map_err(|error| match error {
        CliError::OutputClosed => {
            CliError::new("OUTPUT_CLOSED", "nobody listened to the end of the story")
        }
        other => other,
    })
}

/// Ends when somebody wants the command to end.
fn interrupted() -> Result<impl Future<Output = ()>, CliError> {
    use tokio::signal::unix::{SignalKind, signal};
    let on = |kind| {
        signal(kind)
            .map_err(|error| CliError::caused("INTERNAL", "could not wait for signals", error))
    };
    let mut interrupt = on(SignalKind::interrupt())?;
    let mut terminate = on(SignalKind::terminate())?;
    let mut hangup = on(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}
