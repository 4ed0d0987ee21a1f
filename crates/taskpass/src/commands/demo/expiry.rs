//! A credential that nobody revokes: it ends by itself, and then its record goes too.

use std::time::Duration;

use taskpass_api::v1;
use taskpass_client::{Agent, Refused, Token};
use taskpass_core::CredentialId;
use taskpass_verify::Reason;

use super::downstream::{Downstream, refused_for};
use super::house::House;
use super::step::{Expecting as _, Outcome, Unmet, ensure, millis};
use super::work;

const SHORT: Duration = Duration::from_secs(2);
/// From its end until its record is gone.
const REAPED_WITHIN: Duration = Duration::from_secs(15);
/// Each look is an operator's read, and recorded: not too many.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A task with one token that expired and one that lives.
#[derive(Debug)]
pub(super) struct Survivor {
    pub(super) expired: Token,
    pub(super) alive: Token,
}

/// Step: a credential expires and is reaped.
pub(super) async fn expire(
    house: &House<'_>,
    agent: &Agent,
    downstream: &Downstream,
) -> Outcome<Survivor> {
    let task = work::task(agent, "close the books of april", None).await?;
    let alive = work::token_under(&task, None).await?;
    let short = work::token_under(&task, Some(SHORT)).await?;
    let record = look(house, short.id())
        .await
        .expecting("the operator may read its record")?;
    ensure(
        record.is_some_and(|record| record.state() == v1::CredentialState::Active),
        "its record says that it lives",
        "it does not",
    )?;
    let late = expired(house, downstream, &short).await?;
    let clock = &house.context.clock;
    let begun = clock.monotonic();
    let gone = async {
        while look(house, short.id())
            .await
            .expecting("a record, or CREDENTIAL_NOT_FOUND")?
            .is_some()
        {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    };
    tokio::time::timeout(REAPED_WITHIN, gone)
        .await
        .unwrap_or_else(|_| {
            let expected = format!("its record is gone within {}s", REAPED_WITHIN.as_secs());
            Err(Unmet::new(expected, "it is there"))
        })?;
    let reaped = clock.monotonic().saturating_sub(begun);
    downstream
        .check(alive.expose())
        .expecting("the other token of the task lives")?;
    let told = vec![
        format!(
            "credential {}, asked for {}s: refused as expired {} ms after its end",
            short.id(),
            SHORT.as_secs(),
            late.as_millis()
        ),
        format!("its record was removed {} ms later", millis(reaped)),
    ];
    let survivor = Survivor {
        expired: short,
        alive,
    };
    Ok((survivor, told))
}

/// Waits for its end: accepted before, refused from then on. How long after it that was seen.
async fn expired(
    house: &House<'_>,
    downstream: &Downstream,
    token: &Token,
) -> Result<Duration, Unmet> {
    let clock = &house.context.clock;
    loop {
        let before = clock.now();
        let outcome = downstream.check(token.expose());
        let after = clock.now();
        match outcome {
            // Judged at some instant between the two.
            Ok(_) => {
                let expected = format!("refused from {} on", token.expires_at());
                ensure(before < token.expires_at(), expected, "it was accepted")?;
            }
            refusal @ Err(_) => {
                refused_for(refusal, Reason::Expired)?;
                let expected = format!("accepted until {}", token.expires_at());
                ensure(after >= token.expires_at(), expected, "it was refused")?;
                return Ok(after.since(token.expires_at()));
            }
        }
        let left = token.expires_at().since(after);
        // Close to the end more often, so that both sides of it are seen.
        tokio::time::sleep((left / 2).max(Duration::from_millis(1))).await;
    }
}

/// The record of a credential; nothing if there is none.
async fn look(house: &House<'_>, id: CredentialId) -> Result<Option<v1::Credential>, Refused> {
    let request = v1::GetCredentialRequest {
        credential_id: id.to_string(),
    };
    let found = house.operator.credentials().get(request).await;
    match found.map_err(Refused::from) {
        Ok(reply) => Ok(reply.into_inner().credential),
        Err(refused) if refused.is("CREDENTIAL_NOT_FOUND") => Ok(None),
        Err(refused) => Err(refused),
    }
}
