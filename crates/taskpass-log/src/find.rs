//! Finding entries without reading the whole log.
//!
//! For each full bundle of 256 entries there is a summary: the times that it spans, and a Bloom
//! filter over the values that can be asked for. A query goes through the summaries from the newest
//! back and reads only the bundles that can hold a match; the entries decide. Summaries are derived
//! from the bundles, so losing them costs time and nothing else.

mod fields;
mod file;
mod summary;

pub use fields::Filter;
pub use file::{Snapshot, SummaryFile};
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

/// Where summaries come from.
pub trait Summaries {
    /// Looks at the summary of a bundle; `None` if it is not known, as that of the last, partial one.
    fn look<T>(&self, number: u64, with: impl FnOnce(&Summary) -> T) -> Option<T>;
}

impl Summaries for [Summary] {
    fn look<T>(&self, number: u64, with: impl FnOnce(&Summary) -> T) -> Option<T> {
        let number = usize::try_from(number).ok()?;
        self.get(number).map(with)
    }
}

/// The newest matches below `before` (the log's size for the first page), at most `limit`.
///
/// `bundle(n)` reads the entries of bundle `n`; the last one may be partial. A page may be short
/// although there is more: [`FoundPage::next`] says so.
pub fn query<E>(
    summaries: &(impl Summaries + ?Sized),
    filter: &Filter,
    before: u64,
    limit: usize,
    bundle: impl Fn(u64) -> Result<Vec<Vec<u8>>, E>,
) -> Result<FoundPage, E> {
    let terms = filter.terms();
    let may_hold = |number| {
        // A bundle without a summary is read.
        summaries
            .look(number, |summary| {
                summary.overlaps(filter.from, filter.until)
                    && terms.iter().all(|term| summary.may_contain(term))
            })
            .unwrap_or(true)
    };
    let mut page = FoundPage::default();
    let mut read = 0;
    let mut end = before;
    while end > 0 && limit > 0 {
        let number = (end - 1) / BUNDLE;
        let first = number * BUNDLE;
        if may_hold(number) {
            if read == READ_AT_MOST {
                page.next = Some(end);
                return Ok(page);
            }
            read += 1;
            let entries = bundle(number)?;
            let below = usize::try_from(end - first).unwrap_or(usize::MAX);
            let indexed = (first..).zip(entries.into_iter().take(below));
            for (index, json) in indexed.collect::<Vec<_>>().into_iter().rev() {
                if filter.admits(&json) {
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

#[cfg(test)]
mod tests;
