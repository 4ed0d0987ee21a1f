//! What a connection may hold, and for how long: streams, resets, heads, silence.

use std::time::Duration;

use taskpass_testkit::{Broker, within};
use tokio::io::AsyncWriteExt as _;

use crate::frames::{Frames, GOAWAY, MAX_STREAMS, REFUSED_STREAM, RST_STREAM, WINDOW};
use crate::raw::{h2, head, message, resident, tcp, until_closed};
use crate::{BIN, impatient, served, waits, well_behaved, well_behaved_soon};

const SOON: Duration = Duration::from_secs(3);
const ENROL: &str = "taskpass.v1.EnrolmentService/Enrol";
const FEED: &str = "taskpass.v1.RevocationService/WatchRevocations";

/// Who keeps to what the broker allows waits for a stream; who does not is refused the streams beyond it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_streams_than_allowed_are_refused() {
    let broker = impatient("streams = 4").await;
    let mut frames = Frames::open(&broker, "").await;
    let ours = [1, 3, 5, 7, 9, 11];
    let heads: Vec<u8> = ours.iter().flat_map(|id| frames.head(*id, ENROL)).collect();
    frames.send(&heads).await.expect("six heads");
    let mut refused = Vec::new();
    while refused.len() < 2 {
        let frame = frames.next().await.expect("it is open");
        assert_ne!(frame.kind, GOAWAY, "{frame:?}");
        if frame.kind == RST_STREAM {
            assert_eq!(frame.code(), Some(REFUSED_STREAM), "{frame:?}");
            refused.push(frame.stream);
        }
    }
    assert_eq!(refused, [9, 11]);
    // Of the other four none was answered: their messages may still come.
    well_behaved_soon(&broker, SOON).await;
}

/// Who has proved nothing is told at the beginning how little it may ask at one time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_have_few_streams_and_small_windows() {
    let broker = Broker::start(BIN);
    for (who, streams) in [("", 8), ("invoice-bot", 256), ("ledger", 256)] {
        let said = Frames::open(&broker, who).await.setting(MAX_STREAMS).await;
        assert_eq!(said, Some(streams), "`{who}`");
        let window = Frames::open(&broker, who).await.setting(WINDOW).await;
        let is_small = window.is_none_or(|window| window < 64 * 1024);
        assert_eq!(is_small, who.is_empty(), "`{who}` {window:?}");
    }
    // The operator's own bound is kept to where it is narrower.
    let broker = served("streams = 4").await;
    let said = Frames::open(&broker, "").await.setting(MAX_STREAMS).await;
    assert_eq!(said, Some(4));
}

/// CVE-2023-44487 at its fastest: thousands of requests, each taken back in the same breath. The
/// connection ends, and what it cost is not kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_resets_ends_its_connection() {
    const STREAMS: u32 = 5_000;
    let broker = Broker::start(BIN);
    let (task, _) = well_behaved(&broker).await;
    let quiet = waits(&task, 50).await;
    let before = resident(&broker);
    let mut ended = 0;
    let flooding = async {
        for _ in 0..20 {
            let mut frames = Frames::open(&broker, "invoice-bot").await;
            let mut flood = Vec::new();
            for id in (0..STREAMS).map(|number| 2 * number + 1) {
                flood.extend(frames.head(id, ENROL));
                flood.extend(Frames::reset(id));
            }
            // It may be closed before everything is written.
            let _ = frames.send(&flood).await;
            let rest = frames.rest().await;
            ended += usize::from(rest.iter().all(|frame| frame.code() != Some(0)));
        }
    };
    let ((), flooded) = tokio::join!(flooding, waits(&task, 50));
    println!("p99 of another caller {quiet:?} without, {flooded:?} with the flood");
    assert_eq!(ended, 20, "each flood ends its connection");
    let grown = resident(&broker).saturating_sub(before);
    println!("grown by {grown} KiB");
    assert!(grown < 48 * 1024, "it grew by {grown} KiB");
    well_behaved_soon(&broker, SOON).await;
    assert!(!broker.log().contains("panicked"), "{}", broker.log());
}

/// Of HTTP/1, where heads are bounded in bytes and in fields.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_head_is_refused() {
    let broker = Broker::start(BIN);
    let ports = broker.addresses().clone();
    let long = format!("X-Long: {}\r\n", "x".repeat(80 * 1024));
    let many = "X-Many: 1\r\n".repeat(150);
    for url in [&ports.http, &ports.ops] {
        let (_, authority) = url.split_once("://").expect("a URL");
        for fields in [&long, &many] {
            let mut stream = tcp(authority).await;
            let request = format!("GET /healthz HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            let _ = stream.write_all(request.as_bytes()).await;
            let said = until_closed(url, &mut stream, Duration::from_secs(10)).await;
            // Where not everything was read, the answer can be lost with the connection.
            let refused = said.is_empty() || said.starts_with(b"HTTP/1.1 431 ");
            assert!(refused, "{}", said.escape_ascii());
        }
    }
    well_behaved_soon(&broker, SOON).await;
}

/// Nothing asked for long: the connection is closed, in order. A stream is something asked, however
/// long it lasts; a ping is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_on_which_nothing_is_asked_is_closed() {
    let broker = served("idle_timeout = \"2s\"\nkeepalive = \"200ms\"").await;
    let (mut streams, feed) = h2(&broker, "ledger", 65_535).await;
    let watch = head(&broker, FEED);
    let (response, mut body) = streams.send_request(watch, false).expect("a stream");
    body.send_data(message(b""), true).expect("a message");
    let _feed = within(response).await.expect("the feed begins");
    let mut idle = Vec::new();
    for who in ["", "ledger", "invoice-bot"] {
        // Driven, so that pings are answered.
        idle.push((who, h2(&broker, who, 65_535).await));
    }
    for (who, (streams, guard)) in idle {
        let closed = async {
            while !guard.is_over() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        within(closed).await;
        let refused = within(streams.ready()).await;
        assert!(refused.is_err(), "`{who}` is told that it is over");
    }
    assert!(!feed.is_over(), "who follows the feed is in use");
    well_behaved_soon(&broker, SOON).await;
}

/// A peer that is gone without a word: a ping is not answered, and that is all it takes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_answer_a_ping_is_closed() {
    let broker = served("keepalive = \"500ms\"").await;
    // By hand nobody answers it.
    let mut frames = Frames::open(&broker, "ledger").await;
    let frames = tokio::time::timeout(Duration::from_secs(20), frames.rest()).await;
    let frames = frames.expect("it is closed");
    assert!(!frames.is_empty(), "it was open, and asked");
}
