//! How much an agent, an owner or a target may take at once, where its registration says so.
//!
//! Guarantees that no number above what the code allows can be read from anywhere. What is not said
//! is the configuration's to say; how the two become one number is the broker's.

use crate::access::words;
use crate::task::MAX_DEPTH;

words!(
    /// Names one limit, in API, configuration and on the command line.
    LimitName, "live_credentials, live_tasks, issues_per_second, depth, fan_out", {
    /// Credentials that have not expired.
    LiveCredentials => "live_credentials",
    /// Tasks that have neither ended nor expired.
    LiveTasks => "live_tasks",
    /// Credentials issued within one second.
    IssuesPerSecond => "issues_per_second",
    /// Tasks above a task.
    Depth => "depth",
    /// Tasks directly beneath a task.
    FanOut => "fan_out",
});

impl LimitName {
    /// The most that anybody can be allowed, whatever registration and configuration say.
    pub const fn ceiling(self) -> u32 {
        match self {
            Self::LiveCredentials => 10_000_000,
            Self::LiveTasks => 1_000_000,
            Self::IssuesPerSecond => 100_000,
            #[expect(clippy::cast_possible_truncation, reason = "a single digit")]
            Self::Depth => MAX_DEPTH as u32,
            // Whoever starts a task has its siblings counted, one by one.
            Self::FanOut => 256,
        }
    }

    /// Whether it means anything of a target: tasks are an agent's, not a target's.
    pub const fn is_for_targets(self) -> bool {
        match self {
            Self::LiveCredentials | Self::IssuesPerSecond => true,
            Self::LiveTasks | Self::Depth | Self::FanOut => false,
        }
    }
}

/// The limits that a registration sets itself. Zero means none at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Credentials that have not expired.
    pub live_credentials: Option<u32>,
    /// Tasks that have neither ended nor expired.
    pub live_tasks: Option<u32>,
    /// Credentials issued within one second.
    pub issues_per_second: Option<u32>,
    /// Tasks above a task.
    pub depth: Option<u8>,
    /// Tasks directly beneath a task.
    pub fan_out: Option<u32>,
}

/// A limit above what the code allows, or one that means nothing of its subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// More than anybody can be allowed.
    #[error("{name} is at most {}", name.ceiling())]
    TooHigh {
        /// The limit.
        name: LimitName,
    },
    /// A target has no tasks.
    #[error("{name} is no limit of a target; those are live_credentials and issues_per_second")]
    NotForTargets {
        /// The limit.
        name: LimitName,
    },
}

impl Limits {
    /// Nothing is set: the configuration's defaults hold.
    pub const NONE: Self = Self {
        live_credentials: None,
        live_tasks: None,
        issues_per_second: None,
        depth: None,
        fan_out: None,
    };

    /// The limit of this name, if it is set.
    pub fn get(&self, name: LimitName) -> Option<u32> {
        match name {
            LimitName::LiveCredentials => self.live_credentials,
            LimitName::LiveTasks => self.live_tasks,
            LimitName::IssuesPerSecond => self.issues_per_second,
            LimitName::Depth => self.depth.map(u32::from),
            LimitName::FanOut => self.fan_out,
        }
    }

    /// Sets a limit, or leaves it to the configuration again.
    pub fn set(&mut self, name: LimitName, value: Option<u32>) -> Result<(), LimitError> {
        let too_high = LimitError::TooHigh { name };
        if value.is_some_and(|value| value > name.ceiling()) {
            return Err(too_high);
        }
        match name {
            LimitName::LiveCredentials => self.live_credentials = value,
            LimitName::LiveTasks => self.live_tasks = value,
            LimitName::IssuesPerSecond => self.issues_per_second = value,
            LimitName::Depth => {
                self.depth = value.map(u8::try_from).transpose().map_err(|_| too_high)?;
            }
            LimitName::FanOut => self.fan_out = value,
        }
        Ok(())
    }

    /// From the five numbers as others carry them.
    pub fn from_parts(
        parts: impl IntoIterator<Item = (LimitName, Option<u32>)>,
    ) -> Result<Self, LimitError> {
        let mut limits = Self::NONE;
        for (name, value) in parts {
            limits.set(name, value)?;
        }
        Ok(limits)
    }

    /// Whether none is above what the code allows.
    pub fn check(&self) -> Result<(), LimitError> {
        for name in LimitName::ALL.iter().copied() {
            if self.get(name).is_some_and(|value| value > name.ceiling()) {
                return Err(LimitError::TooHigh { name });
            }
        }
        Ok(())
    }

    /// As [`check`](Self::check), and whether each means something of a target.
    pub fn check_for_target(&self) -> Result<(), LimitError> {
        self.check()?;
        let foreign = LimitName::ALL
            .iter()
            .copied()
            .find(|name| !name.is_for_targets() && self.get(*name).is_some());
        foreign.map_or(Ok(()), |name| Err(LimitError::NotForTargets { name }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_set_and_read_by_its_name_and_bounded() {
        for name in LimitName::ALL.iter().copied() {
            let mut limits = Limits::NONE;
            for value in [0, 1, name.ceiling()] {
                limits.set(name, Some(value)).unwrap();
                assert_eq!(limits.get(name), Some(value), "{name}");
                assert_eq!(limits.check(), Ok(()));
            }
            let others = LimitName::ALL.iter().filter(|other| **other != name);
            assert!(others.clone().all(|other| limits.get(*other).is_none()));
            let high = limits.set(name, Some(name.ceiling() + 1));
            assert_eq!(high, Err(LimitError::TooHigh { name }));
            assert_eq!(
                limits.get(name),
                Some(name.ceiling()),
                "a refusal changes nothing"
            );
            assert_eq!(limits.check_for_target().is_ok(), name.is_for_targets());
            limits.set(name, None).unwrap();
            assert_eq!(limits, Limits::NONE);
            assert_eq!(name.as_str().parse(), Ok(name));
        }
    }

    #[test]
    fn a_literal_is_checked_too() {
        let limits = Limits {
            depth: Some(200),
            ..Limits::NONE
        };
        let name = LimitName::Depth;
        assert_eq!(limits.check(), Err(LimitError::TooHigh { name }));
        let parts = [(name, Some(1 << 20))];
        assert!(Limits::from_parts(parts).is_err());
    }
}
