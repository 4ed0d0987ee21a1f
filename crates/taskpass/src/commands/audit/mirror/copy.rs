//! Copying one log: what comes is compared, written, verified, and only then called the log.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::Duration;

use taskpass_api::v1;
use taskpass_api::v1::audit_service_client::AuditServiceClient;
use taskpass_client::Connection;
use taskpass_log::files::{Disk, Files as _};
use taskpass_log::read::CHECKPOINT;
use taskpass_log::tile::{Kind, Tile, WIDTH};
use taskpass_log::verify::verify_under;
use taskpass_log::writer::WRITING;
use taskpass_log::{Checkpoint, LogName, NoteKey, Reader};

use crate::commands::audit::refusal;
use crate::context::Context;
use crate::errors::CliError;

/// More than the longest bundle.
const MAX_FILE: usize = 32 * 1024 * 1024;
/// How often to say how far it is.
const EVERY: Duration = Duration::from_secs(2);

/// One log that is being copied.
pub(super) struct Copy<'a> {
    root: &'a Path,
    log: LogName,
    disk: Disk,
    /// Whether its folder was made, which is when there is something to write.
    made: bool,
    /// The checkpoint that was there before.
    old: Option<(Vec<u8>, Checkpoint)>,
    /// The new one, which comes last.
    note: Option<Vec<u8>>,
    key: Option<NoteKey>,
    /// The beginning of a file that comes in several messages.
    begun: Option<(String, Vec<u8>)>,
    /// Folders in which there are new names.
    touched: BTreeSet<String>,
}

impl<'a> Copy<'a> {
    /// Looks at what is there of it already.
    pub(super) fn open(root: &'a Path, log: LogName) -> Result<Self, CliError> {
        let folder = log.folder(root);
        let note = Reader::open(&folder)
            .checkpoint()
            .map_err(|error| CliError::caused("FILE_ERROR", error.to_string(), error))?;
        let old = match note {
            None => None,
            Some(note) => {
                let checkpoint = Checkpoint::parse_unverified(&note).map_err(|error| {
                    let path = folder.join(CHECKPOINT);
                    let message = format!("{} is no checkpoint", path.display());
                    CliError::caused("LOG_INVALID", message, error)
                })?;
                Some((note, checkpoint))
            }
        };
        Ok(Self {
            root,
            log,
            disk: Disk::at(&folder),
            made: false,
            old,
            note: None,
            key: None,
            begun: None,
            touched: BTreeSet::new(),
        })
    }

    /// Copies what is new.
    pub(super) async fn run(
        mut self,
        context: &Context,
        client: &mut AuditServiceClient<Connection>,
        mut request: v1::ExportRequest,
    ) -> Result<(), CliError> {
        request.from_size = self.old.as_ref().map_or(0, |(_, old)| old.size);
        let mut stream = client.export(request).await?.into_inner();
        let mut said = context.clock.monotonic();
        while let Some(message) = stream.message().await? {
            let size = message.size;
            let done = self.take(message)?;
            let now = context.clock.monotonic();
            if now.saturating_sub(said) >= EVERY
                && let Some(done) = done
            {
                said = now;
                let log = self.log;
                context
                    .output
                    .note(&format!("{log}: {done} of {size} entries"));
            }
        }
        self.finish()
    }

    /// Takes a file in, or a part of one; of a bundle, says up to which entry it goes.
    pub(super) fn take(&mut self, message: v1::ExportResponse) -> Result<Option<u64>, CliError> {
        if message.log != self.log.to_string() {
            return Err(CliError::bad_reply("file of the log that was asked for"));
        }
        self.make()?;
        if !message.vkey.is_empty() {
            self.keep_key(&message.vkey)?;
        }
        let data = match self.begun.take() {
            Some((path, mut data)) if path == message.path => {
                data.extend_from_slice(&message.data);
                data
            }
            Some(_) => return Err(CliError::bad_reply("rest of a file")),
            None => message.data.into(),
        };
        if data.len() > MAX_FILE {
            return Err(CliError::bad_reply("file of a log"));
        }
        if message.more {
            self.begun = Some((message.path, data));
            return Ok(None);
        }
        if message.path == CHECKPOINT {
            self.note = Some(data);
            return Ok(None);
        }
        // Whatever does not read as a tile's path could lie anywhere.
        let tile = Tile::parse(&message.path).ok_or_else(|| CliError::bad_reply("tile"))?;
        self.keep_tile(tile, &data)?;
        Ok((tile.kind == Kind::Entries).then_some(end(tile)))
    }

    /// Makes the folder, once.
    fn make(&mut self) -> Result<(), CliError> {
        if !self.made {
            let folder = self.log.folder(self.root);
            Disk::create(&folder)
                .and_then(|disk| disk.make_folder(WRITING))
                .map_err(|error| CliError::file("make the folder", &folder, error))?;
            self.made = true;
        }
        Ok(())
    }

    /// Writes the log's key beside it. It stays what it was.
    fn keep_key(&mut self, vkey: &str) -> Result<(), CliError> {
        let key = NoteKey::parse(vkey.trim()).map_err(|error| {
            CliError::caused("BAD_REPLY", "the broker's answer has no public key", error)
        })?;
        let path = self.log.vkey(self.root);
        let failed = |error| CliError::file("write", &path, error);
        match std::fs::read_to_string(&path) {
            Ok(old) if old.trim() == key.to_string() => {}
            Ok(_) => {
                let (path, log) = (path.display(), self.log);
                let message = format!("the broker's key for log {log} is not the one in {path}");
                return Err(CliError::new("KEY_CHANGED", message));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let aside = format!("{WRITING}/vkey");
                let folder = self.log.folder(self.root);
                self.disk
                    .write(&aside, format!("{key}\n").as_bytes())
                    .and_then(|()| std::fs::rename(folder.join(aside), &path))
                    .and_then(|()| Disk::at(self.root).sync_folder(""))
                    .map_err(failed)?;
            }
            Err(error) => return Err(CliError::file("read", &path, error)),
        }
        self.key = Some(key);
        Ok(())
    }

    /// Writes a tile, or compares it to the one that is there.
    fn keep_tile(&mut self, tile: Tile, data: &[u8]) -> Result<(), CliError> {
        let path = tile.path();
        let place = self.log.folder(self.root).join(&path);
        match std::fs::read(&place) {
            Ok(old) if old == data => return Ok(()),
            // What nobody signed for is the rest of a copy that was cut off.
            Ok(_) if !self.covers(tile) => {}
            Ok(_) => {
                let place = place.display();
                let message =
                    format!("{place} is not what the broker sends now; a tile never changes");
                return Err(CliError::new("LOG_REWRITTEN", message));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(CliError::file("read", &place, error)),
        }
        self.put(&path, data)
            .map_err(|error| CliError::file("write", &place, error))
    }

    /// Whether the checkpoint that was there before covers a tile.
    fn covers(&self, tile: Tile) -> bool {
        let old = self.old.as_ref();
        old.is_some_and(|(_, old)| end(tile) <= tile.kind.count(old.size))
    }

    fn put(&mut self, path: &str, data: &[u8]) -> io::Result<()> {
        let mut folder = String::new();
        let folders = path.rsplit_once('/').map_or("", |(folders, _)| folders);
        for part in folders.split('/').filter(|part| !part.is_empty()) {
            let parent = folder.clone();
            folder = if parent.is_empty() {
                part.to_owned()
            } else {
                format!("{parent}/{part}")
            };
            if self.touched.insert(folder.clone()) {
                self.disk.make_folder(&folder)?;
                self.touched.insert(parent);
            }
        }
        let aside = format!("{WRITING}/file");
        self.disk.write(&aside, data)?;
        self.disk.rename(&aside, path)
    }

    /// Verifies what is there under the new checkpoint, and only then puts that in its place.
    pub(super) fn finish(mut self) -> Result<(), CliError> {
        let note = self
            .note
            .take()
            .ok_or_else(|| CliError::bad_reply("checkpoint"))?;
        let key = self
            .key
            .take()
            .ok_or_else(|| CliError::bad_reply("public key"))?;
        let old = self.old.take();
        let (old, old_size) = match &old {
            Some((old, checkpoint)) => (Some(old.as_slice()), checkpoint.size),
            None => (None, 0),
        };
        let mut size = old_size;
        if old != Some(note.as_slice()) {
            let report = verify_under(&self.disk, &note, &[key], old).map_err(refusal::of_log)?;
            size = report.checkpoint.size;
        }
        let place = self.log.folder(self.root).join(CHECKPOINT);
        self.settle(&note)
            .map_err(|error| CliError::file("write", &place, error))?;
        self.prune(old_size, size);
        Ok(())
    }

    /// Removes the partial tiles that were at the end before, and are a part of wider ones now. One
    /// that stays is in nobody's way.
    fn prune(&self, old: u64, new: u64) {
        for kind in Kind::all() {
            let Some(last) = kind.count(old).checked_sub(1) else {
                continue;
            };
            let tile = Tile::holding(kind, last, old).filter(|tile| !tile.is_full());
            if let Some(tile) = tile
                && Tile::holding(kind, last, new) != Some(tile)
            {
                let _ = self.disk.remove_file(&tile.path());
                let _ = self.disk.remove_folder(&tile.partials());
            }
        }
    }

    fn settle(&self, note: &[u8]) -> io::Result<()> {
        for folder in &self.touched {
            self.disk.sync_folder(folder)?;
        }
        let aside = format!("{WRITING}/checkpoint");
        self.disk.write(&aside, note)?;
        self.disk.rename(&aside, CHECKPOINT)?;
        self.disk.remove_folder(WRITING)?;
        self.disk.sync_folder("")
    }
}

/// How many items of its kind there are up to the end of a tile, which may be one that no log has.
fn end(tile: Tile) -> u64 {
    let first = tile.index.saturating_mul(u64::from(WIDTH));
    first.saturating_add(u64::from(tile.width))
}
