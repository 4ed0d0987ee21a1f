//! Those who connect and then say nothing, or not enough.

use std::time::Duration;

use taskpass_testkit::eventually;
use tokio::io::AsyncWriteExt as _;

use crate::raw::{h2, head, message, modern, tcp, tls, until_closed};
use crate::{impatient, well_behaved_soon};

/// A second is what they have; so much later they must be gone.
const GONE: Duration = Duration::from_secs(4);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn authority(url: &str) -> &str {
    url.strip_prefix("http://").expect("plain HTTP")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_silent_are_closed_and_nobody_waits_for_them() {
    let broker = impatient("").await;
    let ports = broker.addresses().clone();
    let mut silent = Vec::new();
    for (port, said) in [
        (broker.authority(), &b""[..]),
        // A TLS record that never ends.
        (broker.authority(), b"\x16\x03\x01\x02\x00\x01"),
        (authority(&ports.http), b""),
        (authority(&ports.http), b"GET /ca.pem HT"),
        (authority(&ports.http), &PREFACE[..20]),
        (authority(&ports.ops), b""),
        (authority(&ports.ops), b"P"),
        (
            authority(&ports.ops),
            b"GET /healthz HTTP/1.1\r\nHost: a\r\n",
        ),
    ] {
        for _ in 0..10 {
            let mut stream = tcp(port).await;
            stream.write_all(said).await.expect("a few bytes");
            silent.push((
                format!("{port} after {:?}", said.escape_ascii().to_string()),
                stream,
            ));
        }
    }
    // With a handshake, and then no more, or not a whole preface.
    let mut hushed = Vec::new();
    for said in [&b""[..], &PREFACE[..10]] {
        let mut stream = tls(&broker, &modern(&broker, "")).await.expect("TLS");
        stream.write_all(said).await.expect("a few bytes");
        stream.flush().await.expect("a few bytes");
        hushed.push((said.len(), stream));
    }
    well_behaved_soon(&broker, Duration::from_secs(3)).await;
    for (what, mut stream) in silent {
        until_closed(&what, &mut stream, GONE).await;
    }
    for (length, mut stream) in hushed {
        until_closed(&format!("TLS and {length} bytes"), &mut stream, GONE).await;
    }
}

/// The silent take no place of those who have something to say: there are far more of them than
/// handshakes may be under way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_silent_take_no_handshake() {
    let broker = impatient("handshakes = 4").await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(tcp(broker.authority()).await);
    }
    well_behaved_soon(&broker, Duration::from_secs(3)).await;
    drop(silent);
}

/// One answer, and then silence: a connection is not kept for ever either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answered_connection_that_goes_silent_is_closed() {
    let broker = impatient("").await;
    let ports = broker.addresses().clone();
    for (port, path) in [(&ports.http, "/ca.pem"), (&ports.ops, "/healthz")] {
        let mut stream = tcp(authority(port)).await;
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        stream
            .write_all(request.as_bytes())
            .await
            .expect("a request");
        let said = until_closed(port, &mut stream, GONE).await;
        assert!(
            said.starts_with(b"HTTP/1.1 200 "),
            "{}",
            said.escape_ascii()
        );
    }
}

/// Whoever does not finish a request does not hold up the end, and neither does a reader of the
/// feed that never reads, nor an idle connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_waits_for_nobody_longer_than_the_grace() {
    let mut broker = impatient("").await;
    let silent = tcp(broker.authority()).await;
    let plain = tcp(authority(&broker.addresses().http)).await;
    let hushed = tls(&broker, &modern(&broker, "")).await.expect("TLS");
    let (mut streams, _guard) = h2(&broker, "ledger", 0).await;
    let feed = head(&broker, "taskpass.v1.RevocationService/WatchRevocations");
    let (_feed, mut body) = streams.send_request(feed, false).expect("a stream");
    body.send_data(message(b""), true)
        .expect("an empty message");
    let half = head(&broker, "taskpass.v1.VerificationService/Introspect");
    let (_half, _open) = streams.send_request(half, false).expect("a stream");
    eventually("the feed has a subscriber", async || {
        let metrics = broker.ops("/metrics").text();
        let line = metrics
            .lines()
            .find(|line| line.starts_with("taskpass_feed_subscribers "))?;
        line.ends_with(" 1").then_some(())
    })
    .await;
    let clock = taskpass_core::time::SystemClock::new();
    let before = taskpass_core::Clock::monotonic(&clock);
    let code = tokio::task::block_in_place(|| broker.stop());
    let took = taskpass_core::Clock::monotonic(&clock).saturating_sub(before);
    assert_eq!(code, 0, "{}", broker.log());
    assert!(
        took < Duration::from_secs(5),
        "it took {took:?}\n{}",
        broker.log()
    );
    drop((silent, plain, hushed));
    // And nothing is lost by it.
    broker.restart();
    well_behaved_soon(&broker, Duration::from_secs(3)).await;
}
