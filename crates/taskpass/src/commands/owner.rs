//! `taskpass owner …`.

use taskpass_api::v1::{self, Kind, entry};

use super::registry;
use crate::cli::registry::{OwnerCommand, OwnerRegisterArgs};
use crate::context::Context;
use crate::errors::CliError;
use crate::view::registry::Entry;

/// Runs one of the owner commands.
pub(crate) async fn run(context: &Context, command: OwnerCommand) -> Result<(), CliError> {
    match command {
        OwnerCommand::Register(args) => registry::register(context, owner(args)).await,
        OwnerCommand::Update(args) => {
            registry::update(
                context,
                Kind::Owner,
                args.name,
                args.reason,
                |entry| match entry {
                    entry::Entry::Owner(owner) => {
                        owner.contact = args.contact;
                        Ok(())
                    }
                    _ => Err(registry::wrong_kind()),
                },
            )
            .await
        }
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
    }
}

fn owner(args: OwnerRegisterArgs) -> entry::Entry {
    entry::Entry::Owner(v1::Owner {
        name: args.name,
        contact: args.contact,
        ..v1::Owner::default()
    })
}
