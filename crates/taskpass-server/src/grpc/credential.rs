//! `CredentialService`.

use std::sync::Arc;

use taskpass_api::v1::{self, credential_service_server::CredentialService};
use taskpass_broker::{
    Broker, CertificateRequest, Error, IssuedToken, MAX_BATCH, Standing, TokenRequest,
};
use taskpass_core::access::CertificateProfile;
use taskpass_core::credential::CredentialBody;
use taskpass_core::ttl::{MAX_CERTIFICATE_TTL, MAX_TOKEN_TTL};
use tonic::{Request, Response, Status};

use super::{Service, convert, parse, standing};
use crate::callers::Place;
use crate::status;

#[tonic::async_trait]
impl CredentialService for Service {
    async fn issue_token(
        &self,
        request: Request<v1::IssueTokenRequest>,
    ) -> Result<Response<v1::IssueTokenResponse>, Status> {
        let caller = standing(&request)?;
        let issued = self
            .one_token(&caller, request.into_inner())
            .await
            .map_err(status::of)?;
        Ok(Response::new(to_token(&issued)))
    }

    async fn issue_tokens(
        &self,
        request: Request<v1::IssueTokensRequest>,
    ) -> Result<Response<v1::IssueTokensResponse>, Status> {
        let caller = standing(&request)?;
        let place = request.extensions().get::<Arc<Place>>().cloned();
        let items = request.into_inner().items;
        if items.is_empty() || items.len() > MAX_BATCH {
            let error = Error::TooManyItems {
                found: items.len(),
                max: MAX_BATCH,
            };
            return Err(status::of(error));
        }
        let _places = weigh(place.as_deref(), &caller, items.len(), &self.broker)?;
        // At once, so that the items share the store's group commits; each answers for itself.
        let issuing = items.into_iter().map(|item| self.one_token(&caller, item));
        let results = futures_util::future::join_all(issuing)
            .await
            .into_iter()
            .map(|outcome| v1::IssueTokensResult {
                result: Some(to_result(outcome)),
            })
            .collect();
        Ok(Response::new(v1::IssueTokensResponse { results }))
    }

    async fn issue_certificate(
        &self,
        request: Request<v1::IssueCertificateRequest>,
    ) -> Result<Response<v1::IssueCertificateResponse>, Status> {
        let caller = standing(&request)?;
        let request = parse_certificate(request.get_ref()).map_err(status::of)?;
        let issued = self
            .broker
            .issue_certificate(&caller, &request)
            .await
            .map_err(status::of)?;
        Ok(Response::new(v1::IssueCertificateResponse {
            cert_pem: issued.chain_pem,
            ca_pem: issued.anchors_pem,
            credential_id: issued.credential.id.to_string(),
            expires_at: Some(convert::timestamp(issued.credential.expires_at())),
            clamped_by: issued.clamped_by.iter().map(ToString::to_string).collect(),
            decision_id: issued.credential.decision.to_string(),
            revocation_seq: issued.revocation_seq,
        }))
    }

    async fn get(
        &self,
        request: Request<v1::GetCredentialRequest>,
    ) -> Result<Response<v1::GetCredentialResponse>, Status> {
        let caller = standing(&request)?;
        let id = parse::credential_id(&request.get_ref().credential_id).map_err(status::of)?;
        let credential = self
            .broker
            .credential(&caller, id)
            .await
            .map_err(status::of)?;
        let state = self.broker.credential_state(&credential);
        let credential = Some(convert::credential(&credential, state));
        Ok(Response::new(v1::GetCredentialResponse { credential }))
    }

    async fn list(
        &self,
        request: Request<v1::ListCredentialsRequest>,
    ) -> Result<Response<v1::ListCredentialsResponse>, Status> {
        let caller = standing(&request)?;
        let request = request.into_inner();
        let task = parse::task_id(&request.task_id).map_err(status::of)?;
        let page = parse::page(request.page);
        let after = page.after().map_err(status::of)?;
        let found = self
            .broker
            .list_credentials(&caller, task, after, page.limit)
            .await
            .map_err(status::of)?;
        let last = found.items.last().map(|credential| credential.id);
        let credentials = found
            .items
            .iter()
            .map(|item| convert::credential(item, self.broker.credential_state(item)))
            .collect();
        Ok(Response::new(v1::ListCredentialsResponse {
            credentials,
            next_page_token: parse::next_page(found.more, last),
        }))
    }
}

impl Service {
    async fn one_token(
        &self,
        caller: &Standing,
        request: v1::IssueTokenRequest,
    ) -> Result<IssuedToken, Error> {
        self.broker
            .issue_token(caller, &parse_token(&request)?)
            .await
    }
}

/// A batch is as much as it asks for. Without a place nothing is done: the gate put it there.
pub(super) fn weigh(
    place: Option<&Place>,
    caller: &Standing,
    items: usize,
    broker: &Broker,
) -> Result<Place, Status> {
    let weighed = place
        .ok_or(Error::QueueFull)
        .and_then(|place| place.weigh(items));
    weighed.map_err(|error| {
        broker.count_limit(&caller.caller.principal(), &error);
        status::of(error)
    })
}

fn parse_token(request: &v1::IssueTokenRequest) -> Result<TokenRequest, Error> {
    let target = parse::target(&request.target)?;
    Ok(TokenRequest {
        task: parse::task_id(&request.task_id)?,
        scopes: parse::scope_names(&request.scopes, &target)?,
        ttl: parse::ttl(request.ttl, MAX_TOKEN_TTL)?,
        bind: Some(request.bind_certificate.to_vec()).filter(|der| !der.is_empty()),
        target,
    })
}

fn parse_certificate(request: &v1::IssueCertificateRequest) -> Result<CertificateRequest, Error> {
    Ok(CertificateRequest {
        task: parse::task_id(&request.task_id)?,
        csr: request.csr.to_vec(),
        profile: match v1::CertificateProfile::try_from(request.profile) {
            Ok(v1::CertificateProfile::Client | v1::CertificateProfile::Unspecified) => {
                CertificateProfile::Client
            }
            Ok(v1::CertificateProfile::SpiffeSvid) => CertificateProfile::SpiffeSvid,
            // What is not known is refused, not taken for less.
            Err(_) => return Err(Error::field("profile", "client or spiffe-svid")),
        },
        ttl: parse::ttl(request.ttl, MAX_CERTIFICATE_TTL)?,
    })
}

fn to_token(issued: &IssuedToken) -> v1::IssueTokenResponse {
    let scopes = match &issued.credential.body {
        CredentialBody::Token { scopes, .. } => scopes.iter().map(ToString::to_string).collect(),
        CredentialBody::Certificate => Vec::new(),
    };
    v1::IssueTokenResponse {
        token: issued.token.expose().to_owned(),
        credential_id: issued.credential.id.to_string(),
        expires_at: Some(convert::timestamp(issued.credential.expires_at())),
        scopes,
        clamped_by: issued.clamped_by.iter().map(ToString::to_string).collect(),
        decision_id: issued.credential.decision.to_string(),
        would_deny: issued.would_deny,
        revocation_seq: issued.revocation_seq,
    }
}

fn to_result(outcome: Result<IssuedToken, Error>) -> v1::issue_tokens_result::Result {
    use v1::issue_tokens_result::Result as Out;
    match outcome {
        Ok(issued) => Out::Issued(to_token(&issued)),
        Err(error) => Out::Error(v1::IssueError {
            code: status::code_number(&error),
            reason: error.reason().to_owned(),
            metadata: status::metadata(&error),
            message: status::of(error).message().to_owned(),
        }),
    }
}
