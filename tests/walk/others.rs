//! That others can check what was issued: a JOSE library that is not ours, an X.509 library, OpenSSL.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use taskpass_testkit::{Broker, eventually, http};
use x509_parser::prelude::*;

use crate::*;

/// The token's header and claims by a library that knows nothing of us: only the discovery document.
pub(crate) fn by_jose_library(broker: &Broker, token: &str, audience: &str) -> (Algorithm, Value) {
    let discovery = broker.get("/.well-known/openid-configuration").json();
    assert_eq!(discovery["issuer"], json!(broker.addresses().http));
    let jwks = http::get(discovery["jwks_uri"].as_str().unwrap()).unwrap();
    assert_eq!(
        jwks.header("content-type"),
        Some("application/jwk-set+json")
    );
    assert!(
        jwks.header("cache-control")
            .unwrap()
            .contains("max-age=300")
    );
    assert!(jwks.header("etag").is_some());
    let jwks: JwkSet = serde_json::from_slice(&jwks.body).unwrap();
    let header = decode_header(token).unwrap();
    assert_eq!(header.typ.as_deref(), Some("at+jwt"));
    let key = jwks.find(header.kid.as_deref().unwrap()).unwrap();
    let mut validation = Validation::new(header.alg);
    validation.set_audience(&[audience]);
    validation.set_issuer(&[discovery["issuer"].as_str().unwrap()]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub", "nbf"]);
    validation.validate_nbf = true;
    let key = DecodingKey::from_jwk(key).unwrap();
    let claims = decode::<Value>(token, &key, &validation).unwrap().claims;
    let mut other = validation.clone();
    other.set_audience(&["https://other.example"]);
    assert!(decode::<Value>(token, &key, &other).is_err());
    (header.alg, claims)
}

#[tokio::test]
async fn tokens_verify_with_a_jose_library() {
    use taskpass_api::v1::{Access, Stage, TokenAlg};
    let broker = Broker::start(BIN);
    let modern = "https://modern.example";
    let scope = "https://modern.example#read";
    broker
        .target(modern, TokenAlg::Eddsa, &[("read", Access::Read)])
        .await;
    let scopes = [READ, scope];
    broker
        .agent("both-bot", "payments-team", Stage::ReadOnly, &scopes)
        .await;
    let args = [
        "task",
        "start",
        "--purpose",
        "both",
        "--scope",
        READ,
        "--scope",
        scope,
    ];
    let task = broker.cli("both-bot", &args).text("task_id");
    for (target, name, expected) in [
        (LEDGER, "invoices:read", Algorithm::ES256),
        (modern, "read", Algorithm::EdDSA),
    ] {
        let args = [
            "issue", "token", "--task", &task, "--target", target, "--scope", name,
        ];
        let issued = broker.cli("both-bot", &args).json();
        let (alg, claims) = by_jose_library(&broker, text(&issued, "token"), target);
        assert_eq!(alg, expected);
        assert_eq!(claims["scope"], json!(name));
        assert_eq!(claims["jti"], issued["credential_id"]);
        assert_eq!(claims["client_id"], json!("both-bot"));
        assert_eq!(
            claims["sub"],
            json!("spiffe://dev.taskpass.test/agent/both-bot")
        );
        assert!(claims["iat"].is_u64() && claims["exp"].is_u64());
        let details = claims["authorization_details"].as_array().unwrap();
        assert_eq!(details.len(), 1);
        assert_eq!(details[0]["type"], json!("urn:taskpass:task"));
        assert_eq!(details[0]["task_id"], json!(task));
        assert_eq!(details[0]["purpose"], json!("both"));
        assert_eq!(details[0]["stage"], json!("read-only"));
        assert_eq!(details[0]["ancestors"], json!([]));
        assert_eq!(details[0]["decision_id"], issued["decision_id"]);
    }
}

#[tokio::test]
async fn the_list_that_a_certificate_names_has_it_within_three_seconds() {
    let broker = Broker::start(BIN);
    let task = start(&broker, "invoice-bot");
    let id = text(&task, "task_id");
    let out = broker.arg("C");
    broker
        .cli(
            "invoice-bot",
            &["issue", "cert", "--task", id, "--out", &out],
        )
        .json();
    let folder = broker.path("C");
    let der = leaf(&folder);
    let (_, certificate) = X509Certificate::from_der(&der).unwrap();
    let url = distribution_point(&certificate);
    let before = http::get(&url).unwrap();
    assert_eq!(before.status, 200, "{url}");
    let (_, list) = CertificateRevocationList::from_der(&before.body).unwrap();
    assert_eq!(list.iter_revoked_certificates().count(), 0);
    openssl(&folder, None, true);
    openssl(&folder, Some(&before.body), true);

    broker
        .cli("", &["revoke", "--task", id, "--reason", "drill"])
        .json();
    let listed = async {
        eventually("the list has the serial number", async || {
            let body = http::get(&url).unwrap().body;
            let (_, list) = CertificateRevocationList::from_der(&body).unwrap();
            let mut serials = list
                .iter_revoked_certificates()
                .map(RevokedCertificate::raw_serial);
            serials
                .any(|serial| serial == certificate.raw_serial())
                .then_some(body.clone())
        })
        .await
    };
    let body = tokio::time::timeout(Duration::from_secs(3), listed)
        .await
        .unwrap();
    let (_, list) = CertificateRevocationList::from_der(&body).unwrap();
    let (_, earlier) = CertificateRevocationList::from_der(&before.body).unwrap();
    assert!(list.crl_number() > earlier.crl_number());
    let anchors = std::fs::read(folder.join("ca.pem")).unwrap();
    let signed = CertificateDer::pem_slice_iter(&anchors).any(|anchor| {
        let anchor = anchor.unwrap();
        let (_, anchor) = X509Certificate::from_der(&anchor).unwrap();
        list.verify_signature(anchor.public_key()).is_ok()
    });
    assert!(signed, "an authority in ca.pem signed the list");
    openssl(&folder, None, true);
    openssl(&folder, Some(&body), false);
}

fn distribution_point(certificate: &X509Certificate<'_>) -> String {
    let urls: Vec<_> = certificate
        .extensions()
        .iter()
        .filter_map(|extension| match extension.parsed_extension() {
            ParsedExtension::CRLDistributionPoints(points) => Some(points),
            _ => None,
        })
        .flat_map(|points| points.points.iter())
        .filter_map(|point| match &point.distribution_point {
            Some(DistributionPointName::FullName(names)) => Some(names),
            _ => None,
        })
        .flatten()
        .filter_map(|name| match name {
            GeneralName::URI(url) => Some((*url).to_owned()),
            _ => None,
        })
        .collect();
    assert_eq!(urls.len(), 1);
    urls[0].clone()
}

/// What OpenSSL says of the certificate, with a revocation list or without.
fn openssl(folder: &Path, list: Option<&[u8]>, good: bool) {
    if Command::new("openssl").arg("version").output().is_err() {
        println!("not run: openssl is not installed");
        return;
    }
    let mut verify = Command::new("openssl");
    verify
        .arg("verify")
        .arg("-CAfile")
        .arg(folder.join("ca.pem"));
    if let Some(der) = list {
        let der_file = folder.join("list.crl");
        let pem_file = folder.join("list.pem");
        std::fs::write(&der_file, der).unwrap();
        let mut convert = Command::new("openssl");
        convert
            .args(["crl", "-inform", "DER", "-in"])
            .arg(&der_file);
        assert!(
            convert
                .arg("-out")
                .arg(&pem_file)
                .status()
                .unwrap()
                .success()
        );
        verify.arg("-crl_check").arg("-CRLfile").arg(&pem_file);
    }
    let said = verify.arg(folder.join("cert.pem")).output().unwrap();
    let errors = String::from_utf8_lossy(&said.stderr).into_owned();
    assert_eq!(said.status.success(), good, "{errors}");
    assert!(good || errors.contains("certificate revoked"), "{errors}");
}
