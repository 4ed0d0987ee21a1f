//! For tests: whether a TLS library that knows nothing of us accepts what is issued.

use rustls_pki_types::{CertificateDer, UnixTime};
use std::time::Duration;
use taskpass_core::identity::Principal;
use taskpass_core::rng::SeededRng;
use taskpass_core::time::Timestamp;
use taskpass_core::ttl::Ttl;

use crate::ServerNames;
use crate::authority::Hierarchy;
use crate::certificate::tests::{sign, terms};
use crate::issuer::Issuer;

/// Whether `anchors` alone, with what comes along in the chain, are enough to accept a certificate
/// that the hierarchy issues now.
pub(crate) fn accepted(
    issuer: &Issuer,
    hierarchy: Hierarchy,
    anchors: &[&[u8]],
    now: Timestamp,
) -> bool {
    let chains: Vec<(Vec<Vec<u8>>, webpki::KeyUsage)> = match hierarchy {
        Hierarchy::Control => vec![
            (
                chain_of_server(issuer, now),
                webpki::KeyUsage::server_auth(),
            ),
            (
                chain_of_identity(issuer, now),
                webpki::KeyUsage::client_auth(),
            ),
        ],
        Hierarchy::Task => vec![(
            pem_chain(&chain_of_task(issuer)),
            webpki::KeyUsage::client_auth(),
        )],
    };
    let ders: Vec<_> = anchors
        .iter()
        .map(|der| CertificateDer::from(*der))
        .collect();
    let anchors: Vec<_> = ders
        .iter()
        .map(|der| webpki::anchor_from_trusted_cert(der).unwrap())
        .collect();
    chains.iter().all(|(chain, usage)| {
        let (leaf, above) = chain.split_first().unwrap();
        let leaf = CertificateDer::from(leaf.as_slice());
        let above: Vec<_> = above
            .iter()
            .map(|der| CertificateDer::from(der.as_slice()))
            .collect();
        let end = webpki::EndEntityCert::try_from(&leaf).unwrap();
        end.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &anchors,
            &above,
            UnixTime::since_unix_epoch(Duration::from_secs(now.secs())),
            *usage,
            None,
            None,
        )
        .is_ok()
    })
}

fn chain_of_server(issuer: &Issuer, now: Timestamp) -> Vec<Vec<u8>> {
    let names = ServerNames::default();
    let signed = issuer.sign_server(&names, now, Ttl::from_hours(1)).unwrap();
    assert_eq!(pem_chain(&signed.chain_pem), signed.chain);
    signed.chain
}

fn chain_of_identity(issuer: &Issuer, now: Timestamp) -> Vec<Vec<u8>> {
    let principal = Principal::Operator("ops".parse().unwrap());
    let id = "spiffe://example.org/operator/ops".parse().unwrap();
    let key = crate::csr::tests::proved(&rcgen::PKCS_ECDSA_P256_SHA256, &id);
    let until = now.plus(Duration::from_hours(1));
    let signed = issuer.sign_identity(&principal, &key, now, until, &SeededRng::new(1));
    pem_chain(&signed.unwrap().chain_pem)
}

fn chain_of_task(issuer: &Issuer) -> String {
    sign(issuer, terms(&rcgen::PKCS_ECDSA_P256_SHA256), 1).chain_pem
}

pub(crate) fn pem_chain(pem: &str) -> Vec<Vec<u8>> {
    use rustls_pki_types::pem::PemObject as _;
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .map(|der| der.unwrap().to_vec())
        .collect()
}
