//! Rows of the registry on disk, each with its version.

use std::collections::BTreeMap;
use std::time::Duration;

use taskpass_core::Timestamp;
use taskpass_core::access::TokenProfile;
use taskpass_core::key::KeyId;
use taskpass_core::registry::{
    Agent, ClientKey, LimitName, Limits, Observe, Operator, Owner, Row, System, Target, Verifier,
    Versioned,
};
use taskpass_core::ttl::{MAX_IDENTITY_TTL, Ttl};

use crate::record::{instant, optional};

/// A [`Row`] and its version.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RowRecord {
    /// Raised by one with every change.
    #[prost(uint64, tag = "1")]
    pub(crate) version: u64,
    #[prost(oneof = "AnyRow", tags = "2, 3, 4, 5, 6, 7")]
    row: Option<AnyRow>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum AnyRow {
    #[prost(message, tag = "2")]
    Owner(OwnerRecord),
    #[prost(message, tag = "3")]
    Agent(AgentRecord),
    #[prost(message, tag = "4")]
    Target(TargetRecord),
    #[prost(message, tag = "5")]
    Operator(OperatorRecord),
    #[prost(message, tag = "6")]
    Verifier(VerifierRecord),
    #[prost(message, tag = "7")]
    System(SystemRecord),
}

#[derive(Clone, PartialEq, prost::Message)]
struct OwnerRecord {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    contact: String,
    #[prost(string, tag = "3")]
    state: String,
    /// Absent where nothing is set, and in rows from before there were any.
    #[prost(message, optional, tag = "4")]
    limits: Option<LimitsRecord>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct LimitsRecord {
    #[prost(uint32, optional, tag = "1")]
    live_credentials: Option<u32>,
    #[prost(uint32, optional, tag = "2")]
    live_tasks: Option<u32>,
    #[prost(uint32, optional, tag = "3")]
    issues_per_second: Option<u32>,
    #[prost(uint32, optional, tag = "4")]
    depth: Option<u32>,
    #[prost(uint32, optional, tag = "5")]
    fan_out: Option<u32>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct AgentRecord {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    owner: String,
    #[prost(string, tag = "3")]
    purpose: String,
    #[prost(string, tag = "4")]
    stage: String,
    #[prost(string, repeated, tag = "5")]
    scopes: Vec<String>,
    #[prost(uint64, tag = "6")]
    valid_until: u64,
    #[prost(uint64, optional, tag = "7")]
    max_ttl_nanos: Option<u64>,
    #[prost(btree_map = "string, string", tag = "8")]
    labels: BTreeMap<String, String>,
    #[prost(string, tag = "9")]
    state: String,
    #[prost(uint64, tag = "10")]
    created_at: u64,
    #[prost(message, repeated, tag = "11")]
    client_keys: Vec<ClientKeyRecord>,
    #[prost(message, optional, tag = "12")]
    limits: Option<LimitsRecord>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ClientKeyRecord {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    jwk: String,
    #[prost(uint64, tag = "3")]
    added_at: u64,
    #[prost(uint64, tag = "4")]
    until: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct TargetRecord {
    #[prost(string, tag = "1")]
    uri: String,
    #[prost(btree_map = "string, string", tag = "2")]
    scopes: BTreeMap<String, String>,
    #[prost(string, tag = "3")]
    risk: String,
    #[prost(string, tag = "4")]
    token_alg: String,
    #[prost(uint64, optional, tag = "5")]
    max_ttl_nanos: Option<u64>,
    #[prost(string, tag = "6")]
    state: String,
    /// Absent in rows from before there was a choice.
    #[prost(string, optional, tag = "7")]
    token_profile: Option<String>,
    #[prost(message, optional, tag = "8")]
    limits: Option<LimitsRecord>,
    /// Absent where the target is enforced, and in rows from before there was a choice.
    #[prost(message, optional, tag = "9")]
    observe: Option<ObserveRecord>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ObserveRecord {
    #[prost(uint64, tag = "1")]
    until_ms: u64,
    #[prost(string, tag = "2")]
    reason: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct OperatorRecord {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, repeated, tag = "2")]
    roles: Vec<String>,
    #[prost(string, tag = "3")]
    state: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct VerifierRecord {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, repeated, tag = "2")]
    targets: Vec<String>,
    #[prost(string, tag = "3")]
    state: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SystemRecord {
    #[prost(string, tag = "1")]
    state: String,
    /// Absent unless the store came out of a backup and was not unsealed yet.
    #[prost(uint64, optional, tag = "2")]
    sealed_at: Option<u64>,
}

fn nanos(ttl: Ttl) -> u64 {
    u64::try_from(ttl.duration().as_nanos()).unwrap_or(u64::MAX)
}

fn ttl(nanos: u64) -> Option<Ttl> {
    Ttl::new(Duration::from_nanos(nanos), MAX_IDENTITY_TTL).ok()
}

fn texts<T: ToString>(items: impl IntoIterator<Item = T>) -> Vec<String> {
    items.into_iter().map(|item| item.to_string()).collect()
}

fn parsed<T: std::str::FromStr, C: FromIterator<T>>(texts: &[String]) -> Option<C> {
    texts.iter().map(|text| text.parse().ok()).collect()
}

impl RowRecord {
    /// The record of `row` at `version`.
    pub(crate) fn new(row: &Row, version: u64) -> Self {
        let row = match row {
            Row::Owner(owner) => AnyRow::Owner(owner.into()),
            Row::Agent(agent) => AnyRow::Agent(agent.into()),
            Row::Target(target) => AnyRow::Target(target.into()),
            Row::Operator(operator) => AnyRow::Operator(operator.into()),
            Row::Verifier(verifier) => AnyRow::Verifier(verifier.into()),
            Row::System(system) => AnyRow::System(SystemRecord {
                state: system.state.to_string(),
                sealed_at: system.sealed_at.map(Timestamp::millis),
            }),
        };
        Self {
            version,
            row: Some(row),
        }
    }

    /// The row and its version.
    pub(crate) fn into_row(self) -> Option<Versioned<Row>> {
        let value = match self.row? {
            AnyRow::Owner(owner) => Row::Owner(owner.into_owner()?),
            AnyRow::Agent(agent) => Row::Agent(agent.into_agent()?),
            AnyRow::Target(target) => Row::Target(target.into_target()?),
            AnyRow::Operator(operator) => Row::Operator(operator.into_operator()?),
            AnyRow::Verifier(verifier) => Row::Verifier(verifier.into_verifier()?),
            AnyRow::System(system) => Row::System(System {
                state: system.state.parse().ok()?,
                sealed_at: optional(system.sealed_at, instant)?,
            }),
        };
        let version = self.version;
        (version > 0).then_some(Versioned { value, version })
    }
}

impl LimitsRecord {
    fn new(limits: &Limits) -> Option<Self> {
        (*limits != Limits::NONE).then(|| Self {
            live_credentials: limits.live_credentials,
            live_tasks: limits.live_tasks,
            issues_per_second: limits.issues_per_second,
            depth: limits.depth.map(u32::from),
            fan_out: limits.fan_out,
        })
    }

    /// What was allowed when it was written and is more than the code allows now is what it allows now.
    fn into_limits(record: Option<Self>) -> Option<Limits> {
        let Some(record) = record else {
            return Some(Limits::NONE);
        };
        let parts = [
            (LimitName::LiveCredentials, record.live_credentials),
            (LimitName::LiveTasks, record.live_tasks),
            (LimitName::IssuesPerSecond, record.issues_per_second),
            (LimitName::Depth, record.depth),
            (LimitName::FanOut, record.fan_out),
        ];
        let clamp = |(name, value): (LimitName, Option<u32>)| {
            (name, value.map(|value| value.min(name.ceiling())))
        };
        Limits::from_parts(parts.map(clamp)).ok()
    }
}

impl From<&Owner> for OwnerRecord {
    fn from(owner: &Owner) -> Self {
        Self {
            name: owner.name.to_string(),
            contact: owner.contact.clone(),
            state: owner.state.to_string(),
            limits: LimitsRecord::new(&owner.limits),
        }
    }
}

impl OwnerRecord {
    fn into_owner(self) -> Option<Owner> {
        Some(Owner {
            name: self.name.parse().ok()?,
            contact: self.contact,
            state: self.state.parse().ok()?,
            limits: LimitsRecord::into_limits(self.limits)?,
        })
    }
}

impl From<&Agent> for AgentRecord {
    fn from(agent: &Agent) -> Self {
        Self {
            name: agent.name.to_string(),
            owner: agent.owner.to_string(),
            purpose: agent.purpose.clone(),
            stage: agent.stage.to_string(),
            scopes: texts(&agent.scopes),
            valid_until: agent.valid_until.millis(),
            max_ttl_nanos: agent.max_ttl.map(nanos),
            labels: agent.labels.clone(),
            state: agent.state.to_string(),
            created_at: agent.created_at.millis(),
            client_keys: agent.client_keys.iter().map(Into::into).collect(),
            limits: LimitsRecord::new(&agent.limits),
        }
    }
}

impl AgentRecord {
    fn into_agent(self) -> Option<Agent> {
        Some(Agent {
            name: self.name.parse().ok()?,
            owner: self.owner.parse().ok()?,
            purpose: self.purpose,
            stage: self.stage.parse().ok()?,
            scopes: parsed(&self.scopes)?,
            valid_until: instant(self.valid_until)?,
            max_ttl: optional(self.max_ttl_nanos, ttl)?,
            labels: self.labels,
            state: self.state.parse().ok()?,
            created_at: instant(self.created_at)?,
            client_keys: self
                .client_keys
                .into_iter()
                .map(ClientKeyRecord::into_key)
                .collect::<Option<_>>()?,
            limits: LimitsRecord::into_limits(self.limits)?,
        })
    }
}

impl From<&ClientKey> for ClientKeyRecord {
    fn from(key: &ClientKey) -> Self {
        Self {
            id: key.id.to_string(),
            jwk: key.jwk.clone(),
            added_at: key.added_at.millis(),
            until: key.until.millis(),
        }
    }
}

impl ClientKeyRecord {
    fn into_key(self) -> Option<ClientKey> {
        Some(ClientKey {
            id: KeyId::parse(&self.id)?,
            jwk: self.jwk,
            added_at: instant(self.added_at)?,
            until: instant(self.until)?,
        })
    }
}

impl From<&Target> for TargetRecord {
    fn from(target: &Target) -> Self {
        let scopes = target.scopes.iter();
        Self {
            uri: target.uri.to_string(),
            scopes: scopes
                .map(|(scope, access)| (scope.to_string(), access.to_string()))
                .collect(),
            risk: target.risk.to_string(),
            token_alg: target.token_alg.to_string(),
            token_profile: Some(target.token_profile.to_string()),
            max_ttl_nanos: target.max_ttl.map(nanos),
            state: target.state.to_string(),
            limits: LimitsRecord::new(&target.limits),
            observe: target.observe.as_ref().map(|observe| ObserveRecord {
                until_ms: observe.until.millis(),
                reason: observe.reason.clone(),
            }),
        }
    }
}

impl TargetRecord {
    fn into_target(self) -> Option<Target> {
        let scopes = self.scopes.iter();
        Some(Target {
            uri: self.uri.parse().ok()?,
            scopes: scopes
                .map(|(scope, access)| Some((scope.parse().ok()?, access.parse().ok()?)))
                .collect::<Option<_>>()?,
            risk: self.risk.parse().ok()?,
            token_alg: self.token_alg.parse().ok()?,
            token_profile: optional(self.token_profile, |profile| profile.parse().ok())?
                .unwrap_or(TokenProfile::OAuth),
            max_ttl: optional(self.max_ttl_nanos, ttl)?,
            state: self.state.parse().ok()?,
            limits: LimitsRecord::into_limits(self.limits)?,
            observe: optional(self.observe, |observe| {
                Some(Observe {
                    until: instant(observe.until_ms)?,
                    reason: observe.reason,
                })
            })?,
        })
    }
}

impl From<&Operator> for OperatorRecord {
    fn from(operator: &Operator) -> Self {
        Self {
            name: operator.name.to_string(),
            roles: texts(&operator.roles),
            state: operator.state.to_string(),
        }
    }
}

impl OperatorRecord {
    fn into_operator(self) -> Option<Operator> {
        Some(Operator {
            name: self.name.parse().ok()?,
            roles: parsed(&self.roles)?,
            state: self.state.parse().ok()?,
        })
    }
}

impl From<&Verifier> for VerifierRecord {
    fn from(verifier: &Verifier) -> Self {
        Self {
            name: verifier.name.to_string(),
            targets: texts(&verifier.targets),
            state: verifier.state.to_string(),
        }
    }
}

impl VerifierRecord {
    fn into_verifier(self) -> Option<Verifier> {
        Some(Verifier {
            name: self.name.parse().ok()?,
            targets: parsed(&self.targets)?,
            state: self.state.parse().ok()?,
        })
    }
}
