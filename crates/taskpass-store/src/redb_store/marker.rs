//! The marker beside a store: a small file that repeats the store's random birth id.
//!
//! It is written last, once the store is durable. So whoever finds the marker knows that there was
//! a store, and which one; a file that is missing, empty or another store is then no fresh start.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::create::new_file;

/// The marker of the store at `path`: the same name with the extension `birth`.
pub fn marker_path(path: &Path) -> PathBuf {
    path.with_extension("birth")
}

/// Writes the marker durably: the file, then its directory.
pub(super) fn write(path: &Path, id: [u8; 16]) -> io::Result<()> {
    let marker = marker_path(path);
    let mut file = new_file(&marker)?;
    writeln!(file, "{}", text(id))?;
    file.sync_all()?;
    sync_directory(&marker)
}

/// Whether the marker names `id`; `None` if there is no marker.
pub(super) fn names(path: &Path, id: [u8; 16]) -> io::Result<Option<bool>> {
    match std::fs::read(marker_path(path)) {
        Ok(found) => Ok(Some(found.trim_ascii_end() == text(id).as_bytes())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes the directory entry of `path` durable.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

fn text(id: [u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(id))
}
