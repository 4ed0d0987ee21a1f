//! A step of the story: what it found, or what was expected instead; and how it is told.
//!
//! A step that did not hold is the last one: the next ones would stand on it.

use std::error::Error;
use std::fmt::Display;
use std::time::Duration;

use serde::Serialize;
use taskpass_client::Refused;

use crate::context::Context;
use crate::errors::CliError;
use crate::output::text::harmless;

/// Longer than any step takes; one that hangs does not hold.
const LONGEST: Duration = Duration::from_mins(1);
/// The column where the outcome stands.
const WIDTH: usize = 52;

/// What a step gives to the next ones, and what is said about it.
pub(super) type Outcome<T> = Result<(T, Vec<String>), Unmet>;

/// What did not hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unmet {
    expected: String,
    happened: String,
}

impl Unmet {
    /// From what was expected and what happened.
    pub(super) fn new(expected: impl Into<String>, happened: impl Into<String>) -> Self {
        Self {
            expected: expected.into(),
            happened: happened.into(),
        }
    }
}

/// Nothing, unless `found` is not what was expected.
pub(super) fn ensure(
    held: bool,
    expected: impl Into<String>,
    happened: impl Display,
) -> Result<(), Unmet> {
    if held {
        Ok(())
    } else {
        Err(Unmet::new(expected, happened.to_string()))
    }
}

/// A result that the story needs.
pub(super) trait Expecting<T, E> {
    /// The value, or that it was expected.
    fn expecting(self, expected: &str) -> Result<T, Unmet>;

    /// The error, or that a refusal was expected.
    fn refused(self, expected: &str) -> Result<E, Unmet>;
}

impl<T, E: Error + 'static> Expecting<T, E> for Result<T, E> {
    fn expecting(self, expected: &str) -> Result<T, Unmet> {
        self.map_err(|error| Unmet::new(expected, chain(&error)))
    }

    fn refused(self, expected: &str) -> Result<E, Unmet> {
        match self {
            Ok(_) => Err(Unmet::new(expected, "it was not refused")),
            Err(error) => Ok(error),
        }
    }
}

/// An answer of the broker that the story needs.
pub(super) trait Answered<T> {
    /// The answer, or the broker's reason.
    fn answered(self, expected: &str) -> Result<T, Unmet>;
}

impl<T> Answered<T> for Result<tonic::Response<T>, tonic::Status> {
    fn answered(self, expected: &str) -> Result<T, Unmet> {
        self.map(tonic::Response::into_inner)
            .map_err(Refused::from)
            .expecting(expected)
    }
}

/// The error and its causes, each said once.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

/// A step as JSON.
#[derive(Debug, Serialize)]
struct Told<'a> {
    step: u32,
    name: &'a str,
    held: bool,
    millis: f64,
    detail: String,
}

/// Tells the steps as they happen.
#[derive(Debug)]
pub(super) struct Teller<'a> {
    context: &'a Context,
    steps: u32,
    /// Whether a line waits for its outcome.
    open: bool,
}

impl<'a> Teller<'a> {
    /// Before the first step.
    pub(super) fn new(context: &'a Context) -> Self {
        Self {
            context,
            steps: 0,
            open: false,
        }
    }

    /// Does one step, and says what it took.
    pub(super) async fn step<T>(
        &mut self,
        name: &str,
        work: impl Future<Output = Outcome<T>>,
    ) -> Result<T, CliError> {
        self.steps += 1;
        self.begin(name)?;
        let clock = &self.context.clock;
        let begun = clock.monotonic();
        let outcome = tokio::time::timeout(LONGEST, Box::pin(work))
            .await
            .unwrap_or_else(|_| {
                let expected = format!("this step ends within {}s", LONGEST.as_secs());
                Err(Unmet::new(expected, "it did not end"))
            });
        let took = clock.monotonic().saturating_sub(begun);
        match outcome {
            Ok((value, details)) => {
                self.end(name, true, took, &details)?;
                Ok(value)
            }
            Err(unmet) => {
                let details = [
                    format!("expected: {}", unmet.expected),
                    format!("happened: {}", unmet.happened),
                ];
                self.end(name, false, took, &details)?;
                let message = format!("step {} did not hold: {name}", self.steps);
                Err(CliError::new("STEP_FAILED", message))
            }
        }
    }

    /// Says that all of it held.
    pub(super) fn finish(&self, took: Duration) -> Result<(), CliError> {
        if self.context.output.is_json() {
            return Ok(());
        }
        let line = format!(
            "\nall {} steps held in {:.1} s\n",
            self.steps,
            took.as_secs_f64()
        );
        self.context.output.raw(line.as_bytes())
    }

    /// Ends a line that will have no outcome.
    pub(super) fn stop(&mut self) {
        if std::mem::take(&mut self.open) {
            // The error that follows says it all.
            let _ = self.context.output.raw(b"\n");
        }
    }

    fn begin(&mut self, name: &str) -> Result<(), CliError> {
        if self.context.output.is_json() {
            return Ok(());
        }
        self.open = true;
        let line = format!("{:>2}  {name:<WIDTH$}", self.steps);
        self.context.output.raw(line.as_bytes())
    }

    fn end(
        &mut self,
        name: &str,
        held: bool,
        took: Duration,
        details: &[String],
    ) -> Result<(), CliError> {
        if self.context.output.is_json() {
            let told = Told {
                step: self.steps,
                name,
                held,
                millis: millis(took),
                detail: details.join("; "),
            };
            return self.context.output.json(&told);
        }
        self.open = false;
        self.context
            .output
            .raw(outcome_text(held, took, details).as_bytes())
    }
}

/// The rest of a step's line, and the lines beneath it.
fn outcome_text(held: bool, took: Duration, details: &[String]) -> String {
    let word = if held { "ok" } else { "FAILED" };
    let mut text = format!("  {word:<6}{:>9.1} ms\n", millis(took));
    for detail in details {
        text.push_str("      ");
        text.push_str(&harmless(detail));
        text.push('\n');
    }
    text
}

/// Milliseconds, to a tenth.
pub(super) fn millis(took: Duration) -> f64 {
    (took.as_secs_f64() * 10_000.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn an_unmet_expectation_says_why() {
        let failed: Result<(), _> = Err(Outer(std::io::Error::other("inner")));
        assert_eq!(
            failed.expecting("it works"),
            Err(Unmet::new("it works", "outer: inner"))
        );
        let passed: Result<u8, Outer> = Ok(1);
        assert_eq!(
            passed.refused("it is refused").unwrap_err(),
            Unmet::new("it is refused", "it was not refused")
        );
        assert_eq!(ensure(true, "x", "y"), Ok(()));
        assert_eq!(ensure(false, "x", "y"), Err(Unmet::new("x", "y")));
    }

    #[test]
    fn a_line_and_what_stands_beneath() {
        let took = Duration::from_micros(12_340);
        assert_eq!(
            outcome_text(true, took, &["a\u{1b}b".to_owned()]),
            "  ok         12.3 ms\n      a\\u{1b}b\n"
        );
        assert_eq!(outcome_text(false, took, &[]), "  FAILED     12.3 ms\n");
        assert!((millis(Duration::from_micros(49)) - 0.0).abs() < f64::EPSILON);
        assert!((millis(Duration::from_secs(2)) - 2000.0).abs() < f64::EPSILON);
    }
}
