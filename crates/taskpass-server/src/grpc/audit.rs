//! `AuditService`, but for its streams.
//!
//! Types are parsed here; whether what a filter names exists, and what a log holds, is the broker's
//! to say, which also records each call but `GetCheckpoint`.

mod export;
mod reader;
mod tail;

use taskpass_api::v1::{self, audit_service_server::AuditService};
use taskpass_broker::{EntryPage, EntryQuery, Error, Inclusion, LoggedEntry, Place, WhichEntry};
use taskpass_core::name::{AgentName, OwnerName};
use taskpass_core::verb::Verb;
use taskpass_core::{TargetUri, Timestamp};
use taskpass_log::LogName;
use taskpass_log::find::Filter;
use tonic::{Request, Response, Status};

use super::{Service, parse, proved, standing};
use crate::status;
pub(super) use reader::{Gone, Stream, Streams};

/// Bytes of entries, or of a file, in one message; what clients take at most is 4 MiB.
const BYTES: usize = 1 << 20;

#[tonic::async_trait]
impl AuditService for Service {
    async fn query(
        &self,
        request: Request<v1::QueryRequest>,
    ) -> Result<Response<v1::QueryResponse>, Status> {
        let caller = standing(&request)?;
        let query = parse_query(request.into_inner()).map_err(status::of)?;
        let page = self.log.query(&caller, query).await.map_err(status::of)?;
        let page = bounded(page);
        Ok(Response::new(v1::QueryResponse {
            entries: page.entries.into_iter().map(to_entry).collect(),
            next_page_token: parse::next_page(page.next.is_some(), page.next),
        }))
    }

    type TailStream = Stream<v1::TailResponse>;

    async fn tail(
        &self,
        request: Request<v1::TailRequest>,
    ) -> Result<Response<Self::TailStream>, Status> {
        let slot = self.streams.tail().map_err(status::of)?;
        let (caller, proved) = (standing(&request)?, proved(&request)?);
        let request = request.into_inner();
        let filter = parse_filter(request.filter).map_err(status::of)?;
        let log = parse_log(&request.log).map_err(status::of)?;
        let from = match (log, request.from_index) {
            (log, Some(index)) => Some((log, index)),
            (None, None) => None,
            (Some(_), None) => {
                let error = Error::field("from_index", "the index of `log` to begin with");
                return Err(status::of(error));
            }
        };
        let tail = self
            .log
            .tail(&caller, filter, from)
            .await
            .map_err(status::of)?;
        let (reader, stream) = self.reader(caller, proved, Verb::ReadAudit, slot);
        tokio::spawn(tail::run(reader, tail));
        Ok(Response::new(stream))
    }

    async fn list_logs(
        &self,
        request: Request<v1::ListLogsRequest>,
    ) -> Result<Response<v1::ListLogsResponse>, Status> {
        let caller = standing(&request)?;
        let logs = self.log.logs(&caller).await.map_err(status::of)?;
        let logs = logs
            .into_iter()
            .map(|kept| v1::list_logs_response::Log {
                log: kept.log.to_string(),
                origin: kept.origin,
                size: kept.size,
            })
            .collect();
        Ok(Response::new(v1::ListLogsResponse { logs }))
    }

    async fn get_checkpoint(
        &self,
        request: Request<v1::GetCheckpointRequest>,
    ) -> Result<Response<v1::GetCheckpointResponse>, Status> {
        let log = parse_log(&request.into_inner().log).map_err(status::of)?;
        let signed = self.log.checkpoint(log).await.map_err(status::of)?;
        Ok(Response::new(v1::GetCheckpointResponse {
            log: signed.log.to_string(),
            checkpoint: signed.checkpoint,
            vkey: signed.vkey,
        }))
    }

    async fn get_inclusion_proof(
        &self,
        request: Request<v1::GetInclusionProofRequest>,
    ) -> Result<Response<v1::GetInclusionProofResponse>, Status> {
        let caller = standing(&request)?;
        let entry = parse_which(request.into_inner()).map_err(status::of)?;
        let Inclusion {
            entry,
            hashes,
            signed,
        } = self
            .log
            .inclusion(&caller, entry)
            .await
            .map_err(status::of)?;
        Ok(Response::new(v1::GetInclusionProofResponse {
            entry: Some(to_entry(entry)),
            hashes: to_hashes(&hashes),
            checkpoint: signed.checkpoint,
            vkey: signed.vkey,
        }))
    }

    async fn get_consistency_proof(
        &self,
        request: Request<v1::GetConsistencyProofRequest>,
    ) -> Result<Response<v1::GetConsistencyProofResponse>, Status> {
        let caller = standing(&request)?;
        let request = request.into_inner();
        let log = parse_log(&request.log).map_err(status::of)?;
        if request.old_size == 0 {
            let error = Error::field("old_size", "the size of the earlier tree, at least 1");
            return Err(status::of(error));
        }
        let proof = self
            .log
            .consistency(&caller, log, request.old_size)
            .await
            .map_err(status::of)?;
        Ok(Response::new(v1::GetConsistencyProofResponse {
            log: proof.signed.log.to_string(),
            hashes: to_hashes(&proof.hashes),
            checkpoint: proof.signed.checkpoint,
            vkey: proof.signed.vkey,
        }))
    }

    type ExportStream = Stream<v1::ExportResponse>;

    async fn export(
        &self,
        request: Request<v1::ExportRequest>,
    ) -> Result<Response<Self::ExportStream>, Status> {
        let slot = self.streams.export().map_err(status::of)?;
        let (caller, proved) = (standing(&request)?, proved(&request)?);
        let request = request.into_inner();
        let log = parse_log(&request.log).map_err(status::of)?;
        let export = self
            .log
            .export(&caller, log, request.from_size)
            .await
            .map_err(status::of)?;
        let (reader, stream) = self.reader(caller, proved, Verb::ExportAudit, slot);
        tokio::spawn(export::run(reader, export));
        Ok(Response::new(stream))
    }
}

fn parse_query(request: v1::QueryRequest) -> Result<EntryQuery, Error> {
    let page = parse::page(Some(v1::PageRequest {
        page_size: request.page_size,
        page_token: request.page_token,
    }));
    Ok(EntryQuery {
        filter: parse_filter(request.filter)?,
        log: parse_log(&request.log)?,
        after: page.after()?,
        limit: page.limit,
    })
}

fn parse_which(request: v1::GetInclusionProofRequest) -> Result<WhichEntry, Error> {
    use v1::get_inclusion_proof_request::Entry;
    let log = parse_log(&request.log)?;
    match (request.entry, log) {
        (Some(Entry::Index(index)), log) => Ok(WhichEntry::Index { log, index }),
        (Some(Entry::CredentialId(id)), None) => {
            Ok(WhichEntry::Credential(parse::credential_id(&id)?))
        }
        (Some(Entry::CredentialId(_)), Some(_)) => Err(Error::field(
            "log",
            "nothing beside `credential_id`, which is looked for in every log",
        )),
        (None, _) => Err(Error::field("entry", "an index or a credential id")),
    }
}

/// Empty is absent.
fn parse_log(text: &str) -> Result<Option<LogName>, Error> {
    given(text)
        .map(|text| {
            text.parse()
                .map_err(|_| Error::field("log", "the month of a log, such as 2026-11"))
        })
        .transpose()
}

fn parse_filter(filter: Option<v1::EntryFilter>) -> Result<Filter, Error> {
    let filter = filter.unwrap_or_default();
    let agent = given(&filter.agent).map(parse::name::<AgentName>);
    let owner = given(&filter.owner).map(parse::name::<OwnerName>);
    let task = given(&filter.task_id).map(parse::task_id);
    let target = given(&filter.target).map(|text| {
        text.parse::<TargetUri>()
            .map_err(|error| Error::field("target", error.to_string()))
    });
    let credential = given(&filter.credential_id).map(parse::credential_id);
    Ok(Filter {
        agent: text(agent)?,
        owner: text(owner)?,
        task: text(task)?,
        target: text(target)?,
        credential: text(credential)?,
        kind: given(&filter.kind).map(str::to_owned),
        outcome: given(&filter.outcome).map(str::to_owned),
        from: instant(filter.from, "from")?,
        until: instant(filter.until, "until")?,
    })
}

fn given(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// The one spelling of what was parsed: entries have no other.
fn text<T: ToString>(parsed: Option<Result<T, Error>>) -> Result<Option<String>, Error> {
    parsed
        .map(|parsed| parsed.map(|value| value.to_string()))
        .transpose()
}

fn instant(
    at: Option<prost_types::Timestamp>,
    field: &'static str,
) -> Result<Option<Timestamp>, Error> {
    at.map(|at| parse::timestamp(Some(at), field)).transpose()
}

/// Cuts a page where its message would be too large: the next one goes on there.
fn bounded(mut page: EntryPage) -> EntryPage {
    let mut bytes = 0_usize;
    let fit = page.entries.iter().take_while(|entry| {
        bytes = bytes.saturating_add(entry.json.len());
        bytes <= BYTES
    });
    // One always fits: an entry has less than 64 KiB.
    let fit = fit.count().max(1);
    if fit < page.entries.len() {
        page.entries.truncate(fit);
        page.next = page.entries.last().map(|entry| Place {
            log: entry.log,
            before: entry.index,
        });
    }
    page
}

pub(super) fn to_entry(entry: LoggedEntry) -> v1::LogEntry {
    v1::LogEntry {
        log: entry.log.to_string(),
        index: entry.index,
        json: entry.json.into(),
    }
}

fn to_hashes(hashes: &[[u8; 32]]) -> Vec<bytes::Bytes> {
    hashes
        .iter()
        .map(|hash| bytes::Bytes::copy_from_slice(hash))
        .collect()
}

#[cfg(test)]
mod tests;
