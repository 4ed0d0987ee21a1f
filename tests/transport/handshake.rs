//! What a TLS handshake with the gRPC port can be.

use rustls::HandshakeKind;
use taskpass_testkit::{Broker, within};

use crate::BIN;
use crate::raw::{Bytes, head, modern, tls, tls_of};

/// Every connection proves its key and chain anew: a client that would gladly resume may not.
#[tokio::test]
async fn nothing_is_resumed() {
    let broker = Broker::start(BIN);
    let config = modern(&broker, "invoice-bot");
    for attempt in 0..3 {
        let stream = tls(&broker, &config).await.expect("TLS");
        let kind = stream.get_ref().1.handshake_kind();
        assert_eq!(kind, Some(HandshakeKind::Full), "connection {attempt}");
        // Tickets would come after the handshake: go on until an answer is there.
        let handshake = h2::client::Builder::new().handshake::<_, Bytes>(stream);
        let (mut streams, connection) = within(handshake).await.expect("HTTP/2");
        let driving = tokio::spawn(connection);
        let request = head(&broker, "grpc.health.v1.Health/Check");
        let (response, _) = streams.send_request(request, true).expect("a stream");
        let response = within(response).await.expect("an answer");
        assert_eq!(response.status(), 200);
        drop((streams, response));
        within(driving)
            .await
            .expect("no panic")
            .expect("closed in order");
    }
}

#[tokio::test]
async fn older_versions_and_other_protocols_are_refused() {
    let broker = Broker::start(BIN);
    let (new, old) = (&rustls::version::TLS13, &rustls::version::TLS12);
    for (versions, alpn, expected) in [
        (&[old][..], &[&b"h2"[..]][..], false),
        (&[old], &[], false),
        (&[new], &[b"http/1.1"], false),
        (&[new], &[b"h2", b"http/1.1"], true),
        (&[new, old], &[b"h2"], true),
    ] {
        let config = tls_of(&broker, "invoice-bot", versions, alpn);
        let outcome = tls(&broker, &config).await;
        let accepted = outcome.as_ref().is_ok();
        assert_eq!(
            accepted,
            expected,
            "{versions:?} {alpn:?}: {:?}",
            outcome.err()
        );
    }
}
