//! Proofs from the tiles: that an entry is in the log, and that the log has only grown.

use std::time::Duration;

use taskpass_core::CredentialId;
use taskpass_core::audit::Outcome;
use taskpass_core::ttl::MAX_CERTIFICATE_TTL;
use taskpass_log::find::Filter;
use taskpass_log::hash::LENGTH;
use taskpass_log::{Hash, LogName, Reader};

use super::query::EntryQuery;
use super::{AuditLog, LoggedEntry, Signed, beyond};
use crate::archive::aside;
use crate::error::Error;
use crate::standing::Standing;

/// How much earlier than its longest life a credential is looked for: clocks differ.
const MARGIN: Duration = Duration::from_mins(5);

/// Which entry a proof is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhichEntry {
    /// The entry at an index, of the current log if none is named.
    Index {
        /// The log.
        log: Option<LogName>,
        /// The index.
        index: u64,
    },
    /// The entry about the issue of a credential.
    Credential(CredentialId),
}

/// The proof that an entry is in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inclusion {
    /// The entry.
    pub entry: LoggedEntry,
    /// From the leaf to the root (RFC 6962, section 2.1.1).
    pub hashes: Vec<[u8; LENGTH]>,
    /// The checkpoint that has the root.
    pub signed: Signed,
}

/// The proof that a log continues what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consistency {
    /// RFC 6962, section 2.1.2.
    pub hashes: Vec<[u8; LENGTH]>,
    /// The checkpoint that is continued to.
    pub signed: Signed,
}

impl AuditLog {
    /// Proves that an entry is in the log.
    pub async fn inclusion(
        &self,
        caller: &Standing,
        which: WhichEntry,
    ) -> Result<Inclusion, Error> {
        let subject = match which {
            WhichEntry::Index { log: None, index } => format!("audit proof of entry {index}"),
            WhichEntry::Index {
                log: Some(log),
                index,
            } => format!("audit proof of entry {index} of {log}"),
            WhichEntry::Credential(id) => format!("audit proof of credential {id}"),
        };
        self.broker.record_read(caller, subject).await?;
        let (log, index) = match which {
            WhichEntry::Index { log, index } => (log, index),
            WhichEntry::Credential(id) => self.issue_of(id).await?,
        };
        let signed = self.checkpoint(log).await?;
        if index >= signed.size {
            let (log, size) = (signed.log, signed.size);
            return Err(Error::NotLogged {
                what: format!("there is no entry {index}: log {log} has {size} entries, from 0"),
            });
        }
        let folder = signed.log.folder(&self.root);
        aside(move || {
            let reader = Reader::open(&folder);
            let view = reader.at(signed.size);
            let hashes = view.inclusion(index).map_err(Error::log)?;
            let json = view.entry(index).map_err(Error::log)?;
            Ok(Inclusion {
                entry: LoggedEntry {
                    log: signed.log,
                    index,
                    json,
                },
                hashes: bytes(&hashes),
                signed,
            })
        })
        .await
    }

    /// Proves that a log continues the tree that it was at `old_size`.
    pub async fn consistency(
        &self,
        caller: &Standing,
        log: Option<LogName>,
        old_size: u64,
    ) -> Result<Consistency, Error> {
        let subject = format!("audit proof since size {old_size}");
        self.broker.record_read(caller, subject).await?;
        let signed = self.checkpoint(log).await?;
        if old_size == 0 {
            return Err(Error::field(
                "old_size",
                "the size of an earlier checkpoint, at least 1",
            ));
        }
        if old_size > signed.size {
            return Err(beyond(old_size, &signed));
        }
        let folder = signed.log.folder(&self.root);
        aside(move || {
            let reader = Reader::open(&folder);
            let hashes = reader.at(signed.size).consistency(old_size);
            Ok(Consistency {
                hashes: bytes(&hashes.map_err(Error::log)?),
                signed,
            })
        })
        .await
    }

    /// Where the issue of a credential is logged. Its id says when it ends, so it is not looked for
    /// before it can have begun.
    async fn issue_of(&self, id: CredentialId) -> Result<(Option<LogName>, u64), Error> {
        let longest = MAX_CERTIFICATE_TTL.duration().saturating_add(MARGIN);
        let mut wanted = EntryQuery {
            filter: Filter {
                credential: Some(id.to_string()),
                outcome: Some(Outcome::Allow.to_string()),
                from: Some(id.ends_at().minus(longest)),
                ..Filter::default()
            },
            limit: 1,
            ..EntryQuery::default()
        };
        loop {
            let page = self.find(wanted.clone()).await?;
            if let Some(found) = page.entries.first() {
                return Ok((Some(found.log), found.index));
            }
            wanted.after = page.next;
            if wanted.after.is_none() {
                let what = format!("no entry about the issue of credential {id} is in the log");
                return Err(Error::NotLogged { what });
            }
        }
    }
}

fn bytes(hashes: &[Hash]) -> Vec<[u8; LENGTH]> {
    hashes.iter().map(|hash| *hash.as_bytes()).collect()
}
