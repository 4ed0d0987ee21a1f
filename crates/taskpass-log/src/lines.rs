//! Appending entries to the file of the month.

use std::fs::{File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// The log could not be written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The folder could not be made.
    #[error("could not make the log's folder {path}", path = path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file could not be opened, cut or written.
    #[error("could not write the log file {path}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is shorter than what was acknowledged: somebody cut it.
    #[error("the log file {path} has {found} bytes, but {expected} were written", path = path.display())]
    Shortened {
        /// The file.
        path: PathBuf,
        /// What was acknowledged.
        expected: u64,
        /// What is there.
        found: u64,
    },
}

/// Where the log ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct End {
    /// The index of the next entry.
    pub next_index: u64,
    /// The name of the file that was written last; empty at the very beginning.
    pub file: String,
    /// Its length in bytes.
    pub length: u64,
}

/// The open log.
#[derive(Debug)]
pub struct JsonLines {
    folder: PathBuf,
    end: End,
    open: Option<File>,
}

impl JsonLines {
    /// Opens the log in `folder` at `end`, cutting off what lies behind it.
    pub fn open(folder: &Path, end: End) -> Result<Self, LogError> {
        std::fs::create_dir_all(folder).map_err(|source| LogError::Folder {
            path: folder.to_owned(),
            source,
        })?;
        let mut log = Self {
            folder: folder.to_owned(),
            end,
            open: None,
        };
        if !log.end.file.is_empty() {
            let file = log.end.file.clone();
            log.open = Some(log.open_at(&file, log.end.length)?);
        }
        Ok(log)
    }

    fn open_at(&self, name: &str, length: u64) -> Result<File, LogError> {
        let path = self.folder.join(name);
        let failed = |source| LogError::Write {
            path: path.clone(),
            source,
        };
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(failed)?;
        let found = file.metadata().map_err(failed)?.len();
        if found < length {
            return Err(LogError::Shortened {
                path,
                expected: length,
                found,
            });
        }
        file.set_len(length).map_err(failed)?;
        file.seek(SeekFrom::Start(length)).map_err(failed)?;
        // The directory entry of a new file must survive a power loss too.
        File::open(&self.folder)
            .and_then(|folder| folder.sync_all())
            .map_err(failed)?;
        Ok(file)
    }

    /// Where the log ends now.
    pub fn end(&self) -> &End {
        &self.end
    }

    /// Appends entries (each one JSON value without a line break) to the file of `month`
    /// (`YYYY-MM`), and returns the new end once they are on disk.
    ///
    /// After an error the file may hold part of them; open the log anew at the last known end.
    pub fn append<'a>(
        &mut self,
        month: &str,
        entries: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<End, LogError> {
        let name = format!("audit-{month}.jsonl");
        let mut end = self.end.clone();
        if end.file != name {
            end.file.clone_from(&name);
            end.length = 0;
            self.open = None;
        }
        let mut file = match self.open.take() {
            Some(file) => file,
            None => self.open_at(&name, end.length)?,
        };
        let mut lines = Vec::new();
        for entry in entries {
            lines
                .extend_from_slice(format!("{{\"index\":{},\"entry\":", end.next_index).as_bytes());
            lines.extend_from_slice(entry);
            lines.extend_from_slice(b"}\n");
            end.next_index += 1;
        }
        let path = self.folder.join(&name);
        let failed = |source| LogError::Write { path, source };
        file.write_all(&lines)
            .and_then(|()| file.sync_data())
            .map_err(failed)?;
        end.length += u64::try_from(lines.len()).unwrap_or(u64::MAX);
        self.open = Some(file);
        self.end = end.clone();
        Ok(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(folder: &Path, file: &str) -> Vec<String> {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn appends_and_goes_on_where_it_ended() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = JsonLines::open(folder.path(), End::default()).unwrap();
        let end = log.append("2026-11", [b"{}".as_slice(), b"[1]"]).unwrap();
        drop(log);
        let mut log = JsonLines::open(folder.path(), end).unwrap();
        let end = log.append("2026-12", [b"2".as_slice()]).unwrap();
        assert_eq!(
            (end.next_index, end.file.as_str()),
            (3, "audit-2026-12.jsonl")
        );
        assert_eq!(
            lines(folder.path(), "audit-2026-11.jsonl"),
            [r#"{"index":0,"entry":{}}"#, r#"{"index":1,"entry":[1]}"#]
        );
        assert_eq!(
            lines(folder.path(), "audit-2026-12.jsonl"),
            [r#"{"index":2,"entry":2}"#]
        );
    }

    #[test]
    fn what_was_not_acknowledged_is_written_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = JsonLines::open(folder.path(), End::default()).unwrap();
        let acknowledged = log.append("2026-11", [b"0".as_slice()]).unwrap();
        // The crash comes after the write and before the store's cursor moved.
        log.append("2026-11", [b"1".as_slice(), b"2"]).unwrap();
        let mut log = JsonLines::open(folder.path(), acknowledged).unwrap();
        log.append("2026-11", [b"1".as_slice()]).unwrap();
        assert_eq!(
            lines(folder.path(), "audit-2026-11.jsonl"),
            [r#"{"index":0,"entry":0}"#, r#"{"index":1,"entry":1}"#]
        );
    }

    #[test]
    fn a_shortened_file_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = JsonLines::open(folder.path(), End::default()).unwrap();
        let end = log.append("2026-11", [b"0".as_slice()]).unwrap();
        std::fs::write(folder.path().join("audit-2026-11.jsonl"), b"{").unwrap();
        assert!(matches!(
            JsonLines::open(folder.path(), end),
            Err(LogError::Shortened { found: 1, .. })
        ));
    }
}
