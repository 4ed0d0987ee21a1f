//! What a run is at, on standard error: a bar on a terminal, plain lines elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const TICK: Duration = Duration::from_millis(200);

/// Shows the steps of a run.
#[derive(Debug)]
pub struct Progress(Form);

#[derive(Debug)]
enum Form {
    Bar(ProgressBar),
    Lines,
    Silent,
}

impl Progress {
    /// For a run of so many steps.
    pub fn new(steps: u64) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(Form::Lines);
        }
        let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{elapsed_precise} {bar:30} {pos}/{len} {msg}");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.enable_steady_tick(TICK);
        Self(Form::Bar(bar))
    }

    /// Shows nothing.
    pub const fn silent() -> Self {
        Self(Form::Silent)
    }

    /// A step begins.
    pub fn begin(&self, what: &str) {
        match &self.0 {
            Form::Bar(bar) => bar.set_message(what.to_owned()),
            // Nobody is told if standard error is closed.
            Form::Lines => drop(writeln!(std::io::stderr(), "{what} …")),
            Form::Silent => {}
        }
    }

    /// A step is done.
    pub fn advance(&self) {
        if let Form::Bar(bar) = &self.0 {
            bar.inc(1);
        }
    }

    /// Everything is.
    pub fn finish(&self) {
        if let Form::Bar(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
