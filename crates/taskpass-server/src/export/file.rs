//! The file that a checkpoint is exported to: read before it is replaced, and replaced at once.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use taskpass_log::note::MAX_NOTE;

use super::ExportError;

/// What the file holds; nothing if it is not there, or empty.
pub(super) async fn read(path: PathBuf) -> Result<Option<Vec<u8>>, ExportError> {
    aside(move || {
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(|source| failed("read", &path, source))?,
        };
        // One byte more than any checkpoint has: then it is none.
        let limit = u64::try_from(MAX_NOTE)
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        let mut bytes = Vec::new();
        file.take(limit)
            .read_to_end(&mut bytes)
            .map_err(|source| failed("read", &path, source))?;
        Ok(Some(bytes).filter(|bytes| !bytes.is_empty()))
    })
    .await
}

/// Writes aside, renames, and makes both durable: whoever reads the file finds a whole checkpoint.
pub(super) async fn replace(path: PathBuf, checkpoint: String) -> Result<(), ExportError> {
    aside(move || {
        write(&path, checkpoint.as_bytes()).map_err(|source| failed("write", &path, source))
    })
    .await
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::other("it names no file"))?;
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut part = std::ffi::OsString::from(".");
    part.push(name);
    part.push(".writing");
    let part = folder.join(part);
    // Of an earlier attempt. A new one is made, so that no link is followed.
    match std::fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    std::fs::rename(&part, path)?;
    File::open(folder)?.sync_all()
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> ExportError {
    ExportError::File {
        action,
        path: path.to_owned(),
        source,
    }
}

async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ExportError> + Send + 'static,
) -> Result<T, ExportError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(ExportError::Cut)?
}
