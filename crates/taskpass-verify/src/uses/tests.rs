//! Reports against a broker's service in the same process: nothing is reported twice, nothing is dropped
//! in silence, and the end is said.

mod guarded;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use taskpass_api::v1::verification_service_server::{
    VerificationService, VerificationServiceServer,
};
use taskpass_api::v1::{
    IntrospectRequest, IntrospectResponse, ReportUseRequest, ReportUseResponse,
};
use taskpass_core::rng::SeededRng;
use tokio::sync::{mpsc, oneshot};
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Response, Status, Streaming};

use super::*;
use crate::testing::{World, ledger};

/// Answers as the test says, and with success when it says nothing more.
struct Scripted {
    answers: Arc<Mutex<VecDeque<Status>>>,
    calls: mpsc::UnboundedSender<Vec<ReportUseRequest>>,
}

#[tonic::async_trait]
impl VerificationService for Scripted {
    async fn introspect(
        &self,
        _: Request<IntrospectRequest>,
    ) -> Result<Response<IntrospectResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn report_use(
        &self,
        request: Request<Streaming<ReportUseRequest>>,
    ) -> Result<Response<ReportUseResponse>, Status> {
        let mut stream = request.into_inner();
        let mut batches = Vec::new();
        while let Some(batch) = stream.message().await? {
            batches.push(batch);
        }
        let items: usize = batches.iter().map(|batch| batch.items.len()).sum();
        let _ = self.calls.send(batches);
        let answer = self.answers.lock().unwrap().pop_front();
        match answer {
            Some(status) => Err(status),
            None => Ok(Response::new(ReportUseResponse {
                accepted: items as u64,
                ..ReportUseResponse::default()
            })),
        }
    }
}

struct Bench {
    world: World,
    uses: Uses,
    channel: Channel,
    answers: Arc<Mutex<VecDeque<Status>>>,
    calls: mpsc::UnboundedReceiver<Vec<ReportUseRequest>>,
}

impl Bench {
    async fn start() -> Self {
        let (calls, asked) = mpsc::unbounded_channel();
        let answers = Arc::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        let service = VerificationServiceServer::new(Scripted {
            answers: Arc::clone(&answers),
            calls,
        });
        let server = Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(incoming));
        let world = World::new();
        let uses = Uses::new(world.verifier(), UseSettings::default());
        let channel = Endpoint::from_shared(format!("http://{addr}"));
        Self {
            world,
            uses,
            channel: channel.unwrap().connect_lazy(),
            answers,
            calls: asked,
        }
    }

    fn reports(&self) -> UseReports {
        let rng = Arc::new(SeededRng::new(1));
        UseReports::new(self.uses.clone(), self.channel.clone(), rng)
    }

    /// Uses a new token so often.
    fn used(&self, times: u32) {
        let token = self.world.token();
        let token = self.uses.inner.verifier.verify_token(&token, &ledger());
        let (token, read) = (token.unwrap(), "invoices:read".parse().unwrap());
        for _ in 0..times {
            let used = Use {
                scope: Some(&read),
                action: None,
                resource: None,
                outcome: Outcome::Allowed,
            };
            self.uses.note(&token, &used);
        }
    }

    fn answer(&self, code: Code) {
        self.answers
            .lock()
            .unwrap()
            .push_back(Status::new(code, "no"));
    }

    /// What the next call brought of the ledger, and how many batches it had.
    async fn call(&mut self) -> (ReportUseRequest, usize) {
        let batches = self.calls.recv().await.unwrap();
        let of_ledger = batches
            .iter()
            .find(|batch| batch.target == ledger().as_str());
        (of_ledger.unwrap().clone(), batches.len())
    }
}

fn times(batch: &ReportUseRequest) -> u64 {
    batch.items.iter().map(|item| item.count).sum()
}

#[tokio::test]
async fn windows_meet_from_the_start_to_the_last() {
    let mut bench = Bench::start().await;
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(bench.reports().run(async { drop(stopped.await) }));
    // From now on.
    let (first, many) = bench.call().await;
    assert_eq!((times(&first), first.last, many), (0, false, 2));
    assert_eq!(first.covered_from, first.covered_until);

    while bench.uses.metrics().batches < 2 {
        tokio::task::yield_now().await;
    }
    bench.world.clock.advance(Duration::from_secs(7));
    bench.used(3);
    stop.send(()).unwrap();
    let (last, many) = bench.call().await;
    assert_eq!((times(&last), last.last, many), (3, true, 2));
    assert_eq!(last.covered_from, first.covered_until);
    let seconds = |at: Option<prost_types::Timestamp>| at.unwrap().seconds;
    assert_eq!(seconds(last.covered_until) - seconds(last.covered_from), 7);
    running.await.unwrap();
    let metrics = bench.uses.metrics();
    assert_eq!((metrics.noted, metrics.sent, metrics.lost), (3, 3, 0));
    assert_eq!((metrics.held, metrics.waiting), (0, 0));
    assert_eq!(metrics.delivered_age, Some(Duration::ZERO));
}

#[tokio::test]
async fn what_is_not_answered_is_sent_again_as_the_same_batch() {
    let mut bench = Bench::start().await;
    let mut reports = bench.reports();
    bench.used(2);
    reports.gather(false);
    bench.answer(Code::Unavailable);
    bench.answer(Code::ResourceExhausted);
    assert!(reports.deliver().await.is_err());
    // What is used meanwhile is gathered for the next one.
    bench.used(5);
    assert!(reports.deliver().await.is_err());
    assert_eq!(bench.uses.metrics().waiting, 2);
    reports.deliver().await.unwrap();
    let calls = [bench.call().await, bench.call().await, bench.call().await];
    assert!(calls.iter().all(|call| *call == calls[0]));
    assert_eq!(times(&calls[0].0), 2);
    reports.gather(false);
    reports.deliver().await.unwrap();
    let (next, _) = bench.call().await;
    assert_eq!(times(&next), 5);
    assert_ne!(next.batch_id, calls[0].0.batch_id);
    let metrics = bench.uses.metrics();
    assert_eq!((metrics.failures, metrics.sent, metrics.lost), (2, 7, 0));
}

#[tokio::test]
async fn what_is_never_taken_is_given_up_and_told_as_lost() {
    let mut bench = Bench::start().await;
    let mut reports = bench.reports();
    bench.used(4);
    reports.gather(false);
    // Of two batches in the call one is not taken: they are sent one by one, and the second is it.
    bench.answer(Code::InvalidArgument);
    for many in [2, 1] {
        reports.deliver().await.unwrap();
        assert_eq!(bench.calls.recv().await.unwrap().len(), many);
    }
    bench.answer(Code::PermissionDenied);
    reports.deliver().await.unwrap();
    let (given_up, many) = bench.call().await;
    assert_eq!((times(&given_up), many), (4, 1));
    assert_eq!(bench.uses.metrics().waiting, 0);
    assert_eq!(bench.uses.metrics().lost, 4);
    reports.gather(false);
    reports.deliver().await.unwrap();
    let (next, _) = bench.call().await;
    assert_eq!((next.lost, times(&next)), (4, 0));
}

#[tokio::test]
async fn overflow_is_told_and_of_others_nothing_is_kept() {
    let mut bench = Bench::start().await;
    let settings = UseSettings {
        most: 0,
        ..UseSettings::default()
    };
    bench.uses = Uses::new(bench.world.verifier(), settings);
    // Sixteen parts of four: of so many tokens most find no room.
    for _ in 0..200 {
        bench.used(1);
    }
    let lost = bench.uses.metrics().lost;
    assert!(lost >= 200 - 64 && bench.uses.metrics().held <= 64);
    let elsewhere = World::new();
    let other = Uses::new(
        {
            let mut settings = elsewhere.settings();
            settings.audiences = ["https://c.example".parse().unwrap()].into();
            elsewhere.blank(settings)
        },
        UseSettings::default(),
    );
    let token = bench.world.token();
    let verified = bench.uses.inner.verifier.verify_token(&token, &ledger());
    let used = Use {
        scope: None,
        action: None,
        resource: None,
        outcome: Outcome::Allowed,
    };
    other.note(&verified.unwrap(), &used);
    assert_eq!(other.metrics().noted, 0);
    let mut reports = bench.reports();
    reports.gather(true);
    reports.deliver().await.unwrap();
    let (batch, _) = bench.call().await;
    assert_eq!((batch.lost, times(&batch)), (lost, 200 - lost));
}

#[test]
fn settings_are_bounded() {
    let wild = UseSettings {
        most: usize::MAX,
        every: Duration::ZERO,
        resources: true,
    };
    let bounded = wild.bounded();
    assert_eq!(
        (bounded.most, bounded.every),
        (65_536, Duration::from_secs(1))
    );
    assert!(bounded.resources && !UseSettings::default().resources);
}
