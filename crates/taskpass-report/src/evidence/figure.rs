//! A figure: its name, what it counts, and how it is computed; and what came out.

use serde::Serialize;

use super::numbers::Numbers;
use crate::facts::Tally;

/// A figure as it is defined.
pub(super) struct Figure {
    /// Its name in the JSON.
    pub(super) name: &'static str,
    /// What it counts.
    pub(super) means: &'static str,
    /// Whether somebody must look if it is not zero.
    pub(super) zero: bool,
    pub(super) of: fn(&Numbers<'_>) -> Measure,
}

/// What came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "unit", rename_all = "snake_case")]
pub enum Measure {
    /// So many.
    Count {
        /// How many.
        value: u64,
    },
    /// So many of so many.
    Share {
        /// How many have it.
        value: u64,
        /// Of how many.
        of: u64,
    },
    /// A time in seconds.
    Seconds {
        /// `None`: there was nothing to measure.
        value: Option<u64>,
    },
    /// A time in microseconds.
    Microseconds {
        /// `None`: there was nothing to measure.
        value: Option<u64>,
    },
    /// How many of each.
    Counts {
        /// By word.
        value: Tally,
    },
}

/// A figure with what came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Measured {
    /// Its name.
    pub figure: &'static str,
    /// What it counts.
    pub means: &'static str,
    /// What came out.
    #[serde(flatten)]
    pub measure: Measure,
    /// Whether it should be zero, and is not.
    pub alarm: bool,
}

impl Figure {
    pub(super) fn measured(&self, numbers: &Numbers<'_>) -> Measured {
        let measure = (self.of)(numbers);
        Measured {
            figure: self.name,
            means: self.means,
            alarm: self.zero && !measure.is_nothing(),
            measure,
        }
    }
}

impl Measure {
    /// Of how many.
    pub(super) const fn count(value: u64) -> Self {
        Self::Count { value }
    }

    /// Of each.
    pub(super) fn counts(value: &Tally) -> Self {
        Self::Counts {
            value: value.clone(),
        }
    }

    fn is_nothing(&self) -> bool {
        match self {
            Self::Count { value } | Self::Share { value, .. } => *value == 0,
            Self::Seconds { value } | Self::Microseconds { value } => value.unwrap_or(0) == 0,
            Self::Counts { value } => value.is_empty(),
        }
    }

    /// In one line.
    pub fn text(&self) -> String {
        let nothing = || "nothing to measure".to_owned();
        match self {
            Self::Count { value } => value.to_string(),
            Self::Share { value, of } => format!("{value} of {of}"),
            Self::Seconds { value } => value.map_or_else(nothing, crate::sheet::span),
            Self::Microseconds { value } => value.map_or_else(nothing, |micros| {
                format!("{}.{:03} ms", micros / 1_000, micros % 1_000)
            }),
            Self::Counts { value } if value.is_empty() => "none".to_owned(),
            Self::Counts { value } => {
                let each = value.iter().map(|(word, count)| format!("{word} {count}"));
                each.collect::<Vec<_>>().join(", ")
            }
        }
    }
}
