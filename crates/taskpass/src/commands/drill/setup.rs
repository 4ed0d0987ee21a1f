//! `taskpass drill setup`: an agent to hold drills with.

use taskpass_api::v1::{self, entry, principal};
use taskpass_client::Refused;
use taskpass_core::secret::Secret;

use super::LABEL;
use crate::cli::drill::DrillSetupArgs;
use crate::commands::enrol;
use crate::context::Context;
use crate::errors::CliError;
use crate::session::Session;
use crate::values;
use crate::view::enrolment::IdentityWritten;

/// Registers what is not there, and enrols the canary.
pub(crate) async fn run(context: &Context, args: DrillSetupArgs) -> Result<(), CliError> {
    let target = values::target(&args.target)?;
    let agent = v1::Agent {
        name: args.name.clone(),
        owner: args.owner.clone(),
        purpose: "drills of the kill switch".to_owned(),
        stage: v1::Stage::ReadOnly.into(),
        scopes: values::scopes_at(&target, &args.scopes)?
            .iter()
            .map(|scope| format!("{target}#{scope}"))
            .collect(),
        valid_until: Some(values::valid_until(&args.valid_until, context.clock.now())?),
        labels: [(LABEL.0.to_owned(), LABEL.1.to_owned())].into(),
        ..v1::Agent::default()
    };
    // Whatever can fail on this side comes before anything is registered.
    enrol::prepare(&args.out, false)?;
    let address = context.required_address()?;
    let session = context.session().await?;
    owner(&session, args.owner, args.contact).await?;
    register(&session, entry::Entry::Agent(agent)).await?;
    let request = v1::CreateEnrolmentTokenRequest {
        principal: Some(v1::Principal {
            kind: Some(principal::Kind::Agent(args.name)),
        }),
    };
    let fresh = session
        .enrolment()
        .create_enrolment_token(request)
        .await?
        .into_inner();
    let token = Secret::new(fresh.token);
    let enrolled = taskpass_client::enrol(address.authority(), &fresh.ca_pem, &token)
        .await
        .map_err(|error| context.with_readiness(error.into()))?;
    enrolled.identity.save(&args.out)?;
    context
        .output
        .show(&IdentityWritten::new(&enrolled, &args.out))
}

/// Registers the owner; one that is there already does as well.
async fn owner(session: &Session, name: String, contact: String) -> Result<(), CliError> {
    let owner = v1::Owner {
        name,
        contact,
        ..v1::Owner::default()
    };
    match register(session, entry::Entry::Owner(owner)).await {
        Err(CliError::Refused(refused)) if is_there(&refused) => Ok(()),
        other => other,
    }
}

fn is_there(refused: &Refused) -> bool {
    refused.reason == "ALREADY_REGISTERED"
}

async fn register(session: &Session, entry: entry::Entry) -> Result<(), CliError> {
    let request = v1::RegisterRequest {
        entry: Some(v1::Entry {
            entry: Some(entry),
            version: 0,
        }),
    };
    session.registry().register(request).await?;
    Ok(())
}
