//! The checkpoint exporter: keeps the newest checkpoint where a rewritten log cannot take it back.
//!
//! Whoever owns the broker's machine and its keys can begin a second history, and nobody sees it who
//! has kept no checkpoint of the first. So checkpoints go outward: to a file, to a command, or both,
//! at most once an interval while there is a newer one, at the start, and at the end of a stop.
//!
//! What is guaranteed: the checkpoint that the file holds is checked against the log before it is
//! replaced. If the log does not contain it (it was rolled back or rewritten) nothing is exported, so
//! that the evidence stays, and readiness and a metric say so until somebody has looked at it and
//! moved the file away. What is not: a file on the same machine is worth no more than that machine;
//! mirror it, or let the command send it elsewhere.

mod command;
mod conflict;
mod file;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use taskpass_broker::metrics::Count;
use taskpass_broker::{AuditLog, Signed};
use taskpass_log::LogName;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use conflict::Conflict;

/// How long a command may take.
const COMMAND: Duration = Duration::from_secs(30);

/// Where checkpoints go. With neither a file nor a command, nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointExport {
    /// This file is replaced.
    pub file: Option<PathBuf>,
    /// This program, with its arguments, gets the checkpoint on standard input.
    pub command: Option<Vec<String>>,
    /// No more often than this.
    pub interval: Duration,
}

impl Default for CheckpointExport {
    fn default() -> Self {
        Self {
            file: None,
            command: None,
            interval: Duration::from_mins(1),
        }
    }
}

/// How exporting goes, for readiness and metrics.
#[derive(Debug, Default)]
pub(crate) struct ExportState {
    /// Set while the file holds a checkpoint that is not in the log.
    pub(crate) conflict: AtomicBool,
    /// Times that this was found.
    pub(crate) conflicts: Count,
    /// Exports that failed.
    pub(crate) failures: Count,
    /// The size of the tree of the newest exported checkpoint.
    pub(crate) exported_size: Count,
}

/// Why a checkpoint was not exported.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error("the exported checkpoint {found} is not in this log: {conflict}")]
    Conflict { found: String, conflict: Conflict },
    #[error("{path} holds something else than a checkpoint of this log; nothing was replaced")]
    Foreign { path: PathBuf },
    #[error("could not {action} {path}")]
    File {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the log could not be compared with the exported checkpoint")]
    Log(#[source] taskpass_broker::Error),
    #[error("the published checkpoint does not read")]
    Checkpoint(#[source] taskpass_log::checkpoint::CheckpointError),
    #[error("the command failed")]
    Command(#[source] command::CommandError),
    #[error("the export was cut off")]
    Cut(#[source] tokio::task::JoinError),
}

/// Exports checkpoints.
pub(crate) struct Exporter {
    pub(crate) to: CheckpointExport,
    pub(crate) log: Arc<AuditLog>,
    pub(crate) state: Arc<ExportState>,
    /// How many months the log keeps: older checkpoints cannot be compared.
    pub(crate) keep_months: Option<u32>,
}

impl Exporter {
    /// Exports until `stop`, and the last checkpoint once `written` says that there is no later one.
    pub(crate) async fn run(self, stop: CancellationToken, written: CancellationToken) {
        if self.to.file.is_none() && self.to.command.is_none() {
            return;
        }
        let mut newest = self.log.watch();
        let mut exported = None;
        let mut failing = false;
        while let Some(signed) = newer(&mut newest, exported, &stop).await {
            self.attempt(&signed, &mut exported, &mut failing).await;
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(self.to.interval) => {}
            }
        }
        written.cancelled().await;
        let last = newest.borrow().clone();
        if let Some(signed) = last.filter(|signed| exported != Some(place(signed))) {
            self.attempt(&signed, &mut exported, &mut failing).await;
        }
    }

    async fn attempt(
        &self,
        signed: &Signed,
        exported: &mut Option<(LogName, u64)>,
        failing: &mut bool,
    ) {
        match self.export(signed).await {
            Ok(()) => {
                *exported = Some(place(signed));
                self.state.exported_size.set(signed.size);
                self.state.conflict.store(false, Ordering::Relaxed);
                if std::mem::take(failing) {
                    tracing::info!("checkpoints are exported again");
                }
            }
            Err(error @ ExportError::Conflict { .. }) => {
                self.state.conflicts.one();
                *failing = true;
                // Each time: this is what the exporter is for.
                self.state.conflict.store(true, Ordering::Relaxed);
                tracing::error!(%error, "the log was rolled back or rewritten; nothing is exported");
            }
            Err(error) => {
                self.state.failures.one();
                if !std::mem::replace(failing, true) {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "the checkpoint could not be exported; it is tried again"
                    );
                }
            }
        }
    }

    async fn export(&self, signed: &Signed) -> Result<(), ExportError> {
        if let Some(path) = &self.to.file {
            if let Some(found) = file::read(path.clone()).await? {
                conflict::check(&self.log, path, &found, signed, self.keep_months).await?;
            }
            file::replace(path.clone(), signed.checkpoint.clone()).await?;
        }
        if let Some(argv) = &self.to.command {
            command::run(argv, signed, COMMAND)
                .await
                .map_err(ExportError::Command)?;
        }
        Ok(())
    }
}

/// Where a checkpoint is: two of one place are one.
fn place(signed: &Signed) -> (LogName, u64) {
    (signed.log, signed.size)
}

/// Waits for a checkpoint that is not the exported one; nothing when it is time to stop.
async fn newer(
    newest: &mut watch::Receiver<Option<Signed>>,
    exported: Option<(LogName, u64)>,
    stop: &CancellationToken,
) -> Option<Signed> {
    let other = newest.wait_for(|signed| {
        signed
            .as_ref()
            .is_some_and(|signed| exported != Some(place(signed)))
    });
    tokio::select! {
        () = stop.cancelled() => None,
        signed = other => signed.ok()?.clone(),
    }
}

#[cfg(test)]
mod tests;
