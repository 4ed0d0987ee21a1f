//! What credentials were used for, as entries of the audit trail say it.
//!
//! Texts are bounded and hold no control characters: they come from whoever called an API. What the
//! reporter says is recorded as its word; what the broker knows better (the credential's scopes, its
//! life) corrects it.

use serde::Serialize;

use crate::access::words;
use crate::scope::ScopeName;
use crate::time::Timestamp;

/// The most bytes of an action.
pub const MAX_ACTION_LEN: usize = 128;
/// The most bytes of a resource.
pub const MAX_RESOURCE_LEN: usize = 256;
/// The most items in one entry; a credential that has more in a batch has another entry.
pub const MAX_USE_ITEMS: usize = 32;

words!(
    /// How a use ended at the target.
    UseOutcome, "allowed, refused", {
    /// The target let it through.
    Allowed => "allowed",
    /// The target turned it away.
    Refused => "refused",
});

words!(
    /// By whose word.
    UsedBy, "verifier, agent", {
    /// The target's verifier saw it.
    Verifier => "verifier",
    /// The agent says so. Proves nothing.
    Agent => "agent",
});

/// Uses of one credential that have everything but the time in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UseItem {
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<ScopeName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<String>,
    outcome: UseOutcome,
    count: u32,
    first_at: Timestamp,
    last_at: Timestamp,
}

/// What a credential was used for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UseFacts {
    /// By whose word.
    pub by: UsedBy,
    /// Each use; at most [`MAX_USE_ITEMS`].
    pub items: Vec<UseItem>,
}

/// Time of which a verifier reports what it saw at a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CoverageFacts {
    /// From when.
    pub from: Timestamp,
    /// Up to when; not earlier.
    pub until: Timestamp,
    /// Uses that it saw and did not report.
    pub lost: u64,
    /// Uses that it reported of credentials that the broker does not know.
    pub unknown: u64,
}

impl UseItem {
    /// An item, if its texts are within their bounds, it happened at all, and in this order of time.
    pub fn new(
        scope: Option<ScopeName>,
        action: Option<String>,
        resource: Option<String>,
        outcome: UseOutcome,
        count: u64,
        (first_at, last_at): (Timestamp, Timestamp),
    ) -> Option<Self> {
        let fits = |text: &Option<String>, most| {
            text.as_ref()
                .is_none_or(|text| !text.is_empty() && is_plain(text, most))
        };
        let count = u32::try_from(count).ok().filter(|count| *count > 0)?;
        let good = fits(&action, MAX_ACTION_LEN)
            && fits(&resource, MAX_RESOURCE_LEN)
            && first_at <= last_at;
        good.then_some(Self {
            scope,
            action,
            resource,
            outcome,
            count,
            first_at,
            last_at,
        })
    }

    /// The scope that was checked.
    pub fn scope(&self) -> Option<&ScopeName> {
        self.scope.as_ref()
    }

    /// How it ended.
    pub fn outcome(&self) -> UseOutcome {
        self.outcome
    }

    /// How often.
    pub fn count(&self) -> u64 {
        self.count.into()
    }

    /// The same, refused.
    #[must_use]
    pub fn refused(self) -> Self {
        Self {
            outcome: UseOutcome::Refused,
            ..self
        }
    }

    /// The same, no earlier than `from` and no later than `until`; where that is nothing, at `until`.
    #[must_use]
    pub fn within(self, from: Timestamp, until: Timestamp) -> Self {
        let nearest = |at: Timestamp| at.max(from).min(until);
        Self {
            first_at: nearest(self.first_at),
            last_at: nearest(self.last_at),
            ..self
        }
    }
}

/// Whether a text has at most so many bytes, and none that is a control character or breaks a line.
fn is_plain(text: &str, most: usize) -> bool {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    text.len() <= most && !text.chars().any(breaks)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn item(action: &str, resource: &str, count: u64, times: (u64, u64)) -> Option<UseItem> {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        UseItem::new(
            "read".parse().ok(),
            text(action),
            text(resource),
            UseOutcome::Allowed,
            count,
            (at(times.0), at(times.1)),
        )
    }

    #[test]
    fn texts_counts_and_times_have_bounds() {
        let (long, longer) = ("x".repeat(MAX_ACTION_LEN), "x".repeat(MAX_RESOURCE_LEN));
        for (action, resource, count, times) in [
            ("", "", 1, (5, 5)),
            (&long, &longer, u64::from(u32::MAX), (0, 9)),
            ("GET", "/a b/é", 7, (1, 2)),
        ] {
            assert!(item(action, resource, count, times).is_some(), "{action}");
        }
        let (too_long, much) = (format!("{long}x"), u64::from(u32::MAX) + 1);
        for (action, resource, count, times) in [
            (too_long.as_str(), "", 1, (1, 2)),
            ("", &format!("{longer}x"), 1, (1, 2)),
            // Bytes, not characters.
            (&"é".repeat(MAX_ACTION_LEN), "", 1, (1, 2)),
            ("a\nb", "", 1, (1, 2)),
            ("", "a\u{2028}b", 1, (1, 2)),
            ("", "\u{1b}[2J", 1, (1, 2)),
            ("", "", 0, (1, 2)),
            ("", "", much, (1, 2)),
            ("", "", 1, (2, 1)),
        ] {
            assert_eq!(item(action, resource, count, times), None, "{action:?}");
        }
        let empty = UseItem::new(
            None,
            Some(String::new()),
            None,
            UseOutcome::Allowed,
            1,
            (at(1), at(1)),
        );
        assert_eq!(empty, None);
    }

    #[test]
    fn times_become_the_nearest_that_is_possible() {
        for (times, bounds, expected) in [
            ((5, 7), (0, 9), (5, 7)),
            ((5, 7), (6, 9), (6, 7)),
            ((5, 7), (0, 6), (5, 6)),
            ((5, 7), (8, 9), (8, 8)),
            ((5, 7), (0, 4), (4, 4)),
            // Nothing is possible: it was then at the latest.
            ((5, 7), (9, 6), (6, 6)),
        ] {
            let one = item("", "", 1, times).unwrap();
            let one = one.within(at(bounds.0), at(bounds.1));
            let found = (one.first_at.secs(), one.last_at.secs());
            assert_eq!(found, expected, "{times:?} {bounds:?}");
        }
    }

    #[test]
    fn an_item_leaves_out_what_was_not_said() {
        let one = item("", "", 2, (1, 2)).unwrap().refused();
        assert_eq!(
            serde_json::to_value(&one).unwrap(),
            serde_json::json!({
                "scope": "read", "outcome": "refused", "count": 2,
                "first_at": "1970-01-01T00:00:01Z", "last_at": "1970-01-01T00:00:02Z",
            })
        );
    }
}
