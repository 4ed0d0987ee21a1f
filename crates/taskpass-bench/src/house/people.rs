//! Who calls a bench's broker: agents and a verifier, registered, enrolled and connected.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use taskpass_broker::{Broker, first_enrolment};
use taskpass_client::{Agent as Caller, Identity, LocalKey, connect};
use taskpass_core::Timestamp;
use taskpass_core::access::{Access, Risk, Stage, TokenAlg, TokenProfile};
use taskpass_core::identity::Principal;
use taskpass_core::registry::{Agent, Limits, Operator, Owner, Role, Row, State, Target, Verifier};
use taskpass_store::{Batched, RedbBackend};

use super::{CONNECTIONS, Surroundings};
use crate::error::BenchError;
use crate::station::{Station, Work};

/// Takes ES256.
pub(crate) const ES256_TARGET: &str = "https://ledger.bench.test";
/// Takes EdDSA.
pub(crate) const EDDSA_TARGET: &str = "https://mail.bench.test";
/// The scope of both.
pub(crate) const SCOPE: &str = "entries:read";

const OWNER: &str = "bench-team";
const VERIFIER: &str = "ledger";
const OPERATOR: &str = "responder";
const DAY: Duration = Duration::from_hours(24);

/// The connections of one house.
pub(super) struct Callers {
    pub(super) agents: Arc<[Station]>,
    pub(super) verifiers: Arc<[Station]>,
    pub(super) verifier: Arc<Identity>,
    pub(super) operator: Arc<Identity>,
}

fn name(number: usize) -> String {
    format!("worker-{number}")
}

/// A name of ours; that it parses is tested with every run.
fn parsed<T: std::str::FromStr>(text: &str) -> Result<T, BenchError>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text.parse().map_err(BenchError::setup("name a caller"))
}

/// What is registered.
pub(super) fn rows(now: Timestamp) -> Result<Vec<Row>, BenchError> {
    let owner = Owner {
        name: parsed(OWNER)?,
        contact: "team@bench.test".to_owned(),
        limits: Limits::NONE,
        state: State::Active,
    };
    let mut rows = vec![
        Row::Owner(owner),
        target(ES256_TARGET, TokenAlg::Es256)?,
        target(EDDSA_TARGET, TokenAlg::EdDsa)?,
    ];
    for number in 0..CONNECTIONS {
        rows.push(agent(&name(number), now)?);
    }
    rows.push(Row::Verifier(Verifier {
        name: parsed(VERIFIER)?,
        targets: [parsed(ES256_TARGET)?, parsed(EDDSA_TARGET)?].into(),
        state: State::Active,
    }));
    rows.push(Row::Operator(Operator {
        name: parsed(OPERATOR)?,
        roles: [Role::Responder].into(),
        state: State::Active,
    }));
    Ok(rows)
}

fn target(uri: &str, token_alg: TokenAlg) -> Result<Row, BenchError> {
    Ok(Row::Target(Target {
        uri: parsed(uri)?,
        scopes: [(parsed(SCOPE)?, Access::Read)].into(),
        risk: Risk::Medium,
        token_alg,
        token_profile: TokenProfile::OAuth,
        max_ttl: None,
        limits: Limits::NONE,
        observe: None,
        state: State::Active,
    }))
}

fn agent(name: &str, now: Timestamp) -> Result<Row, BenchError> {
    Ok(Row::Agent(Agent {
        name: parsed(name)?,
        owner: parsed(OWNER)?,
        purpose: "load".to_owned(),
        stage: Stage::ReadOnly,
        scopes: [
            parsed(&format!("{ES256_TARGET}#{SCOPE}"))?,
            parsed(&format!("{EDDSA_TARGET}#{SCOPE}"))?,
        ]
        .into(),
        valid_until: now.plus(DAY * 30),
        max_ttl: None,
        labels: [].into(),
        state: State::Active,
        created_at: now,
        client_keys: Vec::new(),
        limits: Limits::NONE,
    }))
}

/// Enrols and connects everybody, and starts a task for each of an agent's `lines`.
pub(super) async fn callers(
    around: &Surroundings,
    broker: &Arc<Broker>,
    store: &Batched<RedbBackend>,
    grpc: SocketAddr,
    lines: usize,
) -> Result<Callers, BenchError> {
    let addr = grpc.to_string();
    let mut agents = Vec::new();
    for number in 0..CONNECTIONS {
        let principal = Principal::Agent(parsed(&name(number))?);
        let identity = Arc::new(enrol(around, broker, store, &principal).await?);
        for _ in 0..lines {
            let station = agent_station(addr.clone(), Arc::clone(&identity));
            agents.push(joined(around.clients.spawn(station).await)?);
        }
    }
    let principal = Principal::Verifier(parsed(VERIFIER)?);
    let identity = Arc::new(enrol(around, broker, store, &principal).await?);
    let shown = match agents.first() {
        Some(station) => station.token().await?,
        None => String::new(),
    };
    let mut verifiers = Vec::new();
    for _ in 0..CONNECTIONS {
        let (addr, identity, shown) = (addr.clone(), Arc::clone(&identity), shown.clone());
        let connecting = async move {
            let channel = connect(&addr, Some(&identity), identity.ca_pem())
                .await
                .map_err(BenchError::setup("connect a verifier"))?;
            Ok(Station::verifier(channel, shown))
        };
        verifiers.push(joined(around.clients.spawn(connecting).await)?);
    }
    let operator = Principal::Operator(parsed(OPERATOR)?);
    Ok(Callers {
        agents: agents.into(),
        verifiers: verifiers.into(),
        verifier: identity,
        operator: Arc::new(enrol(around, broker, store, &operator).await?),
    })
}

fn joined<T>(
    outcome: Result<Result<T, BenchError>, tokio::task::JoinError>,
) -> Result<T, BenchError> {
    outcome.map_err(BenchError::setup("connect a caller"))?
}

async fn agent_station(addr: String, identity: Arc<Identity>) -> Result<Station, BenchError> {
    let channel = connect(&addr, Some(&identity), identity.ca_pem())
        .await
        .map_err(BenchError::setup("connect an agent"))?;
    let scopes = [ES256_TARGET, EDDSA_TARGET].map(|uri| format!("{uri}#{SCOPE}"));
    let task = Caller::over(channel.clone())
        .start_task("load", scopes, Some(DAY))
        .await
        .map_err(BenchError::setup("start a task"))?;
    let key = LocalKey::generate().map_err(BenchError::setup("make a key"))?;
    let station = Station::agent(channel, task.id(), key.csr_der().to_vec());
    // So that what is timed later is known to work.
    station.perform(Work::Token(TokenAlg::Es256), 0).await?;
    Ok(station)
}

async fn enrol(
    around: &Surroundings,
    broker: &Broker,
    store: &Batched<RedbBackend>,
    principal: &Principal,
) -> Result<Identity, BenchError> {
    let (now, minute) = (around.clock.now(), Duration::from_mins(1));
    let token = first_enrolment(store, principal, minute, &*around.rng, now)
        .await
        .map_err(BenchError::setup("make an enrolment"))?;
    let key = LocalKey::generate().map_err(BenchError::setup("make a key"))?;
    let enrolled = broker
        .enrol(token.expose(), key.csr_der())
        .await
        .map_err(BenchError::setup("enrol a caller"))?;
    Identity::new(enrolled.chain_pem, key.into_key_pem(), enrolled.anchors_pem)
        .map_err(BenchError::setup("read an identity"))
}
