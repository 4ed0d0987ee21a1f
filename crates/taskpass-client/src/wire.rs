//! Protobuf's times and durations ⇄ the domain's.

use std::time::Duration;

use taskpass_core::Timestamp;

/// A duration as protobuf has it; longer than protobuf can say becomes the longest it can.
pub(crate) fn duration(value: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(value.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(value.subsec_nanos()).unwrap_or(0),
    }
}

/// An instant as protobuf has it.
pub(crate) fn instant(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: i64::try_from(at.secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(at.millis() % 1000).unwrap_or(0) * 1_000_000,
    }
}

/// An instant; `None` if it is absent, before the epoch or no instant at all.
pub(crate) fn timestamp(value: Option<prost_types::Timestamp>) -> Option<Timestamp> {
    let value = value?;
    let seconds = u64::try_from(value.seconds).ok()?;
    let nanos = u64::try_from(value.nanos)
        .ok()
        .filter(|n| *n < 1_000_000_000)?;
    Some(Timestamp::from_millis(
        seconds.checked_mul(1000)?.checked_add(nanos / 1_000_000)?,
    ))
}

/// A duration above zero; `None` for anything else.
pub(crate) fn positive(value: Option<prost_types::Duration>) -> Option<Duration> {
    let value = Duration::try_from(value?).ok()?;
    (value > Duration::ZERO).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants() {
        for (seconds, nanos, expected) in [
            (5, 7_999_999, Some(5_007)),
            (0, 0, Some(0)),
            (-1, 0, None),
            (1, -1, None),
            (1, 1_000_000_000, None),
            (i64::MAX, 0, None),
        ] {
            let value = prost_types::Timestamp { seconds, nanos };
            assert_eq!(
                timestamp(Some(value)).map(Timestamp::millis),
                expected,
                "{seconds} {nanos}"
            );
        }
        assert_eq!(timestamp(None), None);
    }
}
