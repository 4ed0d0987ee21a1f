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
    /// From how many characters on a cell goes on in the next line.
    wrap: usize,
}

/// What sentences are wrapped at.
const SENTENCE: usize = 44;

impl Table {
    /// An empty table.
    pub(crate) fn new(heading: &[&str]) -> Self {
        Self {
            heading: heading.iter().map(|cell| (*cell).to_owned()).collect(),
            rows: Vec::new(),
            wrap: usize::MAX,
        }
    }

    /// One whose cells may be sentences: long ones take several lines, broken between words.
    pub(crate) fn of_sentences(heading: &[&str]) -> Self {
        Self {
            wrap: SENTENCE,
            ..Self::new(heading)
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
        let lines: Vec<_> = self.rows.iter().flat_map(|row| self.lines(row)).collect();
        let widths = self.widths(&lines);
        let mut text = ink.heading(&aligned(&self.heading, &widths));
        text.push('\n');
        for line in &lines {
            text.push_str(&aligned(line, &widths));
            text.push('\n');
        }
        text
    }

    /// The lines that a row takes.
    fn lines(&self, row: &[String]) -> Vec<Vec<String>> {
        let cells: Vec<_> = row.iter().map(|cell| wrapped(cell, self.wrap)).collect();
        let deepest = cells.iter().map(Vec::len).max().unwrap_or(0);
        let line = |at| cells.iter().map(move |cell| cell.get(at).cloned());
        (0..deepest)
            .map(|at| line(at).map(Option::unwrap_or_default).collect())
            .collect()
    }

    fn widths(&self, lines: &[Vec<String>]) -> Vec<usize> {
        let mut widths: Vec<usize> = self.heading.iter().map(|c| c.chars().count()).collect();
        for row in lines {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        widths
    }
}

/// A cell in lines of at most `width` characters; a word that is longer stays whole.
fn wrapped(cell: &str, width: usize) -> Vec<String> {
    if cell.chars().count() <= width {
        return vec![cell.to_owned()];
    }
    let mut lines: Vec<String> = Vec::new();
    let mut room = 0;
    for word in cell.split(' ') {
        let len = word.chars().count();
        match lines.last_mut() {
            Some(line) if len < room => {
                line.push(' ');
                line.push_str(word);
                room -= len + 1;
            }
            _ => {
                lines.push(word.to_owned());
                room = width.saturating_sub(len);
            }
        }
    }
    lines
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
    fn a_sentence_goes_on_in_the_next_line() {
        let mut table = Table::of_sentences(&["NAME", "WHY", "N"]);
        let why = "none of its verifiers has reported of use since yesterday, so nothing is known";
        table.row(["a".into(), why.into(), "1".into()]);
        let name = "x".repeat(60);
        table.row([name.clone(), "short".into(), "2".into()]);
        let text = table.render(&Ink::plain(), "");
        let lines: Vec<_> = text
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(
            lines,
            [
                "NAME WHY N",
                "a none of its verifiers has reported of use 1",
                "since yesterday, so nothing is known",
                &format!("{name} short 2"),
            ]
        );
        assert!(
            text.lines().all(|line| line.len() <= 60 + 2 + SENTENCE + 3),
            "{text}"
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
