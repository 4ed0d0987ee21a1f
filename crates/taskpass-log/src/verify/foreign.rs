//! What lies in a log's folder besides the files that its size demands.

use crate::files::{Files, Found, FoundKind, join};
use crate::read::{CHECKPOINT, ReadError, View};
use crate::tile::{Kind, TileError, WIDTH};
use crate::tile::{Tile, decode_entries, decode_hashes};
use crate::writer::WRITING;

use super::VerifyError;

/// Looks at every file; returns how many lie beyond the size.
pub(super) fn check<F: Files>(files: &F, view: &View<'_, F>) -> Result<u64, VerifyError> {
    let mut unsigned = 0;
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let found = files.list(&folder).map_err(|source| ReadError::Io {
            path: folder.clone(),
            source,
        })?;
        for Found { name, kind } in found {
            let path = join(&folder, &name);
            match kind {
                FoundKind::Folder if path == WRITING => {}
                FoundKind::Folder => folders.push(path),
                FoundKind::File if path == CHECKPOINT => {}
                FoundKind::File => match Tile::parse(&path) {
                    Some(tile) => unsigned += u64::from(!covered(view, tile)?),
                    None => return Err(VerifyError::Foreign { path }),
                },
                FoundKind::Other => return Err(VerifyError::Foreign { path }),
            }
        }
    }
    Ok(unsigned)
}

/// Whether the checkpoint covers a tile. A narrower one than its place has now must be the beginning
/// of it.
fn covered<F: Files>(view: &View<'_, F>, tile: Tile) -> Result<bool, VerifyError> {
    let first = tile.index.saturating_mul(u64::from(WIDTH));
    let Some(whole) = Tile::holding(tile.kind, first, view.size()) else {
        return Ok(false);
    };
    if tile.width > whole.width {
        return Ok(false);
    }
    if tile == whole {
        return Ok(true);
    }
    let malformed = |path, source| ReadError::Malformed { path, source };
    let (found, content) = view.content(tile)?;
    read(found, &content).map_err(|source| malformed(found.path(), source))?;
    let (wider, beginning) = view.content(whole)?;
    if beginning.starts_with(&content) {
        return Ok(true);
    }
    Err(VerifyError::Partial {
        path: found.path(),
        whole: wider.path(),
    })
}

/// Whether the content is that of such a tile.
fn read(tile: Tile, content: &[u8]) -> Result<(), TileError> {
    match tile.kind {
        Kind::Entries => decode_entries(content, tile.width).map(drop),
        Kind::Hashes(_) => decode_hashes(content, tile.width).map(drop),
    }
}
