use std::time::Duration;

use proptest::prelude::*;
use rcgen::{
    CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType, SerialNumber,
};
use taskpass_core::Timestamp;
use taskpass_core::secret::Sha256;

use super::CertificateError as Error;
use super::*;
use crate::refusal::Refusal;
use crate::testing::{Ca, NOW, World, authority, extension, key, task_id, uri};
use crate::verifier::Verifier;

fn refused(verifier: &Verifier, leaf: &[u8], chain: &[&[u8]]) -> Option<Error> {
    match verifier.verify_certificate(leaf, chain) {
        Ok(_) => None,
        Err(Refusal::Certificate(error)) => Some(error),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_good_certificate_says_who_and_which_task() {
    let world = World::new();
    let der = world.certificate();
    let issuing = world.issuing.der().to_vec();
    for chain in [vec![], vec![issuing.as_slice()]] {
        let certificate = world.verifier().verify_certificate(&der, &chain).unwrap();
        assert_eq!(certificate.agent().as_str(), "invoice-bot");
        assert_eq!(certificate.task(), task_id(1));
        assert_eq!(certificate.ancestors()[0].task, task_id(2));
        assert_eq!(certificate.issued_at(), NOW);
        assert_eq!(certificate.expires_at(), NOW.plus(Duration::from_mins(15)));
        assert_eq!(certificate.digest(), Sha256::of(&der));
        let spki = rcgen::PublicKeyData::subject_public_key_info(world.issuing.key());
        let issuer = taskpass_token::spki::key_id(&spki).unwrap();
        assert_eq!(certificate.issuer_key(), &issuer);
        assert_eq!(certificate.facts().key, Some(issuer));
    }
}

type Change = fn(&World, &mut CertificateParams);

/// What is wrong with a certificate that the right authority signed.
const WRONG: &[(&str, Change, Error)] = &[
    (
        "for servers",
        |_, p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth],
        Error::Usage,
    ),
    (
        "for nothing in particular",
        |_, p| p.extended_key_usages.clear(),
        Error::Usage,
    ),
    (
        "an authority",
        |_, p| p.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained),
        Error::IsAnAuthority,
    ),
    (
        "without basic constraints",
        |_, p| p.is_ca = IsCa::NoCa,
        Error::Shape("no basic constraints"),
    ),
    (
        "without key usage",
        |_, p| p.key_usages.clear(),
        Error::Shape("no key usage"),
    ),
    (
        "may sign certificates",
        |_, p| p.key_usages.push(KeyUsagePurpose::KeyCertSign),
        Error::Shape("key usage is not critical digitalSignature"),
    ),
    (
        "with a subject",
        |_, p| p.distinguished_name.push(DnType::CommonName, "x"),
        Error::Names("the subject is not empty"),
    ),
    (
        "without a name",
        |_, p| p.subject_alt_names.clear(),
        Error::Names("no alternative name"),
    ),
    (
        "with two names",
        |_, p| p.subject_alt_names.push(p.subject_alt_names[0].clone()),
        Error::Names("not exactly one URI"),
    ),
    (
        "with a host name",
        |_, p| {
            p.subject_alt_names
                .push(SanType::DnsName("a.example".try_into().unwrap()));
        },
        Error::Names("not exactly one URI"),
    ),
    (
        "an identity",
        |_, p| p.subject_alt_names = vec![uri("spiffe://example.org/agent/invoice-bot")],
        Error::NotATask,
    ),
    (
        "an operator",
        |_, p| p.subject_alt_names = vec![uri("spiffe://example.org/operator/ops")],
        Error::NotATask,
    ),
    (
        "the broker",
        |_, p| p.subject_alt_names = vec![uri("spiffe://example.org/broker")],
        Error::NotATask,
    ),
    (
        "a stranger path",
        |_, p| p.subject_alt_names = vec![uri("spiffe://example.org/workload/x")],
        Error::Names("not a SPIFFE ID of a task"),
    ),
    (
        "another trust domain",
        |_, p| {
            p.subject_alt_names = vec![uri(&format!(
                "spiffe://evil.example/agent/invoice-bot/task/{}",
                task_id(1)
            ))];
        },
        Error::TrustDomain,
    ),
    (
        "without the extension",
        |_, p| p.custom_extensions.clear(),
        Error::Shape("no task extension"),
    ),
    (
        "with a broken extension",
        |_, p| {
            p.custom_extensions = vec![CustomExtension::from_oid_content(
                taskpass_token::task_extension::OID,
                vec![0x30, 0],
            )];
        },
        Error::Shape("the task extension is malformed"),
    ),
    (
        "with something critical",
        |_, p| {
            let mut strange = CustomExtension::from_oid_content(&[2, 25, 42], vec![5, 0]);
            strange.set_criticality(true);
            p.custom_extensions.push(strange);
        },
        Error::Malformed,
    ),
    (
        "with a serial that is no id",
        |_, p| p.serial_number = Some(SerialNumber::from_slice(&[1, 2, 3])),
        Error::Lifetime("the serial number is no id"),
    ),
    (
        "with a serial of another end",
        |w, p| {
            let other = w.id_until(NOW.plus(Duration::from_secs(5)));
            p.serial_number = Some(SerialNumber::from_slice(other.as_bytes()));
        },
        Error::Lifetime("the serial number carries another end"),
    ),
    (
        "longer than a day",
        |w, p| *p = w.leaf_between(NOW, NOW.plus(Duration::from_secs(86_401))),
        Error::Lifetime("valid for too long"),
    ),
    (
        "backdated by an hour",
        |_, p| p.not_before -= Duration::from_hours(1),
        Error::Lifetime("valid for too long"),
    ),
    (
        "issued after its end",
        |_, p| p.custom_extensions = vec![extension(NOW.plus(Duration::from_hours(1)))],
        Error::Lifetime("issued outside its validity"),
    ),
    (
        "issued before its beginning",
        |_, p| p.custom_extensions = vec![extension(NOW.minus(Duration::from_hours(1)))],
        Error::Lifetime("issued outside its validity"),
    ),
    (
        "issued in the future",
        |_, p| p.custom_extensions = vec![extension(NOW.plus(Duration::from_secs(61)))],
        Error::NotYetValid,
    ),
];

#[test]
fn whatever_is_not_a_task_certificate_is_refused_for_its_own_reason() {
    let world = World::new();
    let verifier = world.verifier();
    for (what, change, expected) in WRONG {
        let mut params = world.leaf();
        change(&world, &mut params);
        let der = world.issue(&params);
        let found = refused(&verifier, &der, &[]);
        assert_eq!(found.as_ref(), Some(expected), "{what}");
    }
    // The longest that may be.
    let day = world.leaf_between(NOW, NOW.plus(Duration::from_hours(24)));
    assert_eq!(refused(&verifier, &world.issue(&day), &[]), None);
}

#[test]
fn only_the_task_hierarchy_counts() {
    let (world, other) = (World::new(), World::new());
    let verifier = world.verifier();
    let leaf = |ca: &Ca| world.leaf().signed_by(&key(), ca).unwrap().der().to_vec();

    // Another hierarchy, with and without its authority; one whose names are the same.
    let control_root = Ca::self_signed(long("control root"), key()).unwrap();
    let control = Ca::signed_by(long("control issuing"), key(), &control_root).unwrap();
    for (ca, expected) in [
        (&control, Error::Untrusted),
        (&other.issuing, Error::Signature),
    ] {
        let der = leaf(ca);
        assert_eq!(refused(&verifier, &der, &[]), Some(expected.clone()));
        let chain: &[&[u8]] = &[ca.der(), control_root.der()];
        assert_eq!(refused(&verifier, &der, chain), Some(expected));
    }
    // A leaf that issues.
    let agent = Ca::signed_by(world.leaf(), key(), &world.issuing).unwrap();
    let mut named = world.leaf();
    named.distinguished_name.push(DnType::CommonName, "agent");
    let named = Ca::signed_by(named, key(), &world.issuing).unwrap();
    for ca in [&agent, &named] {
        assert_eq!(
            refused(&verifier, &leaf(ca), &[ca.der()]),
            Some(Error::NotAnAuthority)
        );
    }
    // An authority that presents itself, and a root.
    for ca in [&world.issuing, &world.root] {
        let found = refused(&verifier, ca.der(), &[]);
        assert!(
            matches!(found, Some(Error::IsAnAuthority | Error::Usage)),
            "{found:?}"
        );
    }
    // An authority of the right root, with a key that is none of ours.
    let pair = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let ed = Ca::signed_by(long("task issuing ed"), pair, &world.root).unwrap();
    assert_eq!(
        refused(&verifier, &leaf(&ed), &[ed.der()]),
        Some(Error::Signature)
    );
    // Signed by the root's other authority: fine.
    let second = Ca::signed_by(long("task issuing 2"), key(), &world.root).unwrap();
    assert_eq!(refused(&verifier, &leaf(&second), &[second.der()]), None);
    assert_eq!(
        refused(&verifier, &leaf(&second), &[]),
        Some(Error::Untrusted)
    );
}

fn long(name: &str) -> CertificateParams {
    let year = Duration::from_hours(24 * 365);
    authority(name, NOW.minus(year), NOW.plus(year))
}

#[test]
fn a_key_of_another_kind_is_refused() {
    let world = World::new();
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let der = world.leaf().signed_by(&p384, &world.issuing).unwrap();
    assert_eq!(
        refused(&world.verifier(), der.der(), &[]),
        Some(Error::Shape("neither a P-256 nor an Ed25519 key"))
    );
    let ed = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let der = world.leaf().signed_by(&ed, &world.issuing).unwrap();
    assert_eq!(refused(&world.verifier(), der.der(), &[]), None);
}

#[test]
fn time_is_our_clocks() {
    let world = World::new();
    let verifier = world.verifier();
    let der = world.certificate();
    let end = NOW.plus(Duration::from_mins(15));
    for (now, expected) in [
        (NOW.minus(Duration::from_secs(61)), Some(Error::NotYetValid)),
        (NOW.minus(Duration::from_mins(1)), None),
        (end.minus(Duration::from_millis(1)), None),
        (end, Some(Error::Expired)),
        (Timestamp::ZERO, Some(Error::NotYetValid)),
    ] {
        world.clock.jump_to(now);
        assert_eq!(refused(&verifier, &der, &[]), expected, "{now}");
    }
}

#[test]
fn a_root_ends_although_path_libraries_believe_it_for_ever() {
    let mut world = World::new();
    let from = NOW.minus(Duration::from_hours(2));
    let params = authority("task root", from, NOW.plus(Duration::from_mins(1)));
    world.root = Ca::self_signed(params, key()).unwrap();
    world.issuing = Ca::signed_by(long("task issuing"), key(), &world.root).unwrap();
    let (verifier, der) = (world.verifier(), world.certificate());
    assert_eq!(refused(&verifier, &der, &[]), None);
    world.clock.advance(Duration::from_secs(59));
    world.confirm(&verifier, 0);
    assert_eq!(refused(&verifier, &der, &[]), None);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(refused(&verifier, &der, &[]), Some(Error::Untrusted));
}

#[test]
fn anchors_are_roots() {
    let world = World::new();
    let pem = |text: &str| Anchors::from_pem(text).map(drop);
    assert_eq!(pem(&world.anchors()), Ok(()));
    assert_eq!(pem(""), Err(AnchorsError::NoRoot));
    assert_eq!(pem(&world.issuing.pem()), Err(AnchorsError::NoRoot));
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert_eq!(pem(broken), Err(AnchorsError::Malformed));
    let ed = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let ed = Ca::self_signed(long("x"), ed).unwrap().pem();
    assert_eq!(pem(&ed), Err(AnchorsError::Key));
}

#[test]
fn a_flood_of_intermediates_is_not_searched() {
    let world = World::new();
    let issuing = world.issuing.der();
    let chain = vec![issuing.as_ref(); 5];
    let found = refused(&world.verifier(), &world.certificate(), &chain);
    assert_eq!(found, Some(Error::Path));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_changed_byte_is_refused(at: prop::sample::Index, bit in 0_u8..8, cut: bool) {
        let world = World::new();
        let verifier = world.verifier();
        let mut der = world.certificate();
        let place = at.index(der.len());
        if cut {
            der.truncate(place);
        } else {
            der[place] ^= 1 << bit;
        }
        prop_assert!(verifier.verify_certificate(&der, &[]).is_err());
        der.push(0);
        prop_assert!(verifier.verify_certificate(&der, &[]).is_err());
    }

    #[test]
    fn any_bytes_are_refused(bytes: Vec<u8>) {
        let world = World::new();
        let verifier = world.verifier();
        prop_assert!(verifier.verify_certificate(&bytes, &[]).is_err());
        // Sent along with a good one they may be refused or passed over, never more.
        let stranger = World::new().certificate();
        prop_assert!(verifier.verify_certificate(&stranger, &[&bytes]).is_err());
    }
}
