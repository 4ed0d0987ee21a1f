//! Reports: JSON as the report itself, text from its sheet.

use std::fmt::Write as _;

use serde::Serialize;
use taskpass_report::sheet::Sheet;

use crate::output::table::{Fields, Table};
use crate::output::text::harmless;
use crate::output::{Ink, View};

/// A report with its sheet.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Shown<T> {
    report: T,
    #[serde(skip)]
    sheet: Sheet,
}

impl<T> Shown<T>
where
    for<'a> Sheet: From<&'a T>,
{
    /// Of a report.
    pub(crate) fn new(report: T) -> Self {
        let sheet = Sheet::from(&report);
        Self { report, sheet }
    }
}

impl<T> Shown<T> {
    /// The report as tables and charts.
    pub(crate) fn sheet(&self) -> &Sheet {
        &self.sheet
    }
}

impl<T: Serialize> View for Shown<T> {
    fn text(&self, ink: &Ink) -> String {
        let sheet = &self.sheet;
        let mut fields = Fields::default();
        for (name, value) in &sheet.lines {
            fields = fields.with(name, value);
        }
        let mut text = format!("{}\n\n{}", ink.heading(&sheet.title), fields.render(ink));
        for note in &sheet.notes {
            let _ = writeln!(text, "note: {}", harmless(note));
        }
        for part in &sheet.tables {
            let columns: Vec<String> = part
                .columns
                .iter()
                .map(|column| column.replace('_', " ").to_uppercase())
                .collect();
            let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
            let mut table = Table::of_sentences(&columns);
            for row in &part.rows {
                table.row(row.cells.iter().cloned());
            }
            let title = ink.heading(&part.title);
            let _ = write!(text, "\n{title}\n{}", table.render(ink, "none"));
        }
        text
    }
}
