//! Where in a file something is: what every load error begins with.

use std::fmt;

use miette::Diagnostic;

/// A file, and the line and column where that is known; both count from one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file's name.
    pub file: String,
    /// Line and column, in characters.
    pub position: Option<(usize, usize)>,
}

impl Place {
    /// The byte at `offset` of the file `file`, which reads `text`.
    pub(crate) fn of_offset(file: &str, text: &str, offset: usize) -> Self {
        let position = text.get(..offset).map(|before| {
            let line = before.rsplit('\n').next().unwrap_or_default();
            (before.split('\n').count(), line.chars().count() + 1)
        });
        Self {
            file: file.to_owned(),
            position,
        }
    }

    /// The first place that `error`, found in `text`, points to.
    pub(crate) fn of_error(file: &str, text: &str, error: &dyn Diagnostic) -> Self {
        let offset = error
            .labels()
            .and_then(|mut labels| labels.next())
            .map(|label| label.offset());
        // An offset that no text has gives a place without a position.
        Self::of_offset(file, text, offset.unwrap_or(usize::MAX))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some((line, column)) => write!(f, "{}:{line}:{column}", self.file),
            None => f.write_str(&self.file),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_lines_and_characters_from_one() {
        let text = "ab\n\u{e4}c\n";
        for (offset, position) in [
            (0, Some((1, 1))),
            (2, Some((1, 3))),
            (3, Some((2, 1))),
            (5, Some((2, 2))),
            (4, None),
            (7, Some((3, 1))),
            (8, None),
        ] {
            let place = Place::of_offset("f", text, offset);
            assert_eq!(place.position, position, "{offset}");
        }
        assert_eq!(Place::of_offset("f", text, 5).to_string(), "f:2:2");
        assert_eq!(Place::of_offset("f", text, 99).to_string(), "f");
    }
}
