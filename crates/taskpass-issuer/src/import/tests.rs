//! Authorities that an offline root certified, made here as an operator would make them.

mod again;

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SubjectPublicKeyInfo,
};

use super::*;
use crate::issuer::Issuer;
use crate::issuer::tests::{NOW, config, issuer, kek, records};
use crate::pem;
use crate::testing_path::accepted;

const DAY: u64 = 24 * 3600;

/// An authority of somebody else's.
struct Elsewhere {
    pem: String,
    der: Vec<u8>,
    signer: rcgen::Issuer<'static, KeyPair>,
}

fn times(params: &mut CertificateParams, from: Timestamp, until: Timestamp) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(from.secs());
    params.not_after = epoch + Duration::from_secs(until.secs());
}

fn authority_params(name: &str, below: Option<u8>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "Example");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(below.map_or(
        BasicConstraints::Unconstrained,
        BasicConstraints::Constrained,
    ));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    times(&mut params, NOW, NOW.plus(Duration::from_secs(3650 * DAY)));
    params
}

impl Elsewhere {
    fn root(name: &str, alg: &'static rcgen::SignatureAlgorithm) -> Self {
        let key = KeyPair::generate_for(alg).unwrap();
        let mut params = authority_params(name, None);
        params.use_authority_key_identifier_extension = false;
        let certificate = params.self_signed(&key).unwrap();
        Self {
            pem: certificate.pem(),
            der: certificate.der().to_vec(),
            signer: rcgen::Issuer::new(params, key),
        }
    }

    fn beneath(&self, name: &str, below: u8) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = authority_params(name, Some(below));
        let certificate = params.signed_by(&key, &self.signer).unwrap();
        Self {
            pem: certificate.pem(),
            der: certificate.der().to_vec(),
            signer: rcgen::Issuer::new(params, key),
        }
    }

    /// Certifies the key of a request, as `openssl x509 -req` does: under its subject.
    fn certify(&self, request: &str, change: impl FnOnce(&mut CertificateParams)) -> String {
        use x509_parser::prelude::FromDer as _;
        let der = pem::decode(request.as_bytes(), &["CERTIFICATE REQUEST"]).unwrap();
        let (_, parsed) = x509_parser::prelude::X509CertificationRequest::from_der(&der).unwrap();
        parsed.verify_signature().unwrap();
        let info = &parsed.certification_request_info;
        let text = |oid: &x509_parser::der_parser::Oid<'_>| {
            let found = info.subject.iter_by_oid(oid).next().unwrap();
            found.as_str().unwrap().to_owned()
        };
        let mut params = authority_params("", Some(0));
        params.distinguished_name = DistinguishedName::new();
        let organisation = text(&x509_parser::oid_registry::OID_X509_ORGANIZATION_NAME);
        let name = text(&x509_parser::oid_registry::OID_X509_COMMON_NAME);
        params
            .distinguished_name
            .push(DnType::OrganizationName, organisation);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = SubjectPublicKeyInfo::from_der(info.subject_pki.raw).unwrap();
        let public = spki::from_der(info.subject_pki.raw).unwrap();
        params.key_identifier_method =
            rcgen::KeyIdMethod::PreSpecified(crate::init::key_identifier(&public));
        change(&mut params);
        params.signed_by(&key, &self.signer).unwrap().pem()
    }
}

fn offline() -> Elsewhere {
    Elsewhere::root("task root, offline", &rcgen::PKCS_ECDSA_P256_SHA256)
}

/// Records with a key that waits, and its request.
fn waiting(hierarchy: Hierarchy) -> (Vec<KeyRecord>, KeyRecord, String) {
    let issuer = issuer();
    let purpose = hierarchy.issuing();
    let record = issuer.make_waiting(purpose, NOW, &kek()).unwrap();
    let request = issuer.request(&record, &kek()).unwrap();
    let mut all = records();
    all.push(record.clone());
    (all, record, request)
}

fn put(records: &mut Vec<KeyRecord>, changed: KeyRecord) {
    match records.iter_mut().find(|record| record.id == changed.id) {
        Some(record) => *record = changed,
        None => records.push(changed),
    }
}

/// Records after the imported authority has taken over beneath its root.
fn taken_over(mut all: Vec<KeyRecord>, imported: Imported) -> Vec<KeyRecord> {
    let Imported::Authority { record, root } = imported else {
        panic!("{imported:?}");
    };
    if let Some(root) = root {
        for old in &mut all {
            if old.purpose == root.purpose {
                old.state = KeyState::Retired;
                old.retired_at = Some(NOW);
            }
        }
        all.push(*root);
    }
    put(&mut all, (*record).clone());
    let changed = rotation::take_over(&all, &record, NOW);
    for record in changed {
        put(&mut all, record);
    }
    all
}

#[test]
fn an_offline_root_certifies_and_what_is_issued_beneath_it_is_accepted() {
    for hierarchy in Hierarchy::ALL {
        let (all, record, request) = waiting(hierarchy);
        assert!(Issuer::open(all.clone(), config(), &kek()).is_ok());
        let root = offline();
        let certificate = root.certify(&request, |_| {});
        // In any order, with text around.
        let file = format!("subject=CN = x\n{}\n{certificate}", root.pem);
        let imported = import(&all, &file, NOW).unwrap();
        let Imported::Authority {
            record: prepared,
            root: Some(new_root),
        } = &imported
        else {
            panic!("{imported:?}");
        };
        assert_eq!(
            (&prepared.id, prepared.state),
            (&record.id, KeyState::Prepared)
        );
        assert!(prepared.not_after > Some(NOW) && prepared.chain.is_empty());
        assert!(!new_root.has_private());
        assert_eq!(new_root.certificate.as_deref(), Some(&*root.der));

        let all = taken_over(all, imported.clone());
        let issuer = Issuer::open(all.clone(), config(), &kek()).unwrap();
        let anchors = issuer.anchors(hierarchy, NOW);
        assert!(anchors.starts_with(&pem::encode("CERTIFICATE", &root.der)));
        // The old root stays, as long as an authority beneath it is published.
        assert_eq!(anchors.matches("BEGIN").count(), 2 + 3);
        assert!(accepted(&issuer, hierarchy, &[&root.der], NOW));
        let later = NOW.plus(Duration::from_secs(8 * DAY + 61));
        let forgotten: Vec<_> = all
            .iter()
            .filter(|r| r.purpose != hierarchy.issuing() || r.state != KeyState::Prepared)
            .cloned()
            .collect();
        let issuer = Issuer::open(forgotten, config(), &kek()).unwrap();
        assert_eq!(issuer.anchors(hierarchy, later).matches("BEGIN").count(), 2);
        // The same file again changes nothing.
        assert!(matches!(import(&all, &file, NOW), Ok(Imported::Known(r)) if r.id == record.id));
        // Nobody here can make another one.
        assert!(!rotation::can_make(&all, hierarchy.issuing()));
        let refused = issuer.make_next(hierarchy.issuing(), NOW, &kek());
        assert!(matches!(refused, Err(crate::InitError::RootElsewhere(_))));
    }
}

#[test]
fn beneath_a_root_that_is_known_only_the_certificate_comes() {
    let (all, _, request) = waiting(Hierarchy::Task);
    let root = offline();
    let first = import(&all, &(root.certify(&request, |_| {}) + &root.pem), NOW).unwrap();
    let all = taken_over(all, first);
    let next = issuer()
        .make_waiting(KeyPurpose::TaskIssuing, NOW, &kek())
        .unwrap();
    let request = issuer().request(&next, &kek()).unwrap();
    let mut all = all;
    all.push(next);
    let second = import(&all, &root.certify(&request, |_| {}), NOW).unwrap();
    assert!(matches!(second, Imported::Authority { root: None, .. }));
}

#[test]
fn a_company_above_an_offline_root_and_between() {
    let (all, _, request) = waiting(Hierarchy::Task);
    let company = offline();
    let between = company.beneath("taskpass at Example", 1);
    let file = between.certify(&request, |_| {}) + &between.pem + &company.pem;
    let imported = import(&all, &file, NOW).unwrap();
    let all = taken_over(all, imported);
    let issuer = Issuer::open(all, config(), &kek()).unwrap();
    assert!(accepted(&issuer, Hierarchy::Task, &[&company.der], NOW));
    let (all, _, request) = waiting(Hierarchy::Task);
    let gap = between.certify(&request, |_| {}) + &company.pem;
    assert!(matches!(
        import(&all, &gap, NOW),
        Err(ImportError::NoPath { .. })
    ));
}

#[test]
fn a_company_certifies_our_root_and_both_anchors_are_accepted() {
    for alg in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ED25519] {
        let company = Elsewhere::root("Example Root", alg);
        let between = company.beneath("Example Policy CA", 2);
        for hierarchy in Hierarchy::ALL {
            let all = records();
            let root = all.iter().find(|r| r.purpose == hierarchy.root()).unwrap();
            let request = issuer().request(root, &kek()).unwrap();
            let crossed = between.certify(&request, |params| {
                params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
            });
            let file = crossed + &between.pem + &company.pem;
            let Ok(Imported::Root(record)) = import(&all, &file, NOW) else {
                panic!("{:?}", import(&all, &file, NOW));
            };
            assert_eq!(record.chain.len(), 2, "without the self-signed one");
            let mut all = all.clone();
            put(&mut all, *record);
            assert!(matches!(import(&all, &file, NOW), Ok(Imported::Known(_))));
            let issuer = Issuer::open(all, config(), &kek()).unwrap();
            // Whoever trusts our anchors does not come to trust the company.
            assert_eq!(
                issuer.anchors(hierarchy, NOW),
                crate::issuer::tests::issuer().anchors(hierarchy, NOW)
            );
            assert!(accepted(
                &issuer,
                hierarchy,
                &[issuer.root_der(hierarchy)],
                NOW
            ));
            assert!(accepted(&issuer, hierarchy, &[&company.der], NOW));
        }
    }
}

#[test]
fn what_an_authority_may_not_say_is_refused() {
    type Change = fn(&mut CertificateParams);
    let cases: &[(&str, Change)] = &[
        ("not an authority's", |p| p.is_ca = IsCa::ExplicitNoCa),
        ("path length must be 0", |p| {
            p.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
        }),
        ("path length must be 0", |p| {
            p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }),
        ("keyUsage", |p| {
            p.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        }),
        ("keyUsage", |p| p.key_usages.clear()),
        ("ends too soon", |p| {
            times(p, NOW, NOW.plus(Duration::from_secs(9 * DAY)));
        }),
        ("not valid before", |p| {
            times(
                p,
                NOW.plus(Duration::from_secs(DAY)),
                NOW.plus(Duration::from_secs(300 * DAY)),
            );
        }),
        ("ends too soon", |p| {
            // After the root above it.
            times(p, NOW, NOW.plus(Duration::from_secs(3651 * DAY)));
        }),
        ("has expired", |p| {
            times(p, NOW.minus(Duration::from_secs(9 * DAY)), NOW);
        }),
        ("extendedKeyUsage", |p| {
            p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        }),
        ("nameConstraints are on URIs", |p| {
            let head = [0x30, 0x12, 0xa1, 0x10, 0x30, 0x0e, 0x86, 0x0c];
            let content = [&head[..], b"test.example"].concat();
            let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 30], content);
            extension.set_criticality(true);
            p.custom_extensions = vec![extension];
        }),
        ("critical extension 1.2.3.4", |p| {
            let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
            extension.set_criticality(true);
            p.custom_extensions = vec![extension];
        }),
        ("subject is not of a form", |p| {
            p.distinguished_name = DistinguishedName::new();
        }),
    ];
    let (all, _, request) = waiting(Hierarchy::Task);
    let root = offline();
    for (expected, change) in cases {
        let file = root.certify(&request, change) + &root.pem;
        let error = import(&all, &file, NOW).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn a_certificate_of_our_root_that_paths_would_not_find_is_refused() {
    type Change = fn(&mut CertificateParams);
    let cases: [(&str, Change); 3] = [
        ("subject is not the root's", |p| {
            p.distinguished_name.push(DnType::CommonName, "other");
        }),
        ("subject key identifier is not the root's", |p| {
            p.key_identifier_method = rcgen::KeyIdMethod::Sha256;
        }),
        ("path length must be at least 1", |p| {
            p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        }),
    ];
    let (all, company) = (records(), offline());
    let root = all.iter().find(|r| r.purpose == KeyPurpose::TaskRoot);
    let request = issuer().request(root.unwrap(), &kek()).unwrap();
    for (expected, change) in cases {
        let crossed = company.certify(&request, |params| {
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
            change(params);
        });
        let error = import(&all, &(crossed + &company.pem), NOW).unwrap_err();
        assert!(error.to_string().contains(expected), "{expected}: {error}");
    }
}

#[test]
fn a_root_that_may_not_be_one_is_refused() {
    let (all, _, request) = waiting(Hierarchy::Control);
    let other = Elsewhere::root("Ed25519", &rcgen::PKCS_ED25519);
    let error = import(&all, &(other.certify(&request, |_| {}) + &other.pem), NOW).unwrap_err();
    assert!(error.to_string().contains("P-256"), "{error}");
    // The right name, and another key: no signature holds.
    let (real, liar) = (offline(), offline());
    let file = real.certify(&request, |_| {}) + &liar.pem;
    let error = import(&all, &file, NOW).unwrap_err();
    assert!(matches!(error, ImportError::NoPath { .. }), "{error}");
    // An authority that has room for none beneath the one in between.
    let tight = real.beneath("tight", 0);
    let file = tight.certify(&request, |_| {}) + &tight.pem + &real.pem;
    let error = import(&all, &file, NOW).unwrap_err();
    assert!(
        error.to_string().contains("path length must be at least 1"),
        "{error}"
    );
}

#[test]
fn files_that_are_not_what_is_asked_for() {
    let (all, _, request) = waiting(Hierarchy::Task);
    let root = offline();
    let good = root.certify(&request, |_| {}) + &root.pem;
    let private = format!("{good}{}", KeyPair::generate().unwrap().serialize_pem());
    assert_eq!(import(&all, &private, NOW), Err(ImportError::PrivateKey));
    let mark = "ENCRYPTED PRIVATE KEY-----\n";
    let encrypted = format!("{good}-----BEGIN {mark}AAAA\n-----END {mark}");
    assert_eq!(import(&all, &encrypted, NOW), Err(ImportError::PrivateKey));
    for bad in [
        "",
        "x",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        assert_eq!(import(&all, bad, NOW), Err(ImportError::Form), "{bad:?}");
    }
    assert_eq!(
        import(&all, &"x".repeat(MAX_IMPORT_LEN + 1), NOW),
        Err(ImportError::Form)
    );
    assert_eq!(import(&records(), &good, NOW), Err(ImportError::NoKey));
    assert_eq!(import(&all, &root.pem, NOW), Err(ImportError::NoKey));
    assert!(is_public(&good) && !is_public(&private));
}

#[test]
fn a_list_of_the_offline_root_is_kept_and_served() {
    let (all, _, request) = waiting(Hierarchy::Task);
    let root = offline();
    let file = root.certify(&request, |_| {}) + &root.pem;
    let mut all = taken_over(all.clone(), import(&all, &file, NOW).unwrap());
    let issuer = Issuer::open(all.clone(), config(), &kek()).unwrap();
    assert!(matches!(
        issuer.root_crl(Hierarchy::Task, NOW),
        Err(crate::CrlError::RootElsewhere)
    ));
    let list = |by: &Elsewhere| {
        let params = rcgen::CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2023, 1, 1),
            next_update: rcgen::date_time_ymd(2033, 1, 1),
            crl_number: rcgen::SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: vec![],
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        params.signed_by(&by.signer).unwrap().pem().unwrap()
    };
    assert_eq!(import(&all, &list(&offline()), NOW), Err(ImportError::List));
    let Ok(Imported::Root(record)) = import(&all, &list(&root), NOW) else {
        panic!()
    };
    put(&mut all, *record);
    let issuer = Issuer::open(all, config(), &kek()).unwrap();
    assert!(issuer.root_crl(Hierarchy::Task, NOW).is_ok());
}

#[test]
fn keys_are_sealed_anew_once() {
    let (all, ..) = waiting(Hierarchy::Task);
    let new = crate::KeyEncryptionKey::from_bytes([99; 32]);
    let changed = crate::rewrap(&all, &kek(), &new).unwrap();
    assert_eq!(changed.len(), all.len());
    assert!(Issuer::open(changed.clone(), config(), &new).is_ok());
    assert!(Issuer::open(changed.clone(), config(), &kek()).is_err());
    assert!(crate::rewrap(&changed, &kek(), &new).unwrap().is_empty());
    // What was cut off in the middle, had it not been one commit, goes on.
    let mut half = all.clone();
    half[0] = changed.iter().find(|r| r.id == half[0].id).unwrap().clone();
    assert_eq!(
        crate::rewrap(&half, &kek(), &new).unwrap().len(),
        all.len() - 1
    );
    let other = crate::KeyEncryptionKey::from_bytes([98; 32]);
    assert!(matches!(
        crate::rewrap(&all, &other, &new),
        Err(crate::RewrapError::Open(
            crate::issuer::OpenError::WrongKeyEncryptionKey
        ))
    ));
}
