//! A root that is not here: requests go out, certificates come in.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose,
    PublicKeyData as _,
};
use taskpass_core::key::{KeyPurpose, KeyState};
use taskpass_issuer::{Hierarchy, NEW_ROOT_LEAD};
use taskpass_store::Store as _;

use super::{DAY, keys, only};
use crate::ListError;
use crate::testing::{TestBroker, ops};

struct Offline {
    pem: String,
    signer: rcgen::Issuer<'static, KeyPair>,
}

fn params(name: &str, below: u8) -> CertificateParams {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = epoch + Duration::from_secs(1_600_000_000);
    params.not_after = epoch + Duration::from_secs(1_700_000_000 + 3000 * DAY);
    params
}

impl Offline {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let params = params("offline root", 1);
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            pem,
            signer: rcgen::Issuer::new(params, key),
        }
    }

    fn certify(&self, request: &str, days: u64) -> String {
        // Nothing but the key is taken from the request.
        let der: String = request
            .lines()
            .filter(|line| !line.starts_with('-'))
            .collect();
        let der = data_encoding::BASE64.decode(der.as_bytes()).unwrap();
        let point = der
            .windows(2 + 65)
            .find(|bytes| bytes[..3] == [0x42, 0x00, 0x04])
            .unwrap();
        let key = Point(point[2..].to_vec());
        assert_eq!(key.der_bytes().len(), 65);
        let mut params = params(
            &format!("issuing {}", data_encoding::HEXLOWER.encode(&point[3..9])),
            0,
        );
        params.not_after =
            rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(1_700_000_000 + days * DAY);
        params.use_authority_key_identifier_extension = true;
        params.signed_by(&key, &self.signer).unwrap().pem()
    }
}

struct Point(Vec<u8>);

impl rcgen::PublicKeyData for Point {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

#[tokio::test]
async fn a_root_made_offline_takes_over_when_everybody_knows_it() {
    for (purpose, root) in [
        (KeyPurpose::TaskIssuing, KeyPurpose::TaskRoot),
        (KeyPurpose::ControlIssuing, KeyPurpose::ControlRoot),
    ] {
        let mut t = TestBroker::new().await;
        let request = t.broker.export_csr(&ops(), purpose).await.unwrap();
        assert_eq!(only(&t, purpose, KeyState::Waiting), request.key.id);
        let again = t.broker.export_csr(&ops(), purpose).await.unwrap();
        assert_eq!(again.key.id, request.key.id, "asked again, the same key");
        t.reopen().await;

        let offline = Offline::new();
        let file = offline.certify(&request.pem, 900) + &offline.pem;
        let old_root = only(&t, root, KeyState::Active);
        let brought = t
            .broker
            .import_certificate(&ops(), &file, false)
            .await
            .unwrap();
        assert_eq!(brought.authority.id, request.key.id);
        assert_eq!(brought.takes_over_at, Some(t.now().plus(NEW_ROOT_LEAD)));
        let new_root = brought.root.unwrap();
        assert_eq!(only(&t, root, KeyState::Active), new_root.id);
        assert!(!new_root.has_private);
        let again = t
            .broker
            .import_certificate(&ops(), &file, false)
            .await
            .unwrap();
        assert!(again.root.is_none());

        // Both roots are trusted; the old authority signs.
        let hierarchy = Hierarchy::ALL
            .into_iter()
            .find(|h| h.root() == root)
            .unwrap();
        let anchors = t.broker.issuer().anchors(hierarchy, t.now());
        assert_eq!(anchors.matches("BEGIN").count(), 4);
        t.advance(NEW_ROOT_LEAD.as_secs() - 1);
        t.broker.rotate_due().await.unwrap();
        let first = only(&t, purpose, KeyState::Active);
        assert_ne!(first, request.key.id);
        t.advance(1);
        t.broker.rotate_due().await.unwrap();
        assert_eq!(only(&t, purpose, KeyState::Active), request.key.id);
        assert!(
            keys(&t, purpose, KeyState::Prepared).is_empty(),
            "nobody here can make one"
        );

        // When nothing beneath it is left, the old root goes, and its private half.
        t.advance(8 * DAY);
        t.broker.rotate_due().await.unwrap();
        let anchors = t.broker.issuer().anchors(hierarchy, t.now());
        assert_eq!(anchors.matches("BEGIN").count(), 2);
        let stored = t.store.keys().await.unwrap();
        let gone = stored.iter().find(|key| key.id == old_root).unwrap();
        assert!(!gone.has_private() && gone.state == KeyState::Retired);
        t.reopen().await;

        // Nothing can follow: both ways say what to do.
        let active = request.key.id.to_string();
        for error in [
            t.broker
                .rotate_key(&ops(), purpose.as_str(), true)
                .await
                .unwrap_err(),
            t.broker
                .taint_key(&ops(), &active, "stolen")
                .await
                .unwrap_err(),
        ] {
            assert_eq!(error.reason(), "KEY_NOT_READY");
            assert!(error.to_string().contains("keys export-csr"), "{error}");
        }
        // One that stands by is used.
        let request = t.broker.export_csr(&ops(), purpose).await.unwrap();
        let certificate = offline.certify(&request.pem, 900);
        let brought = t
            .broker
            .import_certificate(&ops(), &certificate, true)
            .await
            .unwrap();
        assert_eq!(brought.takes_over_at, None);
        let tainted = t.broker.taint_key(&ops(), &active, "stolen").await.unwrap();
        assert_eq!(tainted.next.unwrap().id, request.key.id);
    }
}

#[tokio::test]
async fn a_root_that_is_forgotten_leaves_its_list_behind() {
    let mut t = TestBroker::new().await;
    let root = t
        .broker
        .forget_root(&ops(), KeyPurpose::TaskRoot, "kept on paper")
        .await
        .unwrap();
    assert!(!root.has_private && root.state == KeyState::Active);
    let again = t
        .broker
        .forget_root(&ops(), KeyPurpose::TaskRoot, "again")
        .await;
    assert_eq!(again.unwrap().id, root.id);
    t.reopen().await;
    let issuer = t.broker.issuer();
    assert!(issuer.root_crl(Hierarchy::Task, t.now()).is_ok());
    let csr = t
        .broker
        .export_csr(&ops(), KeyPurpose::TaskRoot)
        .await
        .unwrap_err();
    assert_eq!(csr.reason(), "KEY_NOT_READY");
    // What is prepared still follows; after that nobody can make one here.
    t.advance(120 * DAY);
    t.broker.rotate_due().await.unwrap();
    assert!(keys(&t, KeyPurpose::TaskIssuing, KeyState::Prepared).is_empty());
    for (purpose, reason) in [(KeyPurpose::TaskIssuing, "why"), (KeyPurpose::Feed, "why")] {
        let refused = t
            .broker
            .forget_root(&ops(), purpose, reason)
            .await
            .unwrap_err();
        assert_eq!(refused.reason(), "INVALID_PURPOSE");
    }
    let refused = t
        .broker
        .export_csr(&ops(), KeyPurpose::Feed)
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), "INVALID_PURPOSE");
    let refused = t
        .broker
        .import_certificate(&ops(), "x", false)
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), "INVALID_CERTIFICATE");
}

#[tokio::test]
async fn a_taint_takes_back_the_list_that_says_nothing_of_it() {
    let t = TestBroker::new().await;
    t.broker
        .forget_root(&ops(), KeyPurpose::TaskRoot, "kept on paper")
        .await
        .unwrap();
    t.broker.root_crl().await.unwrap();
    let active = only(&t, KeyPurpose::TaskIssuing, KeyState::Active);
    let next = only(&t, KeyPurpose::TaskIssuing, KeyState::Prepared);
    let tainted = t.broker.taint_key(&ops(), active.as_str(), "stolen").await;
    assert_eq!(tainted.unwrap().next.unwrap().id, next);
    // The one that is kept in memory neither.
    let list = t.broker.root_crl().await;
    assert!(matches!(list, Err(ListError::Unknown)), "{list:?}");
    let all = t.broker.crls().await.unwrap();
    assert!(!all.contains(&t.broker.issuer().root_crl_location()));
}

#[tokio::test]
async fn a_list_that_was_brought_is_served_at_once() {
    let t = TestBroker::new().await;
    let purpose = KeyPurpose::TaskIssuing;
    let request = t.broker.export_csr(&ops(), purpose).await.unwrap();
    let offline = Offline::new();
    let file = offline.certify(&request.pem, 900) + &offline.pem;
    let bring = |text: String| {
        let broker = t.broker.clone();
        async move { broker.import_certificate(&ops(), &text, false).await }
    };
    bring(file).await.unwrap();
    t.advance(NEW_ROOT_LEAD.as_secs());
    t.broker.rotate_due().await.unwrap();
    let list = |day| {
        let params = rcgen::CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2023, 11, day),
            next_update: rcgen::date_time_ymd(2033, 1, 1),
            crl_number: rcgen::SerialNumber::from(u64::from(day)),
            issuing_distribution_point: None,
            revoked_certs: vec![],
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        params.signed_by(&offline.signer).unwrap().pem().unwrap()
    };
    bring(list(10)).await.unwrap();
    let first = t.broker.root_crl().await.unwrap();
    bring(list(11)).await.unwrap();
    assert_ne!(t.broker.root_crl().await.unwrap().etag, first.etag);
    let older = bring(list(10)).await.unwrap_err();
    assert_eq!(older.reason(), "INVALID_CERTIFICATE");
}

#[tokio::test]
async fn one_that_stood_by_for_too_long_does_not_take_over_on_demand_either() {
    let t = TestBroker::new().await;
    t.broker
        .forget_root(&ops(), KeyPurpose::TaskRoot, "kept on paper")
        .await
        .unwrap();
    let active = only(&t, KeyPurpose::TaskIssuing, KeyState::Active);
    t.advance(365 * DAY - 3600);
    let refused = t.broker.rotate_key(&ops(), "task-issuing", true).await;
    assert_eq!(refused.unwrap_err().reason(), "KEY_NOT_READY");
    assert_eq!(only(&t, KeyPurpose::TaskIssuing, KeyState::Active), active);
}
