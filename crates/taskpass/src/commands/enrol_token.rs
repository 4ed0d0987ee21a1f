//! `taskpass agent|operator|verifier enrol-token`: makes a single-use token and packs it into a file
//! with what its holder needs to use it: where the broker is, and by what to trust it.

use taskpass_api::v1::{self, principal};
use taskpass_core::secret::Secret;

use crate::cli::registry::EnrolTokenArgs;
use crate::context::Context;
use crate::errors::CliError;
use crate::files::NewSecretFile;
use crate::view::enrolment::{EnrolmentFile, TokenWritten};
use crate::view::wire::{self, Principal};

/// Makes a token for whom `kind` makes of the name.
pub(crate) async fn run(
    context: &Context,
    kind: fn(String) -> principal::Kind,
    args: EnrolTokenArgs,
) -> Result<(), CliError> {
    // The file first: whatever can fail on this side must not leave a token behind.
    let file = args.out.as_deref().map(NewSecretFile::create).transpose()?;
    let principal = v1::Principal {
        kind: Some(kind(args.name)),
    };
    let request = v1::CreateEnrolmentTokenRequest {
        principal: Some(principal.clone()),
    };
    let mut enrolment = context.session().await?.enrolment();
    let reply = enrolment
        .create_enrolment_token(request)
        .await?
        .into_inner();
    let expires_at = wire::instant(reply.expires_at);
    let enrolment_file = EnrolmentFile {
        token: Secret::new(reply.token),
        addr: context.address()?.map(|address| address.to_string()),
        ca_pem: reply.ca_pem,
        expires_at: expires_at.map(|at| at.to_string()),
    };
    let (Some(file), Some(out)) = (file, args.out.as_deref()) else {
        return context.output.json(&enrolment_file);
    };
    file.fill(&enrolment_file.to_bytes()?)?;
    let principal = Principal::from_proto(Some(principal)).unwrap_or_default();
    context.output.show(&TokenWritten {
        principal: principal.shown(),
        expires_at,
        out: out.display().to_string(),
    })
}
