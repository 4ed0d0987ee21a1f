//! Evidence by framework: for each control that the broker touches, what it does, what was measured, and
//! what that does not show.
//!
//! A framework is data: its controls, each with at least one figure, because a control without one
//! cannot be written. Every figure is computed from the log and the registry, here, and from nothing else.
//! A control that the broker does nothing for is named as such and has no text that could be mistaken for
//! evidence. Nothing in here says that anybody complies with anything: that is an auditor's judgement.

mod figure;
mod figures;
mod maestro;
mod nist_ai_rmf;
mod numbers;
mod owasp_asi;
mod owasp_nhi;

use serde::Serialize;

use crate::facts::{About, Facts};
use crate::registry::Registry;
use figure::Figure;
use numbers::Numbers;

pub use figure::{Measure, Measured};

/// A framework.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Framework {
    /// OWASP Non-Human Identities Top 10, 2025.
    OwaspNhi,
    /// OWASP Top 10 for Agentic Applications, 2026.
    OwaspAsi,
    /// CSA MAESTRO.
    Maestro,
    /// NIST AI Risk Management Framework 1.0.
    NistAiRmf,
}

/// No such framework.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no framework `{0}`; there are owasp-nhi, owasp-asi, maestro, nist-ai-rmf")]
pub struct UnknownFramework(String);

impl Framework {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::OwaspNhi,
        Self::OwaspAsi,
        Self::Maestro,
        Self::NistAiRmf,
    ];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OwaspNhi => "owasp-nhi",
            Self::OwaspAsi => "owasp-asi",
            Self::Maestro => "maestro",
            Self::NistAiRmf => "nist-ai-rmf",
        }
    }

    const fn catalogue(self) -> &'static Catalogue {
        match self {
            Self::OwaspNhi => &owasp_nhi::CATALOGUE,
            Self::OwaspAsi => &owasp_asi::CATALOGUE,
            Self::Maestro => &maestro::CATALOGUE,
            Self::NistAiRmf => &nist_ai_rmf::CATALOGUE,
        }
    }
}

impl std::str::FromStr for Framework {
    type Err = UnknownFramework;

    fn from_str(text: &str) -> Result<Self, UnknownFramework> {
        let found = Self::ALL.into_iter().find(|one| one.as_str() == text);
        found.ok_or_else(|| {
            // It is printed: as much of it as a word has.
            UnknownFramework(text.chars().take(40).collect())
        })
    }
}

/// A framework's controls, as far as the broker has to do with them.
struct Catalogue {
    /// The framework and its version.
    title: &'static str,
    controls: &'static [Control],
    /// Controls that the broker does nothing for, with what would.
    untouched: &'static [(&'static str, &'static str, &'static str)],
}

/// A control that the broker touches.
struct Control {
    id: &'static str,
    title: &'static str,
    /// What the broker does for it.
    does: &'static str,
    /// What is measured of that: at least one.
    figure: &'static Figure,
    more: &'static [&'static Figure],
    /// What the figures do not show.
    limit: &'static str,
}

/// A control with its figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The control's id in its framework.
    pub control: &'static str,
    /// Its name.
    pub title: &'static str,
    /// What the broker does for it.
    pub does: &'static str,
    /// What was measured; never empty.
    pub figures: Vec<Measured>,
    /// What the figures do not show.
    pub limit: &'static str,
}

/// A control that the broker does nothing for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Untouched {
    /// The control's id in its framework.
    pub control: &'static str,
    /// Its name.
    pub title: &'static str,
    /// Why not.
    pub why: &'static str,
}

/// The report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// What it rests on.
    pub about: About,
    /// The framework's word.
    pub framework: &'static str,
    /// Its name and version.
    pub title: &'static str,
    /// How many controls have figures.
    pub controls: u64,
    /// Figures that should be zero and are not, over all controls, each once.
    pub alarms: u64,
    /// Each control that the broker touches.
    pub rows: Vec<Row>,
    /// Those that it does not.
    pub untouched: Vec<Untouched>,
}

/// Makes the report.
pub fn evidence(
    facts: &Facts,
    registry: &Registry,
    about: About,
    framework: Framework,
) -> Evidence {
    let numbers = Numbers::of(facts, registry, &about);
    let catalogue = framework.catalogue();
    let rows: Vec<Row> = catalogue
        .controls
        .iter()
        .map(|control| Row {
            control: control.id,
            title: control.title,
            does: control.does,
            figures: std::iter::once(&control.figure)
                .chain(control.more)
                .map(|figure| figure.measured(&numbers))
                .collect(),
            limit: control.limit,
        })
        .collect();
    let alarming: std::collections::BTreeSet<&str> = rows
        .iter()
        .flat_map(|row| &row.figures)
        .filter(|figure| figure.alarm)
        .map(|figure| figure.figure)
        .collect();
    Evidence {
        about,
        framework: framework.as_str(),
        title: catalogue.title,
        controls: crate::histogram::count(rows.len()),
        alarms: crate::histogram::count(alarming.len()),
        untouched: catalogue
            .untouched
            .iter()
            .map(|(control, title, why)| Untouched {
                control,
                title,
                why,
            })
            .collect(),
        rows,
    }
}

#[cfg(test)]
mod tests;
