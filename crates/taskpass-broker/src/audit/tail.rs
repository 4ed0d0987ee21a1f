//! Entries as they come: in the order of the log, each once, from one month into the next.

use std::sync::Arc;

use taskpass_log::find::Filter;
use taskpass_log::{LogName, Reader};
use tokio::sync::watch;

use super::{AuditLog, LoggedEntry, Signed, filter};
use crate::archive::aside;
use crate::error::Error;
use crate::standing::Standing;

/// Entries that are looked at in one piece of work.
const PIECE: u64 = 512;

/// Follows the log.
#[derive(Debug)]
pub struct Tail {
    audit: Arc<AuditLog>,
    filter: Filter,
    newest: watch::Receiver<Option<Signed>>,
    /// The log and index of the next entry to look at; `None` until there is a log.
    at: Option<(LogName, u64)>,
}

impl AuditLog {
    /// Follows the log: from an index of a log (the current one if none is named), or only what
    /// comes.
    pub async fn tail(
        self: &Arc<Self>,
        caller: &Standing,
        filter: Filter,
        from: Option<(Option<LogName>, u64)>,
    ) -> Result<Tail, Error> {
        filter::check(&self.broker, &filter)?;
        let newest = self.watch();
        let at = match from {
            Some((log, index)) => {
                let signed = self.checkpoint(log).await?;
                if index > signed.size {
                    let (log, has) = (signed.log, signed.size);
                    let expected = format!("at most {has}, where log {log} goes on, not {index}");
                    return Err(Error::field("from_index", expected));
                }
                Some((signed.log, index))
            }
            None => newest
                .borrow()
                .as_ref()
                .map(|signed| (signed.log, signed.size)),
        };
        let subject = format!("audit tail{}", filter::describe(&filter));
        self.broker.record_read(caller, subject).await?;
        Ok(Tail {
            audit: Arc::clone(self),
            filter,
            newest,
            at,
        })
    }
}

impl Tail {
    /// Waits for the next entries that match; never none. It can be dropped and called again.
    pub async fn next(&mut self) -> Result<Vec<LoggedEntry>, Error> {
        loop {
            let newest = self.newest.borrow_and_update().clone();
            let Some(newest) = newest else {
                self.changed().await?;
                continue;
            };
            let (log, next) = self.at.unwrap_or((newest.log, 0));
            let size = if log == newest.log {
                newest.size
            } else {
                self.audit.checkpoint(Some(log)).await?.size
            };
            if next < size {
                let end = size.min(next.saturating_add(PIECE));
                let found = self.read(log, size, next..end).await?;
                self.at = Some((log, end));
                if !found.is_empty() {
                    return Ok(found);
                }
            } else if log < newest.log {
                let names = self.audit.names().await?;
                let following = names.into_iter().find(|name| *name > log);
                self.at = Some((following.unwrap_or(newest.log), 0));
            } else {
                self.at = Some((log, next));
                self.changed().await?;
            }
        }
    }

    async fn changed(&mut self) -> Result<(), Error> {
        self.newest.changed().await.map_err(Error::log)
    }

    async fn read(
        &self,
        log: LogName,
        size: u64,
        range: std::ops::Range<u64>,
    ) -> Result<Vec<LoggedEntry>, Error> {
        let folder = log.folder(&self.audit.root);
        let filter = self.filter.clone();
        aside(move || {
            let reader = Reader::open(&folder);
            let view = reader.at(size);
            let mut found = Vec::new();
            for entry in view.entries(range) {
                let (index, json) = entry.map_err(Error::log)?;
                if filter.admits(&json) {
                    found.push(LoggedEntry { log, index, json });
                }
            }
            Ok(found)
        })
        .await
    }
}
