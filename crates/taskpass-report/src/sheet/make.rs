//! Each report as a sheet.

use super::{Chart, Sheet, Table, at, seconds, span, uses};
use crate::exposure::Exposure;
use crate::facts::{About, KeysFrom};
use crate::histogram::Histogram;
use crate::inventory::{Fault, Inventory};
use crate::least_privilege::{LeastPrivilege, Row, Suggestion};

impl From<&Inventory> for Sheet {
    fn from(report: &Inventory) -> Self {
        let mut table = Table::new(
            "Agents",
            &[
                "agent",
                "owner",
                "owner_contact",
                "purpose",
                "stage",
                "state",
                "attestation",
                "valid_until",
                "last_task_at",
                "tasks",
                "credentials",
                "denials",
                "uses",
                "live_credentials",
                "faults",
            ],
        );
        for row in &report.rows {
            let faults: Vec<String> = row.faults.iter().map(Fault::text).collect();
            let cells = [
                row.agent.clone(),
                row.owner.clone(),
                row.owner_contact.clone().unwrap_or_default(),
                row.purpose.clone(),
                row.stage.clone().unwrap_or_default(),
                row.state.clone().unwrap_or_default(),
                row.attestation.join(", "),
                at(row.valid_until),
                at(row.last_task_at),
                row.tasks.to_string(),
                row.credentials.to_string(),
                row.denials.to_string(),
                uses::times(row.uses),
                row.live_credentials.to_string(),
                faults.join("; "),
            ];
            table.row(!faults.is_empty(), cells);
        }
        let has = |which: fn(&Fault) -> bool| {
            let rows = report
                .rows
                .iter()
                .filter(|row| row.faults.iter().any(which));
            crate::histogram::count(rows.count())
        };
        let bars = vec![
            (
                "no owner".to_owned(),
                has(|f| matches!(f, Fault::NoOwner { .. })),
            ),
            (
                "overdue".to_owned(),
                has(|f| matches!(f, Fault::Overdue { .. })),
            ),
            (
                "never used".to_owned(),
                has(|f| matches!(f, Fault::NeverUsed)),
            ),
            (
                "shared key".to_owned(),
                has(|f| matches!(f, Fault::SharedKey { .. })),
            ),
        ];
        let mut lines = about(&report.about);
        lines.push(("agents", report.agents.to_string()));
        lines.push(("with faults", report.faulty.to_string()));
        Self {
            title: "Inventory of agents".into(),
            lines,
            notes: notes(&report.about),
            charts: vec![Chart {
                title: "Agents with a fault".into(),
                bars,
            }],
            tables: vec![table],
        }
    }
}

impl From<&LeastPrivilege> for Sheet {
    fn from(report: &LeastPrivilege) -> Self {
        let mut table = Table::new(
            "Scopes",
            &[
                "agent",
                "owner",
                "scope",
                "access",
                "permitted",
                "blocked_by",
                "granted",
                "granted_below",
                "last_granted_at",
                "not_granted_for",
                "used",
                "used_below",
                "use_known_since",
                "last_used_at",
                "not_used_for",
                "refused",
                "own_word",
            ],
        );
        for row in &report.rows {
            let granted = row.granted > 0 || row.granted_below > 0;
            let cells = [
                row.agent.clone(),
                row.owner.clone().unwrap_or_default(),
                row.scope.clone(),
                row.access.clone().unwrap_or_default(),
                permitted(row).to_owned(),
                row.blocked_by.clone().unwrap_or_default(),
                row.granted.to_string(),
                row.granted_below.to_string(),
                at(row.last_granted_at),
                seconds(row.not_granted_for_s),
                uses::times(row.used),
                uses::times(row.used_below),
                at(row.use_known_since),
                at(row.last_used_at),
                seconds(row.not_used_for_s),
                row.refused.to_string(),
                row.own_word.to_string(),
            ];
            let unused = row.was_used() == Some(false);
            table.row(row.permitted && (!granted || unused), cells);
        }
        let mut lines = about(&report.about);
        let total = &report.total;
        lines.push(("permitted", total.permitted.to_string()));
        lines.push(("permitted by", report.permitted_says.clone()));
        lines.push(("granted of these", total.granted.to_string()));
        lines.push(("used", uses::ratio(total)));
        lines.push(("use", report.coverage.says.clone()));
        let idle = report
            .agents
            .iter()
            .map(|(agent, ratio)| (agent.clone(), ratio.permitted.saturating_sub(ratio.granted)));
        let mut bars: Vec<_> = idle.filter(|(_, idle)| *idle > 0).collect();
        bars.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        bars.truncate(20);
        let mut sheet = Self {
            title: "Least privilege".into(),
            lines,
            notes: notes(&report.about),
            charts: vec![Chart {
                title: "Permitted and not granted in the period: scopes, by agent".into(),
                bars,
            }],
            tables: vec![table],
        };
        uses::add(&mut sheet, report);
        if let Some(suggestion) = &report.suggestion {
            suggested(&mut sheet, suggestion);
        }
        sheet
    }
}

fn permitted(row: &Row) -> &'static str {
    match (row.permitted, row.would_deny) {
        (true, false) => "yes",
        (true, true) => "yes, as its target is observed",
        (false, _) => "no",
    }
}

fn suggested(sheet: &mut Sheet, suggestion: &Suggestion) {
    sheet.notes.push(suggestion.says.clone());
    let (requests, of) = (suggestion.requests, suggestion.of_requests);
    let denied = format!("{requests} of {of} requests that were allowed in the period");
    sheet.lines.push(("would have denied", denied));
    let mut narrower = Table::new("Narrower registration", &["agent", "keep", "remove"]);
    for agent in &suggestion.agents {
        let cells = [
            agent.agent.clone(),
            agent.keep.join(" "),
            agent.remove.join(" "),
        ];
        narrower.row(false, cells);
    }
    let mut table = Table::new(
        "What it would have denied",
        &[
            "agent",
            "kind",
            "scopes",
            "missing",
            "times",
            "last_at",
            "last_decision",
        ],
    );
    for denied in &suggestion.would_have_denied {
        let cells = [
            denied.agent.clone(),
            denied.kind.to_owned(),
            denied.scopes.join(" "),
            denied.missing.join(" "),
            denied.times.to_string(),
            at(denied.last_at),
            denied.last_decision.clone(),
        ];
        table.row(true, cells);
    }
    sheet.tables.extend([narrower, table]);
}

impl From<&Exposure> for Sheet {
    fn from(report: &Exposure) -> Self {
        let histograms = [
            ("Life of tokens", &report.token_life),
            ("Life of certificates", &report.certificate_life),
            (
                "How long credentials outlived their task",
                &report.beyond_task,
            ),
            ("Age at revocation", &report.age_at_revocation),
        ];
        let mut table = Table::new("Figures", &["what", "count", "min", "p50", "p99", "max"]);
        for (title, h) in histograms {
            let cells = [
                title.to_owned(),
                h.count.to_string(),
                seconds(h.min_s),
                seconds(h.p50_s),
                seconds(h.p99_s),
                seconds(h.max_s),
            ];
            table.row(false, cells);
        }
        let mut lines = about(&report.about);
        lines.push(("credentials", report.credentials.to_string()));
        lines.push(("revoked", report.revoked.to_string()));
        lines.push(("alive now", report.live.to_string()));
        let oldest = report.oldest_live.as_ref().map_or_else(
            || "none".to_owned(),
            |live| {
                let (age, kind) = (span(live.age_s), &live.kind);
                format!("{kind} {} of {}, {age} old", live.credential, live.agent)
            },
        );
        lines.push(("oldest alive", oldest));
        let mut notes = notes(&report.about);
        notes.push(
            "how long it takes from a revocation until verifiers refuse is what drills measure, and not in here"
                .to_owned(),
        );
        Self {
            title: "Exposure of credentials".into(),
            lines,
            notes,
            charts: histograms.map(|(title, h)| chart(title, h)).to_vec(),
            tables: vec![table],
        }
    }
}

fn chart(title: &str, histogram: &Histogram) -> Chart {
    let steps = histogram.steps.iter();
    Chart {
        title: title.to_owned(),
        bars: steps
            .map(|step| (step.label.to_owned(), step.count))
            .collect(),
    }
}

pub(super) fn about(about: &About) -> Vec<(&'static str, String)> {
    let since = about.since.or(about.log_first_at);
    let keys = match about.log_keys_from {
        KeysFrom::Given => "verified by the keys that were given",
        KeysFrom::Copy => "verified by the keys that came with it",
    };
    let version = about.registry_version;
    let version = version.map_or_else(|| "a file".to_owned(), |v| format!("version {v}"));
    vec![
        ("made at", about.generated_at.to_string()),
        ("since", at(since)),
        ("log", format!("{} entries, {keys}", about.log_entries)),
        ("log until", at(about.log_last_at)),
        ("registry", version),
    ]
}

pub(super) fn notes(about: &About) -> Vec<String> {
    let mut notes = Vec::new();
    match (about.since, about.log_first_at) {
        (Some(since), Some(first)) if first > since => notes.push(format!(
            "the log begins at {first}, after the beginning of the period: nothing is known of before"
        )),
        (_, None) => notes.push("the log is empty: nothing is known".to_owned()),
        _ => {}
    }
    notes
}
