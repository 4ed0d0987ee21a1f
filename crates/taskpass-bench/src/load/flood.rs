//! The flood: more calls than a server can answer, whatever it answers.
//!
//! Calls begin at a fixed rate and have a deadline, as callers do that gave up on one another. An answer
//! after it is worth nothing. A refusal for want of room is counted, and so is a call whose connection broke; any
//! other refusal is the end. What is due in
//! the same millisecond begins at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tonic::{Code, Status};

use super::Load;
use crate::Spread;
use crate::error::BenchError;
use crate::pace::since;
use crate::station::refused;

/// How long a caller waits for an answer.
const DEADLINE: Duration = Duration::from_secs(1);
/// Calls that wait at one time; what is due beyond it is not sent. With fewer connections than that needs,
/// callers queue before them.
const MOST: usize = 16_384;
/// How often what is due begins.
const STEP: Duration = Duration::from_millis(1);

/// What became of the calls that were due in the time that counts.
#[derive(Debug, Default)]
pub(crate) struct Flooded {
    /// How many were due.
    pub(crate) due: u64,
    /// Answered in time.
    pub(crate) answered: u64,
    /// Refused, and told when to try again.
    pub(crate) refused: u64,
    /// Not answered in time.
    pub(crate) late: u64,
    /// Not sent: too many waited.
    pub(crate) unsent: u64,
    /// Cut off with their connection, which no broker's answer does.
    pub(crate) broken: u64,
    /// How long the answers took, in milliseconds.
    pub(crate) latency: Spread,
}

/// What became of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Answered(Duration),
    Refused,
    Late,
    Broken,
}

/// `rate` calls a second for `warm`, and then for the `time` that counts.
pub(crate) async fn flood(
    load: Load,
    rate: f64,
    warm: Duration,
    time: Duration,
) -> Result<Flooded, BenchError> {
    let clock = Arc::clone(&load.clock);
    let mut stations = load.stations.iter().cycle();
    let mut calls = JoinSet::new();
    let (mut flooded, mut took) = (Flooded::default(), Vec::new());
    let began = clock.monotonic();
    let mut number = 0_u64;
    loop {
        let passed = since(began, &*clock).min(warm + time);
        while at(number, rate) < passed {
            let due = at(number, rate);
            let counts = due >= warm;
            flooded.due += u64::from(counts);
            if calls.len() >= MOST {
                flooded.unsent += u64::from(counts);
            } else if let Some(station) = stations.next() {
                let (station, clock, work) = (station.clone(), Arc::clone(&clock), load.work);
                calls.spawn(async move {
                    let answer = tokio::time::timeout(DEADLINE, station.call(work, number)).await;
                    let end = match answer {
                        Err(_) => End::Late,
                        Ok(Ok(_)) => End::Answered(since(began + due, &*clock)),
                        Ok(Err(status)) if is_refusal(&status) => End::Refused,
                        Ok(Err(status)) if status.details().is_empty() => End::Broken,
                        Ok(Err(status)) => return Err(refused(work, status)),
                    };
                    Ok((counts, end))
                });
            }
            number += 1;
        }
        while let Some(joined) = calls.try_join_next() {
            flooded.count(joined, &mut took)?;
        }
        if passed >= warm + time {
            break;
        }
        tokio::time::sleep(STEP).await;
    }
    while let Some(joined) = calls.join_next().await {
        flooded.count(joined, &mut took)?;
    }
    flooded.latency = Spread::millis(took);
    Ok(flooded)
}

/// When a call is due.
fn at(number: u64, rate: f64) -> Duration {
    #[expect(clippy::cast_precision_loss, reason = "a call's number")]
    Duration::from_secs_f64(number as f64 / rate.max(1.0))
}

/// Whether it says that there is no room, and when there may be.
fn is_refusal(status: &Status) -> bool {
    status.code() == Code::ResourceExhausted && !status.details().is_empty()
}

impl Flooded {
    fn count(
        &mut self,
        joined: Result<Result<(bool, End), BenchError>, tokio::task::JoinError>,
        took: &mut Vec<Duration>,
    ) -> Result<(), BenchError> {
        let (counts, end) = joined.map_err(BenchError::setup("run a caller"))??;
        if !counts {
            return Ok(());
        }
        match end {
            End::Answered(after) if after <= DEADLINE => {
                self.answered += 1;
                took.push(after);
            }
            // It began late enough to come too late.
            End::Answered(_) | End::Late => self.late += 1,
            End::Refused => self.refused += 1,
            End::Broken => self.broken += 1,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_came_in_time_is_answered() {
        let (mut flooded, mut took) = (Flooded::default(), Vec::new());
        for (counts, end) in [
            (true, End::Answered(DEADLINE)),
            (true, End::Answered(DEADLINE * 2)),
            (true, End::Late),
            (true, End::Refused),
            (false, End::Answered(STEP)),
            (false, End::Refused),
        ] {
            flooded.count(Ok(Ok((counts, end))), &mut took).unwrap();
        }
        let ends = (flooded.answered, flooded.late, flooded.refused);
        assert_eq!((ends, took.len()), ((1, 2, 1), 1));
    }

    #[test]
    fn a_refusal_says_when_to_try_again() {
        let with = |code, details: &'static [u8]| {
            let details = bytes_of(details);
            is_refusal(&Status::with_details(code, "no", details))
        };
        assert!(with(Code::ResourceExhausted, b"x"));
        assert!(!with(Code::ResourceExhausted, b""));
        assert!(!with(Code::Unavailable, b"x"));
    }

    fn bytes_of(details: &'static [u8]) -> prost::bytes::Bytes {
        prost::bytes::Bytes::from_static(details)
    }
}
