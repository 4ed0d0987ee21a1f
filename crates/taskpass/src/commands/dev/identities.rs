//! The identities of a development broker: everybody of the sample, enrolled as anybody would be.

use std::time::Duration;

use taskpass_broker::first_enrolment;
use taskpass_client::{Identity, LocalKey};
use taskpass_core::identity::Principal;

use crate::context::Context;
use crate::errors::CliError;
use crate::host::{self, Host, Layout};

/// An identity with less life than this is replaced at the start.
const ENOUGH: Duration = Duration::from_hours(12);

/// Writes an identity for everybody of the sample who has none that lasts.
pub(super) async fn write(context: &Context, host: &Host, layout: &Layout) -> Result<(), CliError> {
    for principal in host::sample(context.clock.now())?.principals {
        let folder = layout.identities().join(principal.name());
        let lasts = Identity::load(&folder)
            .is_ok_and(|identity| identity.expires_at() > context.clock.now().plus(ENOUGH));
        if lasts && host.accepts(&principal).await {
            continue;
        }
        match enrol(context, host, &principal).await {
            Ok(identity) => identity.save(&folder)?,
            // Somebody was suspended in this store: that is kept, and said.
            Err(error) => context
                .output
                .note(&format!("no identity for {principal}: {error}")),
        }
    }
    Ok(())
}

async fn enrol(
    context: &Context,
    host: &Host,
    principal: &Principal,
) -> Result<Identity, CliError> {
    let failed = |error: taskpass_broker::Error| {
        CliError::caused("ENROLMENT_REFUSED", "could not enrol", error)
    };
    let ttl = Duration::from_mins(1);
    let now = context.clock.now();
    let token = first_enrolment(host.store(), principal, ttl, &*context.rng, now)
        .await
        .map_err(failed)?;
    let key = LocalKey::generate()?;
    let enrolled = host
        .broker
        .enrol(token.expose(), key.csr_der())
        .await
        .map_err(failed)?;
    Ok(Identity::new(
        enrolled.chain_pem,
        key.into_key_pem(),
        enrolled.anchors_pem,
    )?)
}
