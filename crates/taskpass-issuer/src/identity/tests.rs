//! Identity and server certificates: their shape, and who accepts them.

use super::*;
use crate::certificate::tests::extensions;
use crate::crl::tests::{client, server};
use crate::csr::tests::proved;
use crate::issuer::tests::{NOW, issuer};
use crate::server::ServerNames;
use std::time::Duration;
use taskpass_core::rng::SeededRng;
use x509_parser::prelude::{FromDer as _, X509Certificate};

fn identity(principal: &Principal, life: Duration) -> Result<SignedIdentity, IdentityError> {
    let issuer = issuer();
    let id = SpiffeId::new(issuer.trust_domain().clone(), principal.subject());
    let key = proved(&rcgen::PKCS_ED25519, &id);
    issuer.sign_identity(principal, &key, NOW, NOW.plus(life), &SeededRng::new(5))
}

#[test]
fn each_kind_of_caller_gets_its_own_name_and_client_use_only() {
    for kind in ["agent", "operator", "verifier"] {
        let principal = Principal::from_parts(kind, "x-1").unwrap();
        let signed = identity(&principal, Duration::from_hours(24)).unwrap();
        let (_, certificate) = X509Certificate::from_der(&signed.der).unwrap();
        let uri = format!("spiffe://example.org/{kind}/x-1");
        let found = extensions(&certificate);
        let row = |oid: &str| found.iter().find(|(id, ..)| id == oid).unwrap();
        assert_eq!(row("2.5.29.17"), &("2.5.29.17".into(), true, uri));
        assert_eq!(row("2.5.29.37").2, "client true server false");
        assert_eq!(row("2.5.29.19").2, "ca false path None");
        assert!(!found.iter().any(|(oid, ..)| oid == "2.5.29.31"));
        let extension = certificate
            .extensions()
            .iter()
            .find(|e| e.oid.to_id_string() == taskpass_token::task_extension::OID_TEXT)
            .unwrap();
        let read = TaskExtension::from_der(extension.value).unwrap();
        assert_eq!((read.issued_at, read.ancestors), (NOW.secs(), vec![]));
        assert_eq!(certificate.raw_serial(), signed.serial.as_bytes());

        let spki = certificate.public_key().raw;
        assert_eq!(signed.link.key, taskpass_core::secret::Sha256::of(spki));
        assert_eq!(signed.link.expires_at, signed.serial.expires_at());
        assert_eq!(signed.link.issued_at, NOW);
    }
}

#[test]
fn control_and_task_do_not_mix() {
    let issuer = issuer();
    let principal = Principal::from_parts("agent", "x").unwrap();
    let signed = identity(&principal, Duration::from_hours(1)).unwrap();
    let at = NOW.plus(Duration::from_mins(1));
    assert_eq!(
        client(&issuer, Hierarchy::Control, &signed.der, &[], at),
        Ok(())
    );
    assert!(client(&issuer, Hierarchy::Task, &signed.der, &[], at).is_err());
    assert!(server(&issuer, &signed.der, "localhost", at).is_err());
    let over = signed.link.expires_at;
    assert!(client(&issuer, Hierarchy::Control, &signed.der, &[], over).is_err());
    let last = over.minus(Duration::from_secs(1));
    assert_eq!(
        client(&issuer, Hierarchy::Control, &signed.der, &[], last),
        Ok(())
    );
}

#[test]
fn lifetimes_of_identities() {
    let principal = Principal::from_parts("operator", "ops").unwrap();
    assert!(identity(&principal, Duration::from_hours(168)).is_ok());
    assert!(matches!(
        identity(
            &principal,
            Duration::from_hours(168) + Duration::from_secs(1)
        ),
        Err(IdentityError::TooLong(_))
    ));
    assert!(matches!(
        identity(&principal, Duration::ZERO),
        Err(IdentityError::TooShort)
    ));
}

#[test]
fn the_server_certificate_is_for_servers_under_its_names() {
    let issuer = issuer();
    let names = ServerNames {
        dns: vec!["localhost".into(), "broker.example".into()],
        ips: vec![[127, 0, 0, 1].into(), "::1".parse().unwrap()],
    };
    let made = issuer
        .sign_server(&names, NOW, Ttl::from_hours(24))
        .unwrap();
    let (_, certificate) = X509Certificate::from_der(&made.chain[0]).unwrap();
    let found = extensions(&certificate);
    let row = |oid: &str| found.iter().find(|(id, ..)| id == oid).unwrap();
    assert!(row("2.5.29.17").2.starts_with(
        "spiffe://example.org/broker, dns localhost, dns broker.example, ip [127, 0, 0, 1]"
    ));
    assert_eq!(row("2.5.29.37").2, "client false server true");
    assert_eq!(made.chain.len(), 2);
    for name in ["localhost", "broker.example"] {
        assert_eq!(server(&issuer, &made.chain[0], name, NOW), Ok(()));
    }
    assert!(server(&issuer, &made.chain[0], "other.example", NOW).is_err());
    assert!(client(&issuer, Hierarchy::Control, &made.chain[0], &[], NOW).is_err());
    assert!(server(&issuer, &made.chain[0], "localhost", made.expires_at).is_err());

    let key = crate::keys::AuthorityKey::from_private(&made.key_pkcs8).unwrap();
    let spki = taskpass_token::spki::to_der(&key.public().unwrap());
    assert_eq!(certificate.public_key().raw, spki);
    assert!(!format!("{made:?}").contains("key"));
    for bad in ["", "a b", "-x", "https://x"] {
        let names = ServerNames {
            dns: vec![bad.into()],
            ips: vec![],
        };
        assert!(matches!(
            issuer.sign_server(&names, NOW, Ttl::from_hours(1)),
            Err(IdentityError::Name(_))
        ));
    }
}
