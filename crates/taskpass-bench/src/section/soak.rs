//! A soak: as much expires as is issued, for as long as one likes, and nothing may grow.
//!
//! Lives are short (from a second to a tenth of the soak, at most five minutes), so that most of the
//! time issuing and expiring balance; the reaper runs as it does in a broker. What is looked at
//! is the store's file and the memory of this process, clients included. The audit log grows by
//! what is issued, as it must, and is not looked at.

use std::sync::Arc;
use std::time::Duration;

use taskpass_core::access::TokenAlg;
use taskpass_store::Store as _;

use super::ratio::FEW;
use crate::error::BenchError;
use crate::house::{Form, House};
use crate::load::{Open, closed};
use crate::machine;
use crate::outcome::{Figure, Goal};
use crate::progress::Progress;
use crate::run::Bench;
use crate::station::{Lives, Station, Work};

/// The longest life.
const LONGEST: u64 = 300;
/// How often the store and the memory are looked at during a soak.
const LOOKS: u32 = 120;
/// How much more the last quarter may hold than the one before.
const LEVEL: f64 = 1.05;

/// What was seen at one time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Seen {
    file: f64,
    memory: f64,
    live: f64,
}

pub(crate) async fn soak(
    bench: &mut Bench<'_>,
    time: Duration,
    progress: &Progress,
) -> Result<(), BenchError> {
    let form = Form {
        reaped: true,
        ..Form::DURABLE
    };
    let house = House::open(&bench.around, "soak", form).await?;
    let measured = measure(bench, &house, time, progress).await;
    house.close().await;
    measured
}

async fn measure(
    bench: &mut Bench<'_>,
    house: &House,
    time: Duration,
    progress: &Progress,
) -> Result<(), BenchError> {
    let lives = Lives::up_to((time.as_secs() / 10).clamp(1, LONGEST));
    let short: Arc<[Station]> = house
        .agents
        .iter()
        .map(|station| station.asking_for(lives))
        .collect();
    let load = bench.load(&short, Work::Token(TokenAlg::Es256), FEW);
    let peak = closed(&load, bench.plan.size.warm, bench.plan.size.turn).await?;
    let open = Open::begin(&load, peak / 2.0, false)?;
    let mut seen = Vec::new();
    for look in 1..=LOOKS {
        progress.begin(&format!("soak, {look} of {LOOKS}"));
        tokio::time::sleep(time / LOOKS).await;
        if open.has_failed() {
            break;
        }
        seen.push(see(house));
    }
    open.end().await?;
    progress.advance();
    let results = &mut bench.outcome.results;
    let level = |of: fn(&Seen) -> f64| quarters(&seen, of);
    for (name, unit, (third, last)) in [
        (
            "the store's file, last quarter over third",
            "MB",
            level(|seen| seen.file),
        ),
        (
            "this process' memory, last quarter over third",
            "MB",
            level(|seen| seen.memory),
        ),
    ] {
        let figure = Figure::new(name, last / 1e6, unit).over(last / third);
        results.push(figure.with(Goal::AtMost(LEVEL)));
    }
    let (_, live) = level(|seen| seen.live);
    results.push(Figure::new("live credentials at the end", live, ""));
    results.push(Figure::new("issued, and expired", peak / 2.0, "/s"));
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "bytes and records")]
fn see(house: &House) -> Seen {
    let stats = house.store.stats();
    Seen {
        file: stats.file_bytes as f64,
        memory: machine::resident(None).unwrap_or_default() as f64,
        live: stats.live_credentials as f64,
    }
}

/// The most that was seen in the third and in the last quarter.
fn quarters(seen: &[Seen], of: fn(&Seen) -> f64) -> (f64, f64) {
    let (half, quarter) = (seen.len() / 2, seen.len() - seen.len() / 4);
    let most = |part: Option<&[Seen]>| {
        let part = part.unwrap_or_default().iter().map(of);
        part.fold(0.0, f64::max)
    };
    (most(seen.get(half..quarter)), most(seen.get(quarter..)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_quarter_is_held_against_the_third() {
        let seen: Vec<_> = [1.0, 5.0, 9.0, 9.5, 9.2, 9.4, 9.6, 9.9]
            .map(|file| Seen {
                file,
                ..Seen::default()
            })
            .into();
        let (third, last) = quarters(&seen, |seen| seen.file);
        assert_eq!(
            (third.to_bits(), last.to_bits()),
            (9.4_f64.to_bits(), 9.9_f64.to_bits())
        );
    }
}
