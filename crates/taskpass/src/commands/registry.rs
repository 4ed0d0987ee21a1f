//! What owners, agents, targets, operators and verifiers have in common.

pub(crate) mod export;

use taskpass_api::v1::{self, entry, resume_request};

use super::pages;
use crate::cli::PageArgs;
use crate::cli::registry::{NameReasonArgs, RetireArgs};
use crate::context::Context;
use crate::errors::CliError;
use crate::view::approval::Waits;
use crate::view::listing::{Listing, Row};
use crate::view::registry::{Entry, Retired, Versioned};

/// Registers an entry, and shows it as the broker has it.
pub(crate) async fn register(context: &Context, entry: entry::Entry) -> Result<(), CliError> {
    let request = v1::RegisterRequest {
        entry: Some(v1::Entry {
            entry: Some(entry),
            version: 0,
        }),
    };
    let mut registry = context.session().await?.registry();
    let reply = registry.register(request).await?.into_inner();
    let entry = Entry::from_proto(reply.entry)?;
    context
        .output
        .show(&Versioned::new(entry, reply.registry_version))
}

/// Reads an entry, changes it, and writes it back if nobody else did meanwhile.
pub(crate) async fn update(
    context: &Context,
    kind: v1::Kind,
    name: String,
    reason: String,
    change: impl FnOnce(&mut entry::Entry) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let (mut entry, expected_version) = read(context, kind, &name).await?;
    change(&mut entry)?;
    replace(context, entry, expected_version, reason, Grounds::Nothing).await
}

/// On what a stage is to rise.
#[derive(Debug)]
pub(crate) enum Grounds {
    /// Nothing that is said.
    Nothing,
    /// A readiness report.
    Readiness(v1::Readiness),
    /// The reason alone.
    Force,
}

/// Reads an entry, and which version of it that is.
pub(crate) async fn read(
    context: &Context,
    kind: v1::Kind,
    name: &str,
) -> Result<(entry::Entry, u64), CliError> {
    let request = v1::GetRequest {
        kind: kind.into(),
        name: name.to_owned(),
    };
    let mut registry = context.session().await?.registry();
    let read = registry.get(request).await?.into_inner().entry;
    let read = read.ok_or_else(|| CliError::bad_reply("entry"))?;
    let entry = read.entry.ok_or_else(|| CliError::bad_reply("entry"))?;
    Ok((entry, read.version))
}

/// Writes an entry, if it still has the version that was read, and shows it; or shows that it waits.
pub(crate) async fn replace(
    context: &Context,
    entry: entry::Entry,
    expected_version: u64,
    reason: String,
    grounds: Grounds,
) -> Result<(), CliError> {
    let (readiness, force) = match grounds {
        Grounds::Nothing => (None, false),
        Grounds::Readiness(readiness) => (Some(readiness), false),
        Grounds::Force => (None, true),
    };
    let request = v1::UpdateRequest {
        entry: Some(v1::Entry {
            entry: Some(entry),
            version: expected_version,
        }),
        expected_version,
        reason,
        readiness,
        force,
    };
    let mut registry = context.session().await?.registry();
    let reply = registry.update(request).await?.into_inner();
    if let Some(proposal) = reply.proposal {
        return context.output.show(&Waits::from(proposal));
    }
    let entry = Entry::from_proto(reply.entry)?;
    context
        .output
        .show(&Versioned::new(entry, reply.registry_version))
}

/// Shows one entry.
pub(crate) async fn show(context: &Context, kind: v1::Kind, name: String) -> Result<(), CliError> {
    let request = v1::GetRequest {
        kind: kind.into(),
        name,
    };
    let mut registry = context.session().await?.registry();
    let reply = registry.get(request).await?.into_inner();
    let entry = Entry::from_proto(reply.entry)?;
    context
        .output
        .show(&Versioned::new(entry, reply.registry_version))
}

/// Lists the entries of a kind; `pick` takes that kind out.
pub(crate) async fn list<T: Row>(
    context: &Context,
    kind: v1::Kind,
    page: &PageArgs,
    pick: fn(Entry) -> Option<T>,
) -> Result<(), CliError> {
    let registry = context.session().await?.registry();
    let listing: Listing<T> = pages::read(page, async |page| {
        let request = v1::ListRequest {
            kind: kind.into(),
            page: Some(page),
        };
        let reply = registry.clone().list(request).await?.into_inner();
        let row = |entry| {
            pick(Entry::from_proto(Some(entry))?).ok_or_else(|| CliError::bad_reply(T::PLURAL))
        };
        let rows = reply
            .entries
            .into_iter()
            .map(row)
            .collect::<Result<_, _>>()?;
        Ok((rows, reply.next_page_token))
    })
    .await?;
    context.output.show(&listing)
}

/// Refuses an entry until it is resumed.
pub(crate) async fn suspend(
    context: &Context,
    kind: v1::Kind,
    args: NameReasonArgs,
) -> Result<(), CliError> {
    let request = v1::SuspendRequest {
        kind: kind.into(),
        name: args.name,
        reason: args.reason,
    };
    let mut registry = context.session().await?.registry();
    let reply = registry.suspend(request).await?.into_inner();
    let entry = Entry::from_proto(reply.entry)?;
    context
        .output
        .show(&Versioned::new(entry, reply.registry_version))
}

/// Lets a suspended entry take part again.
pub(crate) async fn resume(
    context: &Context,
    kind: v1::Kind,
    args: NameReasonArgs,
) -> Result<(), CliError> {
    let named = v1::Named {
        kind: kind.into(),
        name: args.name,
    };
    let request = v1::ResumeRequest {
        subject: Some(resume_request::Subject::Entry(named)),
        reason: args.reason,
    };
    let mut registry = context.session().await?.registry();
    let reply = registry.resume(request).await?.into_inner();
    let entry = Entry::from_proto(reply.entry)?;
    context
        .output
        .show(&Versioned::new(entry, reply.registry_version))
}

/// Lets the whole broker issue again.
pub(crate) async fn resume_everything(context: &Context, reason: String) -> Result<(), CliError> {
    let request = v1::ResumeRequest {
        subject: Some(resume_request::Subject::Everything(true)),
        reason,
    };
    let mut registry = context.session().await?.registry();
    registry.resume(request).await?;
    context
        .output
        .show(&crate::view::registry::Resumed { resumed: true })
}

/// Refuses an entry for ever, or says what that would end.
pub(crate) async fn retire(
    context: &Context,
    kind: v1::Kind,
    args: RetireArgs,
) -> Result<(), CliError> {
    let dry_run = args.dry_run;
    let request = v1::RetireRequest {
        kind: kind.into(),
        name: args.name,
        reason: args.reason.unwrap_or_default(),
        dry_run,
    };
    let mut registry = context.session().await?.registry();
    let reply = registry.retire(request).await?.into_inner();
    context.output.show(&Retired::from_proto(reply, dry_run)?)
}

/// The entry read is of another kind than the one that was asked for.
pub(crate) fn wrong_kind() -> CliError {
    CliError::bad_reply("entry of the kind that was asked for")
}
