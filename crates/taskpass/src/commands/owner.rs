//! `taskpass owner …`.

use taskpass_api::v1::{self, Kind, entry};

use super::registry;
use crate::cli::registry::{OwnerCommand, OwnerRegisterArgs, OwnerUpdateArgs};
use crate::context::Context;
use crate::errors::CliError;
use crate::values;
use crate::view::registry::Entry;

/// Runs one of the owner commands.
pub(crate) async fn run(context: &Context, command: OwnerCommand) -> Result<(), CliError> {
    match command {
        OwnerCommand::Register(args) => registry::register(context, owner(args)?).await,
        OwnerCommand::Update(args) => update(context, args).await,
        OwnerCommand::List(page) => {
            registry::list(context, Kind::Owner, &page, |entry| match entry {
                Entry::Owner(owner) => Some(owner),
                _ => None,
            })
            .await
        }
        OwnerCommand::Show(args) => registry::show(context, Kind::Owner, args.name).await,
        OwnerCommand::Suspend(args) => registry::suspend(context, Kind::Owner, args).await,
        OwnerCommand::Resume(args) => registry::resume(context, Kind::Owner, args).await,
        OwnerCommand::Offboard(args) => registry::retire(context, Kind::Owner, args).await,
    }
}

fn owner(args: OwnerRegisterArgs) -> Result<entry::Entry, CliError> {
    Ok(entry::Entry::Owner(v1::Owner {
        name: args.name,
        contact: args.contact,
        limits: values::limits(&args.limits, None)?,
        ..v1::Owner::default()
    }))
}

async fn update(context: &Context, args: OwnerUpdateArgs) -> Result<(), CliError> {
    // What cannot be written is refused before anything is read.
    let (name, reason) = (args.name.clone(), args.reason.clone());
    change(&mut v1::Owner::default(), &args)?;
    registry::update(context, Kind::Owner, name, reason, |entry| match entry {
        entry::Entry::Owner(owner) => change(owner, &args),
        _ => Err(registry::wrong_kind()),
    })
    .await
}

/// Replaces what was named, and leaves the rest.
fn change(owner: &mut v1::Owner, args: &OwnerUpdateArgs) -> Result<(), CliError> {
    if let Some(contact) = &args.contact {
        owner.contact.clone_from(contact);
    }
    owner.limits = values::limits(&args.limits, owner.limits.take())?;
    Ok(())
}
