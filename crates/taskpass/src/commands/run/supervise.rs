//! While the command runs: its credentials are renewed, signals are handed on, and an end of the
//! task ends it.

use std::time::Duration;

use rustix::process::Signal;
use taskpass_client::{AgentError, KeepAlive, Liveness, Renewal, Renewed, Renewing, Task};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::child::{self, Running};
use super::family::Family;
use super::folder::{Files, Folder};
use super::plan::Plan;
use super::signals::Signals;
use super::{Begun, environment, place};
use crate::context::Context;
use crate::errors::CliError;

/// The exit code when the command was ended because its credentials had ended for good.
pub(super) const STOPPED: u8 = 77;
/// How often orphans that have ended are reaped.
const REAP: Duration = Duration::from_secs(10);

/// How it ended.
pub(super) enum End {
    /// The command ended by itself.
    Exited(u8),
    /// It was ended, because of this.
    Stopped(CliError),
}

/// Makes the credentials, runs the command, and waits for its end. Of the command nothing is left.
pub(super) async fn supervise(
    context: &Context,
    plan: &Plan,
    task: &Task,
    signals: &mut Signals,
) -> Result<End, CliError> {
    let (kept, renewing) = tokio::select! {
        biased;
        signal = signals.next() => return Ok(End::Exited(signal.code())),
        made = credentials(context, plan, task) => made?,
    };
    let mut newest = renewing.subscribe();
    // All that is said of this generation is known: what comes next is news.
    let first = newest.borrow_and_update().credentials.clone();
    let ours: Vec<_> = std::env::vars_os().collect();
    let runtime = ours.iter().find(|(name, _)| name == "XDG_RUNTIME_DIR");
    let runtime = runtime.map(|(_, value)| std::path::Path::new(value));
    let place = place::choose(runtime, plan.user.is_some());
    let mut folder = Folder::make(&place, plan.user.as_ref())?;
    folder.put(&first)?;
    let certificate = first.certificate().is_some();
    let files = Files::at(&folder.current(), first.tokens().len(), certificate);
    let secret = secret_paths(context.identity_folder()?);
    let environment = environment::for_command(ours, &secret, plan.user.as_ref(), &files);
    // Whoever was told to end before the command began does not begin it.
    if let Some(signal) = signals.now().await {
        return Ok(End::Exited(signal.code()));
    }
    let family = Family::before_the_command();
    let running = child::spawn(plan, &environment)?;
    if !plan.quiet {
        context.output.tell(&begun(task, &folder));
    }
    let mut watched = Watched {
        context,
        plan,
        folder: &mut folder,
        running,
        family,
        over: None,
        kill_at: None,
    };
    watched.watch(&mut newest, kept, signals).await;
    watched.finish().await
}

/// The tie of the task, and its first credentials.
async fn credentials(
    context: &Context,
    plan: &Plan,
    task: &Task,
) -> Result<(Option<KeepAlive>, Renewing), CliError> {
    let kept = if plan.keep_alive {
        Some(task.keep_alive().await?)
    } else {
        None
    };
    let (clock, rng) = (context.clock.clone(), context.rng.clone());
    let renewing = task.renewing_by(plan.wanted.clone(), clock, rng).await?;
    Ok((kept, renewing))
}

fn begun(task: &Task, folder: &Folder) -> Begun {
    Begun {
        task_id: task.id().to_string(),
        scopes: task.scopes().iter().map(ToString::to_string).collect(),
        deadline_at: task.deadline(),
        clamped_by: task.clamped_by().to_vec(),
        folder: folder.path().display().to_string(),
        pid: std::process::id(),
    }
}

/// The folder of the identity, as it was given and as it is.
fn secret_paths(identity: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut paths = vec![identity.to_owned()];
    paths.extend(std::fs::canonicalize(identity));
    paths
}

struct Watched<'a> {
    context: &'a Context,
    plan: &'a Plan,
    folder: &'a mut Folder,
    running: Running,
    family: Family,
    /// Why the credentials have ended for good.
    over: Option<CliError>,
    /// When the command is killed, once it was told to end.
    kill_at: Option<Instant>,
}

impl Watched<'_> {
    /// Until the command has ended.
    async fn watch(
        &mut self,
        newest: &mut watch::Receiver<Renewed>,
        kept: Option<KeepAlive>,
        signals: &mut Signals,
    ) {
        let mut heard = kept.as_ref().map(KeepAlive::subscribe);
        let mut reaping = interval(REAP);
        reaping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut renewing = true;
        loop {
            tokio::select! {
                () = self.running.ended() => return,
                signal = signals.next() => self.running.forward(signal),
                changed = newest.changed(), if renewing => {
                    renewing = changed.is_ok();
                    let seen = newest.borrow_and_update().clone();
                    self.renewed(&seen);
                }
                liveness = changed(&mut heard) => {
                    if let Some(why) = self.heard(liveness) {
                        self.stop(why);
                    }
                }
                () = at(self.kill_at) => {
                    self.kill_at = None;
                    self.running.tell(Signal::KILL);
                }
                _ = reaping.tick() => self.family.reap_others(self.running.pid()),
            }
        }
    }

    fn renewed(&mut self, seen: &Renewed) {
        match &seen.renewal {
            Renewal::Fresh => {
                if let Err(error) = self.folder.put(&seen.credentials) {
                    self.note("the renewed credentials could not be written", &error);
                }
            }
            Renewal::Failing(error) => {
                let held = seen.credentials.expires_at();
                let until = held.map_or_else(String::new, |end| format!(" until {end}"));
                let what = format!("renewing failed, what is held goes on{until}");
                self.note(&what, &**error);
            }
            Renewal::Ended(error) => self.stop(ended(error)),
        }
    }

    /// What the broker says of the task; why the command must end, if it must.
    fn heard(&self, liveness: Option<Liveness>) -> Option<CliError> {
        match liveness? {
            Liveness::Held => None,
            Liveness::Away(why) => {
                self.note("the broker does not hear us; trying again", &*why);
                None
            }
            Liveness::Over(state) => Some(CliError::new(
                "TASK_NOT_ACTIVE",
                format!("the task is over: it is {state}"),
            )),
            Liveness::Refused(why) => Some((*why).clone().into()),
        }
    }

    fn note(&self, what: &str, why: &dyn std::error::Error) {
        if !self.plan.quiet {
            let line = format!("taskpass: {what}: {why}");
            let line = crate::output::text::harmless(&line);
            self.context.output.note(&line);
        }
    }

    /// Tells the command to end, unless it may go on.
    fn stop(&mut self, why: CliError) {
        if self.over.is_some() {
            return;
        }
        if self.plan.keep_running {
            self.note("the credentials have ended; the command goes on", &why);
        } else {
            self.running.tell(Signal::TERM);
            self.kill_at = deadline(self.plan.grace);
        }
        self.over = Some(why);
    }

    async fn finish(self) -> Result<End, CliError> {
        // Its group first, while its id is still nobody else's.
        self.running.tell(Signal::TERM);
        let code = self.running.reap();
        self.family.end().await;
        match self.over {
            Some(why) if !self.plan.keep_running => Ok(End::Stopped(why)),
            _ => code.map(End::Exited),
        }
    }
}

/// Why there will be no more credentials, for people.
fn ended(error: &AgentError) -> CliError {
    match error {
        AgentError::Refused(refused) => refused.clone().into(),
        AgentError::Deadline => CliError::new(
            "TASK_NOT_ACTIVE",
            "the task is over: it has reached its deadline",
        )
        .hint("give it more time with --ttl, at most 24h"),
        other => CliError::new("BAD_REPLY", other.to_string()),
    }
}

/// The next thing that is heard; never, where nothing is.
async fn changed(heard: &mut Option<watch::Receiver<Liveness>>) -> Option<Liveness> {
    let Some(receiver) = heard else {
        return std::future::pending().await;
    };
    if receiver.changed().await.is_ok() {
        return Some(receiver.borrow_and_update().clone());
    }
    *heard = None;
    None
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is waiting, by the runtime's own clock"
)]
fn deadline(grace: Duration) -> Option<Instant> {
    Instant::now().checked_add(grace)
}
