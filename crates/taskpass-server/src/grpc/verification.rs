//! `VerificationService`.

use std::sync::Arc;

use taskpass_api::v1::{self, verification_service_server::VerificationService};
use taskpass_broker::{Error, Introspected, Presented};
use taskpass_core::credential::CredentialBody;
use taskpass_core::spiffe::{SpiffeId, Subject};
use tonic::{Request, Response, Status, Streaming};

use super::credential::weigh;
use super::{Service, convert, standing, uses};
use crate::callers::Place;
use crate::status;

#[tonic::async_trait]
impl VerificationService for Service {
    async fn introspect(
        &self,
        request: Request<v1::IntrospectRequest>,
    ) -> Result<Response<v1::IntrospectResponse>, Status> {
        use v1::introspect_request::Credential;
        let caller = standing(&request)?;
        let request = request.into_inner();
        let presented = match &request.credential {
            Some(Credential::Token(token)) => Presented::Token(token),
            Some(Credential::Certificate(der)) => Presented::Certificate(der),
            None => {
                let error = Error::field("credential", "a token or a certificate");
                return Err(status::of(error));
            }
        };
        let found = self
            .broker
            .introspect(&caller, &presented)
            .await
            .map_err(status::of)?;
        let response = found.map_or_else(v1::IntrospectResponse::default, |found| {
            self.to_active(found)
        });
        Ok(Response::new(response))
    }

    async fn report_use(
        &self,
        request: Request<Streaming<v1::ReportUseRequest>>,
    ) -> Result<Response<v1::ReportUseResponse>, Status> {
        let caller = standing(&request)?;
        let place = request.extensions().get::<Arc<Place>>().cloned();
        let batches = uses::batches(request.into_inner()).await?;
        let _places = weigh(place.as_deref(), &caller, batches.len(), &self.broker)?;
        // All are read before one is recorded: what is malformed records nothing.
        let reports = batches
            .into_iter()
            .map(|batch| uses::report(&caller.caller, batch))
            .collect::<Result<Vec<_>, _>>()
            .map_err(status::of)?;
        let mut response = v1::ReportUseResponse::default();
        for report in &reports {
            let reported = self.broker.report_use(&caller, report).await;
            uses::add(&mut response, reported.map_err(status::of)?);
        }
        Ok(Response::new(response))
    }
}

impl Service {
    fn to_active(&self, found: Introspected) -> v1::IntrospectResponse {
        let credential = &found.credential;
        let subject = Subject::Agent(credential.agent.clone());
        let mut response = v1::IntrospectResponse {
            active: true,
            credential_id: credential.id.to_string(),
            kind: convert::credential_kind(credential.kind()).into(),
            sub: SpiffeId::new(self.broker.trust_domain().clone(), subject).to_string(),
            agent: credential.agent.to_string(),
            task_id: credential.task.to_string(),
            ancestors: convert::ancestors(&credential.ancestors),
            issued_at: Some(convert::timestamp(credential.issued_at)),
            expires_at: Some(convert::timestamp(credential.expires_at())),
            purpose: found.purpose,
            ..v1::IntrospectResponse::default()
        };
        if let CredentialBody::Token {
            target,
            scopes,
            bound_to,
        } = &credential.body
        {
            response.target = target.to_string();
            response.scopes = scopes.iter().map(ToString::to_string).collect();
            response.bound_to = bound_to
                .map(|digest| digest.base64url())
                .unwrap_or_default();
        }
        response
    }
}
