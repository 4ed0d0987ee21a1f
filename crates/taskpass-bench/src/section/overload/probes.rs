//! Those who must be heard whatever the load: an operator who revokes, and whoever asks for health.
//!
//! Each has a connection of its own, `/readyz` a new one each time. They ask on a schedule, and what they
//! feel counts from when it was due.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use taskpass_api::v1;
use taskpass_api::v1::revocation_selector::Selector;
use taskpass_api::v1::revocation_service_client::RevocationServiceClient;
use taskpass_client::{Identity, connect};
use taskpass_core::Clock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tonic::Status;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic_prost::ProstCodec;

use super::site::Ground;
use crate::Spread;
use crate::error::BenchError;
use crate::house::House;
use crate::pace::{since, until};
use crate::station::refused;

/// How often each asks.
const PERIOD: Duration = Duration::from_millis(50);
/// What failed, where it did.
const READY: &str = "ask whether the broker is ready";
/// `SERVING` of `grpc.health.v1`.
const SERVING: i32 = 1;

/// Those who ask.
pub(super) struct Probes {
    operator: Channel,
    anybody: Channel,
    ops: SocketAddr,
    /// What is revoked: tokens that were issued before.
    tokens: Arc<[String]>,
    clock: Arc<dyn Clock>,
}

/// What they felt, in milliseconds.
pub(super) struct Heard {
    pub(super) revoke: Spread,
    pub(super) health: Spread,
    pub(super) ready: Spread,
}

/// `grpc.health.v1.HealthCheckResponse`.
#[derive(Clone, PartialEq, prost::Message)]
struct Health {
    #[prost(int32, tag = "1")]
    status: i32,
}

impl Probes {
    /// Connects them, and issues what they revoke in `time`.
    pub(super) async fn prepare(
        ground: &Ground,
        house: &House,
        time: Duration,
    ) -> Result<Self, BenchError> {
        let mut tokens = Vec::new();
        for (_, station) in (0..count(time)).zip(house.agents.iter().cycle()) {
            tokens.push(station.issued().await?.credential_id);
        }
        let (addr, operator) = (house.grpc().to_string(), Arc::clone(&house.operator));
        // A connection belongs to the runtime that it is made on.
        let connecting = ground.probes.spawn(async move {
            let with = |identity: Option<Arc<Identity>>, anchors: String| {
                let addr = addr.clone();
                async move { connect(&addr, identity.as_deref(), &anchors).await }
            };
            let anchors = operator.ca_pem().to_owned();
            let anybody = with(None, anchors.clone()).await?;
            Ok::<_, taskpass_client::ConnectError>((with(Some(operator), anchors).await?, anybody))
        });
        let connected = connecting
            .await
            .map_err(BenchError::setup("connect an operator"))?;
        let (operator, anybody) = connected.map_err(BenchError::setup("connect an operator"))?;
        Ok(Self {
            operator,
            anybody,
            ops: house.ops(),
            tokens: tokens.into(),
            clock: Arc::clone(&ground.around.clock),
        })
    }

    /// Asks for `time`, after `warm`.
    pub(super) async fn run(self, warm: Duration, time: Duration) -> Result<Heard, BenchError> {
        tokio::time::sleep(warm).await;
        let (clock, count) = (&*Arc::clone(&self.clock), count(time));
        let revoking = every(count, &self.clock, |number| {
            let token = self.tokens.get(number).cloned().unwrap_or_default();
            revoke(self.operator.clone(), token)
        });
        let asking = every(count, &self.clock, |_| health(self.anybody.clone()));
        let looking = every(count, &self.clock, |_| ready(self.ops));
        let began = clock.monotonic();
        let (revoke, health, ready) = tokio::join!(revoking, asking, looking);
        tracing::info!(took = ?since(began, clock), "those who must be heard have asked");
        Ok(Heard {
            revoke: revoke?,
            health: health?,
            ready: ready?,
        })
    }
}

fn count(time: Duration) -> usize {
    usize::try_from(time.as_millis() / PERIOD.as_millis()).unwrap_or(usize::MAX)
}

/// Calls begin on a schedule; how long after that each was answered.
async fn every<F>(
    count: usize,
    clock: &Arc<dyn Clock>,
    call: impl Fn(usize) -> F,
) -> Result<Spread, BenchError>
where
    F: Future<Output = Result<(), BenchError>> + Send + 'static,
{
    let mut calls = JoinSet::new();
    let mut due = clock.monotonic();
    for number in 0..count {
        tokio::time::sleep(until(due, &**clock)).await;
        let (calling, clock, began) = (call(number), Arc::clone(clock), due);
        calls.spawn(async move {
            calling.await?;
            Ok::<_, BenchError>(since(began, &*clock))
        });
        due += PERIOD;
    }
    let mut took = Vec::with_capacity(count);
    while let Some(joined) = calls.join_next().await {
        took.push(joined.map_err(BenchError::setup("ask meanwhile"))??);
    }
    Ok(Spread::millis(took))
}

async fn revoke(channel: Channel, token: String) -> Result<(), BenchError> {
    let request = v1::RevokeRequest {
        selector: Some(v1::RevocationSelector {
            selector: Some(Selector::CredentialId(token)),
        }),
        reason: "overload".to_owned(),
        dry_run: false,
        no_suspend: false,
    };
    let reply = RevocationServiceClient::new(channel).revoke(request).await;
    let reply = reply.map_err(|status| refused("Revoke", status))?;
    if reply.into_inner().seq > 0 {
        return Ok(());
    }
    let nothing = Status::internal("nothing was revoked");
    Err(refused("Revoke", nothing))
}

async fn health(channel: Channel) -> Result<(), BenchError> {
    let failed = |status| refused("health over gRPC", status);
    let mut client = tonic::client::Grpc::new(channel);
    let unready = |error: tonic::transport::Error| failed(Status::unavailable(error.to_string()));
    client.ready().await.map_err(unready)?;
    let path = PathAndQuery::from_static("/grpc.health.v1.Health/Check");
    let codec = ProstCodec::<(), Health>::default();
    let reply = client.unary(tonic::Request::new(()), path, codec).await;
    match reply.map_err(failed)?.into_inner().status {
        SERVING => Ok(()),
        other => Err(failed(Status::unavailable(format!("status {other}")))),
    }
}

async fn ready(ops: SocketAddr) -> Result<(), BenchError> {
    let asking = async {
        let mut stream = TcpStream::connect(ops).await?;
        let request = format!("GET /readyz HTTP/1.1\r\nHost: {ops}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = asking.await.map_err(BenchError::setup(READY))?;
    if answer.starts_with(b"HTTP/1.1 200") {
        return Ok(());
    }
    Err(BenchError::setup(READY)(
        String::from_utf8_lossy(&answer).into_owned(),
    ))
}
