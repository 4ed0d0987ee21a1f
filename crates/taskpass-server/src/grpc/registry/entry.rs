//! Entries of the registry, from proto and to proto.

use std::collections::{BTreeMap, BTreeSet};

use taskpass_api::v1::{self, entry::Entry as E};
use taskpass_broker::Error;
use taskpass_core::Timestamp;
use taskpass_core::access::{Access, Risk, Stage, TokenAlg, TokenProfile};
use taskpass_core::registry::{
    Agent, ClientKey, Operator, Owner, Role, Row, State, Target, Verifier, Versioned,
};
use taskpass_core::scope::ParseScopeError;
use taskpass_core::ttl::{MAX_CERTIFICATE_TTL, MAX_TOKEN_TTL};
use taskpass_token::Jwk;

use super::super::{convert, parse};

/// Parses an entry. State and dates that are output only are ignored.
pub(super) fn from_proto(entry: Option<v1::Entry>) -> Result<Row, Error> {
    match entry.and_then(|entry| entry.entry) {
        Some(E::Owner(owner)) => Ok(Row::Owner(Owner {
            name: parse::name(&owner.name)?,
            contact: owner.contact,
            state: State::Active,
        })),
        Some(E::Agent(agent)) => agent_from(agent).map(Row::Agent),
        Some(E::Target(target)) => target_from(&target).map(Row::Target),
        Some(E::Operator(operator)) => Ok(Row::Operator(Operator {
            name: parse::name(&operator.name)?,
            roles: operator
                .roles
                .iter()
                .map(|role| role_from(*role))
                .collect::<Result<_, _>>()?,
            state: State::Active,
        })),
        Some(E::Verifier(verifier)) => Ok(Row::Verifier(Verifier {
            name: parse::name(&verifier.name)?,
            targets: verifier
                .targets
                .iter()
                .map(|uri| parse::target(uri))
                .collect::<Result<_, _>>()?,
            state: State::Active,
        })),
        None => Err(Error::field(
            "entry",
            "an owner, agent, target, operator or verifier",
        )),
    }
}

fn agent_from(agent: v1::Agent) -> Result<Agent, Error> {
    let stage = match agent.stage() {
        v1::Stage::ReadOnly => Stage::ReadOnly,
        v1::Stage::Bounded => Stage::Bounded,
        v1::Stage::Autonomous => Stage::Autonomous,
        v1::Stage::Unspecified => {
            return Err(Error::field("stage", "read-only, bounded or autonomous"));
        }
    };
    let scopes = parse::scope_refs(&agent.scopes)?;
    if scopes.len() != agent.scopes.len() {
        let message = "a scope is listed twice".to_owned();
        return Err(Error::InvalidScope { message });
    }
    Ok(Agent {
        name: parse::name(&agent.name)?,
        owner: parse::name(&agent.owner)?,
        purpose: agent.purpose,
        stage,
        scopes,
        valid_until: parse::timestamp(agent.valid_until, "valid_until")?,
        max_ttl: parse::ttl(agent.max_ttl, MAX_CERTIFICATE_TTL)?,
        labels: agent.labels.into_iter().collect::<BTreeMap<_, _>>(),
        state: State::Active,
        created_at: Timestamp::ZERO,
        client_keys: agent
            .client_keys
            .iter()
            .map(client_key_from)
            .collect::<Result<_, _>>()?,
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

fn target_from(target: &v1::Target) -> Result<Target, Error> {
    let risk = match target.risk() {
        v1::Risk::Low => Risk::Low,
        v1::Risk::Medium => Risk::Medium,
        v1::Risk::High => Risk::High,
        v1::Risk::Unspecified => return Err(Error::field("risk", "low, medium or high")),
    };
    let token_alg = match target.token_alg() {
        v1::TokenAlg::Eddsa => TokenAlg::EdDsa,
        v1::TokenAlg::Es256 | v1::TokenAlg::Unspecified => TokenAlg::Es256,
    };
    let token_profile = match v1::TokenProfile::try_from(target.token_profile) {
        Ok(v1::TokenProfile::Oauth | v1::TokenProfile::Unspecified) => TokenProfile::OAuth,
        Ok(v1::TokenProfile::Cloud) => TokenProfile::Cloud,
        Err(_) => return Err(Error::field("token_profile", "oauth or cloud")),
    };
    let mut scopes = BTreeMap::new();
    for scope in &target.scopes {
        let name = scope
            .name
            .parse()
            .map_err(|error: ParseScopeError| Error::InvalidScope {
                message: error.to_string(),
            })?;
        if scopes.insert(name, access_from(scope.access())?).is_some() {
            let message = format!("scope `{}` is listed twice", scope.name);
            return Err(Error::InvalidScope { message });
        }
    }
    Ok(Target {
        uri: target
            .uri
            .parse()
            .map_err(|error: ParseScopeError| Error::field("uri", error.to_string()))?,
        scopes,
        risk,
        token_alg,
        token_profile,
        max_ttl: parse::ttl(target.max_ttl, MAX_TOKEN_TTL)?,
        state: State::Active,
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
pub(super) fn to_proto(row: &Versioned<Row>) -> v1::Entry {
    let entry = match &row.value {
        Row::Owner(owner) => Some(E::Owner(v1::Owner {
            name: owner.name.to_string(),
            contact: owner.contact.clone(),
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
        max_ttl: target.max_ttl.map(convert::duration),
        state: convert::state(target.state).into(),
    }
}
