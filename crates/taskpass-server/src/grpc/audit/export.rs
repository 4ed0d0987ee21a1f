//! The stream of a log's files, large ones in several messages.

use bytes::Bytes;
use taskpass_api::v1;
use taskpass_broker::{Export, LogFile};

use super::BYTES;
use super::reader::{Gone, Reader};
use crate::status;

/// Sends until all files were taken, the reader leaves or may not read on, or the broker stops.
pub(super) async fn run(mut reader: Reader<v1::ExportResponse>, mut export: Export) {
    // In the first message only.
    let mut vkey = export.vkey().to_owned();
    loop {
        let file = match reader.meanwhile(export.next()).await {
            Ok(Ok(Some(file))) => file,
            Ok(Err(error)) => return reader.end(status::of(error)).await,
            Ok(Ok(None)) | Err(Gone) => return,
        };
        for (path, data, more) in pieces(file) {
            let message = v1::ExportResponse {
                log: export.log().to_string(),
                path,
                data,
                size: export.size(),
                vkey: std::mem::take(&mut vkey),
                more,
            };
            if reader.send(message).await.is_err() {
                return;
            }
        }
    }
}

/// The pieces of a file, one at least, each with whether another follows.
fn pieces(file: LogFile) -> impl Iterator<Item = (String, Bytes, bool)> {
    let LogFile { path, data } = file;
    let mut rest = Some(Bytes::from(data));
    std::iter::from_fn(move || {
        let mut piece = rest.take()?;
        if piece.len() > BYTES {
            rest = Some(piece.split_off(BYTES));
        }
        Some((path.clone(), piece, rest.is_some()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_are_the_file() {
        for (length, expected) in [
            (0, 1),
            (1, 1),
            (BYTES, 1),
            (BYTES + 1, 2),
            (256 * 65_537, 17),
        ] {
            let data: Vec<u8> = (0..=250).cycle().take(length).collect();
            let file = LogFile {
                path: "tile/entries/000".to_owned(),
                data: data.clone(),
            };
            let pieces: Vec<_> = pieces(file).collect();
            assert_eq!(pieces.len(), expected, "{length}");
            let (mores, last) = pieces.split_at(expected - 1);
            assert!(
                mores
                    .iter()
                    .all(|(_, piece, more)| *more && piece.len() == BYTES)
            );
            assert!(last.iter().all(|(_, _, more)| !more));
            let joined: Vec<u8> = pieces
                .iter()
                .flat_map(|(_, piece, _)| piece.to_vec())
                .collect();
            assert_eq!(joined, data);
        }
    }
}
