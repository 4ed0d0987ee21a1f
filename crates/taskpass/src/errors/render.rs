//! How an error reads on standard error.
//!
//! The first line is `REASON: message`, then what is known of it, then what to do. Text from
//! outside is made harmless for the terminal.

use std::fmt::Write as _;

use taskpass_client::Refused;

use super::{CliError, causes, hint};
use crate::output::Ink;
use crate::output::text::harmless;

/// What the broker adds to a refusal, and how it is called here, in this order.
const FACTS: &[(&str, &str)] = &[
    ("asked", "asked"),
    ("allowed", "allowed"),
    ("policies", "policy"),
    ("decision_id", "decision"),
    ("policy_set", "set"),
    ("error_id", "error id"),
];

impl CliError {
    /// The whole text, ending in a line feed; empty if there is nothing to say.
    pub(crate) fn render(&self, ink: &Ink, verbose: bool) -> String {
        if matches!(self, Self::OutputClosed | Self::Ended { .. }) {
            return String::new();
        }
        let message = harmless(&self.to_string());
        let mut text = format!("{}: {message}\n", ink.alarm(&harmless(self.reason())));
        match self {
            Self::Refused(refused) => facts(&mut text, refused),
            Self::Faulty { faults, .. } => {
                for (place, what) in faults {
                    let _ = writeln!(text, "  {}  {}", harmless(place), harmless(what));
                }
            }
            Self::Local { .. } | Self::OutputClosed | Self::Ended { .. } => {
                for cause in causes(self) {
                    line(&mut text, "cause", &cause);
                }
            }
        }
        if verbose && let Self::Refused(refused) = self {
            line(&mut text, "code", &format!("{:?}", refused.code));
        }
        if let Some(hint) = self.next_step() {
            let _ = writeln!(text, "hint: {}", harmless(&hint));
        }
        text
    }

    fn next_step(&self) -> Option<String> {
        match self {
            Self::Local {
                hint: Some(hint), ..
            } => Some(hint.clone()),
            Self::Local { reason, .. } | Self::Faulty { reason, .. } => {
                hint::for_reason(reason, &std::collections::BTreeMap::new())
            }
            Self::Refused(refused) => hint::for_reason(&refused.reason, &refused.metadata),
            Self::OutputClosed | Self::Ended { .. } => None,
        }
    }
}

fn facts(text: &mut String, refused: &Refused) {
    for (key, label) in FACTS {
        if let Some(value) = refused.metadata.get(*key) {
            line(
                text,
                label,
                if value.is_empty() { "nothing" } else { value },
            );
        }
    }
    let known = |key: &str| FACTS.iter().any(|(fact, _)| *fact == key);
    for (key, value) in refused.metadata.iter().filter(|(key, _)| !known(key)) {
        line(text, key, value);
    }
    if let Some(wait) = refused.retry_after {
        line(
            text,
            "retry",
            &format!("after {}", humantime::format_duration(wait)),
        );
    }
}

/// `  label:   value`, the values beneath each other.
fn line(text: &mut String, label: &str, value: &str) {
    let label = format!("{}:", harmless(label));
    let _ = writeln!(text, "  {label:<10}{}", harmless(value));
}
