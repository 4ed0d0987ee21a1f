//! The lines that a bench prints: for people, or with `--json` one object a line.

use serde_json::{Map, Value};

/// Where the lines go, and in which form.
#[derive(Debug, Clone, Copy)]
pub struct Report {
    json: bool,
}

impl Report {
    /// From the command line. What `cargo bench` adds is not ours, and is passed over.
    pub fn from_args(args: impl IntoIterator<Item = String>) -> Self {
        Self {
            json: args.into_iter().any(|arg| arg == "--json"),
        }
    }

    /// One line: what was measured, and its figures.
    pub fn line(self, what: &str, figures: &[(&str, Value)]) {
        let text = self.text(what, figures);
        #[expect(clippy::print_stdout, reason = "figures are what a bench is for")]
        {
            println!("{text}");
        }
    }

    fn text(self, what: &str, figures: &[(&str, Value)]) -> String {
        if self.json {
            let mut object = Map::from_iter([("what".to_owned(), what.into())]);
            for (name, value) in figures {
                object.insert((*name).to_owned(), value.clone());
            }
            return Value::Object(object).to_string();
        }
        let figures: Vec<_> = figures
            .iter()
            .map(|(name, value)| shown(name, value))
            .collect();
        format!("{what:<52} {}", figures.join("  "))
    }
}

fn shown(name: &str, value: &Value) -> String {
    match value {
        Value::Number(number) if number.is_f64() => {
            format!("{name} {:.3}", number.as_f64().unwrap_or_default())
        }
        Value::String(text) => format!("{name} {text}"),
        other => format!("{name} {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_in_both_forms() {
        let figures = [
            ("p50_ms", json!(0.12345)),
            ("n", json!(3)),
            ("as", json!("x")),
        ];
        let report = |args: &[&str]| Report::from_args(args.iter().map(|arg| (*arg).to_owned()));
        let text = report(&["--bench"]).text("a commit", &figures);
        assert!(text.starts_with("a commit "), "{text}");
        assert!(text.ends_with(" p50_ms 0.123  n 3  as x"), "{text}");
        let text = report(&["--bench", "--json"]).text("a commit", &figures);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            value,
            json!({"what": "a commit", "p50_ms": 0.12345, "n": 3, "as": "x"})
        );
    }
}
