//! What a run found: the floors, the figures, and whether each reaches its goal.

mod table;

use serde::Serialize;

use crate::floor;

/// Commit floors further apart than this make a run doubtful.
const STEADY: f64 = 1.5;

/// What a run found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Outcome {
    /// What this machine can do, measured just before and just after.
    pub floors: Floors,
    /// The figures.
    pub results: Vec<Figure>,
    /// What a reader of the figures has to know.
    pub notes: Vec<String>,
}

/// A floor before and after.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Twice {
    /// Before the run.
    pub before: f64,
    /// After it.
    pub after: f64,
    /// The greater over the smaller.
    pub moved: f64,
}

impl Twice {
    pub(crate) fn new(before: f64, after: f64) -> Self {
        let moved = floor::moved(&crate::Spread::of([before]), &crate::Spread::of([after]));
        // Nothing measured, nothing moved.
        let moved = if moved.is_finite() { moved } else { 0.0 };
        Self {
            before,
            after,
            moved,
        }
    }
}

/// What this machine can do without taskpass.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Floors {
    /// CPUs.
    pub cores: usize,
    /// An empty commit with quick repair, p50 in milliseconds.
    pub commit_p50_ms: Twice,
    /// A sync of 4 KiB, p50 in milliseconds.
    pub sync_p50_ms: Twice,
    /// ES256 signatures a second on one core.
    pub es256_per_second_per_core: Twice,
    /// EdDSA signatures a second on one core.
    pub eddsa_per_second_per_core: Twice,
    /// Floor calls on the same server, a second.
    pub calls: Vec<FloorCall>,
}

/// A floor call.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FloorCall {
    /// What it did.
    pub name: String,
    /// How many at one time.
    pub in_flight: usize,
    /// Answered a second.
    pub per_second: f64,
}

/// What a figure is held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// At least this.
    AtLeast(f64),
    /// At most this.
    AtMost(f64),
}

impl Goal {
    fn text(self) -> String {
        match self {
            Self::AtLeast(bound) => format!(">= {bound}"),
            Self::AtMost(bound) => format!("<= {bound}"),
        }
    }

    fn is_met(self, by: f64) -> bool {
        match self {
            Self::AtLeast(bound) => by >= bound,
            Self::AtMost(bound) => by <= bound,
        }
    }
}

/// A figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// What came out, in `unit`.
    pub value: f64,
    /// The unit.
    pub unit: &'static str,
    /// The value over its floor or bound; absent where the value stands by itself.
    pub ratio: Option<f64>,
    /// What the ratio, or the value where there is none, ought to be.
    pub goal: Option<String>,
    /// Whether it is.
    pub met: Option<bool>,
}

impl Figure {
    /// A figure without a goal.
    pub(crate) fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self {
            name: name.into(),
            value,
            unit,
            ratio: None,
            goal: None,
            met: None,
        }
    }

    /// Over a floor.
    pub(crate) fn over(mut self, ratio: f64) -> Self {
        self.ratio = Some(ratio);
        self
    }

    /// Held against a goal.
    pub(crate) fn with(mut self, goal: Goal) -> Self {
        self.met = Some(goal.is_met(self.ratio.unwrap_or(self.value)));
        self.goal = Some(goal.text());
        self
    }
}

impl Outcome {
    /// Says what the floors say about the figures.
    pub(crate) fn judge(&mut self) {
        let moved = self.floors.commit_p50_ms.moved;
        if moved > STEADY {
            self.notes.insert(
                0,
                format!(
                    "the commit floor moved by {moved:.1} during the run: figures that hang on \
                     the disk say little; run it again"
                ),
            );
        }
    }

    /// Whether every goal was reached.
    pub fn all_met(&self) -> bool {
        self.results.iter().all(|figure| figure.met != Some(false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_are_for_the_ratio_if_there_is_one() {
        let at_least = |value, ratio: Option<f64>| {
            let mut figure = Figure::new("x", value, "a second");
            figure.ratio = ratio;
            figure.with(Goal::AtLeast(0.7)).met
        };
        assert_eq!(at_least(9_000.0, Some(0.69)), Some(false));
        assert_eq!(at_least(0.1, Some(0.7)), Some(true));
        assert_eq!(at_least(0.7, None), Some(true));
        let most = Figure::new("x", 1.01, "s").with(Goal::AtMost(1.0));
        assert_eq!(
            (most.met, most.goal.as_deref()),
            (Some(false), Some("<= 1"))
        );
    }

    #[test]
    fn a_floor_that_moved_is_said_first() {
        let judged = |before, after| {
            let mut outcome = Outcome::default();
            outcome.notes.push("another".to_owned());
            outcome.floors.commit_p50_ms = Twice::new(before, after);
            outcome.judge();
            outcome.notes
        };
        assert_eq!(judged(1.0, 1.4).len(), 1);
        assert_eq!(judged(0.0, 0.0).len(), 1);
        for (before, after) in [(1.0, 1.6), (1.6, 1.0)] {
            assert!(judged(before, after)[0].contains("moved by 1.6"));
        }
    }

    #[test]
    fn the_json_has_the_documented_fields() {
        let figure = Figure::new("x", 1.0, "s").with(Goal::AtMost(2.0));
        let outcome = Outcome {
            results: vec![figure],
            ..Outcome::default()
        };
        let value = serde_json::to_value(&outcome).unwrap();
        assert!(value["floors"]["commit_p50_ms"]["moved"].is_number());
        assert_eq!(
            value["results"][0],
            serde_json::json!({
                "name": "x", "value": 1.0, "unit": "s", "ratio": null, "goal": "<= 2", "met": true
            })
        );
    }
}
