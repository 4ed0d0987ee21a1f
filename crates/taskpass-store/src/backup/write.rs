//! Writing a backup: rows go in, pieces of bytes come out, and no more than a piece is held.

use bytes::Bytes;
use prost::Message as _;
use ring::digest::{Context, SHA256};

use super::{BackupHeader, Content, Frame, MAGIC, RowsRecord};

/// About how many bytes a frame of rows, and a piece, has.
const PIECE: usize = 256 * 1024;

/// Where pieces go; `false` when nobody takes them any more.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(Bytes) -> bool;

/// Nobody takes the backup any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Abandoned;

/// Encodes a backup.
pub(crate) struct Encoder<'a> {
    sink: Sink<'a>,
    digest: Context,
    rows: RowsRecord,
    held: usize,
    count: u64,
}

impl<'a> Encoder<'a> {
    /// Begins a backup.
    pub(crate) fn begin(header: &BackupHeader, sink: Sink<'a>) -> Result<Self, Abandoned> {
        let mut encoder = Self {
            sink,
            digest: Context::new(&SHA256),
            rows: RowsRecord::default(),
            held: 0,
            count: 0,
        };
        encoder.send(MAGIC.to_vec())?;
        encoder.frame(Content::Header(header.into()))?;
        Ok(encoder)
    }

    /// Adds a row of `table`.
    pub(crate) fn row(&mut self, table: &str, key: &[u8], value: &[u8]) -> Result<(), Abandoned> {
        if self.rows.table != table {
            self.flush()?;
            table.clone_into(&mut self.rows.table);
        }
        self.rows.keys.push(key.to_vec());
        self.rows.values.push(value.to_vec());
        self.held = self
            .held
            .saturating_add(key.len())
            .saturating_add(value.len());
        self.count = self.count.saturating_add(1);
        if self.held >= PIECE {
            self.flush()?;
        }
        Ok(())
    }

    /// Ends the backup: how many rows there were, and the digest.
    pub(crate) fn end(mut self) -> Result<(), Abandoned> {
        self.flush()?;
        let count = self.count;
        self.frame(Content::End(count))?;
        let digest = self.digest.finish();
        if (self.sink)(Bytes::copy_from_slice(digest.as_ref())) {
            Ok(())
        } else {
            Err(Abandoned)
        }
    }

    fn flush(&mut self) -> Result<(), Abandoned> {
        let rows = std::mem::take(&mut self.rows);
        self.held = 0;
        if rows.keys.is_empty() {
            return Ok(());
        }
        self.rows.table.clone_from(&rows.table);
        self.frame(Content::Rows(rows))
    }

    fn frame(&mut self, content: Content) -> Result<(), Abandoned> {
        let frame = Frame {
            content: Some(content),
        };
        let message = frame.encode_to_vec();
        // A frame is a piece and one row, and no row is as long as a length can say.
        let length = u32::try_from(message.len()).map_err(|_| Abandoned)?;
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.extend_from_slice(&message);
        self.send(bytes)
    }

    fn send(&mut self, bytes: Vec<u8>) -> Result<(), Abandoned> {
        self.digest.update(&bytes);
        if (self.sink)(bytes.into()) {
            Ok(())
        } else {
            Err(Abandoned)
        }
    }
}
