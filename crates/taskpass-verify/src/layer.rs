//! `RequireScope`: a tower layer that lets only requests through whose token permits something.
//!
//! Per route with axum's `route_layer`, for a whole service otherwise; for gRPC also per method
//! ([`RequireScope::by_path`]). The handler finds [`Admitted`] in the request's extensions.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use taskpass_core::ScopeName;
use tower::{Layer, Service};

use crate::guard::{Admitted, Denied, Guard};

/// When to try again if it is the verifier that cannot say: in seconds.
const RETRY: HeaderValue = HeaderValue::from_static("1");

/// Which scope a request needs.
#[derive(Debug, Clone)]
enum Needs {
    Always(ScopeName, Option<Arc<str>>),
    ByPath(Arc<BTreeMap<Arc<str>, ScopeName>>),
}

/// A layer that asks for a scope; made by [`Guard::require`].
#[derive(Debug, Clone)]
pub struct RequireScope {
    guard: Guard,
    needs: Needs,
}

impl RequireScope {
    /// Every request needs `scope`.
    pub fn new(guard: Guard, scope: ScopeName) -> Self {
        Self {
            guard,
            needs: Needs::Always(scope, None),
        }
    }

    /// A request needs the scope of its path, such as `/ledger.v1.Ledger/ReadInvoice`; one whose
    /// path is not listed is refused, whatever it presents. In the report of uses the path is the action.
    pub fn by_path<P: Into<String>>(
        guard: Guard,
        scopes: impl IntoIterator<Item = (P, ScopeName)>,
    ) -> Self {
        let scopes = scopes
            .into_iter()
            .map(|(path, scope)| (path.into().into(), scope));
        Self {
            guard,
            needs: Needs::ByPath(Arc::new(scopes.collect())),
        }
    }

    /// Says in the report of uses what is behind this layer: a tool, a method, an operation. With
    /// [`by_path`](Self::by_path) the paths say it.
    #[must_use]
    pub fn named(mut self, action: &str) -> Self {
        if let Needs::Always(_, name) = &mut self.needs {
            *name = Some(action.into());
        }
        self
    }

    fn scope(&self, path: &str) -> Option<&ScopeName> {
        self.needed(path).map(|(scope, _)| scope)
    }

    fn needed(&self, path: &str) -> Option<(&ScopeName, Option<&Arc<str>>)> {
        match &self.needs {
            Needs::Always(scope, action) => Some((scope, action.as_ref())),
            Needs::ByPath(scopes) => {
                let (path, scope) = scopes.get_key_value(path)?;
                Some((scope, Some(path)))
            }
        }
    }

    async fn admit(&self, request: &Parts) -> Result<Admitted, Denied> {
        let needed = self.needed(request.uri.path());
        let (scope, action) = needed.ok_or(Denied::Unlisted)?;
        self.guard.admit_to(request, scope, action).await
    }

    fn refuse<B: Default>(&self, request: &Parts, denied: &Denied) -> Response<B> {
        tracing::debug!(reason = denied.reason(), "a request was refused");
        let challenge = self.guard.challenge(self.scope(request.uri.path()));
        let challenge = challenge.value(denied);
        #[cfg(feature = "tonic")]
        if crate::grpc::is_grpc(&request.headers) {
            return crate::grpc::status(denied, challenge).into_http();
        }
        let mut reply = Response::new(B::default());
        *reply.status_mut() = denied.status();
        if let Some(challenge) = challenge {
            reply.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        if denied.status() == StatusCode::SERVICE_UNAVAILABLE {
            reply.headers_mut().insert(RETRY_AFTER, RETRY);
        }
        reply
    }
}

impl<S> Layer<S> for RequireScope {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded {
            door: self.clone(),
            inner,
        }
    }
}

/// A service behind [`RequireScope`].
#[derive(Debug, Clone)]
pub struct Guarded<S> {
    door: RequireScope,
    inner: S,
}

/// An answer on its way.
pub type Answer<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

impl<S, B, R> Service<Request<B>> for Guarded<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Answer<Response<R>, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that was found ready is the one to call; its clone may not be.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let door = self.door.clone();
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            match door.admit(&parts).await {
                Ok(admitted) => {
                    hide(&mut parts.headers);
                    parts.extensions.insert(admitted);
                    inner.call(Request::from_parts(parts, body)).await
                }
                Err(denied) => Ok(door.refuse(&parts, &denied)),
            }
        })
    }
}

/// Marks the token, so that whatever prints the request does not print it.
pub(crate) fn hide(headers: &mut HeaderMap) {
    if let Some(token) = headers.get_mut(AUTHORIZATION) {
        token.set_sensitive(true);
    }
}

#[cfg(test)]
mod tests;
