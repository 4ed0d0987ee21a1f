//! What a verified client certificate says about its holder.
//!
//! TLS has checked the chain up to a Control anchor, the dates and the proof of possession. Here
//! only the end-entity certificate is read, and only exact shapes count: one URI SAN, a SPIFFE ID of
//! our trust domain that names an agent, an operator or a verifier, and our extension. A certificate
//! of any other shape is as good as none. Which authority signed it is not taken from its word: a rule
//! about that key must find it, also over a connection that is older than the rule.

use rustls_pki_types::CertificateDer;
use taskpass_broker::Proved;
use taskpass_core::Timestamp;
use taskpass_core::audit::Attestation;
use taskpass_core::identity::Principal;
use taskpass_core::key::KeyId;
use taskpass_core::secret::Sha256;
use taskpass_core::spiffe::{SpiffeId, TrustDomain};
use taskpass_issuer::{Hierarchy, Issuer};
use taskpass_token::task_extension::{self, TaskExtension};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer as _, SubjectPublicKeyInfo, X509Certificate};

/// Reads the end-entity certificate of a verified chain. Whoever calls it vouches for that: for the
/// chain, the dates, and that the peer has the key.
pub fn proved(
    leaf: &CertificateDer<'_>,
    trust_domain: &TrustDomain,
    issuer: &Issuer,
) -> Option<Proved> {
    let (rest, certificate) = X509Certificate::from_der(leaf).ok()?;
    if !rest.is_empty() || certificate.is_ca() {
        return None;
    }
    let id = spiffe_id(&certificate)?;
    if id.trust_domain != *trust_domain {
        return None;
    }
    let principal = Principal::from_subject(&id.subject)?;
    let issued_at = issued_at(&certificate)?;
    let not_after = u64::try_from(certificate.validity().not_after.timestamp()).ok()?;
    let issued_by = signer(&certificate, issuer)?;
    Some(Proved {
        principal,
        attestation: Attestation::Mtls {
            key: Sha256::of(certificate.public_key().raw),
        },
        issued_at: Timestamp::from_secs(issued_at),
        // `notAfter` is inclusive.
        expires_at: Timestamp::from_secs(not_after.saturating_add(1)),
        issued_by: Some(issued_by),
    })
}

/// The authority that the certificate names, and that did sign it.
fn signer(certificate: &X509Certificate<'_>, issuer: &Issuer) -> Option<KeyId> {
    let named = issuer.issuing_key(Hierarchy::Control, authority_key_id(certificate)?)?;
    let record = issuer.records().iter().find(|record| record.id == *named)?;
    let (_, public) = SubjectPublicKeyInfo::from_der(&record.public).ok()?;
    certificate.verify_signature(Some(&public)).ok()?;
    Some(named.clone())
}

fn spiffe_id(certificate: &X509Certificate<'_>) -> Option<SpiffeId> {
    let names = certificate.subject_alternative_name().ok()??;
    match names.value.general_names.as_slice() {
        [GeneralName::URI(uri)] => uri.parse().ok(),
        _ => None,
    }
}

fn issued_at(certificate: &X509Certificate<'_>) -> Option<u64> {
    let mut ours = certificate
        .extensions()
        .iter()
        .filter(|extension| extension.oid.to_id_string() == task_extension::OID_TEXT);
    let extension = ours.next()?;
    if ours.next().is_some() {
        return None;
    }
    let extension = TaskExtension::from_der(extension.value).ok()?;
    extension
        .ancestors
        .is_empty()
        .then_some(extension.issued_at)
}

fn authority_key_id<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    certificate
        .extensions()
        .iter()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                id.key_identifier.as_ref().map(|id| id.0)
            }
            _ => None,
        })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use taskpass_core::rng::SeededRng;
    use taskpass_issuer::{CsrKey, IssuerConfig, KeyEncryptionKey};

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

    fn issuer() -> Issuer {
        let config = IssuerConfig {
            trust_domain: "example.org".parse().unwrap(),
            issuer_url: "https://broker.example".into(),
            crl_url: "https://broker.example".into(),
        };
        let kek = KeyEncryptionKey::from_bytes([1; 32]);
        let records = taskpass_issuer::init(&config.trust_domain, NOW, &kek).unwrap();
        Issuer::open(records, config, &kek).unwrap()
    }

    #[test]
    fn the_authority_is_the_one_that_signed() {
        let (ours, other) = (issuer(), issuer());
        let principal = Principal::Agent("reader".parse().unwrap());
        let id = SpiffeId::new(ours.trust_domain().clone(), principal.subject());
        let request = rcgen::CertificateParams::default()
            .serialize_request(&rcgen::KeyPair::generate().unwrap())
            .unwrap();
        let key = CsrKey::from_request(request.der(), &id).unwrap();
        let end = NOW.plus(Duration::from_hours(1));
        let rng = SeededRng::new(1);
        let identity = ours.sign_identity(&principal, &key, NOW, end, &rng);
        let identity = identity.unwrap();
        let proved = |der: &[u8], issuer| {
            let leaf = CertificateDer::from(der);
            super::proved(&leaf, ours.trust_domain(), issuer)
        };
        let good = proved(&identity.der, &ours).unwrap();
        assert_eq!(good.issued_by, Some(identity.key));
        assert_eq!(proved(&identity.der, &other), None);
        // It names ours, and somebody else signed it.
        let mut forged = identity.der;
        *forged.last_mut().unwrap() ^= 1;
        assert_eq!(proved(&forged, &ours), None);
    }
}
