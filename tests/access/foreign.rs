//! Certificates that are no identity of this broker's.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use taskpass_client::{Identity, connect};
use taskpass_testkit::{Broker, within};

use crate::*;

pub(crate) fn spiffe(name: &str) -> Vec<SanType> {
    let uri = format!("spiffe://dev.taskpass.test/{name}");
    vec![SanType::URI(uri.try_into().unwrap())]
}

pub(crate) fn of(cert_pem: String, key: &KeyPair, broker: &Broker) -> Identity {
    let anchors = broker.identity("operator").ca_pem().to_owned();
    Identity::new(cert_pem, key.serialize_pem().into(), anchors).unwrap()
}

/// An identity that names the operator, under an authority of our own, and one under none.
pub(crate) fn forged(broker: &Broker) -> [Identity; 2] {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Named as the broker's own authority is.
    let (_, real) =
        x509_parser::pem::parse_x509_pem(broker.identity("operator").ca_pem().as_bytes()).unwrap();
    let real = real.parse_x509().unwrap();
    let name = real
        .subject()
        .iter_common_name()
        .next()
        .unwrap()
        .as_str()
        .unwrap();
    ca.distinguished_name.push(rcgen::DnType::CommonName, name);
    let ca_pem = ca.clone().self_signed(&ca_key).unwrap().pem();
    let ca = Issuer::new(ca, ca_key);
    let mut leaf = CertificateParams::default();
    leaf.subject_alt_names = spiffe("operator/operator");
    let key = KeyPair::generate().unwrap();
    let signed = leaf.signed_by(&key, &ca).unwrap().pem();
    let self_signed = leaf.self_signed(&key).unwrap().pem();
    [
        of(signed + &ca_pem, &key, broker),
        of(self_signed, &key, broker),
    ]
}

/// Not even what needs no identity: a certificate that is not ours ends the handshake.
pub(crate) async fn is_turned_away(broker: &Broker, identity: &Identity, what: &str) {
    for method in methods() {
        let connecting = connect(broker.authority(), Some(identity), identity.ca_pem());
        let Ok(channel) = within(connecting).await else {
            continue;
        };
        let refused = call(&channel, &method).await;
        let refused = refused.unwrap_err();
        // The words of a broken connection, not of the broker.
        let severed = ["UNAVAILABLE", "UNKNOWN", "CANCELLED", "INTERNAL"];
        assert!(
            severed.contains(&refused.reason.as_str()),
            "{what} calls {method}: {refused:?}"
        );
    }
    // It is they that are turned away: the broker is well.
    let nobody = broker.anonymous().await;
    assert_eq!(call(&nobody, "/grpc.health.v1.Health/Check").await, Ok(()));
}

#[tokio::test]
async fn what_is_no_identity_of_ours_is_turned_away() {
    let broker = Broker::start(BIN);
    let agent = broker.services("invoice-bot").await.agent();
    let task = agent.start_task("x", [READ], None).await.unwrap();
    let certificate = task.certificate(None).await.unwrap();
    let anchors = broker.identity("operator").ca_pem().to_owned();
    let (chain, key) = (
        certificate.cert_pem().to_owned(),
        certificate.key_pem().clone(),
    );
    let of_task = Identity::new(chain, key, anchors.clone()).unwrap();
    is_turned_away(&broker, &of_task, "a task's certificate").await;

    let [foreign, self_signed] = forged(&broker);
    is_turned_away(&broker, &foreign, "a foreign authority's certificate").await;
    is_turned_away(&broker, &self_signed, "a self-signed certificate").await;

    // Of another broker of the very same trust domain.
    let other = Broker::start(BIN);
    let theirs = other.identity("operator");
    let (cert, key) = (theirs.cert_pem().to_owned(), theirs.key_pem().clone());
    let theirs = Identity::new(cert, key, anchors).unwrap();
    is_turned_away(&broker, &theirs, "another broker's operator").await;
}
