//! Reading a backup: the digest over the whole of it first, and then frame by frame.

use std::io::{self, Read, Seek, SeekFrom};

use prost::Message as _;
use ring::digest::{Context, SHA256};

use super::{BackupHeader, Content, DIGEST_LEN, Frame, MAGIC, MAX_FRAME, RowsRecord};
use crate::error::{OpenError, StoreError};

/// Why a backup was not read, or not restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// It could not be read.
    #[error("the backup could not be read")]
    Read(#[from] io::Error),
    /// It does not begin like one.
    #[error("the file is no backup of taskpass, or one of another version")]
    NotOne,
    /// It is cut off, or a bit of it changed.
    #[error("the backup is cut off or damaged: its digest does not fit")]
    Damaged,
    /// The digest fits, and what is in it does not read.
    #[error("the backup does not read: {what}")]
    Malformed {
        /// What is wrong.
        what: &'static str,
    },
    /// A newer program made it.
    #[error("the backup is of schema {found}, this program knows {known}; use a newer taskpass")]
    Newer {
        /// The backup's.
        found: u32,
        /// The newest known here.
        known: u32,
    },
    /// There is a store where it is to go.
    #[error(transparent)]
    Place(OpenError),
    /// The new store could not be written.
    #[error("the new store could not be written")]
    Write(#[source] StoreError),
}

/// Checks the digest of a backup, and says what it is of.
pub fn verify_backup(file: &mut (impl Read + Seek)) -> Result<BackupHeader, BackupError> {
    verify(file)?;
    let mut rows = Rows::begin(file)?;
    rows.header()
}

/// Checks the digest of the whole.
pub(crate) fn verify(file: &mut (impl Read + Seek)) -> Result<(), BackupError> {
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(0))?;
    let mut magic = vec![0; MAGIC.len()];
    match file.read_exact(&mut magic) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(BackupError::NotOne);
        }
        read => read?,
    }
    if magic != MAGIC {
        return Err(BackupError::NotOne);
    }
    let covered = length.checked_sub(DIGEST_LEN).ok_or(BackupError::Damaged)?;
    file.seek(SeekFrom::Start(0))?;
    let mut digest = Context::new(&SHA256);
    let mut left = covered;
    let mut buffer = vec![0; 64 * 1024];
    while left > 0 {
        let most = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let part = buffer.get_mut(..most).unwrap_or_default();
        file.read_exact(part)?;
        digest.update(part);
        left = left.saturating_sub(u64::try_from(most).unwrap_or(u64::MAX));
    }
    let mut expected = [0; 32];
    file.read_exact(&mut expected)?;
    if digest.finish().as_ref() == expected {
        Ok(())
    } else {
        Err(BackupError::Damaged)
    }
}

/// What comes next in a backup.
pub(crate) enum Item {
    /// Rows of a table.
    Rows(RowsRecord),
    /// There were so many, and no more.
    End(u64),
}

/// Reads frames.
pub(crate) struct Rows<'a, R> {
    file: &'a mut R,
}

impl<'a, R: Read + Seek> Rows<'a, R> {
    /// At the beginning of `file`.
    pub(crate) fn begin(file: &'a mut R) -> Result<Self, BackupError> {
        file.seek(SeekFrom::Start(0))?;
        let mut magic = vec![0; MAGIC.len()];
        file.read_exact(&mut magic)
            .map_err(|_| BackupError::NotOne)?;
        if magic == MAGIC {
            Ok(Self { file })
        } else {
            Err(BackupError::NotOne)
        }
    }

    /// The header, which comes first.
    pub(crate) fn header(&mut self) -> Result<BackupHeader, BackupError> {
        match self.frame()? {
            Content::Header(header) => Ok(header.into()),
            _ => Err(BackupError::Malformed {
                what: "its first frame is no header",
            }),
        }
    }

    /// What comes next.
    pub(crate) fn next(&mut self) -> Result<Item, BackupError> {
        match self.frame()? {
            Content::Rows(rows) if rows.keys.len() == rows.values.len() => Ok(Item::Rows(rows)),
            Content::End(count) => Ok(Item::End(count)),
            Content::Rows(_) | Content::Header(_) => Err(BackupError::Malformed {
                what: "a frame is not rows",
            }),
        }
    }

    fn frame(&mut self) -> Result<Content, BackupError> {
        let cut = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => BackupError::Damaged,
            _ => error.into(),
        };
        let mut length = [0; 4];
        self.file.read_exact(&mut length).map_err(cut)?;
        let length = u32::from_be_bytes(length);
        if length > MAX_FRAME {
            return Err(BackupError::Malformed {
                what: "a frame is too long",
            });
        }
        let mut message = Vec::new();
        let read = (&mut *self.file)
            .take(length.into())
            .read_to_end(&mut message)?;
        if u32::try_from(read) != Ok(length) {
            return Err(BackupError::Damaged);
        }
        Frame::decode(message.as_slice())
            .ok()
            .and_then(|frame| frame.content)
            .ok_or(BackupError::Malformed {
                what: "a frame does not decode",
            })
    }
}
