//! When a target may be observed: for a time that is soon over, and for a reason.

use taskpass_core::Timestamp;
use taskpass_core::registry::{MAX_OBSERVE, Observe};

use crate::error::Error;
use crate::revoke::check_reason;

/// The longest reason: with the end before it, an entry has room for it.
const MAX_REASON: usize = 200;

/// The observation that an update leaves: one that is over is none, so that a target can be changed
/// without mentioning it.
pub(super) fn running(
    next: Option<Observe>,
    present: Option<&Observe>,
    now: Timestamp,
) -> Option<Observe> {
    next.filter(|next| present != Some(next) || now < next.until)
}

/// Whether a target may be observed so from `now` on.
///
/// What is already in the registry was checked when it came there.
pub(super) fn check(
    next: Option<&Observe>,
    present: Option<&Observe>,
    now: Timestamp,
) -> Result<(), Error> {
    let Some(observe) = next.filter(|_| next != present) else {
        return Ok(());
    };
    check_reason(&observe.reason)?;
    if observe.reason.chars().count() > MAX_REASON {
        let expected = format!("why, in 1 to {MAX_REASON} characters");
        return Err(Error::field("reason", expected));
    }
    if observe.until <= now || observe.until > now.plus(MAX_OBSERVE) {
        return Err(Error::field(
            "observe_until",
            "an instant in the next 30 days",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn observe(until: Timestamp, reason: &str) -> Observe {
        Observe {
            until,
            reason: reason.to_owned(),
        }
    }

    #[test]
    fn it_ends_within_thirty_days_and_says_why() {
        let end = NOW.plus(MAX_OBSERVE);
        let later = end.plus(Duration::from_millis(1));
        let soon = NOW.plus(Duration::from_millis(1));
        let past = observe(NOW, "trial");
        for (next, present, refused) in [
            (None, None, None),
            (Some(observe(soon, "trial")), None, None),
            (Some(observe(end, "trial")), None, None),
            (Some(observe(later, "trial")), None, Some("observe_until")),
            (Some(past.clone()), None, Some("observe_until")),
            (Some(observe(end, "")), None, Some("reason")),
            (Some(observe(end, &"\u{e4}".repeat(200))), None, None),
            (Some(observe(end, &"x".repeat(201))), None, Some("reason")),
            (Some(observe(end, "two\nlines")), None, Some("reason")),
            // What is there already stays, also after its end; another one is checked anew.
            (Some(past.clone()), Some(past.clone()), None),
            (
                Some(observe(NOW, "other")),
                Some(past),
                Some("observe_until"),
            ),
        ] {
            let found = check(next.as_ref(), present.as_ref(), NOW);
            match (&found, refused) {
                (Ok(()), None) => {}
                (Err(Error::InvalidField { field, .. }), Some(refused)) => {
                    assert_eq!(*field, refused, "{next:?}");
                }
                _ => panic!("{next:?}: {found:?}"),
            }
        }
    }

    #[test]
    fn one_that_is_over_is_forgotten_with_the_next_change() {
        let past = observe(NOW, "trial");
        let future = observe(NOW.plus(Duration::from_secs(1)), "trial");
        assert_eq!(running(Some(past.clone()), Some(&past), NOW), None);
        let kept = running(Some(future.clone()), Some(&future), NOW);
        assert_eq!(kept, Some(future));
        // One that is new and over is refused, not forgotten.
        assert_eq!(running(Some(past.clone()), None, NOW), Some(past));
    }
}
