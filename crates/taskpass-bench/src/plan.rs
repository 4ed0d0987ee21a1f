//! What a run measures, how long, and on how much.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

macro_rules! sections {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// A part of a run, which `--only` names.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Section {
            $($(#[$doc])* $variant,)+
        }

        impl Section {
            /// All of them, in the order in which they run.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

sections! {
    /// IssueToken over signing alone.
    Issue = "issue",
    /// IssueTokens over what the cores can sign.
    Batch = "batch",
    /// IssueCertificate over checking a request and signing.
    Certificate = "certificate",
    /// The store in a file over the store in memory.
    Backend = "backend",
    /// Issuing while the log is written over issuing while it is not.
    Log = "log",
    /// The latency of issuing, in an open loop.
    Latency = "latency",
    /// Introspect over nothing at all.
    Introspect = "introspect",
    /// Removing what has expired, beside issuing.
    Reap = "reap",
    /// What is answered at three times the peak, and revoking and health meanwhile.
    Overload = "overload",
    /// A caller beside many idle connections.
    Idle = "idle",
    /// Starting after a kill, and memory, with many live records.
    Start = "start",
}

impl Section {
    /// Whether it has a broker of its own, and not the one that several share.
    pub(crate) const fn is_apart(self) -> bool {
        matches!(self, Self::Reap | Self::Overload | Self::Idle | Self::Start)
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Not the name of a section.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is nothing that a bench measures; it measures {}", names())]
pub struct UnknownSection {
    /// What was said.
    pub name: String,
}

fn names() -> String {
    let names: Vec<_> = Section::ALL.iter().map(|one| one.name()).collect();
    names.join(", ")
}

impl FromStr for Section {
    type Err = UnknownSection;

    fn from_str(text: &str) -> Result<Self, UnknownSection> {
        let found = Self::ALL.iter().find(|section| section.name() == text);
        found.copied().ok_or_else(|| UnknownSection {
            name: text.to_owned(),
        })
    }
}

/// How long, and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// How often the two sides of a ratio take turns.
    pub rounds: usize,
    /// How long a turn is measured.
    pub turn: Duration,
    /// How long each turn runs before it is measured.
    pub warm: Duration,
    /// How long an open loop runs.
    pub open: Duration,
    /// How many live records a start is measured with.
    pub live: u64,
    /// How many expired records the reaper finds.
    pub expired: u64,
    /// How many connections are idle beside a caller.
    pub idle: usize,
}

impl Size {
    /// The figures that count: within ten minutes.
    pub const FULL: Self = Self {
        rounds: 5,
        turn: Duration::from_secs(2),
        warm: Duration::from_millis(300),
        open: Duration::from_secs(15),
        live: 5_000_000,
        expired: 1_000_000,
        idle: 10_000,
    };

    /// A look, within about a minute: fewer turns, and fewer records than the goals speak of.
    pub const QUICK: Self = Self {
        rounds: 3,
        turn: Duration::from_millis(600),
        warm: Duration::from_millis(150),
        open: Duration::from_secs(4),
        live: 200_000,
        expired: 200_000,
        idle: 1_000,
    };
}

/// What a run measures.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Which parts.
    pub sections: BTreeSet<Section>,
    /// How long, and how much.
    pub size: Size,
    /// Instead of all that: issue as much as expires, for so long.
    pub soak: Option<Duration>,
    /// An empty folder on the disk that is measured.
    pub data: PathBuf,
    /// The program that is started and killed to time a start.
    pub program: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_read_as_they_are_written() {
        for section in Section::ALL {
            assert_eq!(section.to_string().parse(), Ok(*section));
        }
        let error = "nothing".parse::<Section>().unwrap_err();
        assert!(error.to_string().contains("issue, batch"), "{error}");
    }
}
