//! Pages of entries that match a filter, the newest first, through the logs of all months.

use std::path::PathBuf;

use taskpass_log::find::{BUNDLE, Filter, FoundPage, Snapshot, Summary, query};
use taskpass_log::{LogName, Reader};

use super::{AuditLog, LoggedEntry, Place, Signed, filter, unknown};
use crate::archive::aside;
use crate::error::Error;
use crate::standing::Standing;

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct EntryQuery {
    /// Which entries.
    pub filter: Filter,
    /// In this log only.
    pub log: Option<LogName>,
    /// Where the page before ended.
    pub after: Option<Place>,
    /// At most this many.
    pub limit: usize,
}

/// One page, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntryPage {
    /// The entries. There can be fewer than asked for although there are more.
    pub entries: Vec<LoggedEntry>,
    /// Where to go on; `None` at the end.
    pub next: Option<Place>,
}

impl AuditLog {
    /// Finds entries.
    pub async fn query(&self, caller: &Standing, wanted: EntryQuery) -> Result<EntryPage, Error> {
        filter::check(&self.broker, &wanted.filter)?;
        let subject = format!("audit entries{}", filter::describe(&wanted.filter));
        self.broker.record_read(caller, subject).await?;
        self.find(wanted).await
    }

    /// As [`query`](Self::query), for the broker's own questions.
    pub(crate) async fn find(&self, wanted: EntryQuery) -> Result<EntryPage, Error> {
        let mut page = EntryPage::default();
        let mut logs = self.logs_of(&wanted).await?;
        while let Some((signed, before)) = logs.pop() {
            let log = signed.log;
            let left = wanted.limit.saturating_sub(page.entries.len());
            if left == 0 {
                page.next = Some(Place { log, before });
                return Ok(page);
            }
            let search = Search {
                folder: log.folder(&self.root),
                summaries: self.index.snapshot(log),
                filter: wanted.filter.clone(),
                size: signed.size,
                before,
                limit: left,
            };
            let found = aside(move || search.run()).await?;
            page.entries
                .extend(found.entries.into_iter().map(|found| LoggedEntry {
                    log,
                    index: found.index,
                    json: found.json,
                }));
            if let Some(before) = found.next {
                page.next = Some(Place { log, before });
                return Ok(page);
            }
        }
        Ok(page)
    }

    /// The logs to be searched, the newest last, each with the index to begin below.
    async fn logs_of(&self, wanted: &EntryQuery) -> Result<Vec<(Signed, u64)>, Error> {
        let mut names = self.names().await?;
        if let Some(only) = wanted.log {
            if !names.contains(&only) {
                return Err(unknown(&self.root, only));
            }
            names.retain(|log| *log == only);
        }
        // An entry is never in a log of an earlier month than its own.
        let earliest = wanted.filter.from.map(LogName::of);
        let newest = wanted.after.map(|place| place.log);
        names.retain(|log| {
            earliest.is_none_or(|earliest| *log >= earliest)
                && newest.is_none_or(|newest| *log <= newest)
        });
        let mut logs = Vec::new();
        for log in names {
            let signed = match self.checkpoint(Some(log)).await {
                Ok(signed) => signed,
                // Without a checkpoint yet, or removed meanwhile.
                Err(Error::LogNotFound { .. }) => continue,
                Err(error) => return Err(error),
            };
            let below = wanted.after.filter(|place| place.log == log);
            let size = signed.size;
            logs.push((signed, below.map_or(size, |place| place.before.min(size))));
        }
        Ok(logs)
    }
}

/// The search of one log.
struct Search {
    folder: PathBuf,
    summaries: Option<Snapshot>,
    filter: Filter,
    /// The size of a published tree: files are named by such sizes.
    size: u64,
    before: u64,
    limit: usize,
}

impl Search {
    fn run(self) -> Result<FoundPage, Error> {
        let reader = Reader::open(&self.folder);
        let view = reader.at(self.size);
        let bundle = |number: u64| {
            let entries = view.entries(number * BUNDLE..(number + 1) * BUNDLE);
            entries
                .map(|entry| entry.map(|(_, json)| json).map_err(Error::log))
                .collect()
        };
        if let Some(known) = &self.summaries {
            return query(known, &self.filter, self.before, self.limit, bundle);
        }
        let none: &[Summary] = &[];
        query(none, &self.filter, self.before, self.limit, bundle)
    }
}
