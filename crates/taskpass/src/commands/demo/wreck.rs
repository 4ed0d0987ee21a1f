//! The broker is killed and started again; what it acknowledged holds.

use taskpass_client::Token;
use taskpass_verify::Reason;

use super::broker::Process;
use super::downstream::{Downstream, refused_for};
use super::expiry::Survivor;
use super::house::House;
use super::revocation::inactive;
use super::step::{Expecting as _, Outcome, ensure, millis};

/// Step: an abrupt stop, and a start on the same data. Gives the operator's new view.
pub(super) async fn crash<'a>(
    before: &House<'a>,
    process: &mut Process,
    downstream: &Downstream,
    revoked: &Token,
    survivor: &Survivor,
) -> Outcome<House<'a>> {
    let clock = &before.context.clock;
    let connects = downstream.verifier.metrics().connects;
    process.kill().await;
    // Whoever verifies offline does so without the broker too.
    refused_for(downstream.check(revoked.expose()), Reason::Revoked)?;
    downstream
        .check(survivor.alive.expose())
        .expecting("while the broker is down, what lives is accepted")?;
    let begun = clock.monotonic();
    let house = House::open(before.context, process).await?;
    let restart = clock.monotonic().saturating_sub(begun);
    ensure(
        house.addresses == before.addresses,
        format!("the addresses that it had: {:?}", before.addresses),
        format!("{:?}", house.addresses),
    )?;
    inactive(&house, revoked).await?;
    let found = house.introspect(survivor.alive.expose()).await?;
    ensure(
        found.active && found.credential_id == survivor.alive.id().to_string(),
        format!("introspection of {}: active", survivor.alive.id()),
        format!("active: {}", found.active),
    )?;
    downstream.reconnected(connects).await?;
    let caught_up = clock.monotonic().saturating_sub(begun);
    refused_for(downstream.check(revoked.expose()), Reason::Revoked)?;
    downstream
        .check(survivor.alive.expose())
        .expecting("after the restart, what lives is accepted")?;
    let told = vec![
        format!(
            "SIGKILL; ready again after {} ms, on the same addresses, as the same issuer",
            millis(restart)
        ),
        "what was revoked is refused, while it was down as well; what lives is accepted".to_owned(),
        format!(
            "the API's feed was back {} ms after the start",
            millis(caught_up)
        ),
    ];
    Ok((house, told))
}
