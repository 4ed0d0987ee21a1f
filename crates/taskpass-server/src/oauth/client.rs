//! Who calls: by an identity certificate, or by an assertion under a registered key. One way a request.

use http::{HeaderMap, header};
use taskpass_broker::{Error, Standing};
use taskpass_core::caller::Caller;

use super::form::Form;
use super::refusal::{Code, Refusal};
use super::{Endpoint, Front};
use crate::gate;
use crate::tls::Peer;

/// RFC 7523 §2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A client that may call this endpoint now.
pub(super) struct Client {
    /// Who, judged as gRPC's callers are.
    pub(super) standing: Standing,
    /// A task certificate that its connection proved, in DER.
    pub(super) certificate: Option<Vec<u8>>,
}

impl Client {
    /// Authenticates the client of a request, and asks whether such a one may call `endpoint`.
    pub(super) async fn authenticate(
        front: &Front,
        endpoint: Endpoint,
        headers: &HeaderMap,
        form: &Form,
    ) -> Result<Self, Refusal> {
        if headers.contains_key(header::AUTHORIZATION) {
            return Err(unknown().challenged());
        }
        if form.get("client_secret").is_some() {
            return Err(unknown());
        }
        let trace_id = gate::trace_id(headers);
        let client_id = form.get("client_id");
        let assertion = form.get("client_assertion");
        let client = match (&front.peer, assertion) {
            (Peer::Caller(_), Some(_)) => {
                let message = "authenticate in one way: leave the identity certificate or the \
                               client_assertion out";
                return Err(Refusal::new(Code::InvalidRequest, message));
            }
            (Peer::Caller(proved), None) => {
                if client_id.is_some_and(|id| id != proved.principal.name()) {
                    let message = "client_id is the name in the identity certificate, or absent";
                    return Err(Refusal::new(Code::InvalidClient, message));
                }
                let judged = front.shared.broker.standing(proved, trace_id).await;
                let judged = judged.and_then(|standing| admitted(endpoint, standing));
                let standing = match judged {
                    Ok(standing) => standing,
                    Err(error) => return Err(refused(front, proved, endpoint, error).await),
                };
                Self {
                    standing,
                    certificate: None,
                }
            }
            (Peer::Nobody | Peer::Certificate(_), None) => return Err(unknown()),
            (peer @ (Peer::Nobody | Peer::Certificate(_)), Some(assertion)) => {
                if form.get("client_assertion_type") != Some(ASSERTION_TYPE) {
                    let message = format!("client_assertion_type is {ASSERTION_TYPE}");
                    return Err(Refusal::new(Code::InvalidRequest, message));
                }
                let broker = &front.shared.broker;
                let path = endpoint.path();
                let standing = broker
                    .standing_by_assertion(assertion, client_id, path, trace_id)
                    .await?;
                Self {
                    standing: admitted(endpoint, standing)?,
                    certificate: match peer {
                        Peer::Certificate(der) => Some(der.clone()),
                        Peer::Nobody | Peer::Caller(_) => None,
                    },
                }
            }
        };
        Ok(client)
    }
}

/// Which kind of caller may call an endpoint. Unknown is denied.
fn admitted(endpoint: Endpoint, standing: Standing) -> Result<Standing, Error> {
    let admits = match (endpoint, &standing.caller) {
        (Endpoint::Token | Endpoint::Revoke, Caller::Agent(_))
        | (Endpoint::Introspect, Caller::Verifier(..)) => true,
        (Endpoint::Token | Endpoint::Revoke, Caller::Verifier(..) | Caller::Operator(..))
        | (Endpoint::Introspect, Caller::Agent(_) | Caller::Operator(..)) => false,
    };
    if admits {
        Ok(standing)
    } else {
        Err(Error::MethodNotAllowed {
            caller: standing.caller.to_string(),
            method: endpoint.path().to_owned(),
        })
    }
}

/// Records that a proved identity was refused, as the gate of gRPC does; then that is the answer.
async fn refused(
    front: &Front,
    proved: &taskpass_broker::Proved,
    endpoint: Endpoint,
    error: Error,
) -> Refusal {
    let is_refusal = matches!(
        error,
        Error::MethodNotAllowed { .. }
            | Error::AgentSuspended { .. }
            | Error::CallerSuspended { .. }
            | Error::Unauthenticated { .. }
    );
    if is_refusal {
        let broker = &front.shared.broker;
        let recorded = broker
            .record_refused_call(proved, endpoint.path(), &error)
            .await;
        if let Err(error) = recorded {
            return error.into();
        }
    }
    error.into()
}

/// What whoever did not authenticate is told: how to, and nothing else.
fn unknown() -> Refusal {
    Refusal::new(
        Code::InvalidClient,
        "authenticate by an identity certificate in the TLS handshake (tls_client_auth), or as an \
         agent by a client_assertion under a registered key (private_key_jwt)",
    )
}
