//! `RevocationService`, but for the feed's stream.

mod drill;
mod watch;

use taskpass_api::v1::{self, revocation_service_server::RevocationService};
use taskpass_broker::{Error, Revoke, RevokeWhat};
use tonic::{Request, Response, Status};

use super::{Service, convert, parse, proved, standing};
use crate::status;

#[tonic::async_trait]
impl RevocationService for Service {
    async fn revoke(
        &self,
        request: Request<v1::RevokeRequest>,
    ) -> Result<Response<v1::RevokeResponse>, Status> {
        let caller = standing(&request)?;
        let request = parse_revoke(request.into_inner()).map_err(status::of)?;
        let revoked = self
            .broker
            .revoke(&caller, &request)
            .await
            .map_err(status::of)?;
        Ok(Response::new(v1::RevokeResponse {
            seq: revoked.seq,
            credentials: revoked.live.credentials,
            exact: revoked.live.exact,
            suspended: revoked.suspended.iter().map(ToString::to_string).collect(),
            revoked_at: Some(convert::timestamp(revoked.at)),
        }))
    }

    async fn list(
        &self,
        request: Request<v1::ListRevocationsRequest>,
    ) -> Result<Response<v1::ListRevocationsResponse>, Status> {
        let caller = standing(&request)?;
        let page = parse::page(request.into_inner().page);
        let after = page.after().map_err(status::of)?.unwrap_or(0);
        let found = self
            .broker
            .list_revocations(&caller, after, page.limit)
            .await
            .map_err(status::of)?;
        let last = found.items.last().map(|rule| rule.seq);
        Ok(Response::new(v1::ListRevocationsResponse {
            revocations: found
                .items
                .iter()
                .map(|rule| convert::rule(rule, true))
                .collect(),
            next_page_token: parse::next_page(found.more, last),
        }))
    }

    type WatchRevocationsStream = watch::Stream;

    async fn watch_revocations(
        &self,
        request: Request<v1::WatchRevocationsRequest>,
    ) -> Result<Response<watch::Stream>, Status> {
        let caller = standing(&request)?;
        let proved = proved(&request)?;
        let request = request.into_inner();
        let (subscription, first) = self
            .broker
            .subscribe(&caller, request.epoch, request.after_seq)
            .map_err(status::of)?;
        Ok(Response::new(self.feed(
            caller,
            proved,
            subscription,
            first,
        )))
    }

    async fn drill(
        &self,
        request: Request<v1::DrillRequest>,
    ) -> Result<Response<v1::DrillResponse>, Status> {
        self.hold_drill(request).await
    }

    async fn confirm(
        &self,
        request: Request<v1::ConfirmRequest>,
    ) -> Result<Response<v1::ConfirmResponse>, Status> {
        self.confirmed(&request)
    }
}

fn parse_revoke(request: v1::RevokeRequest) -> Result<Revoke, Error> {
    let selector = request.selector.and_then(|selector| selector.selector);
    let what = what(selector).map_err(|error| match error {
        // Whichever field it is of, it is the selector that does not read.
        Error::InvalidField { expected, .. } => Error::field("selector", expected),
        Error::UnknownTarget { target } => {
            Error::field("selector", format!("`{target}` is not a target's URI"))
        }
        other => other,
    })?;
    Ok(Revoke {
        what,
        reason: request.reason,
        dry_run: request.dry_run,
        no_suspend: request.no_suspend,
    })
}

fn what(selector: Option<v1::revocation_selector::Selector>) -> Result<RevokeWhat, Error> {
    use v1::revocation_selector::Selector;
    Ok(match selector {
        Some(Selector::CredentialId(id)) => RevokeWhat::Credential(parse::credential_id(&id)?),
        Some(Selector::TaskId(id)) => RevokeWhat::Task(parse::task_id(&id)?),
        Some(Selector::Agent(name)) => RevokeWhat::Agent(parse::name(&name)?),
        Some(Selector::Owner(name)) => RevokeWhat::Owner(parse::name(&name)?),
        Some(Selector::Target(uri)) => RevokeWhat::Target(parse::target(&uri)?),
        Some(Selector::KeyId(id)) => RevokeWhat::Key(id),
        Some(Selector::Everything(true)) => RevokeWhat::Everything,
        Some(Selector::Everything(false)) | None => {
            return Err(Error::field(
                "selector",
                "one of: credential, task, agent, owner, target, key, everything",
            ));
        }
    })
}
