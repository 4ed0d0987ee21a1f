//! Drills, and the confirmations that they wait for.
//!
//! A drill goes on when its caller has gone: what was revoked is measured and recorded.

use std::sync::Arc;

use taskpass_api::v1;
use taskpass_broker::{Drill, Drilled, Error};
use taskpass_core::audit::micros;
use tonic::{Request, Response, Status};

use super::super::{Service, convert, parse, standing};
use crate::status;

/// The length of what a confirmation hands back.
const TOKEN_LEN: usize = 16;

impl Service {
    pub(super) async fn hold_drill(
        &self,
        request: Request<v1::DrillRequest>,
    ) -> Result<Response<v1::DrillResponse>, Status> {
        let caller = standing(&request)?;
        let request = parse_drill(request.into_inner()).map_err(status::of)?;
        let broker = Arc::clone(&self.broker);
        let drill = tokio::spawn(async move { broker.drill(&caller, &request).await });
        let drilled = drill
            .await
            .unwrap_or_else(|error| Err(Error::internal(error)))
            .map_err(status::of)?;
        Ok(Response::new(answer(&drilled)))
    }

    pub(super) fn confirmed(
        &self,
        request: &Request<v1::ConfirmRequest>,
    ) -> Result<Response<v1::ConfirmResponse>, Status> {
        let caller = standing(request)?;
        let request = request.get_ref();
        if request.drill.len() != TOKEN_LEN {
            let expected = format!("the {TOKEN_LEN} bytes that came with the rule");
            return Err(status::of(Error::field("drill", expected)));
        }
        let credential = parse::credential_id(&request.credential_id).map_err(status::of)?;
        let counted = self
            .broker
            .confirm_drill(&caller, &request.drill, credential, request.seq);
        Ok(Response::new(v1::ConfirmResponse { counted }))
    }
}

fn parse_drill(request: v1::DrillRequest) -> Result<Drill, Error> {
    let timeout = request.timeout.map(std::time::Duration::try_from);
    let timeout = timeout.transpose().map_err(|_| {
        // Negative, or of a form that no duration has.
        Error::field("timeout", "100 ms to 20 s")
    })?;
    Ok(Drill {
        credential: parse::credential_id(&request.credential_id)?,
        reason: request.reason,
        timeout,
    })
}

fn answer(drilled: &Drilled) -> v1::DrillResponse {
    let facts = &drilled.facts;
    v1::DrillResponse {
        seq: drilled.seq,
        entry_id: drilled.entry.to_string(),
        at: Some(convert::timestamp(drilled.at)),
        connected: facts.connected,
        confirmed: facts.confirmed,
        silent: facts.silent,
        commit_us: facts.commit_us,
        introspect_us: facts.introspect_us,
        first_us: facts.first_us,
        p50_us: facts.p50_us,
        last_us: facts.last_us,
        timed_out: facts.timed_out,
        verifiers: drilled
            .verifiers
            .iter()
            .map(|(who, refused)| v1::DrilledVerifier {
                verifier: who.name().to_owned(),
                refused_us: refused.map(micros),
            })
            .collect(),
    }
}
