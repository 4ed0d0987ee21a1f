//! The files of an identity: read and replaced as one.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::IdentityError;

pub(super) const CERT: &str = "cert.pem";
pub(super) const KEY: &str = "key.pem";
pub(super) const CA: &str = "ca.pem";
/// The key of a renewal that has begun.
const NEXT_KEY: &str = "next-key.pem";
/// Holds the files of a save that has happened but whose files are not all in their places.
const NEXT: &str = "next";
/// Holds the files of a save that has not happened yet.
const STAGING: &str = "next.tmp";

pub(super) fn read(folder: &Path, name: &str) -> Result<String, IdentityError> {
    let path = find(folder, name)?;
    fs::read_to_string(&path).map_err(|source| missing_or("read", path, source))
}

pub(super) fn read_key(folder: &Path) -> Result<Zeroizing<String>, IdentityError> {
    read_secret(find(folder, KEY)?)
}

pub(super) fn read_next_key(folder: &Path) -> Result<Option<Zeroizing<String>>, IdentityError> {
    match read_secret(folder.join(NEXT_KEY)) {
        Err(IdentityError::Missing { .. }) => Ok(None),
        other => other.map(Some),
    }
}

pub(super) fn write_next_key(folder: &Path, pem: &str) -> Result<(), IdentityError> {
    let path = folder.join(NEXT_KEY);
    let half = folder.join("next-key.tmp");
    remove(&half)?;
    write_private(&half, pem.as_bytes()).map_err(|e| io("write", half.clone(), e))?;
    fs::rename(&half, &path).map_err(|e| io("write", path, e))?;
    sync(folder)
}

pub(super) fn remove_next_key(folder: &Path) -> Result<(), IdentityError> {
    remove(&folder.join(NEXT_KEY))
}

fn remove(path: &Path) -> Result<(), IdentityError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            Err(io("remove", path.to_owned(), source))
        }
        _ => Ok(()),
    }
}

fn read_secret(path: PathBuf) -> Result<Zeroizing<String>, IdentityError> {
    if is_open_to_others(&path) {
        return Err(IdentityError::Exposed { path });
    }
    fs::read_to_string(&path)
        .map(Zeroizing::new)
        .map_err(|source| missing_or("read", path, source))
}

/// Where a file is now: among those that wait to be moved, or in its place.
fn find(folder: &Path, name: &str) -> Result<PathBuf, IdentityError> {
    let waiting = folder.join(NEXT).join(name);
    match waiting.try_exists() {
        Ok(true) => Ok(waiting),
        Ok(false) => Ok(folder.join(name)),
        Err(source) => Err(io("read", waiting, source)),
    }
}

/// What a file is told apart by without reading it; `None` if it is not there.
pub(crate) type Stamp = Option<(std::time::SystemTime, u64, u64)>;

/// The stamps of the files of an identity, as they are now.
pub(crate) fn stamps(folder: &Path) -> Vec<Stamp> {
    [CERT, KEY, CA].map(|name| stamp(folder, name)).to_vec()
}

fn stamp(folder: &Path, name: &str) -> Stamp {
    let meta = fs::metadata(find(folder, name).ok()?).ok()?;
    #[cfg(unix)]
    let place = std::os::unix::fs::MetadataExt::ino(&meta);
    #[cfg(not(unix))]
    let place = 0;
    Some((meta.modified().ok()?, meta.len(), place))
}

pub(super) fn write(folder: &Path, files: [(&str, &[u8]); 3]) -> Result<(), IdentityError> {
    private_folder(folder)?;
    // An earlier save that got no further than its rename counts: let it finish first.
    settle(folder)?;
    let staging = folder.join(STAGING);
    if staging.exists() {
        fs::remove_dir_all(&staging).map_err(|e| io("clear", staging.clone(), e))?;
    }
    private_folder(&staging)?;
    for (name, bytes) in files {
        let path = staging.join(name);
        write_private(&path, bytes).map_err(|e| io("write", path, e))?;
    }
    sync(&staging)?;
    let next = folder.join(NEXT);
    fs::rename(&staging, &next).map_err(|e| io("write", next, e))?;
    sync(folder)?;
    settle(folder)
}

/// Moves waiting files to their places.
fn settle(folder: &Path) -> Result<(), IdentityError> {
    let next = folder.join(NEXT);
    if !next.exists() {
        return Ok(());
    }
    for name in [CERT, KEY, CA] {
        let to = folder.join(name);
        match fs::rename(next.join(name), &to) {
            Err(source) if source.kind() != ErrorKind::NotFound => {
                return Err(io("replace", to, source));
            }
            _ => {}
        }
    }
    sync(folder)?;
    fs::remove_dir(&next).map_err(|e| io("remove", next, e))
}

fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn private_folder(path: &Path) -> Result<(), IdentityError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder
        .create(path)
        .map_err(|e| io("make", path.to_owned(), e))
}

fn sync(folder: &Path) -> Result<(), IdentityError> {
    File::open(folder)
        .and_then(|handle| handle.sync_all())
        .map_err(|e| io("write", folder.to_owned(), e))
}

#[cfg(unix)]
fn is_open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    // A file that cannot be looked at is reported by the read that follows.
    fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o007 != 0)
}

#[cfg(not(unix))]
fn is_open_to_others(_path: &Path) -> bool {
    false
}

fn missing_or(action: &'static str, path: PathBuf, source: std::io::Error) -> IdentityError {
    if source.kind() == ErrorKind::NotFound {
        IdentityError::Missing { path }
    } else {
        io(action, path, source)
    }
}

fn io(action: &'static str, path: PathBuf, source: std::io::Error) -> IdentityError {
    IdentityError::Io {
        action,
        path,
        source,
    }
}
