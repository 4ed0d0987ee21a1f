//! What a column holds: numbers and spans stand beneath each other, instants break before their time, and
//! no word breaks that has room.

use taskpass_core::Timestamp;

/// How the cells of a column are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Digits, or a span of time such as `5m 15s`.
    Number,
    /// An instant.
    Instant,
    /// Words that have room in a narrow column.
    Text,
    /// Sentences, or words that may have to break: a column of some width.
    Long,
}

/// The longest word that a narrow column has room for.
const WORD: usize = 14;
/// The longest text that does not become a pillar of single words there.
const TEXT: usize = 24;

impl Kind {
    /// What a column of these cells holds; those that are empty or not known say nothing.
    pub(super) fn of<'a>(cells: impl Iterator<Item = &'a String>) -> Self {
        let mut kind = None;
        for cell in cells.filter(|cell| !matches!(cell.as_str(), "" | "unknown")) {
            let this = Self::one(cell);
            match kind {
                None => kind = Some(this),
                Some(before) if before == this => {}
                Some(Self::Long) => {}
                Some(_) if this == Self::Long => kind = Some(Self::Long),
                Some(_) => kind = Some(Self::Text),
            }
        }
        kind.unwrap_or(Self::Text)
    }

    fn one(cell: &str) -> Self {
        let is_number = |part: &str| {
            let unit = part.trim_start_matches(|c: char| c.is_ascii_digit());
            unit.len() < part.len() && unit.bytes().all(|byte| byte.is_ascii_lowercase())
        };
        if cell.split(' ').all(is_number) {
            return Self::Number;
        }
        // An instant is 20 to 24 characters.
        if cell.len() <= 24 && Timestamp::parse_rfc3339(cell).is_some() {
            return Self::Instant;
        }
        let mut words = cell.split([' ', '-']);
        if cell.chars().count() > TEXT || words.any(|word| word.chars().count() > WORD) {
            return Self::Long;
        }
        Self::Text
    }

    /// The attribute.
    pub(super) const fn class(self) -> &'static str {
        match self {
            Self::Number => " class=\"n\"",
            Self::Instant => " class=\"w\"",
            Self::Text => "",
            Self::Long => " class=\"l\"",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Kind;

    #[test]
    fn columns() {
        for (cells, expected) in [
            (&["1", "22", ""][..], Kind::Number),
            (&["", ""], Kind::Text),
            (&[], Kind::Text),
            (&["2026-11-22T20:22:47Z", ""], Kind::Instant),
            (&["2026-11-22T20:22:47.169Z"], Kind::Instant),
            (&["1", "unknown"], Kind::Number),
            (&["unknown"], Kind::Text),
            (&["1", "2026-11-22T20:22:47Z", "2"], Kind::Text),
            (&["never used", "a-word-that-has-room"], Kind::Text),
            (&["short", "https://api.example#read", "short"], Kind::Long),
            (&["1", "reconciles-reconciliations", "2"], Kind::Long),
            (&["pays", "pays what was once approved"], Kind::Long),
            (&["-1"], Kind::Text),
            (&["5m 15s", "0s"], Kind::Number),
            (&["2days", "7"], Kind::Number),
            (&["5m  15s"], Kind::Text),
            (&["stage 2"], Kind::Text),
        ] {
            let cells: Vec<String> = cells.iter().map(|cell| (*cell).to_owned()).collect();
            assert_eq!(Kind::of(cells.iter()), expected, "{cells:?}");
        }
    }
}
