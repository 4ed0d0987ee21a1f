//! Roots that are elsewhere: made offline, and a company's above ours. Checked by our verifier and, where
//! it is installed, by OpenSSL.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose,
    SubjectPublicKeyInfo,
};
use rustls_pki_types::CertificateSigningRequestDer;
use rustls_pki_types::pem::PemObject as _;
use taskpass_testkit::Broker;
use taskpass_verify::Reason;
use x509_parser::prelude::{FromDer as _, X509CertificationRequest};

use super::{BIN, LEDGER, keys, only, task};

/// An authority of somebody else's, as one makes it by hand.
struct Root {
    pem: String,
    signer: rcgen::Issuer<'static, KeyPair>,
}

fn params(name: DistinguishedName, below: u8) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2040, 1, 1);
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut dn = DistinguishedName::new();
    dn.push(DnType::OrganizationName, "Example");
    dn.push(DnType::CommonName, name);
    dn
}

impl Root {
    fn new(name: &str, below: u8) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = params(named(name), below);
        let pem = params.self_signed(&key).unwrap().pem();
        let signer = rcgen::Issuer::new(params, key);
        Self { pem, signer }
    }

    fn certify(&self, request: &str, below: u8) -> String {
        let der = CertificateSigningRequestDer::from_pem_slice(request.as_bytes()).unwrap();
        let (_, parsed) = X509CertificationRequest::from_der(&der).unwrap();
        parsed.verify_signature().unwrap();
        let info = &parsed.certification_request_info;
        let mut name = DistinguishedName::new();
        for attribute in info.subject.iter_attributes() {
            let kind = match attribute.attr_type().to_id_string().as_str() {
                "2.5.4.10" => DnType::OrganizationName,
                "2.5.4.3" => DnType::CommonName,
                other => panic!("{other}"),
            };
            name.push(kind, attribute.as_str().unwrap());
        }
        let mut params = params(name, below);
        params.use_authority_key_identifier_extension = true;
        // As OpenSSL's `subjectKeyIdentifier=hash`.
        let sha1 = &ring::digest::SHA1_FOR_LEGACY_USE_ONLY;
        let id = ring::digest::digest(sha1, &info.subject_pki.subject_public_key.data);
        params.key_identifier_method = rcgen::KeyIdMethod::PreSpecified(id.as_ref().to_vec());
        let key = SubjectPublicKeyInfo::from_der(info.subject_pki.raw).unwrap();
        params.signed_by(&key, &self.signer).unwrap().pem()
    }
}

fn import(broker: &Broker, file: &str, more: &[&str]) -> serde_json::Value {
    std::fs::write(broker.path("import.pem"), file).unwrap();
    let path = broker.arg("import.pem");
    let args = [&["keys", "import", "--certificate", &path][..], more].concat();
    broker.cli("", &args).json()
}

/// A task certificate's chain, in PEM.
fn certificate(broker: &Broker) -> String {
    let (task, out) = (task(broker), broker.arg("cert"));
    let issue = ["issue", "cert", "--task", &task, "--out", &out, "--force"];
    let issued = broker.cli("invoice-bot", &issue[..6]);
    issued.ok();
    let chain = std::fs::read_to_string(broker.path("cert/cert.pem")).unwrap();
    std::fs::remove_dir_all(broker.path("cert")).unwrap();
    chain
}

/// Why our verifier, with the anchors of this moment, refuses a certificate; nothing if it does not.
async fn by_our_verifier(broker: &Broker, chain: &str) -> Option<Reason> {
    broker.watch("", &[LEDGER]).await.certificate(chain)
}

/// What OpenSSL says; nothing where it is not installed.
fn by_openssl(folder: &Path, anchors: &str, chain: &str) -> Option<bool> {
    let (ca, leaf, above) = (
        folder.join("openssl-ca.pem"),
        folder.join("openssl-leaf.pem"),
        folder.join("openssl-above.pem"),
    );
    let mark = "-----END CERTIFICATE-----\n";
    let (first, rest) = chain.split_once(mark).unwrap();
    std::fs::write(&ca, anchors).unwrap();
    std::fs::write(&leaf, format!("{first}{mark}")).unwrap();
    std::fs::write(&above, rest).unwrap();
    let run = Command::new("openssl")
        .args([
            "verify",
            "-x509_strict",
            "-purpose",
            "sslclient",
            "-no-CApath",
            "-CAfile",
        ])
        .arg(&ca)
        .arg("-untrusted")
        .arg(&above)
        .arg(&leaf)
        .output();
    let Ok(run) = run else {
        println!("not run: openssl is not installed");
        return None;
    };
    println!("{}", String::from_utf8_lossy(&run.stderr));
    Some(run.status.success())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_above_our_root() {
    let broker = Broker::start(BIN);
    let request = broker.cli_raw("", &["keys", "export-csr", "task-root"], b"");
    let company = Root::new("Example Root", 2);
    let crossed = company.certify(&request.stdout, 1);
    let anchors = broker.get("/ca.pem").text();
    import(&broker, &(crossed + &company.pem), &[]);
    // Who trusts our anchors comes to trust nobody else.
    assert_eq!(broker.get("/ca.pem").text(), anchors);
    let chain = certificate(&broker);
    assert_eq!(chain.matches("BEGIN").count(), 3, "leaf, issuing, our root");
    assert_eq!(by_our_verifier(&broker, &chain).await, None);
    for trusted in [&anchors, &company.pem] {
        assert_ne!(by_openssl(broker.data(), trusted, &chain), Some(false));
    }
    let stranger = Root::new("Example Root", 2);
    assert_ne!(by_openssl(broker.data(), &stranger.pem, &chain), Some(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_made_offline() {
    let mut broker = Broker::start(BIN);
    let request = broker
        .cli("", &["keys", "export-csr", "task"])
        .text("csr_pem");
    let waiting = only(&broker, "task-issuing", "waiting");
    broker.kill9();
    broker.restart();
    let again = broker.cli("", &["keys", "export-csr", "task"]);
    assert_eq!(again.text("key_id"), waiting);

    let root = Root::new("Task Root, offline", 1);
    let file = root.certify(&request, 0) + &root.pem;
    let imported = import(&broker, &file, &[]);
    assert_eq!(imported["authority"]["key_id"], waiting.as_str());
    let known = imported["root"]["key_id"].as_str().unwrap().to_owned();
    assert_eq!(only(&broker, "task-root", "active"), known);
    // A week, for everybody to hear of the new root; this test will not wait that long.
    let chain = certificate(&broker);
    let refused = by_our_verifier(&broker, &chain).await;
    assert_eq!(refused, None, "the authority of before still signs");
    let rotate = ["keys", "rotate", waiting.as_str(), "--now"];
    broker.cli("", &rotate).ok();
    let anchors = broker.get("/ca.pem").text();
    assert!(
        anchors.starts_with(&root.pem.replace("\r\n", "\n")),
        "{anchors}"
    );
    let chain = certificate(&broker);
    assert_eq!(by_our_verifier(&broker, &chain).await, None);
    for trusted in [&anchors, &root.pem] {
        assert_ne!(by_openssl(broker.data(), trusted, &chain), Some(false));
    }
    // The root's list comes from where its key is.
    assert_eq!(broker.get("/crl/root.crl").status, 404);
    let list = rcgen::CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(2020, 1, 1),
        next_update: rcgen::date_time_ymd(2040, 1, 1) - Duration::from_secs(1),
        crl_number: rcgen::SerialNumber::from(1_u64),
        issuing_distribution_point: None,
        revoked_certs: vec![],
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    let list = list.signed_by(&root.signer).unwrap().pem().unwrap();
    import(&broker, &list, &[]);
    assert_eq!(broker.get("/crl/root.crl").status, 200);
    // Nothing stands by, and nobody here can make one.
    assert!(keys(&broker, "task-issuing", "prepared").is_empty());
    let taint = ["keys", "taint", waiting.as_str(), "--reason", "r"];
    broker
        .cli("", &taint)
        .refused("KEY_NOT_READY", &["export-csr task"]);
    let private = broker.path("secret.pem");
    std::fs::write(
        &private,
        file + &KeyPair::generate().unwrap().serialize_pem(),
    )
    .unwrap();
    let private = private.display().to_string();
    broker
        .cli("", &["keys", "import", "--certificate", &private])
        .refused("INVALID_CERTIFICATE", &["nothing secret"]);
    let forget = [
        "keys",
        "forget-root",
        "control",
        "--reason",
        "kept on paper",
    ];
    let forgotten = broker.cli("", &forget).json();
    assert_eq!(forgotten["root"]["has_private"], false);
    broker.restart();
    broker.cli("", &["keys", "list"]).ok();
}
