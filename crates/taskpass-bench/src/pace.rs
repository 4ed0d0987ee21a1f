//! Reading the clock: what has passed, and what is left until the next turn.

use std::time::Duration;

use taskpass_core::Clock;

/// What has passed since `began`.
pub fn since(began: Duration, clock: &dyn Clock) -> Duration {
    clock.monotonic().saturating_sub(began)
}

/// What is left until `next`: a generator keeps to its schedule, however long a turn took.
pub fn until(next: Duration, clock: &dyn Clock) -> Duration {
    next.saturating_sub(clock.monotonic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use taskpass_core::Timestamp;
    use taskpass_core::time::ManualClock;

    #[test]
    fn neither_is_ever_negative() {
        let clock = ManualClock::new(Timestamp::from_secs(1));
        clock.advance(Duration::from_secs(10));
        let (early, late) = (Duration::from_secs(4), Duration::from_secs(14));
        assert_eq!(since(early, &clock), Duration::from_secs(6));
        assert_eq!(until(late, &clock), Duration::from_secs(4));
        assert_eq!(
            (since(late, &clock), until(early, &clock)),
            Default::default()
        );
    }
}
