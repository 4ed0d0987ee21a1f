//! Finding entries without reading the whole log.
//!
//! For each full bundle of 256 entries there is a summary: the times that it spans, and a Bloom
//! filter over the values that can be asked for. A query goes through the summaries from the newest
//! back and reads only the bundles that can hold a match; the entries decide. Summaries are derived
//! from the bundles, so losing them costs time and nothing else.

mod fields;
mod summary;

use fields::Fields;
pub use fields::Filter;
pub use summary::Summary;

/// Entries in a full bundle (C2SP tlog-tiles).
pub const BUNDLE: u64 = 256;
/// Bundles that one query reads at most: then it returns what it has, and where to go on.
const READ_AT_MOST: usize = 64;

/// An entry that matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its index in the log.
    pub index: u64,
    /// The entry as it is in the log.
    pub json: Vec<u8>,
}

/// One page of matches, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundPage {
    /// The matches.
    pub entries: Vec<Found>,
    /// Where to go on: entries below this index have not been looked at. `None` at the end.
    pub next: Option<u64>,
}

/// The summaries of all full bundles of one log.
#[derive(Debug, Default)]
pub struct Finder {
    summaries: Vec<Summary>,
}

impl Finder {
    /// Nothing known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many bundles are summarised: the next one to [`push`](Self::push).
    pub fn bundles(&self) -> u64 {
        u64::try_from(self.summaries.len()).unwrap_or(u64::MAX)
    }

    /// Takes in the next full bundle.
    pub fn push(&mut self, summary: Summary) {
        self.summaries.push(summary);
    }

    /// The summaries in the order of their bundles, to be kept in a file.
    pub fn summaries(&self) -> &[Summary] {
        &self.summaries
    }

    /// The newest matches below `before` (the log's size for the first page), at most `limit`.
    ///
    /// `bundle(n)` reads the entries of bundle `n`; the last one may be partial. A page may be short
    /// although there is more: [`FoundPage::next`] says so.
    pub fn query<E>(
        &self,
        filter: &Filter,
        before: u64,
        limit: usize,
        bundle: impl Fn(u64) -> Result<Vec<Vec<u8>>, E>,
    ) -> Result<FoundPage, E> {
        let terms = filter.terms();
        let mut page = FoundPage::default();
        let mut read = 0;
        let mut end = before;
        while end > 0 && limit > 0 {
            let number = (end - 1) / BUNDLE;
            let first = number * BUNDLE;
            if self.may_hold(number, filter, &terms) {
                if read == READ_AT_MOST {
                    page.next = Some(end);
                    return Ok(page);
                }
                read += 1;
                let entries = bundle(number)?;
                let below = usize::try_from(end - first).unwrap_or(usize::MAX);
                let indexed = (first..).zip(entries.into_iter().take(below));
                for (index, json) in indexed.collect::<Vec<_>>().into_iter().rev() {
                    if Fields::parse(&json).is_some_and(|fields| filter.matches(&fields)) {
                        page.entries.push(Found { index, json });
                        if page.entries.len() == limit {
                            page.next = Some(index).filter(|index| *index > 0);
                            return Ok(page);
                        }
                    }
                }
            }
            end = first;
        }
        Ok(page)
    }

    fn may_hold(&self, number: u64, filter: &Filter, terms: &[String]) -> bool {
        let summary = usize::try_from(number)
            .ok()
            .and_then(|number| self.summaries.get(number));
        // A bundle without a summary is the last, partial one: it is read.
        summary.is_none_or(|summary| {
            summary.overlaps(filter.from, filter.until)
                && terms.iter().all(|term| summary.may_contain(term))
        })
    }
}

#[cfg(test)]
mod tests;
