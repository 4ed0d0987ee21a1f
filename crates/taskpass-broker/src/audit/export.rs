//! The files of a log as one checkpoint covers them, for a mirror: the checkpoint last, so that a
//! copy which was cut off is never taken for a whole one.

use std::path::PathBuf;

use taskpass_log::read::CHECKPOINT;
use taskpass_log::tile::Tile;
use taskpass_log::{LogName, Reader};

use super::{AuditLog, Signed, beyond};
use crate::archive::aside;
use crate::error::Error;
use crate::standing::Standing;

/// A file of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// Its path beneath the log's folder.
    pub path: String,
    /// Its content.
    pub data: Vec<u8>,
}

/// Hands out the files of a log, one after the other.
#[derive(Debug)]
pub struct Export {
    folder: PathBuf,
    signed: Signed,
    tiles: std::vec::IntoIter<Tile>,
    finished: bool,
}

impl AuditLog {
    /// Begins an export of a log, the current one if none is named; full tiles within the first
    /// `from_size` entries, which the mirror has, are left out.
    pub async fn export(
        &self,
        caller: &Standing,
        log: Option<LogName>,
        from_size: u64,
    ) -> Result<Export, Error> {
        let signed = self.checkpoint(log).await?;
        if from_size > signed.size {
            return Err(beyond(from_size, &signed));
        }
        let subject = format!("audit export of {} from {from_size}", signed.log);
        self.broker.record_read(caller, subject).await?;
        let folder = signed.log.folder(&self.root);
        let tiles: Vec<_> = Reader::open(&folder)
            .at(signed.size)
            .tiles(from_size)
            .collect();
        Ok(Export {
            folder,
            signed,
            tiles: tiles.into_iter(),
            finished: false,
        })
    }
}

impl Export {
    /// Which log.
    pub const fn log(&self) -> LogName {
        self.signed.log
    }

    /// How many entries its checkpoint covers.
    pub const fn size(&self) -> u64 {
        self.signed.size
    }

    /// The log's public key.
    pub fn vkey(&self) -> &str {
        &self.signed.vkey
    }

    /// The next file; `None` after the checkpoint.
    pub async fn next(&mut self) -> Result<Option<LogFile>, Error> {
        let Some(tile) = self.tiles.next() else {
            let last = !std::mem::replace(&mut self.finished, true);
            return Ok(last.then(|| LogFile {
                path: CHECKPOINT.to_owned(),
                data: self.signed.checkpoint.clone().into_bytes(),
            }));
        };
        let folder = self.folder.clone();
        let size = self.signed.size;
        let data = aside(move || {
            let reader = Reader::open(&folder);
            reader.at(size).tile(tile).map_err(Error::log)
        })
        .await?;
        Ok(Some(LogFile {
            path: tile.path(),
            data,
        }))
    }
}
