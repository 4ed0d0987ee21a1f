//! `taskpass backup`: a file of the whole store, of a broker that runs or one that is stopped.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use taskpass_api::v1;
use taskpass_store::Store as _;

use crate::cli::backup::{BackupArgs, UnsealArgs};
use crate::context::Context;
use crate::errors::CliError;
use crate::host::{self, Layout};
use crate::session::Session;
use crate::view::backup::{Backup, Unsealed};

/// How often to say how far it is.
const EVERY: u64 = 64 * 1024 * 1024;

/// Runs `backup`.
pub(crate) async fn run(context: &Context, args: BackupArgs) -> Result<(), CliError> {
    let mut file = Part::beside(&args.out)?;
    match &args.data {
        Some(data) => stopped(context, data, &mut file).await?,
        None => running(context, &mut file).await?,
    }
    let (bytes, header) = file.finish()?;
    let shown = args.out.display().to_string();
    context.output.show(&Backup::new(shown, bytes, header))
}

/// Runs `unseal`.
pub(crate) async fn unseal(context: &Context, args: UnsealArgs) -> Result<(), CliError> {
    let mut backup = context.session().await?.backup();
    let request = v1::UnsealRequest {
        reason: args.reason,
    };
    let reply = backup.unseal(request).await?.into_inner();
    context.output.show(&Unsealed {
        was_sealed: reply.was_sealed,
    })
}

async fn running(context: &Context, file: &mut Part<'_>) -> Result<(), CliError> {
    let mut backup =
        Session::for_stream(&context.required_address()?, &context.identity()?)?.backup();
    let mut pieces = backup.backup(v1::BackupRequest {}).await?.into_inner();
    while let Some(piece) = pieces.message().await? {
        file.add(context, &piece.data)?;
    }
    Ok(())
}

async fn stopped(context: &Context, data: &Path, file: &mut Part<'_>) -> Result<(), CliError> {
    let layout = Layout::of(data);
    let store = host::open_store(context, &layout, 16 << 20, 200_000)?;
    let (out, mut pieces) = tokio::sync::mpsc::channel::<hyper::body::Bytes>(4);
    let writing = async {
        while let Some(piece) = pieces.recv().await {
            file.add(context, &piece)?;
        }
        Ok::<(), CliError>(())
    };
    let now = context.clock.now();
    // The one ends when the other does.
    let (read, written) = tokio::join!(store.backup(now, out), writing);
    store.close().await;
    written?;
    read.map_err(|error| {
        CliError::caused("STORE_UNAVAILABLE", "the store could not be read", error)
    })
}

/// A file that gets its name when it is complete, and is removed if it never is.
struct Part<'a> {
    out: &'a Path,
    path: PathBuf,
    file: File,
    bytes: u64,
    named: bool,
}

impl<'a> Part<'a> {
    fn beside(out: &'a Path) -> Result<Self, CliError> {
        if out.exists() {
            let message = format!("{} exists already", out.display());
            return Err(CliError::new("FILE_EXISTS", message)
                .hint("name another file: a backup never takes another one's place"));
        }
        let mut name = out.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let part = out.with_file_name(name);
        let file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&part)
            .map_err(|error| CliError::file("create", &part, error))?;
        Ok(Self {
            out,
            path: part,
            file,
            bytes: 0,
            named: false,
        })
    }

    fn add(&mut self, context: &Context, piece: &[u8]) -> Result<(), CliError> {
        self.file
            .write_all(piece)
            .map_err(|error| CliError::file("write", &self.path, error))?;
        let before = self.bytes / EVERY;
        self.bytes = self.bytes.saturating_add(piece.len() as u64);
        if self.bytes / EVERY > before {
            let megabytes = self.bytes / (1024 * 1024);
            context.output.note(&format!("{megabytes} MiB …"));
        }
        Ok(())
    }

    /// Reads what was written, from the disk's point of view, and names it.
    fn finish(mut self) -> Result<(u64, taskpass_store::BackupHeader), CliError> {
        let failed = |error| CliError::file("write", &self.path, error);
        self.file.sync_all().map_err(failed)?;
        let header = taskpass_store::verify_backup(&mut self.file)
            .map_err(|error| super::restore::refused(error, &self.path))?;
        std::fs::rename(&self.path, self.out).map_err(failed)?;
        self.named = true;
        let folder = self.out.parent().filter(|folder| *folder != Path::new(""));
        File::open(folder.unwrap_or(Path::new(".")))
            .and_then(|folder| folder.sync_all())
            .map_err(|error| CliError::file("write", self.out, error))?;
        Ok((self.bytes, header))
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        if !self.named {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
