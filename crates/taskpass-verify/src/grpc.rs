//! The same for gRPC: refusals as a status, peers from tonic's connections, and an interceptor.
//!
//! [`RequireScope`](crate::RequireScope) knows a gRPC request by its content type and answers it with
//! a status; `www-authenticate` comes along as metadata. [`ScopeInterceptor`] does the same where only
//! an interceptor fits. It cannot wait: a token of a key that is not known yet is refused once, while
//! the key is being looked for.
//!
//! | refused because | code |
//! |---|---|
//! | no token, or one that is not good | `UNAUTHENTICATED` |
//! | the token does not permit this, or nothing is known of the method | `PERMISSION_DENIED` |
//! | the request cannot be read | `INVALID_ARGUMENT` |
//! | this verifier cannot say | `UNAVAILABLE` |

use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{Extensions, HeaderMap, HeaderValue, StatusCode};
use taskpass_core::ScopeName;
use tonic::metadata::MetadataMap;
use tonic::service::Interceptor;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
use tonic::{Code, Request, Status};

use crate::guard::{Admitted, Denied, Guard, bearer_in};
use crate::peer::PeerCertificate;
use crate::refusal::Refusal;
use crate::token::UnverifiedToken;

/// Asks for a scope in every call of a service.
#[derive(Debug, Clone)]
pub struct ScopeInterceptor {
    guard: Guard,
    scope: ScopeName,
}

impl Guard {
    /// An interceptor that lets only calls through whose token permits `scope`.
    pub fn interceptor(&self, scope: ScopeName) -> ScopeInterceptor {
        ScopeInterceptor {
            guard: self.clone(),
            scope,
        }
    }
}

impl ScopeInterceptor {
    fn admit(&self, headers: &HeaderMap, extensions: &Extensions) -> Result<Admitted, Denied> {
        let token = UnverifiedToken::new(bearer_in(headers)?);
        if let (Some(keys), Some(key)) = (self.guard.keys(), token.claimed_key()) {
            keys.look_for_later(key);
        }
        let peer = PeerCertificate::find(extensions);
        self.guard.judge(token, &peer, &self.scope, None)
    }
}

impl Interceptor for ScopeInterceptor {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let (metadata, mut extensions, message) = request.into_parts();
        let mut headers = metadata.into_headers();
        match self.admit(&headers, &extensions) {
            Ok(admitted) => {
                extensions.insert(admitted);
                crate::layer::hide(&mut headers);
                let metadata = MetadataMap::from_headers(headers);
                Ok(Request::from_parts(metadata, extensions, message))
            }
            Err(denied) => {
                tracing::debug!(reason = denied.reason(), "a call was refused");
                let challenge = self.guard.challenge(Some(&self.scope));
                Err(status(&denied, challenge.value(&denied)))
            }
        }
    }
}

/// A refusal in the middle of a stream: `admitted.recheck()?` in a handler.
impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        status(&Denied::Refused(refusal), None)
    }
}

pub(crate) fn status(denied: &Denied, challenge: Option<HeaderValue>) -> Status {
    let (code, text) = match denied.status() {
        StatusCode::BAD_REQUEST => (Code::InvalidArgument, "the credentials cannot be read"),
        StatusCode::FORBIDDEN => (Code::PermissionDenied, "the token does not permit this"),
        StatusCode::SERVICE_UNAVAILABLE => (Code::Unavailable, "tokens cannot be verified now"),
        _ => (Code::Unauthenticated, "a valid token is required"),
    };
    let metadata = challenge.map(|value| HeaderMap::from_iter([(WWW_AUTHENTICATE, value)]));
    let metadata = metadata.unwrap_or_default();
    Status::with_metadata(code, text, MetadataMap::from_headers(metadata))
}

/// Whether an answer must be a gRPC status.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/grpc"))
}

/// The peer of one of tonic's own connections.
pub(crate) fn peer(extensions: &Extensions) -> Option<PeerCertificate> {
    let info: &TlsConnectInfo<TcpConnectInfo> = extensions.get()?;
    let chain = info.peer_certs()?;
    Some(PeerCertificate::new(chain.iter().cloned()))
}

#[cfg(test)]
mod tests;
