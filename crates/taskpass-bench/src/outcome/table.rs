//! An outcome as a table for people.

use std::fmt::{self, Write as _};

use super::{Figure, Floors, Outcome, Twice};

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        floors(f, &self.floors)?;
        writeln!(f)?;
        let header = ["result", "value", "", "ratio", "goal", "met"].map(str::to_owned);
        let rows = self.results.iter().map(row);
        table(f, std::iter::once(header).chain(rows).collect())?;
        for note in &self.notes {
            writeln!(f, "\nNote: {note}.")?;
        }
        Ok(())
    }
}

fn floors(f: &mut fmt::Formatter<'_>, floors: &Floors) -> fmt::Result {
    let twice = |name: &str, unit: &str, value: Twice| {
        [
            name.to_owned(),
            number(value.before),
            number(value.after),
            unit.to_owned(),
        ]
    };
    let header = [
        format!("floor ({} cores)", floors.cores),
        "before".to_owned(),
        "after".to_owned(),
        String::new(),
    ];
    let mut rows = vec![
        header,
        twice("an empty commit, p50", "ms", floors.commit_p50_ms),
        twice("a sync of 4 KiB, p50", "ms", floors.sync_p50_ms),
        twice(
            "ES256 signatures",
            "/s and core",
            floors.es256_per_second_per_core,
        ),
        twice(
            "EdDSA signatures",
            "/s and core",
            floors.eddsa_per_second_per_core,
        ),
    ];
    for call in &floors.calls {
        let name = format!("{}, {} in flight", call.name, call.in_flight);
        rows.push([
            name,
            number(call.per_second),
            String::new(),
            "/s".to_owned(),
        ]);
    }
    table(f, rows)
}

fn row(figure: &Figure) -> [String; 6] {
    let met = match figure.met {
        Some(true) => "yes",
        Some(false) => "NO",
        None => "",
    };
    [
        figure.name.clone(),
        number(figure.value),
        figure.unit.to_owned(),
        figure
            .ratio
            .map(|ratio| format!("{ratio:.2}"))
            .unwrap_or_default(),
        figure.goal.clone().unwrap_or_default(),
        met.to_owned(),
    ]
}

/// Three digits that count, in groups of three.
fn number(value: f64) -> String {
    if value.abs() < 10.0 {
        return format!("{value:.2}");
    }
    if value.abs() < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Columns as wide as what is in them; the first to the left, the numbers to the right.
fn table<const N: usize>(f: &mut fmt::Formatter<'_>, rows: Vec<[String; N]>) -> fmt::Result {
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let is_number = cell.starts_with(|first: char| first.is_ascii_digit());
            if column > 0 {
                line.push_str("  ");
            }
            if is_number && column > 0 {
                write!(line, "{cell:>width$}")?;
            } else {
                write!(line, "{cell:<width$}")?;
            }
        }
        writeln!(f, "{}", line.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Goal;

    #[test]
    fn numbers_have_three_digits_and_groups() {
        for (value, text) in [
            (0.126, "0.13"),
            (12.34, "12.3"),
            (999.6, "1 000"),
            (123_456.0, "123 456"),
            (1_234_567.0, "1 234 567"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn what_missed_its_goal_stands_out() {
        let figure = Figure::new("IssueToken", 9_000.0, "/s").over(0.6);
        let outcome = Outcome {
            results: vec![figure.with(Goal::AtLeast(0.7))],
            notes: vec!["a note".to_owned()],
            ..Outcome::default()
        };
        let text = outcome.to_string();
        assert!(text.contains("9 000"), "{text}");
        assert!(text.contains("0.60  >= 0.7  NO"), "{text}");
        assert!(text.ends_with("Note: a note.\n"), "{text}");
    }
}
