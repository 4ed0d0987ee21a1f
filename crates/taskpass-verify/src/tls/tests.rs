use std::time::Duration;

use rcgen::{ExtendedKeyUsagePurpose, KeyPair};
use rustls::ClientConfig;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_pki_types::{PrivatePkcs8KeyDer, ServerName};
use taskpass_core::revocation::Selector;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

use super::*;
use crate::testing::{HOST, World, key, task_id, uri};

async fn listen(
    world: &World,
    callers: TaskClientVerifier,
    limits: Handshakes,
) -> (Incoming, CertificateDer<'static>) {
    let (mut config, certificate) = world.server_tls(Arc::new(callers));
    without_resumption(&mut config);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    (
        Incoming::new(listener, config, limits).unwrap(),
        certificate,
    )
}

/// Connects, and hears one byte if the server lets it in; the server's word for the refusal if not.
async fn call(
    world: &World,
    callers: TaskClientVerifier,
    own: Option<(Vec<u8>, &KeyPair)>,
) -> Result<usize, String> {
    call_as(world, callers, |server| world.client_tls(server, own)).await
}

async fn call_as(
    world: &World,
    callers: TaskClientVerifier,
    caller: impl FnOnce(&CertificateDer<'static>) -> ClientConfig,
) -> Result<usize, String> {
    let (mut incoming, server) = listen(world, callers, Handshakes::default()).await;
    let address = incoming.address();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = incoming.next().await.unwrap();
        let presented = stream.get_ref().1.peer_certificates().map_or(0, <[_]>::len);
        stream.write_u8(7).await.unwrap();
        stream.shutdown().await.unwrap();
        presented
    });
    let config = Arc::new(caller(&server));
    let tcp = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from(HOST).unwrap();
    let heard = async {
        let mut stream = TlsConnector::from(config).connect(name, tcp).await?;
        stream.read_u8().await
    };
    match heard.await {
        Ok(byte) => {
            assert_eq!(byte, 7);
            Ok(serving.await.unwrap())
        }
        Err(error) => {
            serving.abort();
            Err(error.to_string())
        }
    }
}

#[tokio::test]
async fn only_a_tasks_certificate_that_is_good_now_gets_in() {
    let world = World::new();
    let verifier = world.verifier();
    let callers = || TaskClientVerifier::new(verifier.clone());
    let own = key();
    let good = world.issue_for(&world.leaf(), &own);
    assert_eq!(
        call(&world, callers(), Some((good.clone(), &own))).await,
        Ok(1)
    );
    // Of Ed25519 as well.
    let ed = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let leaf = world.issue_for(&world.leaf(), &ed);
    assert_eq!(call(&world, callers(), Some((leaf, &ed))).await, Ok(1));

    let mut identity = world.leaf();
    identity.subject_alt_names = vec![uri("spiffe://example.org/agent/invoice-bot")];
    let mut bare = world.leaf();
    bare.custom_extensions.clear();
    let mut server = world.leaf();
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let stranger = World::new();
    for (what, der, word) in [
        (
            "an identity",
            world.issue_for(&identity, &own),
            "AccessDenied",
        ),
        (
            "without the extension",
            world.issue_for(&bare, &own),
            "AccessDenied",
        ),
        (
            "for servers",
            world.issue_for(&server, &own),
            "UnsupportedCertificate",
        ),
        (
            "a stranger's",
            stranger.issue_for(&world.leaf(), &own),
            "DecryptError",
        ),
    ] {
        let refused = call(&world, callers(), Some((der, &own)))
            .await
            .unwrap_err();
        assert!(refused.contains(word), "{what}: {refused}");
    }
    let refused = call(&world, callers(), None).await.unwrap_err();
    assert!(refused.contains("CertificateRequired"), "{refused}");
    assert_eq!(call(&world, callers().optional(), None).await, Ok(0));

    // The right certificate and another key.
    let refused = call_as(&world, callers(), |server| {
        let other = PrivatePkcs8KeyDer::from(key().serialize_der());
        let other = rustls::crypto::ring::sign::any_supported_type(&other.into()).unwrap();
        let stolen = CertifiedKey::new(vec![good.clone().into()], other);
        let mut config = world.client_tls(server, None);
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(stolen));
        config
    });
    let refused = refused.await.unwrap_err();
    assert!(refused.contains("DecryptError"), "{refused}");

    world.revoke(&verifier, Selector::Task(task_id(1)));
    for callers in [callers(), callers().optional()] {
        let shown = Some((good.clone(), &own));
        let refused = call(&world, callers, shown).await.unwrap_err();
        assert!(refused.contains("CertificateRevoked"), "{refused}");
    }
}

#[tokio::test]
async fn what_cannot_be_judged_does_not_get_in() {
    let world = World::new();
    let own = key();
    let shown = || Some((world.issue_for(&world.leaf(), &own), &own));
    let blank = world.blank(world.settings());
    let refused = call(&world, TaskClientVerifier::new(blank), shown()).await;
    assert!(refused.unwrap_err().contains("AccessDenied"));
    let verifier = world.verifier();
    world.clock.advance(Duration::from_secs(31));
    let refused = call(&world, TaskClientVerifier::new(verifier), shown()).await;
    assert!(refused.unwrap_err().contains("AccessDenied"));
    let lists = CrlVerifier::new(
        "example.org".parse().unwrap(),
        &world.anchors(),
        Arc::new(world.clock.clone()),
    );
    let callers = TaskClientVerifier::with_lists(lists.unwrap());
    assert!(call(&world, callers, shown()).await.is_err());
}

#[tokio::test]
async fn a_peer_that_dawdles_delays_nobody() {
    let world = World::new();
    let own = key();
    let callers = TaskClientVerifier::new(world.verifier());
    let (mut incoming, server) = listen(&world, callers, Handshakes::default()).await;
    let silent = TcpStream::connect(incoming.address()).await.unwrap();
    let shown = Some((world.issue_for(&world.leaf(), &own), &own));
    let config = Arc::new(world.client_tls(&server, shown));
    let tcp = TcpStream::connect(incoming.address()).await.unwrap();
    let name = ServerName::try_from(HOST).unwrap();
    let connecting = TlsConnector::from(config).connect(name, tcp);
    let (connected, arrived) = tokio::join!(connecting, incoming.next());
    assert!(connected.is_ok() && arrived.is_some());
    drop(silent);
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_given_up() {
    let world = World::new();
    let callers = TaskClientVerifier::new(world.verifier());
    let limits = Handshakes {
        at_once: 1,
        within: Duration::from_secs(10),
    };
    let (incoming, _) = listen(&world, callers, limits).await;
    let mut silent = TcpStream::connect(incoming.address()).await.unwrap();
    // Time passes as soon as there is nothing else to do.
    tokio::time::pause();
    assert_eq!(silent.read(&mut [0]).await.unwrap(), 0);
}
