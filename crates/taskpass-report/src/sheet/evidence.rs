//! Evidence as a sheet: a line for each figure of each control.

use super::make::{about, notes};
use super::{Sheet, Table};
use crate::evidence::Evidence;

impl From<&Evidence> for Sheet {
    fn from(report: &Evidence) -> Self {
        let mut lines = about(&report.about);
        lines.push(("framework", report.title.to_owned()));
        lines.push(("controls", report.controls.to_string()));
        lines.push((
            "figures to look at",
            match report.alarms {
                0 => "none".to_owned(),
                alarms => alarms.to_string(),
            },
        ));
        let mut notes = notes(&report.about);
        notes.push(
            "this says what was measured, and not that anybody complies: that is for an auditor to say"
                .to_owned(),
        );
        notes.push(
            "figures count the period, unless they say that they are of the whole log".into(),
        );
        let mut figures = Table::new(
            "Figures",
            &["control", "title", "figure", "value", "means", "look"],
        );
        let mut texts = Table::new(
            "What the broker does, and what the figures do not show",
            &["control", "title", "does", "limit"],
        );
        for row in &report.rows {
            for figure in &row.figures {
                let look = if figure.alarm { "should be zero" } else { "" };
                let cells = [
                    row.control,
                    row.title,
                    figure.figure,
                    &figure.measure.text(),
                    figure.means,
                    look,
                ];
                figures.row(figure.alarm, cells.map(str::to_owned));
            }
            let cells = [row.control, row.title, row.does, row.limit];
            texts.row(false, cells.map(str::to_owned));
        }
        let mut tables = vec![figures, texts];
        if !report.untouched.is_empty() {
            let mut table = Table::new(
                "What the broker does nothing for",
                &["control", "title", "why"],
            );
            for one in &report.untouched {
                table.row(false, [one.control, one.title, one.why].map(str::to_owned));
            }
            tables.push(table);
        }
        Self {
            title: format!("Evidence: {}", report.title),
            lines,
            notes,
            charts: Vec::new(),
            tables,
        }
    }
}
