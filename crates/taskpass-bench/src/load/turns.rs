//! Two loads in turns, so that a machine that changes its speed changes both.

use super::{Load, closed};
use crate::Spread;
use crate::error::BenchError;
use crate::plan::Size;

/// What both sides made, and the one over the other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Turns {
    /// The floor, a second: the median of its turns.
    pub(crate) floor: f64,
    /// The other, a second: the median of its turns.
    pub(crate) rate: f64,
    /// The median of what the pairs of neighbouring turns give.
    pub(crate) ratio: f64,
}

impl Turns {
    /// From pairs of a floor's turn and its neighbour.
    fn of(pairs: &[(f64, f64)]) -> Self {
        let median = |of: fn(&(f64, f64)) -> f64| Spread::of(pairs.iter().map(of)).p50();
        Self {
            floor: median(|pair| pair.0),
            rate: median(|pair| pair.1),
            ratio: median(|pair| pair.1 / pair.0),
        }
    }
}

/// Runs `floor` and `load` in turns; every other time the other one begins.
pub(crate) async fn in_turns(floor: &Load, load: &Load, size: &Size) -> Result<Turns, BenchError> {
    let mut pairs = Vec::with_capacity(size.rounds);
    for round in 0..size.rounds {
        let pair = if round.is_multiple_of(2) {
            let first = closed(floor, size.warm, size.turn).await?;
            (first, closed(load, size.warm, size.turn).await?)
        } else {
            let first = closed(load, size.warm, size.turn).await?;
            (closed(floor, size.warm, size.turn).await?, first)
        };
        pairs.push(pair);
    }
    Ok(Turns::of(&pairs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_that_of_neighbours() {
        // The machine became half as fast; the ratio did not change.
        let turns = Turns::of(&[(100.0, 80.0), (50.0, 40.0), (48.0, 38.4)]);
        assert!((turns.ratio - 0.8).abs() < 1e-9);
        assert!((turns.floor - 50.0).abs() < 1e-9);
        assert!((turns.rate - 40.0).abs() < 1e-9);
    }
}
