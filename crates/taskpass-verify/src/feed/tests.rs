//! The feed against a server in the same process.

mod drill;

use std::time::Duration;

use taskpass_api::v1::revocation_service_server::{RevocationService, RevocationServiceServer};
use taskpass_api::v1::{
    ConfirmRequest, ConfirmResponse, DrillRequest, DrillResponse, ListRevocationsRequest,
    ListRevocationsResponse, RevokeRequest, RevokeResponse, WatchRevocationsRequest,
    WatchRevocationsResponse,
};
use taskpass_core::revocation::{Rule, Selector};
use taskpass_core::rng::SeededRng;
use taskpass_core::time::Clock as _;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response};

use super::*;
use crate::refusal::{Reason, Refusal};
use crate::testing::{Broker, NOW, World, ledger, rule, task_id};

type Messages = mpsc::UnboundedSender<Result<WatchRevocationsResponse, Status>>;

/// Hands each stream that is asked for to the test.
struct Scripted {
    asked: mpsc::UnboundedSender<(WatchRevocationsRequest, Messages)>,
    /// Each confirmation, with what answers it.
    confirmed: mpsc::UnboundedSender<(ConfirmRequest, oneshot::Sender<bool>)>,
}

#[tonic::async_trait]
impl RevocationService for Scripted {
    type WatchRevocationsStream = UnboundedReceiverStream<Result<WatchRevocationsResponse, Status>>;

    async fn watch_revocations(
        &self,
        request: Request<WatchRevocationsRequest>,
    ) -> Result<Response<Self::WatchRevocationsStream>, Status> {
        let (messages, stream) = mpsc::unbounded_channel();
        let _ = self.asked.send((request.into_inner(), messages));
        Ok(Response::new(UnboundedReceiverStream::new(stream)))
    }

    async fn revoke(&self, _: Request<RevokeRequest>) -> Result<Response<RevokeResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn list(
        &self,
        _: Request<ListRevocationsRequest>,
    ) -> Result<Response<ListRevocationsResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn drill(&self, _: Request<DrillRequest>) -> Result<Response<DrillResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn confirm(
        &self,
        request: Request<ConfirmRequest>,
    ) -> Result<Response<ConfirmResponse>, Status> {
        let (answer, counted) = oneshot::channel();
        let _ = self.confirmed.send((request.into_inner(), answer));
        let counted = counted.await.map_err(|_| Status::unavailable(""))?;
        Ok(Response::new(ConfirmResponse { counted }))
    }
}

struct Bench {
    world: World,
    verifier: Verifier,
    broker: Broker,
    streams: mpsc::UnboundedReceiver<(WatchRevocationsRequest, Messages)>,
    confirmations: mpsc::UnboundedReceiver<(ConfirmRequest, oneshot::Sender<bool>)>,
    stop: oneshot::Sender<()>,
    running: tokio::task::JoinHandle<()>,
}

impl Bench {
    async fn start() -> Self {
        let (asked, streams) = mpsc::unbounded_channel();
        let (confirmed, confirmations) = mpsc::unbounded_channel();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        let service = RevocationServiceServer::new(Scripted { asked, confirmed });
        let server = Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(incoming));
        let world = World::new();
        let verifier = world.blank(world.settings());
        let channel = Endpoint::from_shared(format!("http://{addr}"))
            .unwrap()
            .connect_lazy();
        let feed = Feed::new(verifier.clone(), channel, Arc::new(SeededRng::new(1)));
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(feed.run(async { drop(stopped.await) }));
        Self {
            world,
            verifier,
            broker: Broker::new(5),
            streams,
            confirmations,
            stop,
            running,
        }
    }

    async fn stream(&mut self, expected: (u64, u64)) -> Messages {
        let (request, messages) = self.streams.recv().await.unwrap();
        assert_eq!((request.epoch, request.after_seq), expected);
        messages
    }

    fn beat(&self, to: &Messages, rules: &[Rule], seq: u64) {
        self.world.clock.advance(Duration::from_secs(1));
        let beat = self.broker.heartbeat(rules, seq, self.world.clock.now());
        to.send(Ok(beat)).unwrap();
    }

    fn refusal(&self) -> Option<Refusal> {
        let token = self.world.token();
        self.verifier.verify_token(&token, &ledger()).err()
    }
}

/// Waits for what the feed does next, on the runtime's own turns.
async fn until(done: impl Fn() -> bool) {
    while !done() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_revocation_arrives_and_stays_through_a_broken_stream() {
    let mut bench = Bench::start().await;
    assert!(matches!(bench.refusal(), Some(Refusal::NotReady)));
    let stream = bench.stream((0, 0)).await;
    stream.send(Ok(bench.broker.snapshot(&[], 3))).unwrap();
    bench.beat(&stream, &[], 3);
    bench.verifier.wait_until_ready().await;
    assert!(bench.refusal().is_none());

    let revoked = rule(
        4,
        Selector::Task(task_id(1)),
        NOW.plus(Duration::from_mins(1)),
    );
    let all = [revoked];
    stream.send(Ok(Broker::frame(3, 4, &all))).unwrap();
    bench.verifier.wait_for_seq(4).await;
    assert!(matches!(bench.refusal(), Some(Refusal::Revoked { seq: 4 })));

    // The connection breaks: the next one goes on where it was.
    stream.send(Err(Status::unavailable("restart"))).unwrap();
    let stream = bench.stream((5, 4)).await;
    assert!(matches!(bench.refusal(), Some(Refusal::Revoked { seq: 4 })));
    stream.send(Ok(bench.broker.resumed(4))).unwrap();
    stream.send(Ok(Broker::frame(4, 6, &[]))).unwrap();
    bench.verifier.wait_for_seq(6).await;
    bench.beat(&stream, &all, 6);
    let verifier = bench.verifier.clone();
    until(|| verifier.metrics().staleness == Some(Duration::ZERO)).await;
    let metrics = bench.verifier.metrics();
    assert_eq!((metrics.connects, metrics.reloads), (2, 0));
    assert_eq!((metrics.rules, metrics.seq), (1, 6));

    bench.stop.send(()).unwrap();
    bench.running.await.unwrap();
}

#[tokio::test]
async fn a_feed_that_does_not_fit_is_loaded_anew() {
    let mut bench = Bench::start().await;
    let other = rule(1, Selector::Task(task_id(7)), NOW);
    let revoked = rule(
        2,
        Selector::Task(task_id(1)),
        NOW.plus(Duration::from_mins(1)),
    );
    let stream = bench.stream((0, 0)).await;
    let first = [other.clone()];
    stream.send(Ok(bench.broker.snapshot(&first, 1))).unwrap();
    bench.beat(&stream, &first, 1);
    bench.verifier.wait_until_ready().await;
    // Rule 2 is lost on the way; the heartbeat tells.
    let all = [other, revoked];
    stream.send(Ok(Broker::frame(1, 2, &[]))).unwrap();
    bench.beat(&stream, &all, 2);
    let stream = bench.stream((0, 0)).await;
    let refusal = bench.refusal().unwrap();
    assert_eq!(refusal.reason(), Reason::Stale, "{refusal}");
    stream.send(Ok(bench.broker.snapshot(&all, 2))).unwrap();
    let verifier = bench.verifier.clone();
    until(|| verifier.metrics().rules == 3).await;
    assert!(matches!(bench.refusal(), Some(Refusal::Revoked { seq: 2 })));
    bench.beat(&stream, &all, 2);
    until(|| verifier.metrics().rules == 2).await;
    let metrics = bench.verifier.metrics();
    assert_eq!((metrics.connects, metrics.reloads), (2, 1));
    assert!(matches!(bench.refusal(), Some(Refusal::Revoked { seq: 2 })));
}
