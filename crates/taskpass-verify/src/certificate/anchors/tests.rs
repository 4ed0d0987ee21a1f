//! Roots that are not ours: a company's authority above the broker's.

use rcgen::{KeyPair, SignatureAlgorithm};
use taskpass_core::revocation::Selector;

use super::*;
use crate::settings::Settings;
use crate::testing::{Ca, NOW, World, authority, key};
use crate::verifier::Verifier;

const YEAR: Duration = Duration::from_hours(24 * 365);

/// A throw-away key, made for these tests and used nowhere else: ring makes no RSA keys.
const RSA_2048: &str = include_str!("rsa-2048.pem");
const RSA_1024: &str = include_str!("rsa-1024.pem");

fn ca(name: &str, key: KeyPair, above: Option<&Ca>) -> Ca {
    let params = authority(name, NOW.minus(YEAR), NOW.plus(YEAR));
    match above {
        None => Ca::self_signed(params, key).unwrap(),
        Some(above) => Ca::signed_by(params, key, above).unwrap(),
    }
}

fn kinds() -> Vec<(&'static str, KeyPair)> {
    let rsa =
        |alg: &'static SignatureAlgorithm| KeyPair::from_pem_and_sign_algo(RSA_2048, alg).unwrap();
    vec![
        ("P-256", key()),
        (
            "P-384",
            KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap(),
        ),
        ("RSA, SHA-256", rsa(&rcgen::PKCS_RSA_SHA256)),
        ("RSA, SHA-384", rsa(&rcgen::PKCS_RSA_SHA384)),
        ("RSA, SHA-512", rsa(&rcgen::PKCS_RSA_SHA512)),
    ]
}

fn verifier(world: &World, pem: String) -> Verifier {
    let settings = Settings {
        task_anchors_pem: pem,
        ..world.settings()
    };
    let verifier = world.blank(settings);
    world.confirm(&verifier, 0);
    verifier
}

#[test]
fn a_company_s_root_above_the_broker_s_authority_is_good() {
    for (kind, root_key) in kinds() {
        let world = World::new();
        let company = ca("company root", root_key, None);
        let policy = ca("company tasks", key(), Some(&company));
        let issuing = ca("task issuing", key(), Some(&policy));
        let leaf_key = key();
        let leaf = world.leaf().signed_by(&leaf_key, &issuing).unwrap();
        let alone = verifier(&world, company.pem());
        let chain = [issuing.der().as_ref(), policy.der().as_ref()];
        let certificate = alone.verify_certificate(leaf.der(), &chain);
        let certificate = certificate.unwrap_or_else(|error| panic!("{kind}: {error:?}"));
        alone.recheck_certificate(&certificate).unwrap();
        // Rules name the broker's own keys, wherever they stand in the path.
        let spki = rcgen::PublicKeyData::subject_public_key_info(policy.key());
        let tainted = taskpass_token::spki::key_id(&spki).unwrap();
        world.revoke(&alone, Selector::Key(tainted));
        assert!(alone.recheck_certificate(&certificate).is_err(), "{kind}");

        // With all of them in the file the peer may send its certificate alone.
        let all = [company.pem(), policy.pem(), issuing.pem()].concat();
        let whole = verifier(&world, all);
        whole.verify_certificate(leaf.der(), &[]).unwrap();
        // Another root trusts none of it.
        let other = verifier(&world, world.anchors());
        assert!(other.verify_certificate(leaf.der(), &chain).is_err());
    }
}

#[test]
fn only_a_p256_authority_issues_to_tasks() {
    for (kind, issuing_key) in kinds().into_iter().skip(1) {
        let world = World::new();
        let issuing = ca("task issuing", issuing_key, Some(&world.root));
        let leaf = world.leaf().signed_by(&key(), &issuing).unwrap();
        let refused = world
            .verifier()
            .verify_certificate(leaf.der(), &[issuing.der().as_ref()])
            .unwrap_err();
        assert!(
            matches!(&refused, Refusal::Certificate(CertificateError::Signature)),
            "{kind}: {refused:?}"
        );
    }
}

#[test]
fn a_root_of_another_kind_is_refused_when_it_is_named() {
    let ed25519 = ca(
        "x",
        KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap(),
        None,
    );
    for pem in [ed25519.pem(), RSA_1024.to_owned()] {
        assert_eq!(Anchors::from_pem(&pem).unwrap_err(), AnchorsError::Key);
    }
    assert_eq!(Anchors::from_pem("").unwrap_err(), AnchorsError::NoRoot);
}
