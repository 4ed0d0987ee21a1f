//! `PolicyService`.

use taskpass_api::v1::{self, policy_service_server::PolicyService};
use taskpass_broker::{
    Error, Explained, PastDecision, Reach, ReachQuery, Supposed, Terms, WhatCan,
};
use taskpass_core::DecisionId;
use taskpass_core::grant::Ask;
use taskpass_core::ttl::MAX_TASK_TTL;
use tonic::{Request, Response, Status};

use super::audit::to_entry;
use super::{Service, convert, parse, standing};
use crate::status;

#[tonic::async_trait]
impl PolicyService for Service {
    async fn explain(
        &self,
        request: Request<v1::ExplainRequest>,
    ) -> Result<Response<v1::ExplainResponse>, Status> {
        use v1::explain_request::What;
        let caller = standing(&request)?;
        let reply = match request.into_inner().what {
            Some(What::DecisionId(id)) => {
                let id = parse_decision(&id).map_err(status::of)?;
                let past = self.log.explain_decision(&caller, id).await;
                to_past(past.map_err(status::of)?)
            }
            Some(What::Supposed(supposed)) => {
                let supposed = parse_supposed(supposed).map_err(status::of)?;
                let explained = self.broker.explain_supposed(&caller, supposed).await;
                v1::ExplainResponse {
                    today: Some(to_answer(explained.map_err(status::of)?)),
                    ..v1::ExplainResponse::default()
                }
            }
            None => {
                let error = Error::field("what", "a decision, or a request that is supposed");
                return Err(status::of(error));
            }
        };
        Ok(Response::new(reply))
    }

    async fn who_can(
        &self,
        request: Request<v1::WhoCanRequest>,
    ) -> Result<Response<v1::WhoCanResponse>, Status> {
        let caller = standing(&request)?;
        let request = request.into_inner();
        let scope = parse::scope_ref(&request.scope).map_err(status::of)?;
        let query = parse_query(request.terms, request.refused_too, request.page);
        let found = self
            .broker
            .who_can(&caller, scope, query.map_err(status::of)?)
            .await
            .map_err(status::of)?;
        Ok(Response::new(v1::WhoCanResponse {
            reaches: found.reaches.into_iter().map(to_reach).collect(),
            next_page_token: parse::next_page(found.next.is_some(), found.next),
            policy_set: found.policy_set.to_string(),
        }))
    }

    async fn what_can(
        &self,
        request: Request<v1::WhatCanRequest>,
    ) -> Result<Response<v1::WhatCanResponse>, Status> {
        let caller = standing(&request)?;
        let request = request.into_inner();
        let agent = parse::name(&request.agent).map_err(status::of)?;
        let query = parse_query(request.terms, request.refused_too, request.page);
        let WhatCan {
            page,
            certificate,
            svid,
        } = self
            .broker
            .what_can(&caller, agent, query.map_err(status::of)?)
            .await
            .map_err(status::of)?;
        Ok(Response::new(v1::WhatCanResponse {
            reaches: page.reaches.into_iter().map(to_reach).collect(),
            next_page_token: parse::next_page(page.next.is_some(), page.next),
            policy_set: page.policy_set.to_string(),
            certificate,
            svid,
        }))
    }
}

fn parse_decision(text: &str) -> Result<DecisionId, Error> {
    text.parse()
        .map_err(|_| Error::field("decision_id", "a decision id of 26 characters"))
}

fn parse_terms(terms: Option<v1::PolicyTerms>) -> Result<Terms, Error> {
    let terms = terms.unwrap_or_default();
    Ok(Terms {
        purpose: Some(terms.purpose).filter(|purpose| !purpose.is_empty()),
        ttl: parse::ttl(terms.ttl, MAX_TASK_TTL)?,
        attestation: Some(terms.attestation).filter(|method| !method.is_empty()),
    })
}

fn parse_query<K: std::str::FromStr>(
    terms: Option<v1::PolicyTerms>,
    refused_too: bool,
    page: Option<v1::PageRequest>,
) -> Result<ReachQuery<K>, Error> {
    let page = parse::page(page);
    Ok(ReachQuery {
        terms: parse_terms(terms)?,
        refused_too,
        after: page.after()?,
        limit: page.limit,
    })
}

fn parse_supposed(request: v1::SupposedRequest) -> Result<Supposed, Error> {
    let from = Some(request.from_agent.as_str()).filter(|from| !from.is_empty());
    let depth = usize::try_from(request.depth)
        .map_err(|_| Error::field("depth", "how many tasks would be above"))?;
    Ok(Supposed {
        agent: parse::name(&request.agent)?,
        ask: parse_ask(request.certificate, &request.scopes)?,
        from: from.map(parse::name).transpose()?,
        depth,
        terms: parse_terms(request.terms)?,
    })
}

fn parse_ask(certificate: i32, scopes: &[String]) -> Result<Ask, Error> {
    use v1::CertificateProfile as Profile;
    let profile = Profile::try_from(certificate)
        .map_err(|_| Error::field("certificate", "a profile of certificates"))?;
    match (profile, scopes.is_empty()) {
        (Profile::Unspecified, false) => Ok(Ask::Scopes(parse::scope_refs(scopes)?)),
        (Profile::Client, true) => Ok(Ask::Certificate),
        (Profile::SpiffeSvid, true) => Ok(Ask::Svid),
        _ => Err(Error::field("scopes", "either scopes or a certificate")),
    }
}

fn to_past(past: PastDecision) -> v1::ExplainResponse {
    let (today, today_refused) = match past.today {
        Some(Ok(explained)) => (Some(to_answer(explained)), String::new()),
        Some(Err(error)) => (None, error.reason().to_owned()),
        None => (None, String::new()),
    };
    v1::ExplainResponse {
        entry: Some(to_entry(past.entry)),
        today,
        today_refused,
    }
}

fn to_answer(explained: Explained) -> v1::PolicyAnswer {
    let texts = |scopes: Vec<taskpass_core::ScopeRef>| -> Vec<String> {
        scopes.iter().map(ToString::to_string).collect()
    };
    let said = explained.said;
    let questions = said.answers.into_iter().map(|answer| v1::PolicyQuestion {
        action: answer.action,
        scope: answer
            .scope
            .map(|scope| scope.to_string())
            .unwrap_or_default(),
        allowed: answer.allowed,
        policies: answer.policies,
        would_deny: answer.would_deny,
    });
    v1::PolicyAnswer {
        allowed: said.allowed,
        policies: said.policies,
        asked: texts(explained.supposed.ask.scopes().cloned().collect()),
        allowed_scopes: texts(said.allowed_scopes),
        errored: said.errored,
        would_deny: said.would_deny,
        policy_set: said.policy_set.to_string(),
        questions: questions.collect(),
        refused_before: explained.refused_before.unwrap_or_default().to_owned(),
        at: Some(convert::timestamp(explained.at)),
    }
}

fn to_reach(reach: Reach) -> v1::Reach {
    v1::Reach {
        agent: reach.agent.to_string(),
        scope: reach.scope.to_string(),
        access: convert::access(reach.access).into(),
        registered: reach.registered,
        refused: reach.refused.unwrap_or_default().to_owned(),
        policies: reach.policies,
        would_deny: reach.would_deny,
    }
}
