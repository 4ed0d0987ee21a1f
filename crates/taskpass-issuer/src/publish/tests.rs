//! What is published, and what the authorities' own certificates look like.

use super::*;
use crate::certificate::tests::extensions;
use crate::issuer::tests::{NOW, config, issuer, kek, records};
use std::collections::BTreeSet;
use std::time::Duration;
use taskpass_core::ttl::MAX_TOKEN_TTL;
use x509_parser::prelude::{FromDer as _, X509Certificate};

#[test]
fn the_jwks_has_token_keys_only_while_they_matter() {
    let issuer = issuer();
    let set = issuer.jwks(NOW);
    assert_eq!(set.len(), 4);
    assert!(set.get(issuer.feed_key().id()).is_none());
    assert!(set.get(issuer.checkpoint_key().id()).is_none());

    let active = issuer
        .token_key(taskpass_core::access::TokenAlg::Es256)
        .id();
    let later = NOW.plus(Duration::from_hours(24 * 30));
    let rotate = |tainted: bool| {
        let purpose = KeyPurpose::TokenEs256;
        let changed = if tainted {
            crate::rotation::taint(&records(), active, later).unwrap()
        } else {
            crate::rotation::activate_next(&records(), purpose, later).unwrap()
        };
        let mut keys = records();
        for record in changed {
            let place = keys.iter().position(|old| old.id == record.id).unwrap();
            keys[place] = record;
        }
        Issuer::open(keys, config(), &kek()).unwrap()
    };
    let rotated = rotate(false);
    assert!(rotated.jwks(later).get(active).is_some());
    let gone = later.plus(MAX_TOKEN_TTL.duration() + taskpass_core::ttl::CLOCK_SKEW);
    assert!(rotated.jwks(gone).get(active).is_none());
    assert!(rotate(true).jwks(later).get(active).is_none());
}

#[test]
fn anchors_are_the_root_and_its_issuing_authorities() {
    let issuer = issuer();
    let task = issuer.anchors(Hierarchy::Task, NOW);
    let control = issuer.anchors(Hierarchy::Control, NOW);
    for pem in [&task, &control] {
        assert_eq!(pem.matches("-----BEGIN CERTIFICATE-----").count(), 3);
        assert!(!pem.contains("KEY"));
    }
    assert_ne!(task, control);
    let over = NOW.plus(crate::init::ISSUING_LIFE);
    let later = issuer.anchors(Hierarchy::Task, over);
    assert_eq!(later.matches("BEGIN").count(), 1);
}

#[test]
fn authorities_are_marked_as_such_and_share_no_name() {
    let issuer = issuer();
    let (mut subjects, mut serials) = (BTreeSet::new(), BTreeSet::new());
    for record in issuer.records() {
        let Some(der) = &record.certificate else {
            continue;
        };
        let (_, certificate) = X509Certificate::from_der(der).unwrap();
        let root = record.purpose.as_str().contains("root");
        let found = extensions(&certificate);
        let row = |oid: &str| found.iter().find(|(id, ..)| id == oid);
        let path = u8::from(root);
        let constraints = format!("ca true path Some({path})");
        assert_eq!(
            row("2.5.29.19"),
            Some(&("2.5.29.19".into(), true, constraints))
        );
        let usage = "Key Cert Sign, CRL Sign";
        assert_eq!(
            row("2.5.29.15"),
            Some(&("2.5.29.15".into(), true, usage.into()))
        );
        assert!(row("2.5.29.14").is_some());
        assert_eq!(row("2.5.29.35").is_some(), !root);
        assert!(row("2.5.29.37").is_none() && row("2.5.29.17").is_none());
        assert_eq!(certificate.raw_serial().len(), 16);
        let last = u64::try_from(certificate.validity().not_after.timestamp()).unwrap();
        assert_eq!(record.not_after, Some(Timestamp::from_secs(last + 1)));
        subjects.insert(certificate.subject().to_string());
        serials.insert(certificate.raw_serial().to_vec());
    }
    assert_eq!((subjects.len(), serials.len()), (6, 6));
}

#[test]
fn views_show_public_halves_only() {
    let views = issuer().key_views();
    assert_eq!(views.len(), records().len());
    for view in views {
        assert_ne!(view.public_jwk.is_some(), view.certificate_pem.is_some());
        if let Some(jwk) = view.public_jwk {
            assert_eq!(*Jwk::from_json(jwk.as_bytes()).unwrap().id(), view.id);
        }
    }
}

#[test]
fn the_bundle_holds_the_task_root_and_the_es256_keys_and_changes_its_number_with_them() {
    let issuer = issuer();
    let bundle = issuer.spiffe_bundle(NOW);
    let [(key, der)] = bundle.x509.as_slice() else {
        panic!("one root");
    };
    assert_eq!(der, issuer.root_der(Hierarchy::Task));
    let facts = crate::authority::CaFacts::read(der).unwrap();
    assert_eq!(taskpass_token::spki::to_der(key), facts.spki);
    let text = bundle.to_json();
    assert_eq!(text.matches("jwt-svid").count(), 2);
    assert_eq!(text.matches("x509-svid").count(), 1);
    assert!(!text.contains("OKP"));
    let control = issuer.root_der(Hierarchy::Control);
    assert!(!text.contains(&data_encoding::BASE64.encode(control)));
    assert_eq!(bundle.sequence, NOW.millis());

    // What is retired leaves when its last token has ended, and the number says so.
    let mut records = issuer.records().to_vec();
    let prepared = records
        .iter_mut()
        .find(|r| r.purpose == KeyPurpose::TokenEs256 && r.state == KeyState::Prepared)
        .unwrap();
    prepared.state = KeyState::Retired;
    let hour = std::time::Duration::from_hours(1);
    (prepared.activated_at, prepared.retired_at) = (Some(NOW), Some(NOW.plus(hour)));
    let issuer = Issuer::open(records, config(), &kek()).unwrap();
    let at = |time: Timestamp| {
        let bundle = issuer.spiffe_bundle(time);
        (
            bundle.sequence,
            bundle.to_json().matches("jwt-svid").count(),
        )
    };
    let gone = NOW.plus(hour * 2).plus(taskpass_core::ttl::CLOCK_SKEW);
    let before = gone.minus(std::time::Duration::from_millis(1));
    assert_eq!(at(before), (NOW.plus(hour).millis(), 2));
    assert_eq!(at(gone), (gone.millis(), 1));
    // So does a taint of one that had retired before.
    let tainted = NOW.plus(hour).plus(std::time::Duration::from_mins(1));
    let retired = issuer
        .records()
        .iter()
        .find(|r| r.purpose == KeyPurpose::TokenEs256 && r.state == KeyState::Retired);
    let id = retired.unwrap().id.clone();
    let changed = rotation::taint(issuer.records(), &id, tainted).unwrap();
    let records = issuer.records().iter().map(|record| {
        let other = changed.iter().find(|other| other.id == record.id);
        other.unwrap_or(record).clone()
    });
    let issuer = Issuer::open(records.collect(), config(), &kek()).unwrap();
    assert_eq!(issuer.spiffe_bundle(tainted).sequence, tainted.millis());
}
