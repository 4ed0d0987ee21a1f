//! `taskpass approval …`: what one operator alone cannot do.

use taskpass_api::v1;

use crate::cli::approval::ApprovalCommand;
use crate::context::Context;
use crate::errors::CliError;
use crate::view::approval::{Proposals, Rejected};
use crate::view::registry::{Entry, Versioned};

/// Runs one of them.
pub(crate) async fn run(context: &Context, command: ApprovalCommand) -> Result<(), CliError> {
    let mut approvals = context.session().await?.approvals();
    match command {
        ApprovalCommand::List => {
            let reply = approvals
                .list_proposals(v1::ListProposalsRequest {})
                .await?
                .into_inner();
            context.output.show(&Proposals::from(reply))
        }
        ApprovalCommand::Approve(args) => {
            let request = v1::ApproveRequest { id: args.id };
            let reply = approvals.approve(request).await?.into_inner();
            let entry = Entry::from_proto(reply.entry)?;
            context
                .output
                .show(&Versioned::new(entry, reply.registry_version))
        }
        ApprovalCommand::Reject(args) => {
            let request = v1::RejectRequest {
                id: args.id,
                reason: args.reason,
            };
            let reply = approvals.reject(request).await?.into_inner();
            let proposal = reply
                .proposal
                .ok_or_else(|| CliError::bad_reply("proposal"))?;
            context.output.show(&Rejected::from(proposal))
        }
    }
}
