//! `ApprovalService`, and what a stage rises on, from proto.

use taskpass_api::v1::{self, approval_service_server::ApprovalService};
use taskpass_broker::{Error, Grounds, Statement};
use taskpass_core::DecisionId;
use taskpass_core::promotion::{Ground, Proposal, ReadinessFacts, RequirementsFacts};
use taskpass_core::secret::Sha256;
use tonic::{Request, Response, Status};

use super::registry::to_proto;
use super::{Service, convert, parse, standing};
use crate::status;

/// The longest origin of a log.
const MAX_ORIGIN: usize = 1024;

#[tonic::async_trait]
impl ApprovalService for Service {
    async fn list_proposals(
        &self,
        request: Request<v1::ListProposalsRequest>,
    ) -> Result<Response<v1::ListProposalsResponse>, Status> {
        let caller = standing(&request)?;
        let waiting = self.broker.proposals(&caller).await.map_err(status::of)?;
        Ok(Response::new(v1::ListProposalsResponse {
            proposals: waiting.iter().map(proposal).collect(),
        }))
    }

    async fn approve(
        &self,
        request: Request<v1::ApproveRequest>,
    ) -> Result<Response<v1::ApproveResponse>, Status> {
        let caller = standing(&request)?;
        let id = id(&request.into_inner().id).map_err(status::of)?;
        let written = self.broker.approve(&caller, id).await.map_err(status::of)?;
        Ok(Response::new(v1::ApproveResponse {
            entry: Some(to_proto(&written.row)),
            registry_version: written.registry_version,
        }))
    }

    async fn approve_policy(
        &self,
        request: Request<v1::ApprovePolicyRequest>,
    ) -> Result<Response<v1::ApprovePolicyResponse>, Status> {
        let caller = standing(&request)?;
        let request = request.into_inner();
        let set = Sha256::from_hex(&request.policy_set).ok_or_else(|| {
            let expected = "SHA-256 of a set of policies, 64 lower-case hexadecimal digits";
            status::of(Error::field("policy_set", expected))
        })?;
        let approved = self
            .broker
            .approve_policy(&caller, set, &request.reason)
            .await
            .map_err(status::of)?;
        Ok(Response::new(v1::ApprovePolicyResponse {
            approved_by: approved.by.iter().map(ToString::to_string).collect(),
            missing: u32::try_from(approved.missing).unwrap_or(u32::MAX),
            ends_at: Some(convert::timestamp(approved.ends_at)),
        }))
    }

    async fn reject(
        &self,
        request: Request<v1::RejectRequest>,
    ) -> Result<Response<v1::RejectResponse>, Status> {
        let caller = standing(&request)?;
        let request = request.into_inner();
        let id = id(&request.id).map_err(status::of)?;
        let rejected = self.broker.reject(&caller, id, &request.reason).await;
        Ok(Response::new(v1::RejectResponse {
            proposal: Some(proposal(&rejected.map_err(status::of)?)),
        }))
    }
}

impl Service {
    /// On what the stage of `who` is to rise, as a request says it: a report counts if it rests on our log.
    pub(super) async fn grounds(
        &self,
        who: &str,
        readiness: Option<v1::Readiness>,
        force: bool,
    ) -> Result<Grounds, Error> {
        match (readiness, force) {
            (None, false) => Ok(Grounds::Nothing),
            (None, true) => Ok(Grounds::Force),
            (Some(_), true) => Err(Error::field(
                "force",
                "either a readiness report or force, not both",
            )),
            (Some(readiness), false) => {
                let vouched = self.log.vouch(who, statement(&readiness)?).await?;
                Ok(Grounds::Readiness(vouched))
            }
        }
    }
}

fn statement(readiness: &v1::Readiness) -> Result<Statement, Error> {
    let digest = |bytes: &[u8], field| {
        Sha256::from_slice(bytes).ok_or_else(|| Error::field(field, "32 bytes"))
    };
    let log = readiness.log_origin.clone();
    let plain = !log.chars().any(char::is_control);
    if log.is_empty() || log.len() > MAX_ORIGIN || !plain {
        return Err(Error::field(
            "readiness.log_origin",
            "the first line of a checkpoint",
        ));
    }
    Ok(Statement {
        passed: readiness.passed,
        facts: ReadinessFacts {
            report: digest(&readiness.report_sha256, "readiness.report_sha256")?,
            log,
            size: readiness.log_size,
            root: digest(&readiness.log_root, "readiness.log_root")?,
            made_at: parse::timestamp(readiness.made_at, "readiness.made_at")?,
            agent: readiness
                .agent
                .parse()
                .map_err(|_| Error::field("readiness.agent", "the name of an agent"))?,
            to: parse::stage(readiness.stage(), "readiness.stage")?,
            requirements: Some(RequirementsFacts {
                sha256: digest(
                    &readiness.requirements_sha256,
                    "readiness.requirements_sha256",
                )?,
                asked: readiness.requirements_asked,
                not_asked: readiness.requirements_not_asked,
            }),
        },
    })
}

/// A proposal in proto.
pub(super) fn proposal(proposal: &Proposal) -> v1::Proposal {
    v1::Proposal {
        id: proposal.id.to_string(),
        agent: proposal.agent.to_string(),
        from: convert::stage(proposal.promotion.from).into(),
        to: convert::stage(proposal.promotion.to).into(),
        force: proposal.promotion.by == Ground::Force,
        version: proposal.version,
        reason: proposal.reason.clone(),
        proposed_by: proposal.by.to_string(),
        proposed_at: Some(convert::timestamp(proposal.at)),
        ends_at: Some(convert::timestamp(proposal.ends_at)),
    }
}

fn id(text: &str) -> Result<DecisionId, Error> {
    text.parse()
        .map_err(|_| Error::field("id", "the id of a proposal, of 26 characters"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_read_whole_or_refused() {
        let good = v1::Readiness {
            passed: true,
            report_sha256: vec![1; 32].into(),
            log_origin: "broker.example/log/2026-11".to_owned(),
            log_size: 7,
            log_root: vec![2; 32].into(),
            made_at: Some(prost_types::Timestamp {
                seconds: 1_800_000_000,
                nanos: 0,
            }),
            agent: "invoice-bot".to_owned(),
            stage: v1::Stage::Bounded.into(),
            requirements_sha256: vec![3; 32].into(),
            requirements_asked: 9,
            requirements_not_asked: 1,
        };
        let read = statement(&good).unwrap();
        assert!(read.passed);
        assert_eq!(
            (read.facts.size, read.facts.root),
            (7, Sha256::from_bytes([2; 32]))
        );
        let field = |change: fn(&mut v1::Readiness)| {
            let mut bad = good.clone();
            change(&mut bad);
            match statement(&bad) {
                Err(Error::InvalidField { field, .. }) => field,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(
            field(|r| r.report_sha256 = vec![1; 31].into()),
            "readiness.report_sha256"
        );
        assert_eq!(
            field(|r| r.log_root = vec![1; 33].into()),
            "readiness.log_root"
        );
        assert_eq!(
            field(|r| r.log_origin = String::new()),
            "readiness.log_origin"
        );
        assert_eq!(
            field(|r| r.log_origin = "a\nb".to_owned()),
            "readiness.log_origin"
        );
        assert_eq!(
            field(|r| r.log_origin = "a".repeat(1025)),
            "readiness.log_origin"
        );
        assert_eq!(field(|r| r.made_at = None), "readiness.made_at");
        for none in ["", "Invoice Bot"] {
            let mut bad = good.clone();
            none.clone_into(&mut bad.agent);
            assert!(statement(&bad).is_err(), "{none}");
        }
        assert_eq!(field(|r| r.stage = 0), "readiness.stage");
        assert_eq!(field(|r| r.stage = 9), "readiness.stage");
        assert_eq!(
            field(|r| r.requirements_sha256 = Vec::new().into()),
            "readiness.requirements_sha256"
        );
    }
}
