//! Words for people: instants, lifetimes, and text that came from outside.

use std::fmt::Write as _;
use std::time::Duration;

use taskpass_core::Timestamp;

use super::Ink;

/// What stands where there is nothing.
pub(crate) const NOTHING: &str = "-";

/// `text` without what could steer a terminal: control characters and the ones that turn the
/// writing direction become `\u{…}`.
pub(crate) fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let steers = c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        if steers {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// `in 4m 30s` or `2h ago`: the two largest units.
pub(crate) fn relative(at: Timestamp, now: Timestamp) -> String {
    if at >= now {
        let left = coarse(at.since(now));
        if left == "0s" {
            "now".to_owned()
        } else {
            format!("in {left}")
        }
    } else {
        format!("{} ago", coarse(now.since(at)))
    }
}

/// The instant and how far away it is: `2026-11-22T09:30:00Z (in 4m 30s)`.
pub(crate) fn instant(at: Option<Timestamp>, ink: &Ink) -> String {
    at.map_or_else(
        || NOTHING.to_owned(),
        |at| format!("{} ({})", at.floor_to_second(), relative(at, ink.now)),
    )
}

/// How far away an instant is, for a column.
pub(crate) fn brief(at: Option<Timestamp>, ink: &Ink) -> String {
    at.map_or_else(|| NOTHING.to_owned(), |at| relative(at, ink.now))
}

/// Words with commas between them, or a dash.
pub(crate) fn list<T: AsRef<str>>(items: &[T]) -> String {
    if items.is_empty() {
        return NOTHING.to_owned();
    }
    let items: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
    items.join(", ")
}

/// A lifetime in its two largest units.
fn coarse(duration: Duration) -> String {
    let secs = duration.as_secs();
    let units = [
        (secs / 86_400, "d"),
        (secs / 3600 % 24, "h"),
        (secs / 60 % 60, "m"),
        (secs % 60, "s"),
    ];
    let mut parts = units
        .iter()
        .skip_while(|(count, _)| *count == 0)
        .take(2)
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect::<Vec<_>>();
    if parts.is_empty() {
        parts.push("0s".into());
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_times() {
        let now = Timestamp::from_secs(1_000_000);
        for (secs, expected) in [
            (1_000_270, "in 4m 30s"),
            (1_000_060, "in 1m"),
            (1_000_000, "now"),
            (1_086_400, "in 1d"),
            (1_090_000, "in 1d 1h"),
            (999_999, "1s ago"),
            (992_800, "2h ago"),
        ] {
            assert_eq!(relative(Timestamp::from_secs(secs), now), expected);
        }
    }

    #[test]
    fn instants_and_lists() {
        let ink = Ink::plain_at(Timestamp::from_secs(1_700_000_000));
        let at = Timestamp::from_millis(1_700_000_060_123);
        assert_eq!(instant(Some(at), &ink), "2023-11-14T22:14:20Z (in 1m)");
        assert_eq!(instant(None, &ink), "-");
        assert_eq!(list(&["a", "b"]), "a, b");
        assert_eq!(list::<&str>(&[]), "-");
    }

    #[test]
    fn nothing_steers_the_terminal() {
        for (text, expected) in [
            ("invoice bot ä → ok", "invoice bot ä → ok"),
            ("a\u{1b}[31m", "a\\u{1b}[31m"),
            ("a\nb\t", "a\\u{a}b\\u{9}"),
            ("a\u{202e}b\u{9b}", "a\\u{202e}b\\u{9b}"),
        ] {
            assert_eq!(harmless(text), expected);
        }
    }
}
