//! Requests that no client of ours makes.

use std::time::Duration;

use taskpass_api::v1;
use taskpass_testkit::{Broker, refused, within};
use tokio::io::AsyncWriteExt as _;

use crate::raw::{Bytes, h2, head, message, modern, tcp, tls, tls_of, until_closed};
use crate::{BIN, READ, well_behaved, well_behaved_soon};

/// More than there is room for requests (1024).
const STREAMS: usize = 4_000;
const SOON: Duration = Duration::from_secs(3);
/// The default time for a handshake, and some.
const CLOSED: Duration = Duration::from_secs(10);

/// CVE-2023-44487: streams that are opened and reset at once, more of them than there is room for
/// requests, each a request that would do something.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rapid_resets_hold_nothing() {
    let broker = Broker::start(BIN);
    let (task, _) = well_behaved(&broker).await;
    let request = v1::IssueTokenRequest {
        task_id: task.id().to_string(),
        target: "https://ledger.example".to_owned(),
        scopes: vec!["invoices:read".to_owned()],
        ..v1::IssueTokenRequest::default()
    };
    let request = prost::Message::encode_to_vec(&request);
    let mut opened = 0;
    // A connection that is closed for it is followed by another one.
    for _ in 0..200 {
        let (mut streams, guard) = h2(&broker, "invoice-bot", 65_535).await;
        while opened < STREAMS && !guard.is_over() {
            let mut wave = Vec::new();
            for _ in 0..50 {
                let Ok(ready) = within(streams.clone().ready()).await else {
                    break;
                };
                streams = ready;
                let head = head(&broker, "taskpass.v1.CredentialService/IssueToken");
                let Ok((_, mut body)) = streams.send_request(head, false) else {
                    break;
                };
                let _ = body.send_data(message(&request), true);
                wave.push(body);
            }
            // Only what is on the wire can be reset there.
            tokio::time::sleep(Duration::from_millis(2)).await;
            opened += wave.len();
            for mut body in wave {
                body.send_reset(h2::Reason::CANCEL);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    // Some came far enough to be issued, for nobody; none of them keeps its room.
    let metrics = broker.ops("/metrics").text();
    let line = "taskpass_issued_total{kind=\"token\"} ";
    let issued = metrics
        .lines()
        .find_map(|text| text.strip_prefix(line)?.parse::<u64>().ok());
    assert!(
        issued > Some(10),
        "the requests did not reach the broker: {issued:?}"
    );
    assert!(opened >= STREAMS, "only {opened} streams were opened");
    well_behaved_soon(&broker, SOON).await;
    // Whoever was connected before is not harmed either.
    within(task.token("https://ledger.example", ["invoices:read"], None))
        .await
        .expect("a token");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_oversized_header_list_is_refused() {
    let broker = Broker::start(BIN);
    for (fields, length) in [(3, 8 * 1024), (200, 256)] {
        let (mut streams, _guard) = h2(&broker, "invoice-bot", 65_535).await;
        let mut request = head(&broker, "taskpass.v1.TaskService/List");
        for place in 0..fields {
            let name: http::HeaderName = format!("x-long-{place}").parse().expect("a name");
            let value = "x".repeat(length);
            request
                .headers_mut()
                .insert(name, value.parse().expect("a value"));
        }
        if let Ok((response, mut body)) = streams.send_request(request, false) {
            let _ = body.send_data(message(b""), true);
            if let Ok(response) = within(response).await {
                assert_eq!(response.status(), 431, "{response:?}");
            }
        }
        well_behaved_soon(&broker, SOON).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_oversized_message_is_refused_and_says_so() {
    let broker = Broker::start(BIN);
    let mut tasks = broker.services("invoice-bot").await.tasks();
    let request = v1::StartRequest {
        purpose: "p".repeat(600 * 1024),
        scopes: vec![READ.to_owned()],
        ..v1::StartRequest::default()
    };
    let refusal = refused(within(tasks.start(request)).await);
    let said = (refusal.code, refusal.reason.as_str());
    assert_eq!(said, (tonic::Code::InvalidArgument, "MESSAGE_TOO_LARGE"));
    // A message that only says that it is large, one that is none, one that claims compression.
    for (bytes, expected) in [
        (&b"\0\xff\xff\xff\xff"[..], "MESSAGE_TOO_LARGE"),
        (b"\0\0\0\0\x02\xff\xff", "MALFORMED_MESSAGE"),
        (b"\x01\0\0\0\0", "MALFORMED_MESSAGE"),
        (b"\x07\0\0\0\0", "MALFORMED_MESSAGE"),
        (b"\0\0\0\0\x08\x0a", "MALFORMED_MESSAGE"),
    ] {
        let (mut streams, _guard) = h2(&broker, "invoice-bot", 65_535).await;
        let head = head(&broker, "taskpass.v1.TaskService/Start");
        let (response, mut body) = streams.send_request(head, false).expect("a stream");
        body.send_data(Bytes::new(bytes.to_vec()), true)
            .expect("a few bytes");
        let response = within(response).await.expect("an answer");
        let field = |name| {
            response
                .headers()
                .get(name)
                .and_then(|text| text.to_str().ok())
        };
        assert_eq!(
            field("grpc-status"),
            Some("3"),
            "{} {response:?}",
            bytes.escape_ascii()
        );
        let details = field("grpc-status-details-bin").unwrap_or_default();
        let details = data_encoding::BASE64_NOPAD.decode(details.trim_end_matches('=').as_bytes());
        let details = details.expect("base64");
        let says = details
            .windows(expected.len())
            .any(|part| part == expected.as_bytes());
        assert!(
            says,
            "{} is not {expected}: {}",
            bytes.escape_ascii(),
            details.escape_ascii()
        );
    }
    let none = broker
        .audit()
        .iter()
        .any(|line| line["entry"]["kind"] == "task.start");
    assert!(!none, "nothing was started");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_is_closed_on_every_port() {
    let broker = Broker::start(BIN);
    let ports = broker.addresses().clone();
    let noise: Vec<u8> = (0_u32..8_192)
        .map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[2])
        .collect();
    let mut preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // A frame larger than any may be; of a smaller one the rest would be waited for.
    preface.extend([0xff; 9]);
    preface.extend(&noise);
    for url in [&ports.addr, &ports.http, &ports.ops] {
        let (_, authority) = url.split_once("://").expect("a URL");
        for (what, bytes) in [
            ("noise", &noise),
            ("zeros", &vec![0; 8_192]),
            ("preface", &preface),
        ] {
            let mut stream = tcp(authority).await;
            // It may be closed before everything is written.
            let _ = stream.write_all(bytes).await;
            let said = until_closed(&format!("{what} at {url}"), &mut stream, CLOSED).await;
            assert!(!said.starts_with(b"HTTP/1.1 2"), "{}", said.escape_ascii());
        }
    }
    // The same within TLS.
    for bytes in [&noise, &preface] {
        let mut stream = tls(&broker, &modern(&broker, "invoice-bot"))
            .await
            .expect("TLS");
        let _ = stream.write_all(bytes).await;
        let _ = stream.flush().await;
        until_closed("noise within TLS", &mut stream, CLOSED).await;
    }
    well_behaved_soon(&broker, SOON).await;
    assert!(!broker.log().contains("panicked"), "{}", broker.log());
}

/// The gRPC port speaks HTTP/2 in TLS and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_1_on_the_grpc_port_is_not_served() {
    let broker = Broker::start(BIN);
    let request = b"POST /grpc.health.v1.Health/Check HTTP/1.1\r\nHost: a\r\n\
        Content-Type: application/grpc\r\nTE: trailers\r\nContent-Length: 5\r\n\r\n\0\0\0\0\0";
    let mut stream = tcp(broker.authority()).await;
    stream.write_all(request).await.expect("a request");
    let said = until_closed("HTTP/1 in plain text", &mut stream, CLOSED).await;
    assert!(!said.starts_with(b"HTTP/"), "{}", said.escape_ascii());

    let config = tls_of(&broker, "invoice-bot", &[&rustls::version::TLS13], &[]);
    if let Ok(mut stream) = tls(&broker, &config).await {
        stream.write_all(request).await.expect("a request");
        stream.flush().await.expect("a request");
        let said = until_closed("HTTP/1 within TLS", &mut stream, CLOSED).await;
        assert!(!said.starts_with(b"HTTP/1.1 2"), "{}", said.escape_ascii());
    }
    well_behaved_soon(&broker, SOON).await;
}
