//! Many at once: idle connections, more than there are descriptors, subscribers that never read.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use taskpass_api::v1::{self, revocation_selector::Selector};
use taskpass_core::Clock as _;
use taskpass_core::time::SystemClock;
use taskpass_testkit::{Broker, eventually, within};
use taskpass_verify::Reason;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;

use crate::raw::{self, h2, head, message, modern, resident, tcp, ticks};
use crate::{BIN, LEDGER, READ, impatient, served, waits, well_behaved, well_behaved_soon};

/// How many connections are idle; more by `TASKPASS_TEST_IDLE`.
fn idle_connections() -> usize {
    #[expect(
        clippy::disallowed_methods,
        reason = "how large a test is is asked for outside"
    )]
    let asked = std::env::var("TASKPASS_TEST_IDLE");
    asked.map_or(1_000, |text| {
        text.parse().expect("TASKPASS_TEST_IDLE is a number")
    })
}

/// How many of them are made at one time.
const AT_ONCE: usize = 32;

/// Takes all descriptors that this process may have; whether so many are among them.
fn descriptors(wanted: usize) -> bool {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, raised).expect("what it may have");
    maximum.is_none_or(|maximum| maximum >= u64::try_from(wanted).expect("a number"))
}

/// A connection that says nothing after its handshakes.
async fn hush(authority: String, config: Arc<rustls::ClientConfig>) -> TlsStream<TcpStream> {
    let mut stream = raw::tls_at(&authority, &config).await.expect("TLS");
    let begin = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    stream.write_all(begin).await.expect("a preface");
    stream.flush().await.expect("a preface");
    let settings = within(stream.read_u8()).await;
    settings.expect("the broker serves it");
    stream
}

/// A thousand by default. With 10 000: `TASKPASS_TEST_IDLE=10000`, and as many descriptors for this
/// process and for the broker.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_cost_little() {
    let count = idle_connections();
    assert!(descriptors(count + 256), "raise `ulimit -Hn`");
    // From loopback all but one in sixty-four; nobody pings them.
    let room = count + count / 32 + 128;
    let broker = served(&format!("connections = {room}\nkeepalive = \"1h\"")).await;
    let (task, _) = well_behaved(&broker).await;
    let quiet = waits(&task, 300).await;
    let (before, files) = (resident(&broker), raw::files(&broker));
    let config = modern(&broker, "ledger");
    let mut idle = Vec::with_capacity(count);
    let mut making = JoinSet::new();
    for number in 0..count {
        making.spawn(hush(broker.authority().to_owned(), Arc::clone(&config)));
        if number >= AT_ONCE {
            idle.extend(making.join_next().await.map(|made| made.expect("no panic")));
        }
    }
    idle.extend(making.join_all().await);
    let beside = waits(&task, 300).await;
    let each = resident(&broker).saturating_sub(before) / u64::try_from(count).expect("a number");
    println!(
        "{count} idle connections at {each} KiB; p99 {quiet:?} without, {beside:?} beside them"
    );
    assert!(each < 192, "an idle connection costs {each} KiB");
    assert!(raw::files(&broker) >= files + count, "all are still open");
    well_behaved(&broker).await;
    drop(idle);
    eventually("all are closed", async || {
        (raw::files(&broker) < files + 64).then_some(())
    })
    .await;
    well_behaved(&broker).await;
}

/// What a process begins with is often less than what it may have: the broker takes all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_descriptors_that_may_be_had_are_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = limited(folder.path(), "ulimit -S -n 64");
    let broker = Broker::start(&script);
    well_behaved(&broker).await;
    let mut crowd: Vec<TcpStream> = Vec::new();
    for _ in 0..120 {
        crowd.push(tcp(broker.authority()).await);
    }
    well_behaved_soon(&broker, Duration::from_secs(3)).await;
    let log = broker.log();
    assert!(!log.contains("could not accept"), "{log}");
}

/// A program that starts the broker with fewer descriptors.
fn limited(folder: &std::path::Path, limit: &str) -> String {
    let script = folder.join("few-descriptors");
    let text = format!("#!/bin/sh\n{limit} || exit 9\nexec '{BIN}' \"$@\"\n");
    std::fs::write(&script, text).expect("a script");
    let mode = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(&script, mode).expect("a script");
    script.display().to_string()
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
    let script = limited(folder.path(), "ulimit -n 64");
    let mut broker = Broker::start(&script);
    let said = broker.log();
    assert!(
        said.contains("fewer files may be open"),
        "it says so at the start: {said}"
    );
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
