//! What an agent does: a task, a token, a certificate.

use std::time::Duration;

use taskpass_client::{Agent, Certificate, Identity, Task, Token};
use taskpass_core::Timestamp;
use taskpass_core::spiffe::Subject;

use super::house::{AGENT, SCOPE, TARGET};
use super::step::{Expecting as _, Outcome, Unmet, ensure};
use crate::output::text;

/// More than the agent's registration lasts.
const TASK_TTL: Duration = Duration::from_hours(12);
/// More than the agent's longest credential.
const TOKEN_TTL: Duration = Duration::from_mins(30);

/// Starts a task whose ceiling is the one scope.
pub(super) async fn task(
    agent: &Agent,
    purpose: &str,
    ttl: Option<Duration>,
) -> Result<Task, Unmet> {
    let ceiling = format!("{TARGET}#{SCOPE}");
    agent
        .start_task(purpose, [ceiling], ttl)
        .await
        .expecting("policy lets the agent start the task")
}

/// Takes a token for the one scope.
pub(super) async fn token_under(task: &Task, ttl: Option<Duration>) -> Result<Token, Unmet> {
    task.token(TARGET, [SCOPE], ttl)
        .await
        .expecting("policy lets the task have the token")
}

/// Step: the agent starts a task.
pub(super) async fn start_task(agent: &Agent, agent_ends_at: Timestamp) -> Outcome<Task> {
    let task = task(agent, "close the books of march", Some(TASK_TTL)).await?;
    ensure(
        task.deadline() <= agent_ends_at,
        format!("a deadline no later than the agent's end, {agent_ends_at}"),
        task.deadline(),
    )?;
    ensure(
        task.clamped_by().iter().any(|by| by == "agent_valid_until"),
        "clamped by agent_valid_until",
        clamp(task.clamped_by()),
    )?;
    let scopes: Vec<String> = task.scopes().iter().map(ToString::to_string).collect();
    let told = vec![
        format!("task {}", task.id()),
        format!("ceiling {}", text::list(&scopes)),
        format!(
            "asked for 12h; ends at {}, clamped by {}",
            task.deadline(),
            clamp(task.clamped_by())
        ),
    ];
    Ok((task, told))
}

/// Step: a token is issued.
pub(super) async fn token(task: &Task, now: Timestamp) -> Outcome<Token> {
    let token = token_under(task, Some(TOKEN_TTL)).await?;
    ensure(
        token.clamped_by().iter().any(|by| by == "agent_max_ttl"),
        "clamped by agent_max_ttl",
        clamp(token.clamped_by()),
    )?;
    let life = token.expires_at().since(now);
    ensure(
        life < TOKEN_TTL,
        "a shorter life than was asked for",
        format!("{}s", life.as_secs()),
    )?;
    let told = vec![
        format!("credential {}, {SCOPE} at {TARGET}", token.id()),
        format!(
            "asked for 30m; expires {}, clamped by {}",
            text::relative(token.expires_at(), now),
            clamp(token.clamped_by())
        ),
    ];
    Ok((token, told))
}

/// Step: a certificate is issued for a key that is made here.
pub(super) async fn certificate(task: &Task, now: Timestamp) -> Outcome<Certificate> {
    let certificate = certificate_under(task).await?;
    let parts = Identity::new(
        certificate.cert_pem().to_owned(),
        certificate.key_pem().clone(),
        certificate.ca_pem().to_owned(),
    )
    .expecting("a certificate of the key that was made here")?;
    let names_task = matches!(&parts.name().subject,
        Subject::Task(agent, id) if agent.as_str() == AGENT && *id == task.id());
    ensure(
        names_task,
        "a certificate that names the task",
        parts.name(),
    )?;
    let told = vec![
        parts.name().to_string(),
        format!(
            "credential {}, expires {}; the key never left this process",
            certificate.id(),
            text::relative(certificate.expires_at(), now)
        ),
    ];
    Ok((certificate, told))
}

/// Takes a certificate.
pub(super) async fn certificate_under(task: &Task) -> Result<Certificate, Unmet> {
    task.certificate(None)
        .await
        .expecting("policy lets the task have a certificate")
}

fn clamp(by: &[String]) -> String {
    text::list(by)
}
