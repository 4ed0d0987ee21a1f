//! `taskpass drill …`: the kill switch, tried on a canary.
//!
//! The canary is issued its token as any agent is, with its own identity; the operator's identity holds
//! the drill. The token is thrown away unused.

mod setup;

use std::path::Path;
use std::time::Duration;

use taskpass_api::v1::{self, entry};
use taskpass_client::Identity;
use taskpass_core::spiffe::Subject;

use crate::cli::drill::{DrillCommand, DrillRevokeArgs};
use crate::context::Context;
use crate::errors::CliError;
use crate::session::Session;
use crate::values;
use crate::view::drill::Drilled;

/// The label that makes an agent a canary.
const LABEL: (&str, &str) = ("drill", "canary");
/// What the canary says that its task is for.
const PURPOSE: &str = "drill of the kill switch";
/// How long it lives: longer than the longest drill.
const TASK_TTL: i64 = 120;

/// Runs one of the drill commands.
pub(crate) async fn run(context: &Context, command: DrillCommand) -> Result<(), CliError> {
    match command {
        DrillCommand::Revoke(args) => revoke(context, args).await,
        DrillCommand::Setup(args) => setup::run(context, args).await,
    }
}

async fn revoke(context: &Context, args: DrillRevokeArgs) -> Result<(), CliError> {
    let timeout = args.timeout.as_deref().map(timeout).transpose()?;
    let target = args.target.as_deref().map(values::target).transpose()?;
    let (name, identity) = canary(context, &args.canary)?;
    let operator = context.session().await?;
    let agent = registered(&operator, &name).await?;
    let (target, scopes) = choose(&agent, target, &args.scopes)?;
    let canary = Session::connect(&context.required_address()?, &identity)
        .await
        .map_err(|error| context.with_readiness(error))?;
    let (task, credential_id) = issue(&canary, &target, &scopes).await?;
    let request = v1::DrillRequest {
        credential_id,
        reason: args.reason,
        timeout,
    };
    let drilled = operator.revocations().drill(request).await;
    // Whatever came of it: nothing of a drill is left behind. The drill's answer goes first.
    let request = v1::CompleteRequest {
        task_id: task.clone(),
    };
    if let Err(status) = canary.tasks().complete(request).await {
        let message = status.message();
        context.output.note(&format!(
            "the canary's task {task} was not completed: {message}"
        ));
    }
    let drilled = Drilled::new(drilled?.into_inner(), name, target);
    context.output.show(&drilled)?;
    match drilled.failure() {
        Some(what) => Err(CliError::new("DRILL_FAILED", what)),
        None => Ok(()),
    }
}

/// The canary's name and identity.
fn canary(context: &Context, folder: &Path) -> Result<(String, Identity), CliError> {
    let identity = Identity::load(folder).map_err(|error| {
        CliError::from(error).hint(
            "`taskpass drill setup --target URI --scope SCOPE` registers a canary and enrols it",
        )
    })?;
    let Subject::Agent(name) = &identity.name().subject else {
        let message = format!("{} is no agent", identity.name());
        return Err(CliError::new("NO_CANARY", message));
    };
    if context.clock.now() >= identity.expires_at() {
        let message = format!(
            "the identity of the canary ended at {}",
            identity.expires_at()
        );
        return Err(CliError::new("IDENTITY_EXPIRED", message));
    }
    Ok((name.to_string(), identity))
}

async fn registered(operator: &Session, name: &str) -> Result<v1::Agent, CliError> {
    let request = v1::GetRequest {
        kind: v1::Kind::Agent.into(),
        name: name.to_owned(),
    };
    let reply = operator.registry().get(request).await?.into_inner();
    match reply.entry.and_then(|entry| entry.entry) {
        Some(entry::Entry::Agent(agent)) => labelled(agent),
        _ => Err(CliError::bad_reply("entry")),
    }
}

/// The broker refuses whoever is no canary; here it is said before anything is started.
fn labelled(agent: v1::Agent) -> Result<v1::Agent, CliError> {
    let (label, value) = LABEL;
    if agent.labels.get(label).is_some_and(|found| found == value) {
        return Ok(agent);
    }
    let message = format!("agent {} has no label `{label}={value}`", agent.name);
    Err(CliError::new("NOT_DRILLABLE", message))
}

/// Where and with which scopes: what was named, or else what the canary is registered for.
fn choose(
    agent: &v1::Agent,
    target: Option<String>,
    scopes: &[String],
) -> Result<(String, Vec<String>), CliError> {
    let registered: Vec<(&str, &str)> = agent
        .scopes
        .iter()
        .filter_map(|scope| scope.rsplit_once('#'))
        .collect();
    let first = registered.first().map(|(target, _)| (*target).to_owned());
    let target = target.or(first).ok_or_else(|| {
        let message = format!("agent {} is registered for no scope", agent.name);
        CliError::new("INVALID_SCOPE", message)
    })?;
    if !scopes.is_empty() {
        let scopes = values::scopes_at(&target, scopes)?;
        return Ok((target, scopes));
    }
    let scopes: Vec<String> = registered
        .iter()
        .filter(|(at, _)| *at == target)
        .map(|(_, name)| (*name).to_owned())
        .collect();
    if scopes.is_empty() {
        let message = format!(
            "agent {} is registered for no scope at {target}",
            agent.name
        );
        return Err(CliError::new("INVALID_SCOPE", message));
    }
    Ok((target, scopes))
}

/// A task of the canary, and a token under it; of both, the id.
async fn issue(
    canary: &Session,
    target: &str,
    scopes: &[String],
) -> Result<(String, String), CliError> {
    let request = v1::StartRequest {
        purpose: PURPOSE.to_owned(),
        scopes: scopes
            .iter()
            .map(|scope| format!("{target}#{scope}"))
            .collect(),
        ttl: Some(prost_types::Duration {
            seconds: TASK_TTL,
            nanos: 0,
        }),
        ..v1::StartRequest::default()
    };
    let task = canary.tasks().start(request).await?.into_inner().task_id;
    let request = v1::IssueTokenRequest {
        task_id: task.clone(),
        target: target.to_owned(),
        scopes: scopes.to_vec(),
        ..v1::IssueTokenRequest::default()
    };
    let mut issued = canary
        .credentials()
        .issue_token(request)
        .await?
        .into_inner();
    // Nobody presents it: only its id is of use.
    zeroize::Zeroize::zeroize(&mut issued.token);
    Ok((task, issued.credential_id))
}

/// How long to wait; the broker says whether it does.
fn timeout(text: &str) -> Result<prost_types::Duration, CliError> {
    let duration: Duration = humantime::parse_duration(text.trim()).map_err(|error| {
        let message = format!("timeout `{text}`: {error}");
        CliError::new("INVALID_FIELD", message).hint("write it like 500ms or 5s")
    })?;
    prost_types::Duration::try_from(duration)
        .map_err(|error| CliError::new("INVALID_FIELD", format!("timeout `{text}`: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_drill_is_held() {
        let agent = |scopes: &[&str]| v1::Agent {
            name: "canary".into(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            ..v1::Agent::default()
        };
        let all = agent(&["https://a#x", "https://a#y", "https://b#z"]);
        let named = |target: &str, scopes: &[&str]| {
            let scopes: Vec<_> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
            let target = Some(target.to_owned()).filter(|target| !target.is_empty());
            let chosen = choose(&all, target, &scopes);
            chosen.map(|(target, scopes)| (target, scopes.join(" ")))
        };
        let at = |target: &str, scopes: &str| (target.to_owned(), scopes.to_owned());
        assert_eq!(named("", &[]).unwrap(), at("https://a", "x y"));
        assert_eq!(named("https://b", &[]).unwrap(), at("https://b", "z"));
        assert_eq!(named("https://a", &["y"]).unwrap(), at("https://a", "y"));
        assert_eq!(named("", &["y"]).unwrap(), at("https://a", "y"));
        // What it is not registered for is the broker's to refuse.
        assert_eq!(named("https://c", &["q"]).unwrap(), at("https://c", "q"));
        for refused in [
            named("https://c", &[]),
            named("https://a", &["https://b#z"]),
            choose(&agent(&[]), None, &[]).map(|_| at("", "")),
        ] {
            assert_eq!(refused.unwrap_err().reason(), "INVALID_SCOPE");
        }
    }

    #[test]
    fn how_long_to_wait() {
        let read = timeout("1s 500ms").unwrap();
        assert_eq!((read.seconds, read.nanos), (1, 500_000_000));
        for bad in ["", "soon", "-1s", "5"] {
            assert_eq!(timeout(bad).unwrap_err().reason(), "INVALID_FIELD", "{bad}");
        }
    }
}
