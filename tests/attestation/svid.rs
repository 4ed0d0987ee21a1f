//! Certificates of another trust domain, made here.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustix::process::{Pid, Signal, kill_process};
use taskpass_client::{Agent, Connection, Refused, Task};
use taskpass_testkit::{Broker, eventually, within};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::issuer::{self, Signer, job};
use crate::{BIN, furnish, started, work};

const ID: &str = "spiffe://prod.example/ns/prod/sa/invoice";

/// An authority of somebody else.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, "prod");
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate of an hour or so, and its key.
    fn svid(&self, ids: &[&str]) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        let uri = |id: &&str| SanType::URI((*id).try_into().unwrap());
        params.subject_alt_names = ids.iter().map(uri).collect();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let now = i64::try_from(crate::now()).unwrap();
        let at = |secs| time_of(now + secs);
        (params.not_before, params.not_after) = (at(-60), at(3600));
        let leaf = params.signed_by(&key, &self.issuer).unwrap().pem();
        Identity::from_pem(leaf, key.serialize_pem())
    }
}

/// An instant in the certificate library's own type, which it takes no other way.
fn time_of<T: From<std::time::SystemTime>>(secs: i64) -> T {
    let since = std::time::Duration::from_secs(u64::try_from(secs).unwrap());
    T::from(std::time::UNIX_EPOCH + since)
}

/// What comes of calling with a certificate.
async fn calls(broker: &Broker, svid: Identity) -> Result<Task, Refused> {
    match channel(broker, svid).await {
        Ok(channel) => work(&Agent::over(channel)).await,
        Err(error) => Err(Refused::from(tonic::Status::unavailable(format!(
            "{error:?}"
        )))),
    }
}

async fn channel(broker: &Broker, svid: Identity) -> Result<Channel, tonic::transport::Error> {
    let anchors = broker.identity("admin").ca_pem().to_owned();
    let tls = ClientTlsConfig::new()
        .domain_name("127.0.0.1")
        .ca_certificate(Certificate::from_pem(anchors))
        .identity(svid);
    let endpoint = Endpoint::from_shared(broker.addresses().addr.clone()).unwrap();
    within(endpoint.tls_config(tls).unwrap().connect()).await
}

/// The handshake ended, and not by an answer of the broker's.
async fn is_turned_away(broker: &Broker, svid: Identity, what: &str) {
    let refused = calls(broker, svid).await.unwrap_err();
    let severed = ["UNAVAILABLE", "UNKNOWN", "CANCELLED", "INTERNAL"];
    assert!(
        severed.contains(&refused.reason.as_str()),
        "{what}: {refused:?}"
    );
}

#[tokio::test]
async fn certificates_of_another_trust_domain() {
    let (prod, evil) = (Authority::new(), Authority::new());
    let folder = tempfile::tempdir().unwrap();
    let [bundle, staging] = ["prod.pem", "staging.pem"].map(|name| folder.path().join(name));
    std::fs::write(&bundle, &prod.pem).unwrap();
    std::fs::write(&staging, &evil.pem).unwrap();
    let domain = |name: &str, bundle: &std::path::Path, id: &str| {
        format!(
            "[[federation.spiffe]]\ntrust_domain = \"{name}\"\nbundle_file = \"{}\"\n\
             [[federation.spiffe.rule]]\nagent = \"invoice-bot\"\nspiffe_id = \"{id}\"\n",
            bundle.display()
        )
    };
    let issuer = issuer::Issuer::start().await;
    let config = issuer.trusted()
        + &domain("prod.example", &bundle, ID)
        + &domain("staging.example", &staging, "spiffe://staging.example/x");
    let broker = Broker::builder(BIN).serve(&config).start();
    furnish(&broker).await;

    let task = calls(&broker, prod.svid(&[ID])).await.unwrap();
    let entry = started(&broker, &task.id().to_string()).await;
    assert_eq!(entry["agent"], "invoice-bot");
    assert_eq!(entry["attestation"]["method"], "foreign_svid");
    assert_eq!(entry["attestation"]["spiffe_id"], ID);
    assert!(entry.get("generation").is_none(), "{entry}");
    let stranger = "spiffe://prod.example/ns/prod/sa/other";
    let refused = calls(&broker, prod.svid(&[stranger])).await.unwrap_err();
    assert_eq!(refused.reason, "UNAUTHENTICATED");
    assert!(refused.message.contains("no rule"), "{refused}");

    // Nobody by its certificate is nobody by a token beside it.
    let token = folder.path().join("token");
    std::fs::write(&token, Signer::Ec.signed(&job())).unwrap();
    let channel = channel(&broker, prod.svid(&[stranger])).await.unwrap();
    let both = Agent::by(Connection::presenting(channel, &token));
    let refused = work(&both).await.unwrap_err();
    assert!(refused.message.contains("one way"), "{refused}");

    // An authority that is believed about its own domain, about nobody else.
    let ours = "spiffe://test.taskpass/agent/invoice-bot";
    let admin = "spiffe://test.taskpass/operator/admin";
    is_turned_away(&broker, evil.svid(&[ID]), "another domain's").await;
    is_turned_away(&broker, prod.svid(&[ours]), "ours").await;
    is_turned_away(&broker, prod.svid(&[admin]), "an operator of ours").await;
    is_turned_away(&broker, prod.svid(&[ID, ours]), "two names").await;
    is_turned_away(
        &broker,
        prod.svid(&["spiffe://third.example/x"]),
        "nobody's",
    )
    .await;
    is_turned_away(&broker, prod.svid(&[]), "no name").await;
    // Our own identities are as before.
    broker.cli("", &["agent", "list"]).ok();

    // Another bundle holds from then on, and the one before does not.
    std::fs::write(&bundle, &evil.pem).unwrap();
    let broker_pid = i32::try_from(broker.pid().unwrap()).unwrap();
    kill_process(Pid::from_raw(broker_pid).unwrap(), Signal::HUP).unwrap();
    eventually("the new bundle holds", async || {
        calls(&broker, evil.svid(&[ID])).await.ok()
    })
    .await;
    is_turned_away(&broker, prod.svid(&[ID]), "the bundle before").await;
}
