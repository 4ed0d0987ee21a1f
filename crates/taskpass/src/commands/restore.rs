//! `taskpass restore`: a sealed store out of a backup.
//!
//! While it works, a mark lies in the folder, and nobody serves it; done again after it was cut off, it begins
//! anew. Nothing but what it made itself is ever removed.

use std::fs::File;
use std::path::Path;

use taskpass_broker::{RestoreError, Restoring, Secured, first_enrolment, secure};
use taskpass_core::OperatorName;
use taskpass_core::enrolment::FIRST_ENROLMENT_TTL;
use taskpass_core::identity::Principal;
use taskpass_issuer::{Hierarchy, Issuer, IssuerConfig, KeyEncryptionKey};
use taskpass_store::redb_store::{self, Restored};
use taskpass_store::{BackupError, Store};

use crate::cli::backup::RestoreArgs;
use crate::commands::init;
use crate::config::KekSource;
use crate::context::Context;
use crate::errors::CliError;
use crate::files::NewSecretFile;
use crate::host::{self, Layout};
use crate::view::backup;

/// Runs it.
pub(crate) async fn run(context: &Context, args: RestoreArgs) -> Result<(), CliError> {
    let operator = args.operator.as_deref().map(str::parse::<OperatorName>);
    let operator = operator
        .transpose()
        .map_err(|error| CliError::caused("INVALID_NAME", "--operator is no name", error))?;
    let kek = KekSource::File(args.kek_file.clone()).read()?;
    let mut file =
        File::open(&args.from).map_err(|error| CliError::file("read", &args.from, error))?;
    let layout = Layout::of(&args.data);
    begin(&layout)?;
    let now = context.clock.now();
    let restored = redb_store::restore(
        &layout.store(),
        &mut file,
        init::epoch(context),
        now,
        &*context.rng,
    );
    let restored = match restored {
        Ok(restored) => restored,
        Err(error) => {
            undo(&layout, false)?;
            return Err(refused(error, &args.from));
        }
    };
    let secured = secured(
        context,
        &args,
        &layout,
        (&kek, operator.as_ref()),
        &restored,
    )
    .await;
    let secured = match secured {
        Ok(secured) => secured,
        Err(error) => {
            undo(&layout, true)?;
            return Err(error);
        }
    };
    remove_mark(&layout)?;
    let places = (
        args.data.display().to_string(),
        layout.first_enrolment().display().to_string(),
    );
    context
        .output
        .show(&backup::FromBackup::new(places, restored, secured))
}

async fn secured(
    context: &Context,
    args: &RestoreArgs,
    layout: &Layout,
    (kek, operator): (&KeyEncryptionKey, Option<&OperatorName>),
    restored: &Restored,
) -> Result<Secured, CliError> {
    let store = host::open_unfinished(context, layout)?;
    let restoring = Restoring {
        store: &store,
        kek,
        rng: &*context.rng,
        now: context.clock.now(),
        header: &restored.header,
        mirror: args.log.as_deref(),
        operator,
    };
    let outcome = match secure(&restoring).await {
        Ok(secured) => enrolment(context, layout, &store, kek, &secured)
            .await
            .map(|()| secured),
        Err(error) => Err(not_secured(error)),
    };
    store.close().await;
    outcome
}

/// Writes the enrolment of whoever is to unseal it.
async fn enrolment(
    context: &Context,
    layout: &Layout,
    store: &dyn Store,
    kek: &KeyEncryptionKey,
    secured: &Secured,
) -> Result<(), CliError> {
    let failed = |error| CliError::caused("INTERNAL", "no enrolment could be made", error);
    let now = context.clock.now().max(store.last_committed_at());
    let token = first_enrolment(
        store,
        &Principal::Operator(secured.operator.clone()),
        FIRST_ENROLMENT_TTL,
        &*context.rng,
        now,
    )
    .await
    .map_err(failed)?;
    let birth = store.birth();
    let config = IssuerConfig {
        trust_domain: birth.trust_domain.clone(),
        issuer_url: birth.public_url.clone(),
        crl_url: birth.crl_url.clone(),
    };
    let keys = store.keys().await.map_err(|error| {
        CliError::caused("STORE_UNAVAILABLE", "the keys could not be read", error)
    })?;
    let issuer = Issuer::open(keys, config, kek)
        .map_err(|error| CliError::caused("INTERNAL", "the keys do not open", error))?;
    let file = serde_json::json!({
        "token": token.expose(),
        "addr": "https://localhost:7443",
        "ca_pem": issuer.anchors(Hierarchy::Control, now),
    });
    NewSecretFile::create(&layout.first_enrolment())?.fill(format!("{file:#}\n").as_bytes())
}

/// Puts the mark into the folder. What an earlier attempt made is removed.
fn begin(layout: &Layout) -> Result<(), CliError> {
    crate::files::folder::make(layout.folder())?;
    if layout.restoring().exists() {
        return undo(layout, true).and_then(|()| begin(layout));
    }
    for taken in [
        layout.store(),
        redb_store::marker_path(&layout.store()),
        layout.making(),
        layout.first_enrolment(),
    ] {
        if taken.exists() {
            let message = format!("{} is there already", taken.display());
            return Err(CliError::new("STORE_EXISTS", message)
                .hint("restore into a new folder; nothing that is there is replaced"));
        }
    }
    File::create(layout.restoring())
        .and_then(|file| file.sync_all())
        .and_then(|()| File::open(layout.folder())?.sync_all())
        .map_err(|error| CliError::file("write", &layout.restoring(), error))
}

/// Removes what this made, and the mark last.
fn undo(layout: &Layout, made: bool) -> Result<(), CliError> {
    let store = layout.store();
    let pieces = [
        redb_store::marker_path(&store),
        store.with_extension("reserve"),
        store,
        layout.first_enrolment(),
    ];
    for piece in pieces.iter().filter(|_| made) {
        match std::fs::remove_file(piece) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(CliError::file("remove", piece, error));
            }
            _ => {}
        }
    }
    remove_mark(layout)
}

fn remove_mark(layout: &Layout) -> Result<(), CliError> {
    let mark = layout.restoring();
    File::open(layout.folder())
        .and_then(|folder| folder.sync_all())
        .and_then(|()| std::fs::remove_file(&mark))
        .and_then(|()| File::open(layout.folder())?.sync_all())
        .map_err(|error| CliError::file("remove", &mark, error))
}

/// Why a backup is not accepted, in the words of the command line.
pub(crate) fn refused(error: BackupError, path: &Path) -> CliError {
    let path = path.display();
    let (reason, hint) = match &error {
        BackupError::Place(open) => return host::store_error(open),
        BackupError::NotOne => (
            "INVALID_BACKUP",
            "`taskpass backup --out FILE` makes one; a copy of store.redb is none",
        ),
        BackupError::Damaged | BackupError::Malformed { .. } => (
            "INVALID_BACKUP",
            "take another backup; nothing of this one was used",
        ),
        BackupError::Newer { .. } => (
            "STORE_NEWER",
            "use the taskpass that made it, or a newer one",
        ),
        BackupError::Read(_) => ("FILE_ERROR", "is the file complete, and may you read it?"),
        BackupError::Write(_) => (
            "STORE_UNAVAILABLE",
            "is there room on the disk, and may you write there?",
        ),
    };
    CliError::caused(reason, format!("{path}: {error}"), error).hint(hint)
}

fn not_secured(error: RestoreError) -> CliError {
    let message = error.to_string();
    match error {
        RestoreError::Operator(_) => CliError::new("INVALID_OPERATOR", message)
            .hint("--operator NAME says who is to unseal the broker"),
        RestoreError::Mirror(chain) => {
            let message = format!("{message}: {chain}");
            CliError::caused("LOG_REFUSED", message, chain).hint(
                "nothing was restored; find out which of the two was changed, or restore without --log and \
                 retire again whom you remember",
            )
        }
        RestoreError::Read(error) => CliError::caused("FILE_ERROR", message, error),
        RestoreError::Keys(error) => CliError::caused("WRONG_KEK", message, error)
            .hint("use the key-encryption key that the broker had when the backup was made"),
        RestoreError::Failed(error) => {
            CliError::caused("STORE_UNAVAILABLE", "the store could not be secured", error)
        }
    }
}
