//! `taskpass policy …`, asked of a broker; what needs none is in `offline`.

mod offline;

use taskpass_api::v1;
use taskpass_core::ttl::MAX_TASK_TTL;

use super::pages;
use crate::cli::policy::{
    ExplainArgs, PolicyApproveArgs, PolicyCommand, TermsArgs, WhatCanArgs, WhoCanArgs,
};
use crate::context::Context;
use crate::errors::CliError;
use crate::values;
use crate::view::approval::PolicyApproved;
use crate::view::policy::{Explained, Reach, WhatCan, WhoCan};

/// Runs one of them.
pub(crate) async fn run(context: &Context, command: PolicyCommand) -> Result<(), CliError> {
    match command {
        PolicyCommand::Validate(args) => offline::validate(context, &args),
        PolicyCommand::Test(args) => offline::test(context, &args),
        PolicyCommand::Explain(args) => explain(context, args).await,
        PolicyCommand::Approve(args) => approve(context, args).await,
        PolicyCommand::WhoCan(args) => who_can(context, args).await,
        PolicyCommand::WhatCan(args) => what_can(context, args).await,
    }
}

fn terms(args: TermsArgs) -> Result<v1::PolicyTerms, CliError> {
    Ok(v1::PolicyTerms {
        purpose: args.purpose.unwrap_or_default(),
        ttl: values::maybe_ttl(args.ttl.as_deref(), MAX_TASK_TTL)?,
        attestation: args.attestation.unwrap_or_default(),
    })
}

async fn approve(context: &Context, args: PolicyApproveArgs) -> Result<(), CliError> {
    let request = v1::ApprovePolicyRequest {
        policy_set: args.policy_set.clone(),
        reason: args.reason,
    };
    let mut approvals = context.session().await?.approvals();
    let reply = approvals.approve_policy(request).await?.into_inner();
    context
        .output
        .show(&PolicyApproved::new(args.policy_set, reply))
}

async fn explain(context: &Context, args: ExplainArgs) -> Result<(), CliError> {
    use v1::explain_request::What;
    let what = match args.decision {
        Some(id) => What::DecisionId(id),
        None => What::Supposed(supposed(args)?),
    };
    let mut policy = context.session().await?.policy();
    let request = v1::ExplainRequest { what: Some(what) };
    let reply = policy.explain(request).await?.into_inner();
    context.output.show(&Explained::try_from(reply)?)
}

fn supposed(args: ExplainArgs) -> Result<v1::SupposedRequest, CliError> {
    let depth = args.depth.unwrap_or(u32::from(args.from.is_some()));
    let certificate = match &args.certificate {
        Some(profile) => values::certificate_profile(profile)?,
        None => v1::CertificateProfile::Unspecified,
    };
    Ok(v1::SupposedRequest {
        agent: args.agent.unwrap_or_default(),
        scopes: values::scope_refs(&args.scopes)?,
        certificate: certificate.into(),
        from_agent: args.from.unwrap_or_default(),
        depth,
        terms: Some(terms(args.terms)?),
    })
}

async fn who_can(context: &Context, args: WhoCanArgs) -> Result<(), CliError> {
    let terms = terms(args.terms)?;
    let scopes = values::scope_refs(&[args.scope])?;
    let mut policy = context.session().await?.policy();
    let mut policy_set = String::new();
    let listing = pages::read(&args.page, async |page| {
        let request = v1::WhoCanRequest {
            scope: scopes.concat(),
            terms: Some(terms.clone()),
            refused_too: args.refused,
            page: Some(page),
        };
        let reply = policy.who_can(request).await?.into_inner();
        policy_set = reply.policy_set;
        let reaches = reply.reaches.into_iter().map(Reach::from);
        Ok((reaches.collect(), reply.next_page_token))
    })
    .await?;
    context.output.show(&WhoCan {
        policy_set,
        reaches: listing.items,
        next_page_token: listing.next_page_token,
    })
}

async fn what_can(context: &Context, args: WhatCanArgs) -> Result<(), CliError> {
    let terms = terms(args.terms)?;
    let mut policy = context.session().await?.policy();
    let mut last = v1::WhatCanResponse::default();
    let listing = pages::read(&args.page, async |page| {
        let request = v1::WhatCanRequest {
            agent: args.agent.clone(),
            terms: Some(terms.clone()),
            refused_too: args.refused,
            page: Some(page),
        };
        let mut reply = policy.what_can(request).await?.into_inner();
        let reaches = std::mem::take(&mut reply.reaches);
        let next = reply.next_page_token.clone();
        last = reply;
        Ok((reaches.into_iter().map(Reach::from).collect(), next))
    })
    .await?;
    context.output.show(&WhatCan {
        certificate: last.certificate,
        svid: last.svid,
        policy_set: last.policy_set,
        reaches: listing.items,
        next_page_token: listing.next_page_token,
    })
}
