//! `taskpass registry …`: the whole registry as a file, and its version.

use taskpass_api::v1::registry_service_client::RegistryServiceClient;
use taskpass_api::v1::{self, entry};
use taskpass_client::Connection;

use crate::cli::apply::{ExportArgs, RegistryCommand};
use crate::context::Context;
use crate::errors::CliError;
use crate::files::NewSecretFile;
use crate::registry_file::{Snapshot, write};
use crate::view::apply::{Exported, RegistryVersion};

/// What a broker gives at most in one page.
const PAGE: u32 = 1000;
/// How often the registry is read again because it changed while it was read.
const ATTEMPTS: u32 = 5;

/// Runs one of the registry commands.
pub(crate) async fn run(context: &Context, command: RegistryCommand) -> Result<(), CliError> {
    let registry = context.session().await?.registry();
    match command {
        RegistryCommand::Export(args) => export(context, registry, args).await,
        RegistryCommand::Version => {
            let mut registry = registry;
            let page = v1::PageRequest {
                page_size: 1,
                page_token: String::new(),
            };
            let request = v1::ListRequest {
                kind: v1::Kind::Owner.into(),
                page: Some(page),
            };
            let version = registry.list(request).await?.into_inner().registry_version;
            context.output.show(&RegistryVersion { version })
        }
    }
}

async fn export(
    context: &Context,
    registry: RegistryServiceClient<Connection>,
    args: ExportArgs,
) -> Result<(), CliError> {
    let snapshot = snapshot(registry).await?;
    let text = write(&snapshot);
    let version = snapshot.version;
    match args.out {
        Some(out) => {
            NewSecretFile::create(&out)?.fill(text.as_bytes())?;
            let path = Some(out.display().to_string());
            let file = None;
            context.output.show(&Exported {
                version,
                path,
                file,
            })
        }
        None => context.output.show(&Exported {
            version,
            path: None,
            file: Some(text),
        }),
    }
}

/// Everything as of one version. It is read page by page: if the version moved meanwhile, once more.
pub(in crate::commands) async fn snapshot(
    mut registry: RegistryServiceClient<Connection>,
) -> Result<Snapshot, CliError> {
    for _ in 0..ATTEMPTS {
        let mut versions = Vec::new();
        let mut snapshot = Snapshot::default();
        for kind in [v1::Kind::Owner, v1::Kind::Target, v1::Kind::Agent] {
            for entry in all(&mut registry, kind, &mut versions).await? {
                match entry.entry {
                    Some(entry::Entry::Owner(owner)) => snapshot.owners.push(owner),
                    Some(entry::Entry::Target(target)) => snapshot.targets.push(target),
                    Some(entry::Entry::Agent(agent)) => snapshot.agents.push(agent),
                    _ => return Err(CliError::bad_reply("entry of the kind that was asked for")),
                }
            }
        }
        // What was read last may be newer than it says: the version is asked once more, of nothing.
        let probe = v1::ListRequest {
            kind: v1::Kind::Owner.into(),
            page: Some(v1::PageRequest {
                page_size: 1,
                page_token: String::new(),
            }),
        };
        versions.push(registry.list(probe).await?.into_inner().registry_version);
        versions.dedup();
        if let [version] = versions.as_slice() {
            snapshot.version = *version;
            return Ok(snapshot);
        }
    }
    Err(CliError::new(
        "VERSION_CHANGED",
        "the registry kept changing while it was read",
    ))
}

/// The verifiers of this moment, which no file has.
pub(in crate::commands) async fn verifiers(
    mut registry: RegistryServiceClient<Connection>,
) -> Result<Vec<v1::Verifier>, CliError> {
    let mut verifiers = Vec::new();
    for entry in all(&mut registry, v1::Kind::Verifier, &mut Vec::new()).await? {
        match entry.entry {
            Some(entry::Entry::Verifier(verifier)) => verifiers.push(verifier),
            _ => return Err(CliError::bad_reply("entry of the kind that was asked for")),
        }
    }
    Ok(verifiers)
}

async fn all(
    registry: &mut RegistryServiceClient<Connection>,
    kind: v1::Kind,
    versions: &mut Vec<u64>,
) -> Result<Vec<v1::Entry>, CliError> {
    let mut entries = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListRequest {
            kind: kind.into(),
            page: Some(v1::PageRequest {
                page_size: PAGE,
                page_token: page_token.clone(),
            }),
        };
        let reply = registry.list(request).await?.into_inner();
        versions.push(reply.registry_version);
        entries.extend(reply.entries);
        if reply.next_page_token.is_empty() {
            return Ok(entries);
        }
        // A broker that does not get on would be asked for ever.
        if reply.next_page_token == page_token {
            return Err(CliError::bad_reply("further page"));
        }
        page_token = reply.next_page_token;
    }
}
