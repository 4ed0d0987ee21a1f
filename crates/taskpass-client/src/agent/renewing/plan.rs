//! When to renew, and what a failed renewal means. Pure.

use std::time::Duration;

use taskpass_core::Timestamp;
use taskpass_core::rng::Rng;
use tonic::Code;

use super::super::AgentError;

/// No renewal comes sooner after the last one: not even if this machine's clock is far ahead.
const AT_LEAST: Duration = Duration::from_secs(1);
/// The longest wait after a failure.
const SELDOM: Duration = Duration::from_secs(30);

/// How long after `received_at` what ends at `expires_at` is renewed: two thirds of its life, give
/// or take a tenth of that.
pub(super) fn due_after(received_at: Timestamp, expires_at: Timestamp, rng: &dyn Rng) -> Duration {
    let life = expires_at.since(received_at);
    let jitter = 900 + u32::try_from(rng.below(201)).unwrap_or(100);
    (life * 2 / 3 * jitter / 1000).max(AT_LEAST)
}

/// How long to wait after the failure number `failures` (from 1), when so much life is `left`.
pub(super) fn retry_after(failures: u32, left: Duration, said: Option<Duration>) -> Duration {
    let doubled = AT_LEAST * 2_u32.saturating_pow(failures.saturating_sub(1).min(10));
    // Several tries before the end of what is held; after it there is nothing to be in time for.
    let longest = if left.is_zero() {
        SELDOM / 3
    } else {
        (left / 5).clamp(AT_LEAST, SELDOM)
    };
    let patient = doubled.min(longest);
    patient.max(said.unwrap_or_default().min(SELDOM))
}

/// Whether the same renewal may go well later.
pub(super) fn may_pass(error: &AgentError) -> bool {
    match error {
        AgentError::Connect(_) => true,
        AgentError::Refused(refused) => {
            refused.is_transient()
                || matches!(
                    refused.code,
                    Code::ResourceExhausted
                        | Code::DeadlineExceeded
                        | Code::Cancelled
                        | Code::Aborted
                        | Code::Unknown
                        | Code::Internal
                )
        }
        AgentError::Scope(_)
        | AgentError::Key(_)
        | AgentError::Certificate(_)
        | AgentError::Deadline
        | AgentError::Answer { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Refused;
    use taskpass_core::rng::SeededRng;
    use tonic::Status;

    #[test]
    fn two_thirds_of_the_life_give_or_take_a_tenth() {
        let at = Timestamp::from_secs;
        let rng = SeededRng::new(3);
        let due: Vec<_> = (0..200)
            .map(|_| due_after(at(1000), at(1300), &rng))
            .collect();
        assert!(
            due.iter()
                .all(|wait| { (Duration::from_mins(3)..=Duration::from_secs(220)).contains(wait) })
        );
        let spread = due
            .iter()
            .max()
            .unwrap()
            .abs_diff(*due.iter().min().unwrap());
        assert!(spread > Duration::from_secs(30), "{spread:?}");
        // By our clock it has ended already: not in a loop.
        assert_eq!(due_after(at(2000), at(1300), &rng), AT_LEAST);
    }

    #[test]
    fn tries_come_less_often_and_several_before_the_end() {
        let secs = Duration::from_secs;
        for (failures, left, said, expected) in [
            (1, 100, None, 1),
            (2, 100, None, 2),
            (4, 100, None, 8),
            (9, 100, None, 20),
            (9, 1000, None, 30),
            (9, 2, None, 1),
            (1, 100, Some(10), 10),
            (1, 100, Some(9999), 30),
            (1, 0, None, 1),
            (u32::MAX, 0, None, 10),
        ] {
            let wait = retry_after(failures, secs(left), said.map(secs));
            assert_eq!(wait, secs(expected), "{failures} {left} {said:?}");
        }
    }

    #[test]
    fn what_the_broker_judged_does_not_pass() {
        for (code, passes) in [
            (Code::Unavailable, true),
            (Code::ResourceExhausted, true),
            (Code::DeadlineExceeded, true),
            (Code::Internal, true),
            (Code::Unknown, true),
            (Code::PermissionDenied, false),
            (Code::FailedPrecondition, false),
            (Code::NotFound, false),
            (Code::InvalidArgument, false),
            (Code::Unauthenticated, false),
            (Code::Unimplemented, false),
        ] {
            let refused = Refused::from(Status::new(code, "x"));
            assert_eq!(may_pass(&refused.into()), passes, "{code:?}");
        }
        assert!(!may_pass(&AgentError::Deadline));
    }
}
