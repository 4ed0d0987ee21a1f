//! Many at once: idle connections, more than there are descriptors, subscribers that never read.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use taskpass_api::v1::{self, revocation_selector::Selector};
use taskpass_core::Clock as _;
use taskpass_core::time::SystemClock;
use taskpass_testkit::{Broker, eventually, within};
use taskpass_verify::Reason;
use tokio::net::TcpStream;

use crate::raw::{self, h2, head, message, modern, resident, tcp, ticks};
use crate::{BIN, LEDGER, READ, impatient, well_behaved, well_behaved_soon};

const IDLE: u64 = 500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_cost_little() {
    let broker = Broker::start(BIN);
    well_behaved(&broker).await;
    let before = resident(&broker);
    // Both ends are descriptors, the other one of another process; leave some to the other tests.
    let room = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX) / 4;
    let count = IDLE.min(room);
    let config = modern(&broker, "");
    let mut idle = Vec::new();
    for _ in 0..count {
        let stream = raw::tls(&broker, &config).await.expect("TLS");
        let handshake = h2::client::Builder::new().handshake::<_, raw::Bytes>(stream);
        idle.push(within(handshake).await.expect("HTTP/2"));
    }
    well_behaved_soon(&broker, Duration::from_secs(3)).await;
    let each = resident(&broker).saturating_sub(before) / count;
    println!("{count} idle connections at {each} KiB");
    assert!(each < 192, "an idle connection costs {each} KiB");
}

/// Above the limit of connections newcomers wait, and are served when others leave.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn above_the_limit_newcomers_wait() {
    let broker = impatient("connections = 8").await;
    let identity = broker.identity("invoice-bot");
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(h2(&broker, "ledger", 65_535).await);
    }
    let waiting = taskpass_client::connect(broker.authority(), Some(&identity), identity.ca_pem());
    let mut waiting = std::pin::pin!(waiting);
    let early = tokio::time::timeout(Duration::from_millis(500), waiting.as_mut()).await;
    assert!(early.is_err(), "there was no room");
    held.clear();
    let channel = within(waiting).await.expect("there is room now");
    let agent = taskpass_client::Agent::over(channel);
    within(agent.start_task("room", [READ], None))
        .await
        .expect("a task");
}

/// Out of descriptors the broker neither ends nor spins, serves whom it has, and recovers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn out_of_descriptors_is_survived() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("few-descriptors");
    let text = format!("#!/bin/sh\nulimit -n 64 || exit 9\nexec '{BIN}' \"$@\"\n");
    std::fs::write(&script, text).expect("a script");
    let mode = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(&script, mode).expect("a script");
    let mut broker = Broker::start(&script.display().to_string());
    let (task, _) = well_behaved(&broker).await;
    let mut crowd: Vec<TcpStream> = Vec::new();
    for _ in 0..120 {
        crowd.push(tcp(broker.authority()).await);
    }
    eventually("there are no descriptors left", async || {
        broker.log().contains("could not accept").then_some(())
    })
    .await;
    let before = ticks(&broker);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let used = ticks(&broker) - before;
    assert!(used < 50, "it spins: {used} hundredths of a second in one");
    let token = within(task.token(LEDGER, ["invoices:read"], None)).await;
    token.expect("whoever is connected is served");
    assert!(broker.is_running());
    drop(crowd);
    let (_, took) = raw::timed(&SystemClock::new(), Box::pin(well_behaved(&broker))).await;
    assert!(
        took < Duration::from_secs(10),
        "it took {took:?} to recover\n{}",
        broker.log()
    );
}

/// Subscribers that never read cost nothing but their own place: others hear of each revocation at
/// once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribers_that_never_read_hold_nobody_up() {
    const STUCK: usize = 20;
    let broker = impatient("").await;
    let mut stuck = Vec::new();
    for place in 0..STUCK {
        // Half of them take a little at first, the other half nothing at all.
        let window = if place % 2 == 0 { 0 } else { 400 };
        let (mut streams, guard) = h2(&broker, "ledger", window).await;
        let feed = head(&broker, "taskpass.v1.RevocationService/WatchRevocations");
        let (response, mut body) = streams.send_request(feed, false).expect("a stream");
        body.send_data(message(b""), true)
            .expect("an empty message");
        stuck.push((streams, guard, response));
    }
    let watcher = broker.watch("ledger", &[LEDGER]).await;
    eventually("all are subscribed", async || {
        let metrics = broker.ops("/metrics").text();
        let line = metrics
            .lines()
            .find(|line| line.starts_with("taskpass_feed_subscribers "))?;
        line.ends_with(&format!(" {}", STUCK + 1)).then_some(())
    })
    .await;
    let (task, _) = well_behaved(&broker).await;
    let mut operator = broker.services("").await.revocations();
    let (clock, before) = (SystemClock::new(), resident(&broker));
    let mut slowest = Duration::ZERO;
    for _ in 0..200 {
        let token = within(task.token(LEDGER, ["invoices:read"], None))
            .await
            .expect("a token");
        let request = v1::RevokeRequest {
            selector: Some(v1::RevocationSelector {
                selector: Some(Selector::CredentialId(token.id().to_string())),
            }),
            reason: "drill".to_owned(),
            dry_run: false,
            no_suspend: false,
        };
        let seq = within(operator.revoke(request))
            .await
            .expect("revoked")
            .into_inner()
            .seq;
        let acknowledged = clock.monotonic();
        watcher.reaches(seq).await;
        slowest = slowest.max(clock.monotonic().saturating_sub(acknowledged));
        assert_eq!(watcher.token(token.expose(), LEDGER), Some(Reason::Revoked));
    }
    let grown = resident(&broker).saturating_sub(before);
    println!("slowest {slowest:?}, grown by {grown} KiB");
    assert!(
        slowest < Duration::from_secs(1),
        "a revocation took {slowest:?} to arrive"
    );
    assert!(grown < 48 * 1024, "it grew by {grown} KiB");
    assert!(
        stuck.iter().all(|(_, guard, _)| !guard.is_over()),
        "nobody was cut off for being slow"
    );
}
