//! Aligned text: rows beneath a heading, and fields beneath each other.
//!
//! Every cell is made harmless for the terminal here, so that no view has to think of it.

use super::Ink;
use super::text::harmless;

/// Rows beneath a heading.
#[derive(Debug)]
pub(crate) struct Table {
    heading: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table.
    pub(crate) fn new(heading: &[&str]) -> Self {
        Self {
            heading: heading.iter().map(|cell| (*cell).to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows
            .push(cells.into_iter().map(|cell| harmless(&cell)).collect());
    }

    /// The text; `empty` instead if there is no row.
    pub(crate) fn render(&self, ink: &Ink, empty: &str) -> String {
        if self.rows.is_empty() {
            return format!("{empty}\n");
        }
        let widths = self.widths();
        let mut text = ink.heading(&aligned(&self.heading, &widths));
        text.push('\n');
        for row in &self.rows {
            text.push_str(&aligned(row, &widths));
            text.push('\n');
        }
        text
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.heading.iter().map(|c| c.chars().count()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        widths
    }
}

fn aligned(cells: &[String], widths: &[usize]) -> String {
    let padded: Vec<String> = cells
        .iter()
        .zip(widths)
        .map(|(cell, width)| format!("{cell:<width$}"))
        .collect();
    padded.join("  ").trim_end().to_owned()
}

/// Named values, one a line.
#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<(&'static str, String)>);

impl Fields {
    /// Adds a value.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.push((name, value.into()));
        self
    }

    /// Adds a value if there is one.
    #[must_use]
    pub(crate) fn maybe(self, name: &'static str, value: Option<String>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Adds one line for each of `values`, the name before the first; a dash if there is none.
    #[must_use]
    pub(crate) fn each<T: AsRef<str>>(mut self, name: &'static str, values: &[T]) -> Self {
        let mut name = name;
        for value in values {
            self = self.with(name, value.as_ref());
            name = "";
        }
        if values.is_empty() {
            self = self.with(name, super::text::NOTHING);
        }
        self
    }

    /// The text.
    pub(crate) fn render(&self, ink: &Ink) -> String {
        let width = self.0.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let mut text = String::new();
        for (name, value) in &self.0 {
            // Pad before colouring: the codes have no width.
            text.push_str(&ink.heading(&format!("{name:<width$}")));
            text.push_str("  ");
            text.push_str(&harmless(value));
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_do_not_trail() {
        let mut table = Table::new(&["NAME", "STATE"]);
        table.row(["invoice-bot".into(), "active".into()]);
        table.row(["ä\u{1b}".into(), String::new()]);
        assert_eq!(
            table.render(&Ink::plain(), "no agents"),
            "NAME         STATE\ninvoice-bot  active\nä\\u{1b}\n"
        );
        assert_eq!(
            Table::new(&["NAME"]).render(&Ink::plain(), "no agents"),
            "no agents\n"
        );
    }

    #[test]
    fn fields() {
        let text = Fields::default()
            .with("name", "a")
            .each("scopes", &["x", "y"])
            .each("labels", &[] as &[&str])
            .maybe("gone", None)
            .render(&Ink::plain());
        assert_eq!(text, "name    a\nscopes  x\n        y\nlabels  -\n");
    }
}
