//! Readiness as a sheet: a line for each requirement of each agent, and one for each agent.

use super::make::{about, notes};
use super::{Chart, Sheet, Table};
use crate::histogram::count;
use crate::readiness::{Outcome, Readiness, Requirement, Row};

impl From<&Readiness> for Sheet {
    fn from(report: &Readiness) -> Self {
        let mut lines = about(&report.about);
        lines.push(("agents", report.agents.to_string()));
        lines.push(("ready", report.ready.to_string()));
        let mut notes = notes(&report.about);
        for (stage, asked) in &report.requirements {
            if !asked.not_asked.is_empty() {
                let left: Vec<&str> = asked.not_asked.iter().map(|r| r.as_str()).collect();
                notes.push(format!(
                    "for {stage} it is not asked for: {}",
                    left.join(", ")
                ));
            }
        }
        if report.agents == 0 {
            notes.push("there is no agent that could be ready".to_owned());
        }
        let bars = Requirement::ALL.into_iter().map(|requirement| {
            let missing = |row: &&Row| {
                let mut checks = row.checks.iter();
                checks
                    .any(|check| check.requirement == requirement && check.outcome != Outcome::Pass)
            };
            let rows = report.rows.iter().filter(missing);
            (requirement.as_str().to_owned(), count(rows.count()))
        });
        Self {
            title: "Readiness".into(),
            lines,
            notes,
            charts: vec![Chart {
                title: "Agents that do not meet a requirement".into(),
                bars: bars.collect(),
            }],
            tables: vec![requirements(report), agents(report)],
        }
    }
}

fn requirements(report: &Readiness) -> Table {
    let mut table = Table::new(
        "Requirements",
        &[
            "agent",
            "for_stage",
            "requirement",
            "outcome",
            "asks",
            "measured",
            "unit",
            "rests_on",
            "to_do",
        ],
    );
    for row in &report.rows {
        for check in &row.checks {
            let cells = [
                row.agent.clone(),
                row.for_stage.clone(),
                check.requirement.as_str().to_owned(),
                check.outcome.as_str().to_owned(),
                check.asks.clone(),
                check
                    .measured
                    .map_or_else(|| "unknown".to_owned(), |measured| measured.to_string()),
                check.unit.to_owned(),
                check.rests_on.clone(),
                check.to_do.clone().unwrap_or_default(),
            ];
            table.row(check.outcome != Outcome::Pass, cells);
        }
    }
    table
}

fn agents(report: &Readiness) -> Table {
    let mut table = Table::new(
        "Agents",
        &[
            "agent",
            "owner",
            "state",
            "stage",
            "came_to_it",
            "for_stage",
            "ready",
            "missing",
        ],
    );
    for row in &report.rows {
        let cells = [
            row.agent.clone(),
            row.owner.clone(),
            row.state.clone().unwrap_or_default(),
            row.stage.clone().unwrap_or_default(),
            row.ground.says.clone(),
            row.for_stage.clone(),
            if row.ready { "yes" } else { "no" }.to_owned(),
            row.missing.to_string(),
        ];
        table.row(!row.ready, cells);
    }
    table
}
