//! Where things stand in a file, under the names by which the broker calls them.

use std::collections::BTreeMap;

/// The places of each entry.
#[derive(Debug, Default)]
pub(crate) struct Places {
    starts: Vec<usize>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    at: usize,
    subject: String,
    fields: BTreeMap<(String, Option<usize>), usize>,
}

impl Places {
    /// No entry yet, of this text.
    pub(super) fn of(text: &str) -> Self {
        let after = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            starts: std::iter::once(0).chain(after).collect(),
            entries: Vec::new(),
        }
    }

    /// The next entry begins; its number.
    pub(super) fn entry(&mut self, subject: String, at: usize) -> usize {
        self.entries.push(Entry {
            at,
            subject,
            fields: BTreeMap::new(),
        });
        self.entries.len() - 1
    }

    /// A field of the newest entry stands here; of several items, one of them.
    pub(super) fn field(&mut self, field: &str, item: Option<usize>, at: usize) {
        if let Some(entry) = self.entries.last_mut() {
            entry.fields.insert((field.to_owned(), item), at);
        }
    }

    /// What an entry is, such as `agent invoice-bot`.
    pub(super) fn subject(&self, entry: usize) -> String {
        let entry = self.entries.get(entry);
        entry.map(|entry| entry.subject.clone()).unwrap_or_default()
    }

    /// The line and column of what the broker calls `entries[3].scopes[1]`: of the item, or else of the
    /// field, or else of the entry.
    pub(crate) fn find(&self, path: &str) -> Option<(usize, usize)> {
        let (number, field) = path.strip_prefix("entries[")?.split_once(']')?;
        let entry = self.entries.get(number.parse::<usize>().ok()?)?;
        let field = field.strip_prefix('.').unwrap_or(field);
        let (field, item) = match field.strip_suffix(']').and_then(|f| f.split_once('[')) {
            Some((field, item)) => (field, item.parse().ok()),
            None => (field, None),
        };
        let under = |item| entry.fields.get(&(field.to_owned(), item));
        let at = under(item).or_else(|| under(None)).unwrap_or(&entry.at);
        Some(self.line_and_column(*at))
    }

    fn line_and_column(&self, at: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= at);
        let start = self.starts.get(line.saturating_sub(1)).copied();
        (line, at.saturating_sub(start.unwrap_or(0)) + 1)
    }
}

/// The line and column of a byte of a text, both from 1.
pub(super) fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    Places::of(text).line_and_column(at)
}
