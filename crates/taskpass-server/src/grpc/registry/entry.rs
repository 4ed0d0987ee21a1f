//! Entries of the registry, from proto and to proto.

use std::collections::{BTreeMap, BTreeSet};

use taskpass_api::v1::{self, entry::Entry as E};
use taskpass_broker::Error;
use taskpass_core::access::{Access, Risk, Stage, TokenAlg, TokenProfile};
use taskpass_core::registry::{
    Agent, ClientKey, LimitName, Limits, Observe, Operator, Owner, Role, Row, State, Target,
    Verifier, Versioned,
};
use taskpass_core::scope::ParseScopeError;
use taskpass_core::ttl::{MAX_CERTIFICATE_TTL, MAX_TOKEN_TTL};
use taskpass_core::{ScopeName, Timestamp};
use taskpass_token::Jwk;

use super::super::{convert, parse};

/// A part of an entry that could not be read.
#[derive(Debug)]
pub(super) struct Misread {
    /// The field.
    pub(super) field: &'static str,
    /// Which of its items, as it was sent, where it has several.
    pub(super) item: Option<String>,
    /// What is wrong with it.
    pub(super) error: Error,
}

/// Collects what could not be read, so that all of it can be said.
#[derive(Debug, Default)]
pub(super) struct Misreads(pub(super) Vec<Misread>);

impl Misreads {
    fn note(&mut self, field: &'static str, item: Option<String>, error: Error) {
        self.0.push(Misread { field, item, error });
    }

    /// The value, unless it could not be read.
    fn take<T>(&mut self, field: &'static str, read: Result<T, Error>) -> Option<T> {
        read.map_err(|error| self.note(field, None, error)).ok()
    }

    /// The value, or one that nothing is written with: what was misread is refused.
    fn take_or<T>(&mut self, field: &'static str, read: Result<T, Error>, otherwise: T) -> T {
        self.take(field, read).unwrap_or(otherwise)
    }

    /// Each item that could be read, once.
    fn items<T: Ord>(
        &mut self,
        field: &'static str,
        texts: &[String],
        read: impl Fn(&str) -> Result<T, Error>,
    ) -> BTreeSet<T> {
        let mut items = BTreeSet::new();
        for text in texts {
            match read(text) {
                Ok(item) => {
                    if !items.insert(item) {
                        self.note(field, Some(text.clone()), twice(text));
                    }
                }
                Err(error) => self.note(field, Some(text.clone()), error),
            }
        }
        items
    }
}

fn twice(text: &str) -> Error {
    let message = format!("scope `{}` is listed twice", parse::shorten(text));
    Error::InvalidScope { message }
}

/// Parses an entry. State and dates that are output only are ignored.
pub(super) fn from_proto(entry: Option<v1::Entry>) -> Result<Row, Error> {
    let mut misreads = Misreads::default();
    let row = read(entry, &mut misreads);
    match misreads.0.into_iter().next() {
        Some(Misread { error, .. }) => Err(error),
        None => row.ok_or_else(no_entry),
    }
}

fn no_entry() -> Error {
    Error::field("entry", "an owner, agent, target, operator or verifier")
}

/// Reads as much of an entry as there is. Nothing may be written of one that was misread.
pub(super) fn read(entry: Option<v1::Entry>, misreads: &mut Misreads) -> Option<Row> {
    match entry.and_then(|entry| entry.entry) {
        Some(E::Owner(owner)) => {
            let name = misreads.take("name", parse::name(&owner.name));
            let limits = limits_from(owner.limits.as_ref());
            Some(Row::Owner(Owner {
                limits: misreads.take_or("limits", limits, Limits::NONE),
                name: name?,
                contact: owner.contact,
                state: State::Active,
            }))
        }
        Some(E::Agent(agent)) => agent_from(agent, misreads).map(Row::Agent),
        Some(E::Target(target)) => target_from(&target, misreads).map(Row::Target),
        Some(E::Operator(operator)) => {
            let roles = operator.roles.iter().map(|role| role_from(*role)).collect();
            let roles = misreads.take_or("roles", roles, BTreeSet::new());
            Some(Row::Operator(Operator {
                name: misreads.take("name", parse::name(&operator.name))?,
                roles,
                state: State::Active,
            }))
        }
        Some(E::Verifier(verifier)) => {
            let targets = verifier.targets.iter().map(|uri| parse::target(uri));
            let targets = misreads.take_or("targets", targets.collect(), BTreeSet::new());
            Some(Row::Verifier(Verifier {
                name: misreads.take("name", parse::name(&verifier.name))?,
                targets,
                state: State::Active,
            }))
        }
        None => misreads.take("entry", Err(no_entry())),
    }
}

fn agent_from(agent: v1::Agent, misreads: &mut Misreads) -> Option<Agent> {
    let stage = parse::stage(agent.stage(), "stage");
    let stage = misreads.take_or("stage", stage, Stage::ReadOnly);
    let scopes = misreads.items("scopes", &agent.scopes, parse::scope_ref);
    let name = misreads.take("name", parse::name(&agent.name));
    let owner = misreads.take("owner", parse::name(&agent.owner));
    let valid_until = parse::timestamp(agent.valid_until, "valid_until");
    let valid_until = misreads.take_or("valid_until", valid_until, Timestamp::ZERO);
    let max_ttl = parse::ttl(agent.max_ttl, MAX_CERTIFICATE_TTL);
    let max_ttl = misreads.take_or("max_ttl", max_ttl, None);
    let client_keys = agent.client_keys.iter().map(client_key_from).collect();
    let client_keys = misreads.take_or("client_keys", client_keys, Vec::new());
    let limits = limits_from(agent.limits.as_ref());
    let limits = misreads.take_or("limits", limits, Limits::NONE);
    Some(Agent {
        name: name?,
        owner: owner?,
        purpose: agent.purpose,
        stage,
        scopes,
        valid_until,
        max_ttl,
        labels: agent.labels.into_iter().collect::<BTreeMap<_, _>>(),
        state: State::Active,
        created_at: Timestamp::ZERO,
        client_keys,
        limits,
    })
}

/// When it was registered is the broker's to say.
fn client_key_from(key: &v1::ClientKey) -> Result<ClientKey, Error> {
    let jwk = Jwk::from_json(key.jwk.as_bytes())
        .map_err(|error| Error::field("client_keys", format!("a public JWK: {error}")))?;
    Ok(ClientKey {
        id: jwk.id().clone(),
        jwk: jwk.to_json(),
        added_at: Timestamp::ZERO,
        until: parse::timestamp(key.until, "client_keys")?,
    })
}

fn target_from(target: &v1::Target, misreads: &mut Misreads) -> Option<Target> {
    let risk = match target.risk() {
        v1::Risk::Low => Ok(Risk::Low),
        v1::Risk::Medium => Ok(Risk::Medium),
        v1::Risk::High => Ok(Risk::High),
        v1::Risk::Unspecified => Err(Error::field("risk", "low, medium or high")),
    };
    let risk = misreads.take_or("risk", risk, Risk::High);
    let token_alg = match v1::TokenAlg::try_from(target.token_alg) {
        Ok(v1::TokenAlg::Eddsa) => Ok(TokenAlg::EdDsa),
        Ok(v1::TokenAlg::Es256 | v1::TokenAlg::Unspecified) => Ok(TokenAlg::Es256),
        Err(_) => Err(Error::field("token_alg", "ES256 or EdDSA")),
    };
    let token_alg = misreads.take_or("token_alg", token_alg, TokenAlg::Es256);
    let token_profile = match v1::TokenProfile::try_from(target.token_profile) {
        Ok(v1::TokenProfile::Oauth | v1::TokenProfile::Unspecified) => Ok(TokenProfile::OAuth),
        Ok(v1::TokenProfile::Cloud) => Ok(TokenProfile::Cloud),
        Err(_) => Err(Error::field("token_profile", "oauth or cloud")),
    };
    let token_profile = misreads.take_or("token_profile", token_profile, TokenProfile::OAuth);
    let scopes = target_scopes(&target.scopes, misreads);
    let uri = target.uri.parse();
    let uri = uri.map_err(|error: ParseScopeError| Error::field("uri", error.to_string()));
    let uri = misreads.take("uri", uri);
    let limits = limits_from(target.limits.as_ref());
    let limits = misreads.take_or("limits", limits, Limits::NONE);
    let observe = target.observe.as_ref().map(observe_from).transpose();
    let observe = misreads.take_or("observe", observe, None);
    let max_ttl = parse::ttl(target.max_ttl, MAX_TOKEN_TTL);
    Some(Target {
        max_ttl: misreads.take_or("max_ttl", max_ttl, None),
        uri: uri?,
        scopes,
        risk,
        token_alg,
        token_profile,
        state: State::Active,
        limits,
        observe,
    })
}

fn target_scopes(
    scopes: &[v1::TargetScope],
    misreads: &mut Misreads,
) -> BTreeMap<ScopeName, Access> {
    let mut read = BTreeMap::new();
    for scope in scopes {
        let item = || Some(scope.name.clone());
        let access = access_from(scope.access()).unwrap_or_else(|error| {
            misreads.note("scopes", item(), error);
            Access::Actuate
        });
        match scope.name.parse::<ScopeName>() {
            Ok(name) => {
                if read.insert(name, access).is_some() {
                    misreads.note("scopes", item(), twice(&scope.name));
                }
            }
            Err(error) => {
                let shown = parse::shorten(&scope.name);
                let message = format!("`{shown}`: {error}");
                misreads.note("scopes", item(), Error::InvalidScope { message });
            }
        }
    }
    read
}

fn limits_from(limits: Option<&v1::Limits>) -> Result<Limits, Error> {
    let Some(limits) = limits else {
        return Ok(Limits::NONE);
    };
    let parts = [
        (LimitName::LiveCredentials, limits.live_credentials),
        (LimitName::LiveTasks, limits.live_tasks),
        (LimitName::IssuesPerSecond, limits.issues_per_second),
        (LimitName::Depth, limits.depth),
        (LimitName::FanOut, limits.fan_out),
    ];
    Limits::from_parts(parts).map_err(|error| Error::field("limits", error.to_string()))
}

/// Absent where nothing is set.
fn to_limits(limits: Limits) -> Option<v1::Limits> {
    (limits != Limits::NONE).then(|| v1::Limits {
        live_credentials: limits.live_credentials,
        live_tasks: limits.live_tasks,
        issues_per_second: limits.issues_per_second,
        depth: limits.depth.map(u32::from),
        fan_out: limits.fan_out,
    })
}

fn observe_from(observe: &v1::ObserveMode) -> Result<Observe, Error> {
    Ok(Observe {
        until: parse::timestamp(observe.observe_until, "observe_until")?,
        reason: observe.reason.clone(),
    })
}

fn access_from(access: v1::Access) -> Result<Access, Error> {
    match access {
        v1::Access::Read => Ok(Access::Read),
        v1::Access::Write => Ok(Access::Write),
        v1::Access::Actuate => Ok(Access::Actuate),
        v1::Access::Unspecified => Err(Error::field("access", "read, write or actuate")),
    }
}

fn role_from(number: i32) -> Result<Role, Error> {
    match v1::Role::try_from(number) {
        Ok(v1::Role::Admin) => Ok(Role::Admin),
        Ok(v1::Role::Responder) => Ok(Role::Responder),
        Ok(v1::Role::Auditor) => Ok(Role::Auditor),
        Ok(v1::Role::Unspecified) | Err(_) => {
            Err(Error::field("roles", "admin, responder or auditor"))
        }
    }
}

/// The name that a list is ordered by.
pub(super) fn name(row: &Row) -> String {
    match row {
        Row::Owner(owner) => owner.name.to_string(),
        Row::Agent(agent) => agent.name.to_string(),
        Row::Target(target) => target.uri.to_string(),
        Row::Operator(operator) => operator.name.to_string(),
        Row::Verifier(verifier) => verifier.name.to_string(),
        Row::System(_) => String::new(),
    }
}

/// Says an entry in proto.
pub(in crate::grpc) fn to_proto(row: &Versioned<Row>) -> v1::Entry {
    let entry = match &row.value {
        Row::Owner(owner) => Some(E::Owner(v1::Owner {
            name: owner.name.to_string(),
            contact: owner.contact.clone(),
            limits: to_limits(owner.limits),
            state: convert::state(owner.state).into(),
        })),
        Row::Agent(agent) => Some(E::Agent(to_agent(agent))),
        Row::Target(target) => Some(E::Target(to_target(target))),
        Row::Operator(operator) => Some(E::Operator(v1::Operator {
            name: operator.name.to_string(),
            roles: operator
                .roles
                .iter()
                .map(|role| convert::role(*role).into())
                .collect(),
            state: convert::state(operator.state).into(),
        })),
        Row::Verifier(verifier) => Some(E::Verifier(v1::Verifier {
            name: verifier.name.to_string(),
            targets: verifier.targets.iter().map(ToString::to_string).collect(),
            state: convert::state(verifier.state).into(),
        })),
        Row::System(_) => None,
    };
    v1::Entry {
        entry,
        version: row.version,
    }
}

fn to_agent(agent: &Agent) -> v1::Agent {
    let scopes: &BTreeSet<_> = &agent.scopes;
    v1::Agent {
        name: agent.name.to_string(),
        owner: agent.owner.to_string(),
        purpose: agent.purpose.clone(),
        stage: convert::stage(agent.stage).into(),
        scopes: scopes.iter().map(ToString::to_string).collect(),
        valid_until: Some(convert::timestamp(agent.valid_until)),
        max_ttl: agent.max_ttl.map(convert::duration),
        labels: agent.labels.clone().into_iter().collect(),
        state: convert::state(agent.state).into(),
        created_at: Some(convert::timestamp(agent.created_at)),
        client_keys: agent
            .client_keys
            .iter()
            .map(|key| v1::ClientKey {
                jwk: key.jwk.clone(),
                until: Some(convert::timestamp(key.until)),
                key_id: key.id.to_string(),
                added_at: Some(convert::timestamp(key.added_at)),
            })
            .collect(),
        limits: to_limits(agent.limits),
    }
}

fn to_target(target: &Target) -> v1::Target {
    v1::Target {
        uri: target.uri.to_string(),
        scopes: target
            .scopes
            .iter()
            .map(|(name, access)| v1::TargetScope {
                name: name.to_string(),
                access: convert::access(*access).into(),
            })
            .collect(),
        risk: convert::risk(target.risk).into(),
        token_alg: convert::token_alg(target.token_alg).into(),
        token_profile: convert::token_profile(target.token_profile).into(),
        limits: to_limits(target.limits),
        observe: target.observe.as_ref().map(|observe| v1::ObserveMode {
            observe_until: Some(convert::timestamp(observe.until)),
            reason: observe.reason.clone(),
        }),
        max_ttl: target.max_ttl.map(convert::duration),
        state: convert::state(target.state).into(),
    }
}
