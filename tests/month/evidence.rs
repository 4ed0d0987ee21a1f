//! Evidence: each figure of each framework, and its text on the page, against what was counted anew.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::figures::{Figures, figures};
use crate::raw::{Raw, text};

/// The frameworks.
pub(crate) const FRAMEWORKS: [&str; 4] = ["owasp-nhi", "owasp-asi", "maestro", "nist-ai-rmf"];

/// Figures that somebody must look at if they are not nothing.
const ALARMS: [&str; 9] = [
    "agents_overdue",
    "agents_without_owner",
    "beyond_retirement",
    "drill_silent",
    "identity_thefts",
    "ids_issued_twice",
    "issued_after_end",
    "keys_of_several_agents",
    "policy_errors",
];

/// Figures of what a month need not have. All others are of something, or comparing them would say little.
const MAY_BE_NOTHING: [&str; 14] = [
    "approvals",
    "beyond_retirement",
    "beyond_task",
    "drill_confirmed",
    "drill_last_refusal",
    "drill_silent",
    "drills",
    "identity_thefts",
    "ids_issued_twice",
    "issued_after_end",
    "policy_errors",
    "refused_by_limit",
    "vouched",
    // Who is alive at the end is a matter of the last minutes.
    "live",
];

/// Figures that are in a report and are not counted anew, each with why. There are none.
const NOT_COUNTED: [(&str, &str); 0] = [];

fn is_nothing(figure: &Value) -> bool {
    let value = &figure["value"];
    value.is_null() || *value == json!(0) || *value == json!({})
}

/// A span of less than a day in words.
fn span(seconds: u64) -> String {
    assert!(seconds < 86_400, "{seconds}");
    let parts = [
        (seconds / 3600, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    let parts = parts.iter().filter(|(many, _)| *many > 0);
    let parts: Vec<String> = parts.map(|(many, unit)| format!("{many}{unit}")).collect();
    if parts.is_empty() {
        return "0s".to_owned();
    }
    parts.join(" ")
}

/// A figure as a page has it.
fn written(figure: &Value) -> String {
    let value = &figure["value"];
    let nothing = || "nothing to measure".to_owned();
    match text(figure, "unit") {
        "count" => value.to_string(),
        "share" => format!("{value} of {}", figure["of"]),
        "seconds" => value.as_u64().map_or_else(nothing, span),
        "microseconds" => value.as_u64().map_or_else(nothing, |micros| {
            format!("{}.{:03} ms", micros / 1000, micros % 1000)
        }),
        "counts" if is_nothing(figure) => "none".to_owned(),
        "counts" => {
            let each: BTreeMap<&String, &Value> = value.as_object().unwrap().iter().collect();
            let each: Vec<String> = each.iter().map(|(w, many)| format!("{w} {many}")).collect();
            each.join(", ")
        }
        other => panic!("{other} is no unit"),
    }
}

/// One report on evidence; gives the figures that it has.
fn check_one(found: &Figures, report: &Value, page: Option<&str>) -> BTreeSet<String> {
    let page = page.map(|page| page.replace("<wbr>", ""));
    let rows = report["rows"].as_array().unwrap();
    let mut names = BTreeSet::new();
    let mut alarms = BTreeSet::new();
    for row in rows {
        let (control, figures) = (text(row, "control"), row["figures"].as_array().unwrap());
        assert!(!figures.is_empty(), "{control}");
        for figure in figures {
            let name = text(figure, "figure");
            names.insert(name.to_owned());
            if NOT_COUNTED.iter().any(|(other, _)| *other == name) {
                continue;
            }
            let Some(counted) = found.get(name) else {
                panic!("{name} of {control} is not counted anew");
            };
            let alarm = ALARMS.contains(&name) && !is_nothing(counted);
            if alarm {
                alarms.insert(name);
            }
            let mut expected = counted.clone();
            expected["figure"] = json!(name);
            expected["means"] = figure["means"].clone();
            expected["alarm"] = json!(alarm);
            assert_eq!(*figure, expected, "{control}");
            if let Some(page) = &page {
                let cell = format!(">{name}</td><td class=\"l\">{}</td>", written(counted));
                let mut lines = page.lines();
                let there = lines
                    .any(|line| line.contains(&format!(">{control}</td>")) && line.contains(&cell));
                assert!(there, "{control}: no {cell}");
            }
        }
    }
    assert_eq!(report["controls"], json!(rows.len()));
    assert_eq!(report["alarms"], json!(alarms.len()));
    names
}

/// One report that is over a part of the month.
pub(crate) fn check_part(raw: &Raw, report: &Value) {
    assert!(raw.since.is_some());
    check_one(&figures(raw), report, None);
}

/// All of them: of each framework its report, and its page if there is one.
pub(crate) fn check(raw: &Raw, reports: &[(Value, Option<String>)]) {
    let found = figures(raw);
    let mut names = BTreeSet::new();
    for (framework, (report, page)) in FRAMEWORKS.iter().zip(reports) {
        assert_eq!(text(report, "framework"), *framework);
        names.extend(check_one(&found, report, page.as_deref()));
    }
    assert_eq!(reports.len(), FRAMEWORKS.len());
    // Nothing is counted that no framework has, and nothing is left out but what is said to be.
    let counted = found.keys().copied();
    let expected: BTreeSet<String> = counted
        .chain(NOT_COUNTED.map(|(name, _)| name))
        .map(str::to_owned)
        .collect();
    assert_eq!(names, expected);
    for (name, figure) in &found {
        let something = !is_nothing(figure) || MAY_BE_NOTHING.contains(name);
        assert!(something, "nothing of {name}");
    }
}
