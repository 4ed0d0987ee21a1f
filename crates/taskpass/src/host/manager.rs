//! What a service manager hands to the broker and is told by it (systemd's `sd_listen_fds(3)`,
//! `sd_notify(3)`, `sd_watchdog_enabled(3)`): sockets, readiness, a sign of life.
//!
//! Without a manager all of this does nothing. A socket that was handed over is used for the listener
//! whose address it has; one that fits none is an error, not a socket that nobody answers. The sign
//! of life is given only while the store's writer gets on: a broker that hangs there is started anew.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use sd_notify::NotifyState;
use taskpass_store::Stats;
use tokio::net::TcpListener;

use crate::errors::CliError;

/// Listening sockets that were handed over.
#[derive(Debug, Default)]
pub(crate) struct Inherited(Vec<(SocketAddr, std::net::TcpListener)>);

impl Inherited {
    /// Takes over what the manager passed. Once for each process.
    pub(crate) fn take() -> Result<Self, CliError> {
        let unusable = |error| {
            CliError::caused(
                "SOCKET_ACTIVATION",
                "a socket that the service manager passed cannot be used",
                error,
            )
            .hint("the socket unit needs ListenStream= with an address and a port, and Accept=no")
        };
        let mut passed = listenfd::ListenFd::from_env();
        let mut taken = Vec::new();
        for place in 0..passed.len() {
            if let Some(listener) = passed.take_tcp_listener(place).map_err(unusable)? {
                listener.set_nonblocking(true).map_err(unusable)?;
                taken.push((listener.local_addr().map_err(unusable)?, listener));
            }
        }
        Ok(Self(taken))
    }

    /// The listener for `address`: the one that was handed over, or a new one. `what` names it in
    /// errors.
    pub(crate) async fn bind(
        &mut self,
        what: &str,
        address: SocketAddr,
    ) -> Result<TcpListener, CliError> {
        match self.0.iter().position(|(at, _)| *at == address) {
            Some(place) => {
                let (_, listener) = self.0.swap_remove(place);
                TcpListener::from_std(listener).map_err(|error| {
                    CliError::caused(
                        "SOCKET_ACTIVATION",
                        format!("the passed socket for {what} cannot be used"),
                        error,
                    )
                })
            }
            None => super::bind(what, address).await,
        }
    }

    /// Refuses what no listener took.
    pub(crate) fn finish(self) -> Result<(), CliError> {
        let Some((address, _)) = self.0.first() else {
            return Ok(());
        };
        Err(CliError::new(
            "SOCKET_ACTIVATION",
            format!("the service manager passed a socket on {address}, and no listener has it"),
        )
        .hint("ListenStream= must be, letter for letter, the `listen` of grpc, http, ops or oauth"))
    }
}

/// Says that the broker is ready.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Says that it is stopping.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Gives signs of life for ever, twice as often as they are asked for, while `stats` say that the
/// writer gets on. Never returns; where none are asked for it waits.
pub(crate) async fn sign_of_life(stats: impl Fn() -> Stats) -> Infallible {
    let Some(asked) = sd_notify::watchdog_enabled() else {
        return std::future::pending().await;
    };
    let mut ticks = tokio::time::interval((asked / 2).max(Duration::from_millis(10)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut progress = Progress::default();
    loop {
        ticks.tick().await;
        if progress.made(&stats()) {
            tell(&[NotifyState::Watchdog]);
        } else {
            tracing::error!("the store's writer does not get on; no sign of life is given");
        }
    }
}

fn tell(what: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(what) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}

/// Whether the store's writer gets on, from one look to the next.
#[derive(Debug, Default)]
struct Progress {
    groups: u64,
    waiting: bool,
}

impl Progress {
    /// It does unless commits waited at both looks and none was written in between.
    fn made(&mut self, stats: &Stats) -> bool {
        let waiting = stats.queued > 0;
        let stuck = self.waiting && waiting && stats.groups == self.groups;
        self.waiting = waiting;
        self.groups = stats.groups;
        !stuck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(queued: u64, groups: u64) -> Stats {
        Stats {
            queued,
            groups,
            ..Stats::default()
        }
    }

    #[test]
    fn a_writer_gets_on_unless_commits_wait_and_none_is_written() {
        let looks = [
            (0, 0, true, "nothing to do"),
            (0, 0, true, "nothing to do still"),
            (9, 0, true, "something has just come"),
            (9, 1, true, "a group was written"),
            (9, 1, false, "commits waited and none was written"),
            (9, 1, false, "and still"),
            (0, 2, true, "it went on"),
            (1, 2, true, "something has just come again"),
        ];
        let mut progress = Progress::default();
        for (queued, groups, made, why) in looks {
            assert_eq!(progress.made(&stats(queued, groups)), made, "{why}");
        }
    }

    #[tokio::test]
    async fn a_socket_that_was_handed_over_is_used_and_none_is_left() {
        let passed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        passed.set_nonblocking(true).unwrap();
        let address = passed.local_addr().unwrap();
        let mut inherited = Inherited(vec![(address, passed)]);
        // Binding it anew would fail: it is in use.
        let listener = inherited.bind("gRPC", address).await.unwrap();
        assert_eq!(listener.local_addr().unwrap(), address);
        inherited.finish().unwrap();

        let stray = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let inherited = Inherited(vec![(stray.local_addr().unwrap(), stray)]);
        let error = inherited.finish().unwrap_err();
        assert!(error.to_string().contains("no listener has it"), "{error}");
    }
}
