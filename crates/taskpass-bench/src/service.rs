//! The floor calls: what the same server does, over the same connections, without issuing.
//!
//! `Empty` answers at once; `Sign` signs as many bytes as a token has and answers with a token's
//! length; `Certify` checks a certificate request and signs a certificate. What they make is
//! worth nothing: the keys of `Sign` are this run's, and what `Certify` signs is an identity that no
//! line knows.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use data_encoding::BASE64;
use taskpass_api::v1;
use taskpass_broker::Broker;
use taskpass_core::access::TokenAlg;
use taskpass_core::identity::Principal;
use taskpass_core::rng::Rng;
use taskpass_core::spiffe::SpiffeId;
use taskpass_issuer::CsrKey;
use taskpass_server::Floors;
use taskpass_server::access::Access;
use taskpass_token::jws::assemble;
use tonic::body::Body;
use tonic::codegen::{Body as HttpBody, StdError};
use tonic::server::{Grpc, NamedService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::sign::{INPUT_LEN, Signers};

pub(crate) const EMPTY: &str = "/taskpass.bench.v1.Floor/Empty";
pub(crate) const SIGN_ES256: &str = "/taskpass.bench.v1.Floor/SignEs256";
pub(crate) const SIGN_EDDSA: &str = "/taskpass.bench.v1.Floor/SignEdDsa";
pub(crate) const CERTIFY: &str = "/taskpass.bench.v1.Floor/Certify";

const fn row(method: &'static str) -> Access {
    Access {
        method,
        anyone: false,
        agents: true,
        verifiers: true,
        operators: &[],
        reserved: false,
    }
}

const ROWS: &[Access] = &[row(EMPTY), row(SIGN_ES256), row(SIGN_EDDSA), row(CERTIFY)];

/// The floors of a server on `broker`.
pub(crate) fn floors(broker: &Arc<Broker>, signers: Arc<Signers>, rng: Arc<dyn Rng>) -> Floors {
    let service = FloorService(Arc::new(Floor {
        broker: Arc::clone(broker),
        signers,
        rng,
        input: "x".repeat(INPUT_LEN),
    }));
    Floors::new(ROWS, |routes| routes.add_service(service))
}

struct Floor {
    broker: Arc<Broker>,
    signers: Arc<Signers>,
    rng: Arc<dyn Rng>,
    input: String,
}

impl Floor {
    fn sign(&self, alg: TokenAlg) -> Result<v1::IssueTokenResponse, Status> {
        let signature = self.signers.sign(alg, self.input.as_bytes());
        let signature = signature.ok_or_else(|| Status::internal("no signature"))?;
        Ok(v1::IssueTokenResponse {
            token: assemble(&self.input, &signature),
            ..Default::default()
        })
    }

    fn certify(
        &self,
        request: &v1::IssueCertificateRequest,
    ) -> Result<v1::IssueCertificateResponse, Status> {
        let name = "floor".parse();
        let name = name.map_err(|_| Status::internal("no name"))?;
        let principal = Principal::Agent(name);
        let issuer = self.broker.issuer();
        let expected = SpiffeId::new(issuer.trust_domain().clone(), principal.subject());
        let key = CsrKey::from_request(&request.csr, &expected)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let now = self.broker.now();
        let end = now.plus(Duration::from_mins(5));
        let signed = issuer
            .sign_identity(&principal, &key, now, end, &*self.rng)
            .map_err(|error| Status::internal(error.to_string()))?;
        Ok(v1::IssueCertificateResponse {
            cert_pem: BASE64.encode(&signed.der),
            ..Default::default()
        })
    }
}

#[derive(Clone)]
struct FloorService(Arc<Floor>);

impl NamedService for FloorService {
    const NAME: &'static str = "taskpass.bench.v1.Floor";
}

impl<B> tower::Service<http::Request<B>> for FloorService
where
    B: HttpBody + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let floor = Arc::clone(&self.0);
        match request.uri().path() {
            EMPTY => Box::pin(unary(request, |(): ()| Ok(()))),
            SIGN_ES256 => Box::pin(unary(request, move |_: v1::IssueTokenRequest| {
                floor.sign(TokenAlg::Es256)
            })),
            SIGN_EDDSA => Box::pin(unary(request, move |_: v1::IssueTokenRequest| {
                floor.sign(TokenAlg::EdDsa)
            })),
            CERTIFY => Box::pin(unary(request, move |asked| floor.certify(&asked))),
            _ => Box::pin(async { Ok(Status::unimplemented("no floor").into_http()) }),
        }
    }
}

/// One call, answered by a function.
async fn unary<B, Q, A>(
    request: http::Request<B>,
    answer: impl Fn(Q) -> Result<A, Status> + Clone + Send + Sync + 'static,
) -> Result<http::Response<Body>, Infallible>
where
    B: HttpBody + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
    Q: prost::Message + Default + Send + 'static,
    A: prost::Message + Default + Send + 'static,
{
    let service = tower::service_fn(move |request: Request<Q>| {
        let answered = answer(request.into_inner()).map(Response::new);
        async move { answered }
    });
    let mut grpc = Grpc::new(ProstCodec::<A, Q>::default());
    Ok(grpc.unary(service, request).await)
}
