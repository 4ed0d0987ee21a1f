//! What is known of use, in the report on least privilege.

use super::{Chart, Sheet, Table, at, span};
use crate::least_privilege::{LeastPrivilege, Ratio, VerifierCoverage};

/// A count, or that it is not known.
pub(super) fn times(used: Option<u64>) -> String {
    used.map_or_else(|| "unknown".to_owned(), |used| used.to_string())
}

/// How many of the permitted scopes were used.
pub(super) fn ratio(ratio: &Ratio) -> String {
    match ratio.use_known {
        0 => "unknown".to_owned(),
        known => format!(
            "{} of {known} permitted scopes of whose use it is known",
            ratio.used
        ),
    }
}

/// Adds what the answer rests on, and which scopes were not used.
pub(super) fn add(sheet: &mut Sheet, report: &LeastPrivilege) {
    if report.coverage.targets.is_empty() {
        return;
    }
    let idle = report
        .agents
        .iter()
        .map(|(agent, ratio)| (agent.clone(), ratio.use_known.saturating_sub(ratio.used)));
    let mut bars: Vec<_> = idle.filter(|(_, idle)| *idle > 0).collect();
    bars.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    bars.truncate(20);
    sheet.charts.push(Chart {
        title: "Permitted and known not to be used: scopes, by agent".into(),
        bars,
    });
    sheet.tables.push(coverage(report));
}

/// Who reports of what, since when, with which gaps.
fn coverage(report: &LeastPrivilege) -> Table {
    let mut table = Table::new(
        "Who reports use",
        &[
            "target",
            "verifier",
            "since",
            "until",
            "gaps",
            "lost",
            "unknown",
            "complete_since",
        ],
    );
    for target in &report.coverage.targets {
        for verifier in &target.verifiers {
            let cells = [
                target.target.clone(),
                verifier.verifier.clone(),
                at(Some(verifier.since)),
                at(Some(verifier.until)),
                gaps(verifier),
                verifier.lost.to_string(),
                verifier.unknown.to_string(),
                at(target.complete_since),
            ];
            table.row(target.complete_since.is_none(), cells);
        }
        for verifier in &target.not_reporting {
            let nothing = "reports nothing".to_owned();
            let empty = String::new;
            let cells = [
                target.target.clone(),
                verifier.clone(),
                empty(),
                empty(),
                nothing,
                empty(),
                empty(),
                empty(),
            ];
            table.row(true, cells);
        }
    }
    table
}

fn gaps(verifier: &VerifierCoverage) -> String {
    let gaps = verifier.gaps.iter().map(|gap| {
        let (from, long) = (at(Some(gap.from)), gap.until.since(gap.from));
        format!("{from} for {}", span(long.as_secs()))
    });
    gaps.collect::<Vec<_>>().join("; ")
}
