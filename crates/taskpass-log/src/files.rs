//! The few things that a log does with files.
//!
//! Paths are relative to the log's folder, with `/`; the empty path is the folder itself. Nothing is
//! durable by being written: a file's content is once [`write`](Files::write) returns, its name
//! once the folder that holds it was synced.

use std::fmt::Debug;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// What lies in a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Its name; replacement characters stand for what is not text.
    pub name: String,
    /// What it is.
    pub kind: FoundKind,
}

/// What something in a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FoundKind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A link, a device, a name that is not text: nothing that a log writes.
    Other,
}

/// File operations below one folder.
pub trait Files: Debug {
    /// The content of a file; an error if it is longer than `limit`.
    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>>;

    /// What lies in a folder, in no order.
    fn list(&self, folder: &str) -> io::Result<Vec<Found>>;

    /// Makes a folder in an existing one. One that is there already is no error.
    fn make_folder(&self, folder: &str) -> io::Result<()>;

    /// Writes a file anew, and makes its content durable.
    fn write(&self, path: &str, content: &[u8]) -> io::Result<()>;

    /// Gives a file another name, in place of what had that name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Makes durable which names lie in a folder.
    fn sync_folder(&self, folder: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove_file(&self, path: &str) -> io::Result<()>;

    /// Removes an empty folder.
    fn remove_folder(&self, folder: &str) -> io::Result<()>;
}

/// A folder on disk.
#[derive(Debug, Clone)]
pub struct Disk {
    root: PathBuf,
}

impl Disk {
    /// The folder `root`, which need not be there.
    pub fn at(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// The folder `root`, made durably if it is not there.
    pub fn create(root: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(root)?;
        let parent = std::path::absolute(root)?;
        if let Some(parent) = parent.parent() {
            std::fs::File::open(parent)?.sync_all()?;
        }
        Ok(Self::at(root))
    }

    fn path(&self, path: &str) -> PathBuf {
        if path.is_empty() {
            self.root.clone()
        } else {
            self.root.join(path)
        }
    }
}

impl Files for Disk {
    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        let file = std::fs::File::open(self.path(path))?;
        let mut content = Vec::new();
        file.take(limit.saturating_add(1))
            .read_to_end(&mut content)?;
        if u64::try_from(content.len()).is_ok_and(|length| length <= limit) {
            Ok(content)
        } else {
            Err(too_long(limit))
        }
    }

    fn list(&self, folder: &str) -> io::Result<Vec<Found>> {
        let mut all = Vec::new();
        for entry in std::fs::read_dir(self.path(folder))? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let name = entry.file_name();
            let kind = match name.to_str() {
                Some(_) if kind.is_file() => FoundKind::File,
                Some(_) if kind.is_dir() => FoundKind::Folder,
                _ => FoundKind::Other,
            };
            let name = name.to_string_lossy().into_owned();
            all.push(Found { name, kind });
        }
        Ok(all)
    }

    fn make_folder(&self, folder: &str) -> io::Result<()> {
        match std::fs::create_dir(self.path(folder)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }

    fn write(&self, path: &str, content: &[u8]) -> io::Result<()> {
        let mut file = std::fs::File::create(self.path(path))?;
        file.write_all(content)?;
        file.sync_all()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path(from), self.path(to))
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        std::fs::File::open(self.path(folder))?.sync_all()
    }

    fn remove_file(&self, path: &str) -> io::Result<()> {
        std::fs::remove_file(self.path(path))
    }

    fn remove_folder(&self, folder: &str) -> io::Result<()> {
        std::fs::remove_dir(self.path(folder))
    }
}

pub(crate) fn too_long(limit: u64) -> io::Error {
    io::Error::new(
        io::ErrorKind::FileTooLarge,
        format!("the file is longer than {limit} bytes"),
    )
}

/// The folder that holds `path`.
pub(crate) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// The path of `name` in `folder`.
pub(crate) fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.to_owned()
    } else {
        format!("{folder}/{name}")
    }
}

/// Makes the absence of something no error.
pub(crate) fn if_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
pub(crate) mod memory;
