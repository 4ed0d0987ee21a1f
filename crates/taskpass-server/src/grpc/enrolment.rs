//! `EnrolmentService`.

use taskpass_api::v1::{self, enrolment_service_server::EnrolmentService};
use taskpass_broker::Enrolled;
use tonic::{Request, Response, Status};

use super::{Service, convert, parse, standing};
use crate::status;

#[tonic::async_trait]
impl EnrolmentService for Service {
    async fn create_enrolment_token(
        &self,
        request: Request<v1::CreateEnrolmentTokenRequest>,
    ) -> Result<Response<v1::CreateEnrolmentTokenResponse>, Status> {
        let caller = standing(&request)?;
        let principal = parse::principal(request.into_inner().principal).map_err(status::of)?;
        let fresh = self
            .broker
            .create_enrolment_token(&caller, &principal)
            .await
            .map_err(status::of)?;
        Ok(Response::new(v1::CreateEnrolmentTokenResponse {
            token: fresh.token.expose().to_owned(),
            expires_at: Some(convert::timestamp(fresh.expires_at)),
            ca_pem: fresh.anchors_pem,
        }))
    }

    async fn enrol(
        &self,
        request: Request<v1::EnrolRequest>,
    ) -> Result<Response<v1::EnrolResponse>, Status> {
        let request = request.into_inner();
        let enrolled = self
            .broker
            .enrol(&request.token, &request.csr)
            .await
            .map_err(status::of)?;
        Ok(Response::new(v1::EnrolResponse {
            principal: Some(convert::principal(&enrolled.principal)),
            identity: Some(to_identity(enrolled)),
        }))
    }

    async fn renew_identity(
        &self,
        request: Request<v1::RenewIdentityRequest>,
    ) -> Result<Response<v1::RenewIdentityResponse>, Status> {
        let caller = standing(&request)?;
        let enrolled = self
            .broker
            .renew_identity(&caller, &request.get_ref().csr)
            .await
            .map_err(status::of)?;
        Ok(Response::new(v1::RenewIdentityResponse {
            identity: Some(to_identity(enrolled)),
        }))
    }
}

fn to_identity(enrolled: Enrolled) -> v1::Identity {
    v1::Identity {
        cert_pem: enrolled.chain_pem,
        ca_pem: enrolled.anchors_pem,
        expires_at: Some(convert::timestamp(enrolled.expires_at)),
        generation: enrolled.generation,
    }
}
