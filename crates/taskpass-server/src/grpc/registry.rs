//! `RegistryService`.

mod apply;
mod entry;

use taskpass_api::v1::{self, registry_service_server::RegistryService};
use taskpass_broker::{Error, Resume, Update, Updated};
use taskpass_core::registry::{Registry, Row, RowKey, Versioned};
use tonic::{Request, Response, Status};

use super::{Service, parse, standing};
use crate::status;
use entry::from_proto;
pub(super) use entry::to_proto;

#[tonic::async_trait]
impl RegistryService for Service {
    async fn register(
        &self,
        request: Request<v1::RegisterRequest>,
    ) -> Result<Response<v1::RegisterResponse>, Status> {
        let caller = standing(&request)?;
        let row = from_proto(request.into_inner().entry).map_err(status::of)?;
        let written = self
            .broker
            .register(&caller, row)
            .await
            .map_err(status::of)?;
        Ok(Response::new(v1::RegisterResponse {
            entry: Some(to_proto(&written.row)),
            registry_version: written.registry_version,
        }))
    }

    async fn update(
        &self,
        request: Request<v1::UpdateRequest>,
    ) -> Result<Response<v1::UpdateResponse>, Status> {
        let caller = standing(&request)?;
        let request = request.into_inner();
        let row = from_proto(request.entry).map_err(status::of)?;
        let grounds = self
            .grounds(&row.key().to_string(), request.readiness, request.force)
            .await
            .map_err(status::of)?;
        let update = Update {
            row,
            expected: request.expected_version,
            reason: request.reason,
            grounds,
        };
        let updated = self.broker.replace(&caller, &update).await;
        Ok(Response::new(match updated.map_err(status::of)? {
            Updated::Written(written) => v1::UpdateResponse {
                entry: Some(to_proto(&written.row)),
                registry_version: written.registry_version,
                proposal: None,
            },
            Updated::Waits(proposal) => v1::UpdateResponse {
                entry: None,
                registry_version: 0,
                proposal: Some(super::approval::proposal(&proposal)),
            },
        }))
    }

    async fn get(
        &self,
        request: Request<v1::GetRequest>,
    ) -> Result<Response<v1::GetResponse>, Status> {
        let caller = standing(&request)?;
        let request = request.into_inner();
        let key = key(request.kind, &request.name).map_err(status::of)?;
        // Read before the entry: it must not be newer than that.
        let registry_version = self.broker.registry().version_of_all();
        let row = self
            .broker
            .entry_of(&caller, &key)
            .await
            .map_err(status::of)?;
        Ok(Response::new(v1::GetResponse {
            entry: Some(to_proto(&row)),
            registry_version,
        }))
    }

    async fn list(
        &self,
        request: Request<v1::ListRequest>,
    ) -> Result<Response<v1::ListResponse>, Status> {
        let caller = standing(&request)?;
        let request = request.into_inner();
        let kind = kind(request.kind).map_err(status::of)?;
        let page = parse::page(request.page);
        let after: Option<String> = page.after().map_err(status::of)?;
        let what = listing(kind);
        let registry = self
            .broker
            .registry_for(&caller, &what)
            .await
            .map_err(status::of)?;
        let mut entries = rows(&registry, kind)
            .into_iter()
            .filter(|row| {
                after
                    .as_ref()
                    .is_none_or(|after| entry::name(&row.value) > *after)
            })
            .take(page.limit + 1)
            .collect::<Vec<_>>();
        let more = entries.len() > page.limit;
        entries.truncate(page.limit);
        let last = entries.last().map(|row| entry::name(&row.value));
        Ok(Response::new(v1::ListResponse {
            entries: entries.iter().map(to_proto).collect(),
            next_page_token: parse::next_page(more, last),
            registry_version: registry.version_of_all(),
        }))
    }

    async fn suspend(
        &self,
        request: Request<v1::SuspendRequest>,
    ) -> Result<Response<v1::SuspendResponse>, Status> {
        let caller = standing(&request)?;
        let request = request.into_inner();
        let key = key(request.kind, &request.name).map_err(status::of)?;
        let written = self
            .broker
            .suspend(&caller, key, &request.reason)
            .await
            .map_err(status::of)?;
        Ok(Response::new(v1::SuspendResponse {
            entry: Some(to_proto(&written.row)),
            registry_version: written.registry_version,
        }))
    }

    async fn resume(
        &self,
        request: Request<v1::ResumeRequest>,
    ) -> Result<Response<v1::ResumeResponse>, Status> {
        use v1::resume_request::Subject;
        let caller = standing(&request)?;
        let request = request.into_inner();
        let what = match request.subject {
            Some(Subject::Entry(named)) => {
                Resume::Entry(key(named.kind, &named.name).map_err(status::of)?)
            }
            Some(Subject::Everything(true)) => Resume::Everything,
            Some(Subject::Everything(false)) | None => {
                return Err(status::of(Error::field(
                    "subject",
                    "an entry, or everything",
                )));
            }
        };
        let written = self
            .broker
            .resume(&caller, what, &request.reason)
            .await
            .map_err(status::of)?;
        Ok(Response::new(v1::ResumeResponse {
            entry: Some(to_proto(&written.row)).filter(|entry| entry.entry.is_some()),
            registry_version: written.registry_version,
        }))
    }

    async fn retire(
        &self,
        request: Request<v1::RetireRequest>,
    ) -> Result<Response<v1::RetireResponse>, Status> {
        let caller = standing(&request)?;
        let request = request.into_inner();
        let key = key(request.kind, &request.name).map_err(status::of)?;
        let retired = if request.dry_run {
            self.broker.what_retiring_ends(&caller, &key).await
        } else {
            self.broker.retire(&caller, key, &request.reason).await
        };
        let retired = retired.map_err(status::of)?;
        Ok(Response::new(v1::RetireResponse {
            entry: Some(to_proto(&retired.row)),
            credentials: retired.ended.live.credentials,
            exact: retired.ended.live.exact,
            agents: retired.ended.agents,
            tasks: retired.ended.tasks.count,
            tasks_exact: retired.ended.tasks.exact,
            registry_version: retired.registry_version,
        }))
    }

    async fn apply(
        &self,
        request: Request<v1::ApplyRequest>,
    ) -> Result<Response<v1::ApplyResponse>, Status> {
        let caller = standing(&request)?;
        let request = request.into_inner();
        let list = apply::from_proto(&request);
        let applied = match self.broker.apply(&caller, &list).await {
            Ok(applied) => applied,
            Err(error) => return Err(status::of(apply::placed(error, &request.entries))),
        };
        Ok(Response::new(v1::ApplyResponse {
            changes: applied.changes.iter().map(apply::change).collect(),
            registry_version: applied.version,
        }))
    }
}

/// The row that an entry says, for whoever fills a new store by the same rules.
pub fn row_of(entry: v1::Entry) -> Result<Row, Error> {
    from_proto(Some(entry))
}

/// The entry that says a row, for whoever writes a registry down without a call.
pub fn entry_of(row: &Versioned<Row>) -> v1::Entry {
    entry::to_proto(row)
}

fn kind(number: i32) -> Result<v1::Kind, Error> {
    match v1::Kind::try_from(number) {
        Ok(v1::Kind::Unspecified) | Err(_) => Err(Error::field(
            "kind",
            "an owner, agent, target, operator or verifier",
        )),
        Ok(kind) => Ok(kind),
    }
}

fn key(number: i32, name: &str) -> Result<RowKey, Error> {
    Ok(match kind(number)? {
        v1::Kind::Owner => RowKey::Owner(parse::name(name)?),
        v1::Kind::Agent => RowKey::Agent(parse::name(name)?),
        v1::Kind::Target => RowKey::Target(name.parse().map_err(
            |error: taskpass_core::scope::ParseScopeError| Error::field("uri", error.to_string()),
        )?),
        v1::Kind::Operator => RowKey::Operator(parse::name(name)?),
        v1::Kind::Verifier => RowKey::Verifier(parse::name(name)?),
        v1::Kind::Unspecified => return Err(Error::field("kind", "required")),
    })
}

fn rows(registry: &Registry, kind: v1::Kind) -> Vec<Versioned<Row>> {
    fn of<T: Clone>(row: &Versioned<T>, wrap: fn(T) -> Row) -> Versioned<Row> {
        Versioned {
            value: wrap(row.value.clone()),
            version: row.version,
        }
    }
    match kind {
        v1::Kind::Owner => registry.owners().map(|row| of(row, Row::Owner)).collect(),
        v1::Kind::Agent => registry.agents().map(|row| of(row, Row::Agent)).collect(),
        v1::Kind::Target => registry.targets().map(|row| of(row, Row::Target)).collect(),
        v1::Kind::Operator => registry
            .operators()
            .map(|row| of(row, Row::Operator))
            .collect(),
        v1::Kind::Verifier => registry
            .verifiers()
            .map(|row| of(row, Row::Verifier))
            .collect(),
        v1::Kind::Unspecified => Vec::new(),
    }
}

/// What the entry of the reading calls it.
fn listing(kind: v1::Kind) -> String {
    let name = kind.as_str_name().trim_start_matches("KIND_");
    format!("list of {}s", name.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_named_as_people_do() {
        assert_eq!(listing(v1::Kind::Agent), "list of agents");
        assert_eq!(listing(v1::Kind::Operator), "list of operators");
    }
}
