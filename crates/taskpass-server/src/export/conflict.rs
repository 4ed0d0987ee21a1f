//! Whether what was exported before is still in the log.
//!
//! Signatures are not looked at: a log that was begun anew has another key, and that it does not
//! contain what was exported is what matters. Whoever can write to the file can raise a false alarm,
//! and no more.

use std::cmp::Ordering;
use std::path::Path;

use taskpass_broker::{AuditLog, Error, Signed};
use taskpass_log::{Checkpoint, Hash, LogName};

use super::ExportError;

/// How an exported checkpoint contradicts the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Conflict {
    #[error("the newest log is {newest}, an earlier one")]
    Later { newest: LogName },
    #[error("the log {log} is not there any more, and was to be kept")]
    Gone { log: LogName },
    #[error("the log {log} has {size} entries")]
    Larger { log: LogName, size: u64 },
    #[error("at that size the log {log} has the root {root}")]
    Root { log: LogName, root: Hash },
}

/// Fails if the log, of which `signed` is the newest checkpoint, does not contain `found`.
pub(super) async fn check(
    log: &AuditLog,
    path: &Path,
    found: &[u8],
    signed: &Signed,
    keep_months: Option<u32>,
) -> Result<(), ExportError> {
    let ours = Checkpoint::parse_unverified(signed.checkpoint.as_bytes())
        .map_err(ExportError::Checkpoint)?;
    let theirs = Checkpoint::parse_unverified(found).ok();
    let Some((theirs, month)) =
        theirs.and_then(|theirs| month_of(&theirs, &ours).map(|month| (theirs, month)))
    else {
        let path = path.to_owned();
        return Err(ExportError::Foreign { path });
    };
    let conflict = |conflict| ExportError::Conflict {
        found: format!("of {} at size {}", theirs.origin, theirs.size),
        conflict,
    };
    let size = match month.cmp(&signed.log) {
        Ordering::Equal => ours.size,
        Ordering::Greater => {
            let newest = signed.log;
            return Err(conflict(Conflict::Later { newest }));
        }
        Ordering::Less => match log.checkpoint(Some(month)).await {
            Ok(last) => last.size,
            Err(Error::LogNotFound { .. }) if !is_kept(month, signed.log, keep_months) => {
                return Ok(());
            }
            Err(Error::LogNotFound { .. }) => return Err(conflict(Conflict::Gone { log: month })),
            Err(error) => return Err(ExportError::Log(error)),
        },
    };
    if theirs.size > size {
        return Err(conflict(Conflict::Larger { log: month, size }));
    }
    let root = log
        .root_at(month, theirs.size)
        .await
        .map_err(ExportError::Log)?;
    if root != theirs.root {
        return Err(conflict(Conflict::Root { log: month, root }));
    }
    Ok(())
}

/// The month of a checkpoint, if it is one of the same broker's logs.
fn month_of(theirs: &Checkpoint, ours: &Checkpoint) -> Option<LogName> {
    let split = |checkpoint: &Checkpoint| {
        let (host, month) = checkpoint.origin.as_str().rsplit_once('/')?;
        Some((host.to_owned(), month.parse::<LogName>().ok()?))
    };
    let (host, month) = split(theirs)?;
    (host == split(ours)?.0).then_some(month)
}

/// Whether retention leaves the log of `month` where that of `newest` is the newest.
fn is_kept(month: LogName, newest: LogName, keep_months: Option<u32>) -> bool {
    keep_months.is_none_or(|keep| month >= newest.before(keep.saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(origin: &str) -> Checkpoint {
        Checkpoint {
            origin: taskpass_log::Origin::parse(origin).unwrap(),
            size: 0,
            root: Hash::empty_root(),
        }
    }

    #[test]
    fn only_this_brokers_logs_are_compared() {
        let ours = checkpoint("broker.example/log/2026-11");
        let month = |origin| month_of(&checkpoint(origin), &ours).map(|month| month.to_string());
        assert_eq!(
            month("broker.example/log/2026-11").as_deref(),
            Some("2026-11")
        );
        assert_eq!(
            month("broker.example/log/2025-02").as_deref(),
            Some("2025-02")
        );
        for foreign in [
            "other.example/log/2026-11",
            "broker.example/log/current",
            "broker.example/2026-11",
            "2026-11",
        ] {
            assert_eq!(month(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn retention_says_what_may_be_gone() {
        let kept =
            |month: &str, keep| is_kept(month.parse().unwrap(), "2026-02".parse().unwrap(), keep);
        assert!(kept("1999-01", None));
        assert!(kept("2026-01", Some(2)));
        assert!(!kept("2025-12", Some(2)));
        assert!(kept("2025-12", Some(3)));
    }
}
