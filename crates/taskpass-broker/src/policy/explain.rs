//! One decision: made and recorded, or supposed.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;
use taskpass_core::audit::EntryKind;
use taskpass_core::grant::Ask;
use taskpass_core::ttl::MAX_TASK_TTL;
use taskpass_core::{AgentName, DecisionId, ScopeRef, Ttl};
use taskpass_log::find::Filter;

use super::ask::{Explained, Supposed, Terms};
use crate::audit::{AuditLog, EntryQuery, LoggedEntry};
use crate::broker::{Broker, Limits};
use crate::error::Error;
use crate::standing::Standing;

/// How long after its decision an entry may have been made: at first, and at most. An entry says when
/// the effect was recorded, and a denial is described after it was decided.
const WITHIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_mins(1)];
/// Entries that are looked through at a time.
const PAGE: usize = 1000;

/// A decision that was made.
#[derive(Debug)]
pub struct PastDecision {
    /// What is recorded of it.
    pub entry: LoggedEntry,
    /// What would be decided today about the same request; an error, if it could not be made today.
    /// `None` where the entry is not about a request of an agent.
    pub today: Option<Result<Explained, Error>>,
}

impl Broker {
    /// Says what would be decided about a request that nobody made.
    pub async fn explain_supposed(
        &self,
        caller: &Standing,
        supposed: Supposed,
    ) -> Result<Explained, Error> {
        let subject = format!("policy on agent {}", supposed.agent);
        self.record_read(caller, subject).await?;
        self.at_this_moment(move |moment| moment.explain(supposed))
            .await
    }
}

impl AuditLog {
    /// Finds a decision by its id, and asks the policies of today the same.
    pub async fn explain_decision(
        &self,
        caller: &Standing,
        id: DecisionId,
    ) -> Result<PastDecision, Error> {
        let broker = self.broker();
        let subject = format!("policy decision {id}");
        broker.record_read(caller, subject).await?;
        let Some(entry) = self.decision(id).await? else {
            let what = format!("the log has no decision {id}");
            return Err(Error::NotLogged { what });
        };
        let recorded = Recorded::read(&entry.json);
        let today = match recorded.and_then(|recorded| recorded.supposed(&broker.limits)) {
            Some(supposed) => {
                let asked = move |moment: &super::ask::Moment<'_>| Ok(moment.explain(supposed));
                Some(broker.at_this_moment(asked).await?)
            }
            None => None,
        };
        Ok(PastDecision { entry, today })
    }

    async fn decision(&self, id: DecisionId) -> Result<Option<LoggedEntry>, Error> {
        let wanted = id.to_string();
        let mut from = id.decided_at();
        for within in WITHIN {
            let until = id.decided_at().plus(within);
            let mut query = EntryQuery {
                filter: Filter {
                    from: Some(from),
                    until: Some(until),
                    ..Filter::default()
                },
                limit: PAGE,
                ..EntryQuery::default()
            };
            loop {
                let page = self.find(query.clone()).await?;
                let mut entries = page.entries.into_iter();
                let is_it = |entry: &LoggedEntry| {
                    Recorded::read(&entry.json).is_some_and(|recorded| recorded.id == wanted)
                };
                if let Some(entry) = entries.find(is_it) {
                    return Ok(Some(entry));
                }
                match page.next {
                    Some(_) => query.after = page.next,
                    None => break,
                }
            }
            from = until;
        }
        Ok(None)
    }
}

/// What an entry says of a request.
#[derive(Debug, Deserialize)]
struct Recorded {
    id: String,
    kind: String,
    agent: Option<String>,
    subject: Option<String>,
    purpose: Option<String>,
    attestation: Option<RecordedAttestation>,
    #[serde(default)]
    ancestors: Vec<RecordedAncestor>,
    #[serde(default)]
    asked: RecordedAsked,
}

#[derive(Debug, Deserialize)]
struct RecordedAncestor {
    agent: String,
}

#[derive(Debug, Deserialize)]
struct RecordedAttestation {
    method: String,
}

#[derive(Debug, Default, Deserialize)]
struct RecordedAsked {
    #[serde(default)]
    scopes: Vec<String>,
    ttl: Option<f64>,
}

impl Recorded {
    fn read(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// The agent that was asked about, and what stands above its task: the entry's own, or, of a
    /// denial under a task that was handed on, the one above that was denied.
    fn denied(&self) -> Option<(&str, &[RecordedAncestor])> {
        let subject = self.subject.as_deref();
        let Some(other) = subject.and_then(|subject| subject.strip_prefix("agent ")) else {
            return Some((self.agent.as_deref()?, &self.ancestors));
        };
        let at = self
            .ancestors
            .iter()
            .position(|above| above.agent == other)?;
        let above = self.ancestors.get(at.saturating_add(1)..)?;
        Some((other, above))
    }

    /// The same request, to be made again. Of a certificate the entry does not say the profile: the
    /// plain one is supposed.
    fn supposed(self, limits: &Limits) -> Option<Supposed> {
        let scopes: Option<BTreeSet<ScopeRef>> = self
            .asked
            .scopes
            .iter()
            .map(|scope| scope.parse().ok())
            .collect();
        let kind: EntryKind = self.kind.parse().ok()?;
        let ask = match kind {
            EntryKind::TaskStart | EntryKind::Token => Ask::Scopes(scopes?),
            EntryKind::Certificate => Ask::Certificate,
            _ => return None,
        };
        let (agent, above) = self.denied()?;
        let from = above.first().map(|ancestor| ancestor.agent.as_str());
        // A child of one's own is asked about when it starts; a hand-over each time, but no certificate.
        let starts = matches!(kind, EntryKind::TaskStart) && above.len() == self.ancestors.len();
        let from = from.filter(|from| match ask {
            Ask::Scopes(_) => starts || *from != agent,
            Ask::Certificate | Ask::Svid => false,
        });
        let from: Option<AgentName> = from.map(str::parse).transpose().ok()?;
        let depth = above.len();
        let agent: AgentName = agent.parse().ok()?;
        let ttl = self.asked.ttl.and_then(|secs| {
            let duration = Duration::try_from_secs_f64(secs).ok()?;
            Ttl::new(duration, MAX_TASK_TTL).ok()
        });
        // Where it asked for none, the default of its kind applied.
        let default = matches!(kind, EntryKind::Token).then_some(limits.token_ttl);
        Some(Supposed {
            agent,
            ask,
            from,
            depth,
            terms: Terms {
                purpose: self.purpose,
                ttl: ttl.or(default),
                attestation: self.attestation.map(|attestation| attestation.method),
            },
        })
    }
}
