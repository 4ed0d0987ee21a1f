//! Standard output and standard error: the only module that writes to them.
//!
//! A result goes to standard output, as text for people or as one JSON object; everything else goes
//! to standard error. A reader who stops (`| head`) ends the command quietly.

pub(crate) mod table;
pub(crate) mod text;

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;

use serde::Serialize;
use taskpass_core::{Clock, Timestamp};

use crate::cli::{Format, Globals};
use crate::errors::CliError;

/// What a command answers: JSON by `Serialize`, text by `text`.
pub(crate) trait View: Serialize {
    /// The text for people, ending in a line feed.
    fn text(&self, ink: &Ink) -> String;
}

/// How text is drawn: relative to which instant, and whether in colour.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ink {
    /// What "in 4m" counts from.
    pub(crate) now: Timestamp,
    colour: bool,
}

impl Ink {
    /// Without colour, at the epoch.
    #[cfg(test)]
    pub(crate) const fn plain() -> Self {
        Self {
            now: Timestamp::ZERO,
            colour: false,
        }
    }

    /// Without colour, at `now`.
    #[cfg(test)]
    pub(crate) const fn plain_at(now: Timestamp) -> Self {
        Self { now, colour: false }
    }

    /// Something that went wrong.
    pub(crate) fn alarm(&self, text: &str) -> String {
        self.styled("1;31", text)
    }

    /// A heading.
    pub(crate) fn heading(&self, text: &str) -> String {
        self.styled("1", text)
    }

    fn styled(&self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// The two streams.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    format: Format,
    colour_allowed: bool,
    verbose: bool,
    clock: Arc<dyn Clock>,
}

impl Output {
    /// As the options say.
    pub(crate) fn new(globals: &Globals, clock: Arc<dyn Clock>) -> Self {
        Self {
            format: globals.output,
            colour_allowed: globals.no_color.as_ref().is_none_or(String::is_empty),
            verbose: globals.verbose > 0,
            clock,
        }
    }

    /// Whether JSON was asked for.
    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Prints a result: the text, or one JSON object on one line.
    pub(crate) fn show(&self, view: &impl View) -> Result<(), CliError> {
        match self.format {
            Format::Table => self.raw(view.text(&self.ink(io::stdout().is_terminal())).as_bytes()),
            Format::Json => self.json(view),
        }
    }

    /// Prints a result whose JSON is one line already, byte for byte what somebody else signed for.
    pub(crate) fn show_line(
        &self,
        line: impl FnOnce() -> String,
        text: impl FnOnce(&Ink) -> String,
    ) -> Result<(), CliError> {
        match self.format {
            Format::Table => self.raw(text(&self.ink(io::stdout().is_terminal())).as_bytes()),
            Format::Json => self.raw(format!("{}\n", line()).as_bytes()),
        }
    }

    /// Prints one JSON object on one line.
    pub(crate) fn json(&self, value: &impl Serialize) -> Result<(), CliError> {
        let mut line = serde_json::to_vec(value)
            .map_err(|error| CliError::caused("INTERNAL", "could not write JSON", error))?;
        line.push(b'\n');
        self.raw(&line)
    }

    /// Prints bytes as they are, at once.
    #[expect(
        clippy::unused_self,
        reason = "whoever has no `Output` has nothing to print to"
    )]
    pub(crate) fn raw(&self, bytes: &[u8]) -> Result<(), CliError> {
        let mut stdout = io::stdout().lock();
        stdout
            .write_all(bytes)
            .and_then(|()| stdout.flush())
            .map_err(|error| match error.kind() {
                io::ErrorKind::BrokenPipe => CliError::OutputClosed,
                _ => CliError::caused("FILE_ERROR", "could not write to standard output", error),
            })
    }

    /// Says something beside the result, on standard error.
    #[expect(
        clippy::unused_self,
        reason = "whoever has no `Output` has nothing to print to"
    )]
    pub(crate) fn note(&self, text: &str) {
        complain(&format!("{text}\n"));
    }

    /// Prints a result's text on standard error, where standard output holds something else.
    pub(crate) fn aside(&self, view: &impl View) {
        complain(&view.text(&self.ink(io::stderr().is_terminal())));
    }

    /// Says something beside the result, on standard error, in the format that was asked for.
    pub(crate) fn tell(&self, view: &impl View) {
        match self.format {
            Format::Table => self.aside(view),
            Format::Json => match serde_json::to_string(view) {
                Ok(line) => complain(&format!("{line}\n")),
                Err(_) => self.aside(view),
            },
        }
    }

    /// Says that a command failed.
    pub(crate) fn fail(&self, error: &CliError) {
        complain(&error.render(&self.ink(io::stderr().is_terminal()), self.verbose));
    }

    fn ink(&self, terminal: bool) -> Ink {
        Ink {
            now: self.clock.now(),
            colour: self.colour_allowed && terminal,
        }
    }
}

fn complain(text: &str) {
    // There is nobody to tell that standard error is closed.
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
