//! Whether a verifier may say what it says of a batch: of this target, and of this time.

use std::time::Duration;

use taskpass_core::coverage::Window;
use taskpass_core::registry::{Registry, RowKey, State};
use taskpass_core::{TargetUri, Timestamp, VerifierName};
use taskpass_store::Guard;

use crate::error::Error;

/// How far ahead a verifier's clock may be.
const AHEAD: Duration = Duration::from_mins(1);
/// The longest window.
const LONGEST: Duration = Duration::from_hours(24);
/// The oldest one: nothing that was used then is known any more, but that it was covered may be said.
const OLDEST: Duration = Duration::from_hours(24 * 7);

/// The window, if there can be such a one; what is a little ahead ends now.
pub(super) fn sane(window: Window, now: Timestamp) -> Result<Window, Error> {
    let Window { from, until } = window;
    let latest = now.plus(AHEAD);
    if until > latest {
        let expected =
            format!("not in the future: it is {now} here; the verifier's clock is ahead");
        return Err(Error::field("covered_until", expected));
    }
    if until < from {
        return Err(Error::field("covered_until", "not before `covered_from`"));
    }
    if until.since(from) > LONGEST {
        let expected = "at most 24h after `covered_from`; send a longer time as several windows";
        return Err(Error::field("covered_until", expected));
    }
    if until < now.minus(OLDEST) {
        return Err(Error::field("covered_until", "within the last seven days"));
    }
    Ok(Window {
        from: from.min(now),
        until: until.min(now),
    })
}

/// That the target is one of the verifier's today: the guard that it still is when it is recorded.
pub(super) fn own_target(
    registry: &Registry,
    verifier: &VerifierName,
    target: &TargetUri,
) -> Result<Guard, Error> {
    let row = registry
        .verifier(verifier)
        .filter(|row| row.value.state == State::Active && row.value.targets.contains(target));
    match row {
        Some(row) => Ok(Guard::Unchanged {
            key: RowKey::Verifier(verifier.clone()),
            version: row.version,
        }),
        None => Err(Error::ForeignTarget {
            target: target.clone(),
        }),
    }
}
