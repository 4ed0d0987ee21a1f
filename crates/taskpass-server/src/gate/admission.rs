//! Who is let through the gate: what a request proves by itself, who may call what, and what policies say of
//! an operator's call.
//!
//! In this order, and `Gate::handle` keeps it: a token of another issuer, strangers, the table and
//! the identity at this moment, policies. Nothing here takes a place.

use std::sync::Arc;

use http::Request;
use taskpass_broker::{Error, Standing};
use taskpass_core::caller::Caller;
use tokio_util::task::AbortOnDropHandle;
use tonic::body::Body;

use super::{Gate, HEALTH, RENEWAL, Stranger, trace_id};
use crate::access::{self, Access, Asked};

impl Gate {
    /// Takes what the request itself proves, where its connection proved nothing.
    pub(super) async fn attest(
        &mut self,
        row: &Access,
        headers: &http::HeaderMap,
    ) -> Result<(), Error> {
        // Whoever needs no identity is not stopped by a bad one.
        if row.anyone {
            return Ok(());
        }
        let federation = &self.shared.federation;
        // One that showed something, and is nobody by it, is not let in by another way.
        let shown = self.proved.is_some() || !matches!(self.stranger, Stranger::Nobody);
        let proved = if shown || !federation.is_brought(headers) {
            federation.bearer(headers, shown).await?
        } else {
            // Anybody may send what looks like a token: checking its signature is no work for the door.
            let (federation, headers) = (Arc::clone(federation), headers.clone());
            let checking = async move { federation.bearer(&headers, shown).await };
            let checking = AbortOnDropHandle::new(self.shared.work.spawn(checking));
            checking.await.map_err(Error::internal)??
        };
        if let Some(proved) = proved {
            self.known.set();
            self.proved = Some(proved);
        }
        Ok(())
    }

    /// Whether somebody who proved nothing may call this.
    pub(super) fn admit_stranger(&self, row: &Access) -> Result<(), Error> {
        match self.stranger {
            Stranger::Local(why) if !row.method.starts_with(HEALTH) => Err(why.into()),
            _ if row.anyone => Ok(()),
            Stranger::Refused(why) | Stranger::Local(why) => Err(why.into()),
            Stranger::Nobody => Err(Error::Unauthenticated {
                message: "call with an identity certificate; `taskpass enrol` gets one",
            }),
        }
    }

    pub(super) async fn admit(
        &self,
        row: &Access,
        request: &mut Request<Body>,
    ) -> Result<(), Error> {
        let Some(proved) = &self.proved else {
            return self.admit_stranger(row);
        };
        let trace_id = trace_id(request.headers());
        let broker = &self.shared.broker;
        let standing = if row.method == RENEWAL {
            broker.standing_to_renew(proved, trace_id).await
        } else {
            broker.standing(proved, trace_id).await
        };
        match standing {
            Ok(standing) if row.admits(&standing.caller) => {
                request.extensions_mut().insert(standing);
                request.extensions_mut().insert(proved.clone());
                Ok(())
            }
            Ok(standing) => Err(Error::MethodNotAllowed {
                caller: standing.caller.to_string(),
                method: row.method.to_owned(),
            }),
            // Whoever needs no identity is not stopped by a bad one: it may be here to enrol anew.
            Err(_) if row.anyone => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Asks policies about an operator's call, if the table says that they are asked here. That is work, and
    /// therefore within the caller's share.
    pub(super) fn admit_operator(
        &self,
        row: &Access,
        request: &mut Request<Body>,
    ) -> Result<(), Error> {
        let extensions = request.extensions_mut();
        let standing = extensions.get::<Standing>();
        if !standing.is_some_and(|it| matches!(it.caller, Caller::Operator(..))) {
            return Ok(());
        }
        let Some(standing) = extensions.remove::<Standing>() else {
            return Ok(());
        };
        let standing = match access::asked(row) {
            Some(Asked::Here(verb)) => self.shared.broker.admit_operator(standing, verb)?,
            Some(Asked::There | Asked::Never) => standing,
            None => {
                return Err(Error::MethodNotAllowed {
                    caller: standing.caller.to_string(),
                    method: row.method.to_owned(),
                });
            }
        };
        extensions.insert(standing);
        Ok(())
    }
}
