//! The shape of a task certificate, field by field, and what a verifier that is not ours makes of it.

use super::*;
use crate::csr::tests::proved;
use crate::issuer::tests::{NOW, grant, issuer, scopes, task};
use std::collections::BTreeSet;
use std::time::Duration;
use taskpass_core::rng::SeededRng;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer as _, X509Certificate};

pub(crate) fn terms(alg: &'static rcgen::SignatureAlgorithm) -> CertificateTerms {
    let id = "spiffe://example.org/agent/invoice-bot".parse().unwrap();
    CertificateTerms {
        agent: "invoice-bot".parse().unwrap(),
        owner: "payments".parse().unwrap(),
        task: task(),
        public_key: proved(alg, &id),
        now: NOW,
        ends_at: NOW.plus(Duration::from_mins(10)),
    }
}

pub(crate) fn sign(issuer: &Issuer, terms: CertificateTerms, seed: u64) -> SignedCertificate {
    let grant = grant("invoice-bot", Ask::Certificate);
    let prepared = issuer
        .prepare_certificate(grant, terms, &SeededRng::new(seed))
        .unwrap();
    issuer.sign_certificate(prepared).unwrap()
}

/// Every extension: its OID, whether critical, and a word on its content.
pub(crate) fn extensions(certificate: &X509Certificate<'_>) -> Vec<(String, bool, String)> {
    certificate
        .extensions()
        .iter()
        .map(|extension| {
            let content = match extension.parsed_extension() {
                ParsedExtension::SubjectAlternativeName(names) => names
                    .general_names
                    .iter()
                    .map(|name| match name {
                        GeneralName::URI(uri) => (*uri).to_owned(),
                        GeneralName::DNSName(dns) => format!("dns {dns}"),
                        GeneralName::IPAddress(ip) => format!("ip {ip:?}"),
                        other => format!("{other:?}"),
                    })
                    .collect::<Vec<_>>()
                    .join(", "),
                ParsedExtension::KeyUsage(usage) => usage.to_string(),
                ParsedExtension::ExtendedKeyUsage(usage) => {
                    format!("client {} server {}", usage.client_auth, usage.server_auth)
                }
                ParsedExtension::BasicConstraints(constraints) => format!(
                    "ca {} path {:?}",
                    constraints.ca, constraints.path_len_constraint
                ),
                _ => String::new(),
            };
            (extension.oid.to_id_string(), extension.critical, content)
        })
        .collect()
}

fn row(oid: &str, critical: bool, content: &str) -> (String, bool, String) {
    (oid.to_owned(), critical, content.to_owned())
}

#[test]
fn the_profile_field_by_field() {
    let issuer = issuer();
    let terms = terms(&rcgen::PKCS_ECDSA_P256_SHA256);
    let signed = sign(&issuer, terms.clone(), 1);
    let (rest, certificate) = X509Certificate::from_der(&signed.der).unwrap();
    assert!(rest.is_empty());
    let id = signed.credential.id;
    let expires = id.expires_at().secs();

    assert_eq!(certificate.raw_serial(), id.as_bytes());
    assert_eq!(certificate.subject().iter().count(), 0);
    assert_eq!(certificate.public_key().raw, terms.public_key.spki());
    let validity = certificate.validity();
    let (from, until) = (
        validity.not_before.timestamp(),
        validity.not_after.timestamp(),
    );
    assert_eq!(u64::try_from(from).unwrap(), NOW.secs() - 60);
    assert_eq!(u64::try_from(until).unwrap(), expires - 1);
    let uri = format!(
        "spiffe://example.org/agent/invoice-bot/task/{}",
        terms.task.id
    );
    assert_eq!(
        extensions(&certificate),
        [
            row("2.5.29.35", false, ""),
            row("2.5.29.17", true, &uri),
            row("2.5.29.15", true, "Digital Signature"),
            row("2.5.29.37", false, "client true server false"),
            row("2.5.29.31", false, ""),
            row("2.5.29.14", false, ""),
            row("2.5.29.19", true, "ca false path None"),
            row(taskpass_token::task_extension::OID_TEXT, false, ""),
        ]
    );

    let authority = &issuer.authorities(Hierarchy::Task, NOW)[0];
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(aki) => {
                let aki = aki.key_identifier.as_ref().unwrap().0;
                assert_eq!(aki, authority.key_identifier);
                let key = issuer.issuing_key(Hierarchy::Task, aki);
                assert_eq!(key, Some(&signed.credential.key));
                assert_eq!(issuer.issuing_key(Hierarchy::Control, aki), None);
            }
            ParsedExtension::CRLDistributionPoints(points) => {
                let shown = format!("{:?}", points.points);
                let id = &authority.id;
                let bucket = expires / 3600;
                let url = format!("http://crl.example:8081/crl/{id}/{bucket}.crl");
                assert!(shown.contains(&url), "{shown}");
            }
            ParsedExtension::UnsupportedExtension { .. } => {
                let read = TaskExtension::from_der(extension.value).unwrap();
                assert_eq!(read.issued_at, NOW.secs());
                assert_eq!(read.ancestors, terms.task.ancestors);
            }
            _ => {}
        }
    }
}

#[test]
fn the_record_says_what_the_certificate_says() {
    let issuer = issuer();
    let terms = terms(&rcgen::PKCS_ED25519);
    let signed = sign(&issuer, terms.clone(), 1);
    let credential = &signed.credential;
    assert_eq!(credential.digest, Sha256::of(&signed.der));
    assert_eq!(credential.body, CredentialBody::Certificate);
    assert_eq!(credential.id.ends_at(), terms.ends_at);
    assert_eq!(credential.task, terms.task.id);
    assert_eq!(credential.ancestors, terms.task.ancestors);
    assert_eq!(
        credential.key,
        issuer.authorities(Hierarchy::Task, NOW)[0].key
    );
    assert_eq!(signed.chain_pem.matches("BEGIN CERTIFICATE").count(), 2);
    assert!(!signed.chain_pem.contains("KEY"));
}

#[test]
fn certificates_of_one_key_have_different_serials() {
    let issuer = issuer();
    let terms = terms(&rcgen::PKCS_ED25519);
    let serials: BTreeSet<_> = (0..50)
        .map(|seed| {
            let signed = sign(&issuer, terms.clone(), seed);
            let (_, certificate) = X509Certificate::from_der(&signed.der).unwrap();
            certificate.raw_serial().to_vec()
        })
        .collect();
    assert_eq!(serials.len(), 50);
}

#[test]
fn a_grant_that_does_not_cover_the_terms() {
    let issuer = issuer();
    let terms = terms(&rcgen::PKCS_ED25519);
    let refusal = |agent: &str, ask, terms| {
        issuer
            .prepare_certificate(grant(agent, ask), terms, &SeededRng::new(1))
            .unwrap_err()
    };
    assert!(matches!(
        refusal("planner", Ask::Certificate, terms.clone()),
        PrepareError::OtherAgent { .. }
    ));
    assert_eq!(
        refusal(
            "invoice-bot",
            scopes(&["https://a.example#x"]),
            terms.clone()
        ),
        PrepareError::CertificateNotGranted
    );
    let ending = |ends_at| CertificateTerms {
        ends_at,
        ..terms.clone()
    };
    for (ends_at, expected) in [
        (NOW, PrepareError::TooShort),
        (
            task().id.deadline().plus(Duration::from_millis(1)),
            PrepareError::BeyondTask,
        ),
        (
            NOW.plus(Duration::from_hours(25)),
            PrepareError::TooLong(MAX_CERTIFICATE_TTL),
        ),
    ] {
        assert_eq!(
            refusal("invoice-bot", Ask::Certificate, ending(ends_at)),
            expected
        );
    }
    let late = NOW.plus(crate::init::ISSUING_LIFE);
    let late = CertificateTerms {
        now: late.minus(Duration::from_mins(5)),
        ends_at: late.plus(Duration::from_mins(5)),
        task: TaskFacts {
            id: taskpass_core::TaskId::first_at(late.plus(Duration::from_hours(1))),
            ..task()
        },
        ..terms.clone()
    };
    assert_eq!(
        refusal("invoice-bot", Ask::Certificate, late),
        PrepareError::BeyondAuthority(Hierarchy::Task.issuing())
    );
}

#[test]
fn an_svid_differs_in_its_uses_alone() {
    let issuer = issuer();
    let signed = |ask| {
        let grant = grant("invoice-bot", ask);
        let prepared = issuer
            .prepare_certificate(grant, terms(&rcgen::PKCS_ED25519), &SeededRng::new(1))
            .unwrap();
        issuer.sign_certificate(prepared).unwrap()
    };
    let (client, svid) = (signed(Ask::Certificate), signed(Ask::Svid));
    let shown = |der: &[u8]| extensions(&X509Certificate::from_der(der).unwrap().1);
    let (client, svid) = (shown(&client.der), shown(&svid.der));
    let different: Vec<_> = client.iter().zip(&svid).filter(|(a, b)| a != b).collect();
    let [(client, svid)] = different.as_slice() else {
        panic!("{different:?}");
    };
    assert_eq!(client.2, "client true server false");
    assert_eq!(svid.2, "client true server true");
}
