//! Making a store, once.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use redb::{Builder, Database};
use taskpass_core::rng::Rng;

use super::error::During as _;
use super::marker::{self, marker_path, sync_directory};
use super::writing::{Tables, put_record};
use super::{migrate, tables};
use crate::error::{OpenError, StoreError};
use crate::record::{BirthRecord, ClockRecord};
use crate::store::Birth;

/// Makes an empty store at `path` and its marker beside it, both durable when this returns.
///
/// A store or a marker that is there already is left alone. What was begun is removed again if a
/// later step fails.
pub fn create(path: &Path, birth: &Birth, rng: &dyn Rng) -> Result<(), OpenError> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| OpenError::Failed {
        path: path.to_owned(),
        source,
    };
    if marker_path(path).exists() {
        return Err(OpenError::Exists {
            path: path.to_owned(),
        });
    }
    let file = new_file(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => OpenError::Exists {
            path: path.to_owned(),
        },
        _ => failed(error.into()),
    })?;
    drop(file);
    fill(path, birth, rng.bytes16()).map_err(|error| {
        // A store without its marker is refused, so leaving pieces would only be in the way.
        for piece in [path, &marker_path(path)] {
            if let Err(error) = std::fs::remove_file(piece) {
                tracing::debug!(%error, path = %piece.display(), "nothing to remove");
            }
        }
        failed(error.into())
    })
}

fn fill(path: &Path, birth: &Birth, id: [u8; 16]) -> Result<(), StoreError> {
    let database = Builder::new().create(path).during("made the file")?;
    initialise(&database, birth, id)?;
    database.close().during("closed the new file")?;
    let file = File::open(path).during("synced the new file")?;
    file.sync_all().during("synced the new file")?;
    sync_directory(path).during("synced the directory")?;
    marker::write(path, id).during("wrote the birth marker")
}

/// Writes what every store holds from the start, in one transaction.
pub(super) fn initialise(
    database: &Database,
    birth: &Birth,
    id: [u8; 16],
) -> Result<(), StoreError> {
    let mut transaction = database.begin_write().during("began a write")?;
    transaction.set_quick_repair(true);
    let mut all = Tables::new(&transaction);
    all.create_all()?;
    let clock = ClockRecord {
        last_committed_at: birth.born_at.millis(),
        ..ClockRecord::default()
    };
    put_record(all.meta()?, tables::CLOCK, &clock)?;
    put_record(all.meta()?, tables::BIRTH, &BirthRecord::new(id, birth))?;
    drop(all);
    migrate::write_version(&transaction, migrate::known(migrate::STEPS))?;
    transaction.commit().during("wrote the birth record")
}

/// Makes a file that only its owner may read; an error if there is one.
pub(super) fn new_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
