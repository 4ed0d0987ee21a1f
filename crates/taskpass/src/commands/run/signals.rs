//! The signals that somebody sends to us and means for the command.

use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind};

use crate::errors::CliError;

/// A signal to hand on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Forwarded {
    Terminate,
    Interrupt,
    Quit,
    HangUp,
    User1,
    User2,
}

impl Forwarded {
    pub(super) const fn signal(self) -> Signal {
        match self {
            Self::Terminate => Signal::TERM,
            Self::Interrupt => Signal::INT,
            Self::Quit => Signal::QUIT,
            Self::HangUp => Signal::HUP,
            Self::User1 => Signal::USR1,
            Self::User2 => Signal::USR2,
        }
    }

    /// The exit code of whoever it ended, as a shell says it.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::HangUp => 128 + 1,
            Self::Interrupt => 128 + 2,
            Self::Quit => 128 + 3,
            Self::User1 => 128 + 10,
            Self::User2 => 128 + 12,
            Self::Terminate => 128 + 15,
        }
    }

    /// Whether a terminal sends it to everybody in the foreground by itself.
    pub(super) const fn is_of_terminal(self) -> bool {
        matches!(self, Self::Interrupt | Self::Quit)
    }
}

/// Takes them from now on, instead of ending by them.
pub(super) struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    quit: unix::Signal,
    hang_up: unix::Signal,
    user1: unix::Signal,
    user2: unix::Signal,
}

impl Signals {
    pub(super) fn take() -> Result<Self, CliError> {
        let take = |kind| {
            unix::signal(kind)
                .map_err(|error| CliError::caused("INTERNAL", "could not wait for signals", error))
        };
        Ok(Self {
            terminate: take(SignalKind::terminate())?,
            interrupt: take(SignalKind::interrupt())?,
            quit: take(SignalKind::quit())?,
            hang_up: take(SignalKind::hangup())?,
            user1: take(SignalKind::user_defined1())?,
            user2: take(SignalKind::user_defined2())?,
        })
    }

    /// One that has come already.
    pub(super) async fn now(&mut self) -> Option<Forwarded> {
        tokio::select! {
            biased;
            signal = self.next() => Some(signal),
            () = std::future::ready(()) => None,
        }
    }

    /// The next one. Can be cancelled without losing any.
    pub(super) async fn next(&mut self) -> Forwarded {
        tokio::select! {
            _ = self.terminate.recv() => Forwarded::Terminate,
            _ = self.interrupt.recv() => Forwarded::Interrupt,
            _ = self.quit.recv() => Forwarded::Quit,
            _ = self.hang_up.recv() => Forwarded::HangUp,
            _ = self.user1.recv() => Forwarded::User1,
            _ = self.user2.recv() => Forwarded::User2,
        }
    }
}
