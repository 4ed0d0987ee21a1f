//! Entries of the registry.

mod limits;
mod rows;

use std::collections::BTreeMap;

use serde::Serialize;
use taskpass_api::v1;
use taskpass_core::Timestamp;

use self::limits::Limits;
use super::wire::{self, Seconds};
use crate::errors::CliError;
use crate::output::table::Fields;
use crate::output::text::{NOTHING, instant, list};
use crate::output::{Ink, View};

/// An owner.
#[derive(Debug, Serialize)]
pub(crate) struct Owner {
    name: String,
    contact: String,
    state: Option<&'static str>,
    limits: Limits,
    version: u64,
}

/// An agent.
#[derive(Debug, Serialize)]
pub(crate) struct Agent {
    name: String,
    owner: String,
    purpose: String,
    stage: Option<&'static str>,
    scopes: Vec<String>,
    valid_until: Option<Timestamp>,
    max_ttl: Option<Seconds>,
    labels: BTreeMap<String, String>,
    state: Option<&'static str>,
    created_at: Option<Timestamp>,
    client_keys: Vec<ClientKey>,
    limits: Limits,
    version: u64,
}

/// A key by which an agent may authenticate at the OAuth front.
#[derive(Debug, Serialize)]
pub(crate) struct ClientKey {
    key_id: String,
    until: Option<Timestamp>,
    added_at: Option<Timestamp>,
}

/// A scope at a target.
#[derive(Debug, Serialize)]
pub(crate) struct TargetScope {
    name: String,
    access: Option<&'static str>,
}

/// A target.
#[derive(Debug, Serialize)]
pub(crate) struct Target {
    uri: String,
    scopes: Vec<TargetScope>,
    risk: Option<&'static str>,
    token_alg: Option<&'static str>,
    token_profile: Option<&'static str>,
    max_ttl: Option<Seconds>,
    state: Option<&'static str>,
    limits: Limits,
    observe: Option<Observe>,
    version: u64,
}

/// Until when, and why, a target is only observed.
#[derive(Debug, Serialize)]
struct Observe {
    observe_until: Option<Timestamp>,
    reason: String,
}

/// An operator.
#[derive(Debug, Serialize)]
pub(crate) struct Operator {
    name: String,
    roles: Vec<&'static str>,
    state: Option<&'static str>,
    version: u64,
}

/// A verifier.
#[derive(Debug, Serialize)]
pub(crate) struct Verifier {
    name: String,
    targets: Vec<String>,
    state: Option<&'static str>,
    version: u64,
}

/// An entry of any kind.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Entry {
    /// An owner.
    Owner(Owner),
    /// An agent.
    Agent(Agent),
    /// A target.
    Target(Target),
    /// An operator.
    Operator(Operator),
    /// A verifier.
    Verifier(Verifier),
}

impl Entry {
    /// From the proto.
    pub(crate) fn from_proto(entry: Option<v1::Entry>) -> Result<Self, CliError> {
        let absent = || CliError::bad_reply("entry");
        let v1::Entry { entry, version } = entry.ok_or_else(absent)?;
        Ok(match entry.ok_or_else(absent)? {
            v1::entry::Entry::Owner(owner) => Self::Owner(Owner {
                name: owner.name,
                contact: owner.contact,
                state: wire::state(owner.state),
                limits: Limits::new(owner.limits),
                version,
            }),
            v1::entry::Entry::Agent(agent) => Self::Agent(Agent::new(agent, version)),
            v1::entry::Entry::Target(target) => Self::Target(Target::new(target, version)),
            v1::entry::Entry::Operator(operator) => Self::Operator(Operator {
                name: operator.name,
                roles: operator.roles.into_iter().filter_map(wire::role).collect(),
                state: wire::state(operator.state),
                version,
            }),
            v1::entry::Entry::Verifier(verifier) => Self::Verifier(Verifier {
                name: verifier.name,
                targets: verifier.targets,
                state: wire::state(verifier.state),
                version,
            }),
        })
    }
}

impl Agent {
    fn new(agent: v1::Agent, version: u64) -> Self {
        Self {
            name: agent.name,
            owner: agent.owner,
            purpose: agent.purpose,
            stage: wire::stage(agent.stage),
            scopes: agent.scopes,
            valid_until: wire::instant(agent.valid_until),
            max_ttl: wire::seconds(agent.max_ttl),
            labels: agent.labels.into_iter().collect(),
            state: wire::state(agent.state),
            created_at: wire::instant(agent.created_at),
            client_keys: agent
                .client_keys
                .into_iter()
                .map(|key| ClientKey {
                    key_id: key.key_id,
                    until: wire::instant(key.until),
                    added_at: wire::instant(key.added_at),
                })
                .collect(),
            limits: Limits::new(agent.limits),
            version,
        }
    }

    fn text(&self, ink: &Ink) -> String {
        let labels: Vec<String> = self
            .labels
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        let keys: Vec<String> = self
            .client_keys
            .iter()
            .map(|key| format!("{} until {}", key.key_id, instant(key.until, ink)))
            .collect();
        Fields::default()
            .with("name", &self.name)
            .with("owner", &self.owner)
            .with("purpose", &self.purpose)
            .with("stage", wire::shown(self.stage))
            .with("state", wire::shown(self.state))
            .each("scopes", &self.scopes)
            .with("valid until", instant(self.valid_until, ink))
            .with("max ttl", lifetime(self.max_ttl))
            .with("labels", list(&labels))
            .each("client keys", &keys)
            .with("limits", self.limits.text())
            .with("created", instant(self.created_at, ink))
            .with("version", self.version.to_string())
            .render(ink)
    }
}

impl Target {
    fn new(target: v1::Target, version: u64) -> Self {
        let scope = |scope: v1::TargetScope| TargetScope {
            access: wire::access(scope.access),
            name: scope.name,
        };
        Self {
            uri: target.uri,
            scopes: target.scopes.into_iter().map(scope).collect(),
            risk: wire::risk(target.risk),
            token_alg: wire::token_alg(target.token_alg),
            token_profile: wire::token_profile(target.token_profile),
            max_ttl: wire::seconds(target.max_ttl),
            state: wire::state(target.state),
            limits: Limits::new(target.limits),
            observe: target.observe.map(|observe| Observe {
                observe_until: wire::instant(observe.observe_until),
                reason: observe.reason,
            }),
            version,
        }
    }

    fn text(&self, ink: &Ink) -> String {
        let observed = self.observe.as_ref().map(|observe| {
            let until = instant(observe.observe_until, ink);
            format!(
                "what no policy permits is allowed until {until}: {}",
                observe.reason
            )
        });
        let scope = |scope: &TargetScope| format!("{} ({})", scope.name, wire::shown(scope.access));
        let scopes: Vec<String> = self.scopes.iter().map(scope).collect();
        Fields::default()
            .with("uri", &self.uri)
            .each("scopes", &scopes)
            .with("risk", wire::shown(self.risk))
            .with("tokens", wire::shown(self.token_alg))
            .with("token profile", wire::shown(self.token_profile))
            .with("max ttl", lifetime(self.max_ttl))
            .with("limits", self.limits.text())
            .with("state", wire::shown(self.state))
            .maybe("observed", observed)
            .with("version", self.version.to_string())
            .render(ink)
    }
}

impl View for Entry {
    fn text(&self, ink: &Ink) -> String {
        match self {
            Self::Agent(agent) => agent.text(ink),
            Self::Target(target) => target.text(ink),
            Self::Owner(owner) => Fields::default()
                .with("name", &owner.name)
                .with("contact", &owner.contact)
                .with("limits", owner.limits.text())
                .with("state", wire::shown(owner.state))
                .with("version", owner.version.to_string())
                .render(ink),
            Self::Operator(operator) => Fields::default()
                .with("name", &operator.name)
                .with("roles", list(&operator.roles))
                .with("state", wire::shown(operator.state))
                .with("version", operator.version.to_string())
                .render(ink),
            Self::Verifier(verifier) => Fields::default()
                .with("name", &verifier.name)
                .each("targets", &verifier.targets)
                .with("state", wire::shown(verifier.state))
                .with("version", verifier.version.to_string())
                .render(ink),
        }
    }
}

fn lifetime(seconds: Option<Seconds>) -> String {
    seconds.map_or_else(
        || NOTHING.to_owned(),
        |seconds| humantime::format_duration(seconds.0).to_string(),
    )
}

/// An entry, and the version of the registry that it was read at or that writing it made.
#[derive(Debug, Serialize)]
pub(crate) struct Versioned {
    #[serde(flatten)]
    entry: Entry,
    registry_version: u64,
}

impl Versioned {
    /// The entry at this version of the registry.
    pub(crate) const fn new(entry: Entry, registry_version: u64) -> Self {
        Self {
            entry,
            registry_version,
        }
    }
}

impl View for Versioned {
    fn text(&self, ink: &Ink) -> String {
        self.entry.text(ink)
    }
}

/// An entry that was retired, or would be, and what that ends.
#[derive(Debug, Serialize)]
pub(crate) struct Retired {
    #[serde(flatten)]
    entry: Entry,
    agents: u64,
    tasks: u64,
    tasks_exact: bool,
    credentials: u64,
    exact: bool,
    dry_run: bool,
    registry_version: u64,
}

impl Retired {
    /// The answer to a request, which may have been a dry run.
    pub(crate) fn from_proto(reply: v1::RetireResponse, dry_run: bool) -> Result<Self, CliError> {
        let v1::RetireResponse {
            entry,
            credentials,
            exact,
            agents,
            tasks,
            tasks_exact,
            registry_version,
        } = reply;
        Ok(Self {
            entry: Entry::from_proto(entry)?,
            agents,
            tasks,
            tasks_exact,
            credentials,
            exact,
            dry_run,
            registry_version,
        })
    }
}

impl View for Retired {
    fn text(&self, ink: &Ink) -> String {
        let tasks = super::revocation::counted(self.tasks, self.tasks_exact);
        let credentials = super::revocation::counted(self.credentials, self.exact);
        let mut of = format!("{tasks} tasks, {credentials} credentials");
        if matches!(self.entry, Entry::Owner(_)) {
            of = format!("{of} of {} agents", self.agents);
        }
        let ended = if self.dry_run {
            Fields::default()
                .with("dry run", "nothing was changed")
                .with("would end", of)
        } else {
            Fields::default().with("ended", of)
        };
        format!("{}{}", self.entry.text(ink), ended.render(ink))
    }
}

/// The whole broker issues again.
#[derive(Debug, Serialize)]
pub(crate) struct Resumed {
    /// Always true.
    pub(crate) resumed: bool,
}

impl View for Resumed {
    fn text(&self, _: &Ink) -> String {
        "the broker issues again\n".to_owned()
    }
}
