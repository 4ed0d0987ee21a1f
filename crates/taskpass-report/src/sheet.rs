//! A report as people read it: a few lines, tables, charts. One form, from which all others are made.
//!
//! Values are text as they are; whoever writes a form makes them harmless for it.

pub mod csv;
mod evidence;
pub mod html;
mod make;
mod readiness;
mod uses;

use taskpass_core::Timestamp;

/// A report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    /// What it is.
    pub title: String,
    /// What it rests on, and its figures.
    pub lines: Vec<(&'static str, String)>,
    /// What must be said beside the figures.
    pub notes: Vec<String>,
    /// Charts.
    pub charts: Vec<Chart>,
    /// Tables, the most important first.
    pub tables: Vec<Table>,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// What it shows.
    pub title: String,
    /// The columns, as the JSON names them.
    pub columns: Vec<&'static str>,
    /// The rows.
    pub rows: Vec<Row>,
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// One for each column; empty where there is nothing.
    pub cells: Vec<String>,
    /// Whether somebody must look at it.
    pub alarm: bool,
}

/// A bar chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chart {
    /// What it shows.
    pub title: String,
    /// Each bar: its name, and how long it is.
    pub bars: Vec<(String, u64)>,
}

impl Table {
    fn new(title: &str, columns: &[&'static str]) -> Self {
        Self {
            title: title.to_owned(),
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    fn row(&mut self, alarm: bool, cells: impl IntoIterator<Item = String>) {
        let cells = cells.into_iter().collect();
        self.rows.push(Row { cells, alarm });
    }
}

fn at(at: Option<Timestamp>) -> String {
    at.map(|at| at.floor_to_second().to_string())
        .unwrap_or_default()
}

fn seconds(seconds: Option<u64>) -> String {
    seconds.map(span).unwrap_or_default()
}

pub(crate) fn span(seconds: u64) -> String {
    humantime::format_duration(std::time::Duration::from_secs(seconds)).to_string()
}

#[cfg(test)]
mod tests;
