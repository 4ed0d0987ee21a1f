//! `taskpass run`: a command with the credentials of one task, for as long as it runs.
//!
//! The task is started and tied to this process; certificate, key and bound tokens lie in a private
//! folder and are renewed there; the command finds them by its environment, which leads to nothing
//! else. When it has ended nothing of it is left running, the task is completed, the folder is
//! shredded, and its exit code is ours. What is no boundary is in `docs/RUN.md`.

mod child;
mod environment;
mod exec;
mod family;
mod folder;
mod place;
mod plan;
mod signals;
mod supervise;
mod user;

use std::time::Duration;

use serde::Serialize;
use taskpass_client::{Agent, Task};
use taskpass_core::Timestamp;

use crate::cli::run::RunArgs;
use crate::context::Context;
use crate::errors::CliError;
use crate::output::text::instant;
use crate::output::{Ink, View};
use crate::session::Session;
pub(crate) use exec::exec;
use plan::Plan;
use signals::Signals;
use supervise::End;

/// How long completing the task may take; after it the task ends by itself.
const COMPLETING: Duration = Duration::from_secs(10);

/// What is said when the command begins.
#[derive(Debug, Serialize)]
struct Begun {
    task_id: String,
    scopes: Vec<String>,
    deadline_at: Timestamp,
    clamped_by: Vec<String>,
    folder: String,
    pid: u32,
}

impl View for Begun {
    fn text(&self, ink: &Ink) -> String {
        let (task, scopes) = (&self.task_id, self.scopes.join(" "));
        let end = instant(Some(self.deadline_at), ink);
        format!("taskpass: task {task} for {scopes}; ends {end}\n")
    }
}

/// Runs it.
pub(crate) async fn run(context: &Context, args: RunArgs) -> Result<(), CliError> {
    let plan = Plan::of(args)?;
    exec::harden();
    // From here on: what was begun is ended, also by whoever is told to end before the command runs.
    let mut signals = Signals::take()?;
    let task = tokio::select! {
        biased;
        signal = signals.next() => return Err(CliError::Ended { code: signal.code() }),
        begun = begin(context, &plan) => begun?,
    };
    let supervised = supervise::supervise(context, &plan, &task, &mut signals);
    let outcome = Box::pin(supervised).await;
    complete(context, &plan, task).await;
    match outcome? {
        End::Exited(0) => Ok(()),
        End::Exited(code) => Err(CliError::Ended { code }),
        End::Stopped(error) => {
            context.output.fail(&error);
            Err(CliError::Ended {
                code: supervise::STOPPED,
            })
        }
    }
}

/// Connects, and starts the task.
async fn begin(context: &Context, plan: &Plan) -> Result<Task, CliError> {
    let address = context.required_address()?;
    let identity = context.identity()?;
    // Once, so that a broker that cannot be reached is said as everywhere.
    let probe = Session::connect(&address, &identity).await;
    drop(probe.map_err(|error| context.with_readiness(error))?);
    let folder = context.identity_folder()?;
    let agent = Agent::connect_in(address.authority(), folder)?;
    let started = match plan.parent {
        None => {
            agent
                .start_task(&plan.purpose, &plan.scopes, plan.ttl)
                .await
        }
        Some(parent) => {
            let parent = agent.take_up(parent).await?;
            parent
                .start_child(&plan.purpose, &plan.scopes, plan.ttl)
                .await
        }
    };
    Ok(started?)
}

/// Completes the task; if that fails it is said, and the task ends without us.
async fn complete(context: &Context, plan: &Plan, task: Task) {
    let (id, deadline) = (task.id(), task.deadline());
    let error = match tokio::time::timeout(COMPLETING, task.complete()).await {
        Ok(Ok(_)) => return,
        Ok(Err(error)) => CliError::from(error),
        Err(_) => CliError::new("UNREACHABLE", "the broker does not answer"),
    };
    let ends = if plan.keep_alive {
        "it ends as lost within the broker's grace".to_owned()
    } else {
        format!("it ends at {deadline}")
    };
    let reason = error.reason();
    let what = format!("taskpass: task {id} was not completed ({reason}: {error}); {ends}");
    context.output.note(&what);
}
