//! What is wrong with entries that are to be registered together: every fault, not the first.

use super::check::Wrong;
use crate::error::Error;

/// One fault of one entry.
#[derive(Debug)]
pub struct Fault {
    /// The entry, counted from 0 as it was sent.
    pub entry: usize,
    /// What it is, such as ``agent `invoice-bot` ``.
    pub subject: String,
    /// The field, as in the API.
    pub field: &'static str,
    /// Which of the field's items, as text, where it has several.
    pub item: Option<String>,
    /// Where that stands among them, from 0, if whoever read the list knows.
    pub index: Option<usize>,
    /// What is wrong with it.
    pub error: Error,
}

impl Fault {
    pub(super) fn new(entry: usize, subject: &str, wrong: Wrong) -> Self {
        let Wrong { field, item, error } = wrong;
        Self {
            entry,
            subject: subject.to_owned(),
            field,
            item,
            index: None,
            error,
        }
    }

    /// The same fault once more, of an attempt that is worked out again.
    pub(super) fn again(&self) -> Self {
        Self {
            entry: self.entry,
            subject: self.subject.clone(),
            field: self.field,
            item: self.item.clone(),
            index: self.index,
            error: Error::field(self.field, self.expected()),
        }
    }

    /// Where it is, such as `entries[3].scopes[1]`.
    pub fn path(&self) -> String {
        let Self { entry, field, .. } = self;
        match self.index {
            Some(index) => format!("entries[{entry}].{field}[{index}]"),
            None => format!("entries[{entry}].{field}"),
        }
    }

    /// What would be right.
    pub fn expected(&self) -> String {
        match &self.error {
            Error::InvalidField { expected, .. } => expected.clone(),
            other => other.to_string(),
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}: {}", self.subject, self.field, self.expected())
    }
}

/// How many faults a message names; the details name more.
const NAMED: usize = 3;
/// How much of each.
const LENGTH: usize = 200;

/// All faults in a sentence of bounded length.
pub(crate) fn summary(faults: &[Fault]) -> String {
    let named: Vec<String> = faults
        .iter()
        .take(NAMED)
        .map(|fault| fault.to_string().chars().take(LENGTH).collect())
        .collect();
    let count = match faults.len() {
        1 => "1 fault".to_owned(),
        count => format!("{count} faults"),
    };
    let more = if faults.len() > NAMED { "; …" } else { "" };
    format!("{count}, nothing was changed: {}{more}", named.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_short_and_says_how_many_there_are() {
        let fault = |n: usize| Fault {
            entry: n,
            subject: format!("agent `a{n}`"),
            field: "owner",
            item: None,
            index: None,
            error: Error::field("owner", "x".repeat(1000)),
        };
        let one = summary(&[fault(0)]);
        assert!(one.starts_with("1 fault, nothing was changed: agent `a0`: owner: xxx"));
        let many: Vec<_> = (0..50).map(fault).collect();
        let text = summary(&many);
        assert!(text.starts_with("50 faults") && text.ends_with('…'));
        assert!(text.len() < 800, "{}", text.len());
    }
}
