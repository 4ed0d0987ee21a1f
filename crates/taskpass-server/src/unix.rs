//! gRPC over a Unix socket, for processes on this machine: no TLS, and no key to keep.
//!
//! The kernel says which user, group and process is at the other end; that is read once, when the
//! connection is accepted, and stands for an hour. A process that no rule names may ask for health and
//! nothing else, and such processes share a few connections: they keep out none of those that rules name.
//!
//! Of the executable: the process is found by its number, which can be another's when it is read. So it
//! must have the same user, have been there before and after, and the file must be the one that has this
//! name here, not in some container. In any doubt there is no executable, and rules that name one do not
//! match. See [`ProcessTrust`] for what it is worth.

use std::sync::Arc;
use std::time::Duration;

use taskpass_broker::federation::{Process, ProcessTrust};
use taskpass_core::Clock;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::accept::{Idle, Known, Speaks, serve, while_known};
use crate::federation::Outcome;
use crate::gate::{Gate, Shared, Stranger};
use crate::settings::TransportLimits;

/// How long accepting pauses after the process ran out of something.
const BACK_OFF: Duration = Duration::from_millis(100);

/// Of this many connections one may be somebody's whom no rule names, and this many may be at least.
const STRANGERS: usize = 64;
const LEAST_STRANGERS: usize = 4;

/// The socket, and whom it knows.
pub(crate) struct UnixFront {
    listener: UnixListener,
    trust: ProcessTrust,
    clock: Arc<dyn Clock>,
    shared: Arc<Shared>,
    limits: TransportLimits,
}

impl UnixFront {
    pub(crate) fn new(
        (listener, trust): (UnixListener, ProcessTrust),
        clock: Arc<dyn Clock>,
        shared: Arc<Shared>,
        limits: TransportLimits,
    ) -> Self {
        Self {
            listener,
            trust,
            clock,
            shared,
            limits,
        }
    }

    /// Accepts until told to stop.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let all = self.limits.connections;
        let connections = Arc::new(Semaphore::new(all));
        let strangers = Arc::new(Semaphore::new((all / STRANGERS).max(LEAST_STRANGERS)));
        let idle = Idle::new(self.limits.idle_timeout, all);
        let looking = Arc::clone(&idle).watch(stop.clone());
        self.shared.tracker.spawn(looking);
        loop {
            let permit = tokio::select! {
                () = stop.cancelled() => return,
                permit = Arc::clone(&connections).acquire_owned() => permit,
            };
            let Ok(permit) = permit else { return };
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = self.listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection at the Unix socket");
                    tokio::time::sleep(BACK_OFF).await;
                    continue;
                }
            };
            let gate = self.gate(&stream);
            let stranger = if gate.is_proved() {
                None
            } else {
                // Closed at once: it can learn nothing here but that the broker lives.
                match Arc::clone(&strangers).try_acquire_owned() {
                    Ok(place) => Some(place),
                    Err(_) => continue,
                }
            };
            let (limits, stop) = (self.limits.clone(), stop.child_token());
            let in_use = idle.enter(&stop);
            self.shared.tracker.spawn(async move {
                let _places = (permit, stranger);
                let known = Known::default();
                if gate.is_proved() {
                    known.set();
                }
                let (door, stop_it) = (gate.door(), stop.clone());
                let served = serve(stream, gate, Speaks::Http2, &limits, door, stop_it, in_use);
                while_known(served, &known, &stop).await;
            });
        }
    }

    /// The gate of a connection, for whoever the kernel says has made it.
    fn gate(&self, stream: &UnixStream) -> Gate {
        let process = process(stream);
        let now = self.clock.now();
        let proved = match &process {
            Some(process) => self.trust.proved(process, now),
            None => Err(taskpass_broker::federation::AttestationRefusal::Nobody),
        };
        let outcome = if proved.is_ok() {
            Outcome::Accepted
        } else {
            tracing::info!(
                ?process,
                "a process at the Unix socket is no agent by any rule"
            );
            Outcome::Refused
        };
        self.shared.federation.counts.unix.count(outcome);
        Gate::new(Arc::clone(&self.shared), proved.map_err(Stranger::Local))
    }
}

fn process(stream: &UnixStream) -> Option<Process> {
    let peer = stream.peer_cred().ok()?;
    let number = peer.pid().and_then(|pid| u32::try_from(pid).ok());
    Some(Process {
        uid: peer.uid(),
        gid: peer.gid(),
        executable: number.and_then(|number| executable::of(number, peer.uid())),
    })
}

#[cfg(target_os = "linux")]
mod executable {
    use std::os::unix::fs::MetadataExt as _;
    use std::path::{Path, PathBuf};

    /// The file that a process of that user runs, if that can be told beyond doubt.
    pub(super) fn of(number: u32, uid: u32) -> Option<PathBuf> {
        let folder = PathBuf::from(format!("/proc/{number}"));
        let before = started(&folder)?;
        let link = folder.join("exe");
        let path = std::fs::read_link(&link).ok()?;
        let (running, here) = (
            std::fs::metadata(&link).ok()?,
            std::fs::symlink_metadata(&path).ok()?,
        );
        let same_file = (running.dev(), running.ino()) == (here.dev(), here.ino());
        let same_user = std::fs::metadata(&folder).ok()?.uid() == uid;
        let same_process = started(&folder)? == before;
        (same_file && same_user && same_process).then_some(path)
    }

    /// When it started, in ticks since the machine did: field 22 of its status, counted from behind its
    /// name, which can hold anything.
    fn started(folder: &Path) -> Option<u64> {
        let status = std::fs::read_to_string(folder.join("stat")).ok()?;
        let (_, behind_name) = status.rsplit_once(')')?;
        behind_name.split_whitespace().nth(19)?.parse().ok()
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn ours_is_ours_and_nobody_elses() {
            let number = std::process::id();
            let uid = std::fs::metadata("/proc/self").unwrap().uid();
            let own = std::env::current_exe().unwrap();
            assert_eq!(of(number, uid).as_deref(), Some(own.as_path()));
            assert_eq!(of(number, uid + 1), None, "of another user");
            assert_eq!(of(0, uid), None, "there is no such process");
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod executable {
    /// It cannot be told here.
    pub(super) fn of(_: u32, _: u32) -> Option<std::path::PathBuf> {
        None
    }
}
