//! A log of a month, and where it lies: the folder that holds one log for each month.
//!
//! | path below the root | what |
//! |---|---|
//! | `2026-11/` | the log: `checkpoint` and `tile/` |
//! | `2026-11.vkey` | the public key that its checkpoints are checked by |
//! | `.find/2026-11` | summaries for queries; derived, not in an export |

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use taskpass_core::Timestamp;

use crate::checkpoint::{Origin, OriginError};

/// The folder for the summaries of all logs.
pub const FIND: &str = ".find";
/// What the file of a log's public key ends with.
pub const VKEY: &str = ".vkey";

/// Names a log: the month that its first entry is of, such as `2026-11`; of the first one after a backup
/// was restored also when that was, such as `2026-11-r1795401000`.
///
/// Two restored from one backup are two logs, and neither is the one that the backup is of: no log has
/// two histories.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LogName {
    year: u16,
    month: u8,
    /// The second in which the store was restored; 0 if none was.
    restored: u64,
}

/// What stands before the second of a restoration.
const RESTORED: &str = "-r";

/// The text names no log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a log is named by its month, YYYY-MM, such as 2026-11; the first after a restoration has its second \
     behind it, such as 2026-11-r1795401000"
)]
pub struct ParseLogNameError;

impl LogName {
    /// The log that an entry of this instant goes to.
    pub fn of(at: Timestamp) -> Self {
        let text: String = at.to_string().chars().take(7).collect();
        // Before the year 10 000 a time prints as its month first; later there is one last log.
        text.parse().unwrap_or(Self {
            year: 9999,
            month: 12,
            restored: 0,
        })
    }

    /// The first log of a store that was restored at this instant.
    #[must_use]
    pub fn restored(at: Timestamp) -> Self {
        Self {
            restored: at.secs(),
            ..Self::of(at)
        }
    }

    /// The month that is `months` before this one; no earlier than the first of all.
    #[must_use]
    pub fn before(self, months: u32) -> Self {
        let count = u32::from(self.year) * 12 + u32::from(self.month) - 1;
        let count = count.saturating_sub(months).max(1970 * 12);
        Self {
            year: u16::try_from(count / 12).unwrap_or(9999),
            month: u8::try_from(count % 12 + 1).unwrap_or(12),
            restored: 0,
        }
    }

    /// The log's origin at `host`: the public URL without its scheme.
    pub fn origin(self, host: &str) -> Result<Origin, OriginError> {
        Origin::parse(&format!("{host}/log/{self}"))
    }

    /// Its folder below `root`.
    pub fn folder(self, root: &Path) -> PathBuf {
        root.join(self.to_string())
    }

    /// The file of its public key.
    pub fn vkey(self, root: &Path) -> PathBuf {
        root.join(format!("{self}{VKEY}"))
    }

    /// The file of its summaries.
    pub fn summaries(self, root: &Path) -> PathBuf {
        root.join(FIND).join(self.to_string())
    }

    /// The logs whose folders lie below `root`, the oldest first; none if there is no such folder.
    pub fn list(root: &Path) -> io::Result<Vec<Self>> {
        let entries = match std::fs::read_dir(root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut logs = Vec::new();
        for entry in entries {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                continue;
            }
            if let Some(log) = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
            {
                logs.push(log);
            }
        }
        logs.sort_unstable();
        Ok(logs)
    }
}

impl FromStr for LogName {
    type Err = ParseLogNameError;

    fn from_str(text: &str) -> Result<Self, ParseLogNameError> {
        let (text, restored) = match text.split_once(RESTORED) {
            None => (text, 0),
            Some((text, second)) => (text, read_second(second).ok_or(ParseLogNameError)?),
        };
        let (year, month) = text.split_once('-').ok_or(ParseLogNameError)?;
        let digits = |text: &str, length| {
            text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !digits(year, 4) || !digits(month, 2) {
            return Err(ParseLogNameError);
        }
        let year = year.parse().map_err(|_| ParseLogNameError)?;
        let month = month.parse().map_err(|_| ParseLogNameError)?;
        if year < 1970 || !(1..=12).contains(&month) {
            return Err(ParseLogNameError);
        }
        Ok(Self {
            year,
            month,
            restored,
        })
    }
}

/// A second without zeros before it: one name a log.
fn read_second(text: &str) -> Option<u64> {
    let second: u64 = text.parse().ok()?;
    (second > 0 && second.to_string() == text).then_some(second)
}

impl TryFrom<String> for LogName {
    type Error = ParseLogNameError;

    fn try_from(text: String) -> Result<Self, ParseLogNameError> {
        text.parse()
    }
}

impl From<LogName> for String {
    fn from(name: LogName) -> Self {
        name.to_string()
    }
}

impl fmt::Display for LogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)?;
        match self.restored {
            0 => Ok(()),
            second => write!(f, "{RESTORED}{second}"),
        }
    }
}

impl fmt::Debug for LogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> LogName {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_is_exactly_a_month() {
        for good in ["1970-01", "2026-11", "9999-12", "2026-11-r1795401000"] {
            assert_eq!(name(good).to_string(), good);
        }
        for bad in [
            "",
            "2026",
            "2026-1",
            "2026-00",
            "2026-13",
            "1969-12",
            "2026-011",
            "02026-11",
            "+026-11",
            "2026-+1",
            "2026-11/",
            "../x",
            "2026-11-01",
            "2026-11-r",
            "2026-11-r0",
            "2026-11-r01",
            "2026-11-r+1",
            "2026-11-r1-r2",
            "2026-11-r1/",
            " 2026-11",
            "２026-11",
        ] {
            assert!(bad.parse::<LogName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_instant_is_in_the_month_that_it_prints() {
        assert_eq!(LogName::of(Timestamp::ZERO), name("1970-01"));
        assert_eq!(
            LogName::of(Timestamp::from_secs(1_700_000_000)),
            name("2023-11")
        );
    }

    #[test]
    fn after_a_restoration_a_log_stands_between_its_month_and_the_next() {
        let at = Timestamp::from_secs(1_700_000_000);
        let restored = LogName::restored(at);
        assert_eq!(restored.to_string(), "2023-11-r1700000000");
        assert_eq!(name(&restored.to_string()), restored);
        let again = LogName::restored(Timestamp::from_secs(1_700_000_001));
        assert!(name("2023-11") < restored && restored < again && again < name("2023-12"));
        assert_eq!(restored.before(1), name("2023-10"));
    }

    #[test]
    fn months_are_counted_back_over_the_year() {
        assert_eq!(name("2026-11").before(0), name("2026-11"));
        assert_eq!(name("2026-11").before(11), name("2025-12"));
        assert_eq!(name("2026-01").before(25), name("2023-12"));
        assert_eq!(name("1970-02").before(9), name("1970-01"));
    }

    #[test]
    fn folders_are_listed_by_age_and_others_are_passed_over() {
        let root = tempfile::tempdir().unwrap();
        for folder in ["2026-10", "2025-12", ".find", "other"] {
            std::fs::create_dir(root.path().join(folder)).unwrap();
        }
        std::fs::write(root.path().join("2026-09"), "a file").unwrap();
        let logs = LogName::list(root.path()).unwrap();
        assert_eq!(logs, [name("2025-12"), name("2026-10")]);
        assert_eq!(LogName::list(&root.path().join("none")).unwrap(), []);
    }
}
