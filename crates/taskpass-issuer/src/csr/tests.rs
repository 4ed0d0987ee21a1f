//! What a request may ask for, and what it is refused for, field by field.

use super::*;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType, SignatureAlgorithm,
};

/// RSA of 1024 bits, with a good signature.
const RSA: &str = "MIIBSzCBtQIBADAMMQowCAYDVQQDDAF4MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCsb3AuCC7G3OVScKREHI4f2mN/jWsj5V58tPD3rTJsVrkykbn5AzzFBz6ViB6UzO4CIWuURDVZk0KG0TvrN67uqFazJxgTD50VYRMAhzqXN3IVrsCD35X0VQ5kjyRXPsMYaNrC2XfTsN2FmBOqgMlK3zqFm1DzF5g38/xLWJmGowIDAQABoAAwDQYJKoZIhvcNAQELBQADgYEAYwTP4hQFu0TFKmUmKv5EAl6YIZEddrwnVyjvwZXjNW/6icX6pdm7+5No/gqFnqeyPP6JJnUJpX4wKkZy11iBZj305f8mj0bDYvoXJF+ncv257DzACBC76exlfcCoYff6gfeqVMaRiHxBQM0EJC5+NJ4zSiyEWoBFjCdTyrrBI6I=";

/// What OpenSSL 3 makes of `req -new -addext subjectAltName=URI:…`, with a common name.
const OPENSSL: &str = "-----BEGIN CERTIFICATE REQUEST-----
MIIBADCBqAIBADAMMQowCAYDVQQDDAF4MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcD
QgAEflWNrlEZrd2fP6AfZKLsDQqTGbayhcLkXDvzLIOBn+yZEPtFBaqHvU72GBdw
sfD6UsOMkFnxO/POzWZ2d8/Ri6A6MDgGCSqGSIb3DQEJDjErMCkwJwYDVR0RBCAw
HoYcc3BpZmZlOi8vZXhhbXBsZS5vcmcvYWdlbnQvYTAKBggqhkjOPQQDAgNHADBE
AiBPh2D2L7lgxXPip0EQNBGS4Py5yKrqePfoP91VvnjRQQIgCdmXd7RvtJfzQvrY
YJCWPKYKmnAcvqU1f1FOIfprv+Y=
-----END CERTIFICATE REQUEST-----
";

fn expected() -> SpiffeId {
    "spiffe://example.org/agent/a".parse().unwrap()
}

pub(crate) fn request(alg: &'static SignatureAlgorithm, params: &CertificateParams) -> Vec<u8> {
    let key = KeyPair::generate_for(alg).unwrap();
    params.serialize_request(&key).unwrap().der().to_vec()
}

/// A key that its holder proved, of whoever `id` names.
pub(crate) fn proved(alg: &'static SignatureAlgorithm, id: &SpiffeId) -> CsrKey {
    CsrKey::from_request(&request(alg, &CertificateParams::default()), id).unwrap()
}

fn read(params: &CertificateParams) -> Result<CsrKey, CsrError> {
    CsrKey::from_request(&request(&rcgen::PKCS_ED25519, params), &expected())
}

fn with(change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = CertificateParams::default();
    change(&mut params);
    params
}

#[test]
fn a_modest_request_gives_its_key_and_nothing_else() {
    for alg in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ED25519] {
        let pair = KeyPair::generate_for(alg).unwrap();
        let uri = SanType::URI(expected().to_string().try_into().unwrap());
        let params = with(|p| {
            p.distinguished_name
                .push(DnType::CommonName, "whatever I like");
            p.subject_alt_names = vec![uri];
            p.is_ca = IsCa::ExplicitNoCa;
            p.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        });
        let csr = params.serialize_request(&pair).unwrap();
        let key = CsrKey::from_request(csr.der(), &expected()).unwrap();
        let spki = rcgen::PublicKeyData::subject_public_key_info(&pair);
        assert_eq!(key.spki(), spki);
        assert_eq!(rcgen::PublicKeyData::subject_public_key_info(&key), spki);
        assert_eq!(key.digest(), Sha256::of(&spki));
        let pem = csr.pem().unwrap();
        assert_eq!(CsrKey::from_request(pem.as_bytes(), &expected()), Ok(key));
    }
    assert!(CsrKey::from_request(OPENSSL.as_bytes(), &expected()).is_ok());
}

#[test]
fn what_may_not_be_asked_for_is_named() {
    let uri = |text: &str| SanType::URI(text.try_into().unwrap());
    let own = expected().to_string();
    for names in [
        vec![uri("spiffe://example.org/agent/b")],
        vec![uri("spiffe://example.org/operator/a")],
        vec![uri(&own), uri(&own)],
        vec![
            uri(&own),
            SanType::DnsName("evil.example".try_into().unwrap()),
        ],
        vec![SanType::DnsName("evil.example".try_into().unwrap())],
        vec![SanType::IpAddress([127, 0, 0, 1].into())],
        vec![SanType::Rfc822Name("a@example.org".try_into().unwrap())],
    ] {
        let refused = read(&with(|p| p.subject_alt_names = names)).unwrap_err();
        assert_eq!(refused.field(), "csr.subject_alt_name");
    }
    for is_ca in [
        BasicConstraints::Unconstrained,
        BasicConstraints::Constrained(0),
    ] {
        let refused = read(&with(|p| p.is_ca = IsCa::Ca(is_ca))).unwrap_err();
        assert_eq!(refused, CsrError::Authority);
    }
    for usages in [
        vec![KeyUsagePurpose::KeyCertSign],
        vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::CrlSign],
    ] {
        let refused = read(&with(|p| p.key_usages = usages)).unwrap_err();
        assert_eq!(refused, CsrError::KeyUsage);
    }
    for purposes in [
        vec![ExtendedKeyUsagePurpose::ServerAuth],
        vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::Any,
        ],
        vec![ExtendedKeyUsagePurpose::Other(vec![1, 2, 3])],
    ] {
        let refused = read(&with(|p| p.extended_key_usages = purposes)).unwrap_err();
        assert_eq!(refused, CsrError::ExtendedKeyUsage);
    }
    for oid in [
        &[1, 2, 3, 4][..],
        taskpass_token::task_extension::OID,
        &[2, 5, 29, 30],
    ] {
        let extension = CustomExtension::from_oid_content(oid, vec![5, 0]);
        let refused = read(&with(|p| p.custom_extensions = vec![extension])).unwrap_err();
        assert_eq!(refused.field(), "csr.extensions");
    }
}

#[test]
fn keys_that_are_not_accepted() {
    let rsa = data_encoding::BASE64.decode(RSA.as_bytes()).unwrap();
    let refused = CsrKey::from_request(&rsa, &expected()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "subjectPublicKeyInfo: RSA of 1024 bits is not accepted; use P-256 or Ed25519"
    );
    let p384 = request(
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &CertificateParams::default(),
    );
    let refused = CsrKey::from_request(&p384, &expected()).unwrap_err();
    assert_eq!(refused.field(), "csr.subject_public_key_info");
}

#[test]
fn a_request_signed_by_somebody_else() {
    for alg in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ED25519] {
        let good = request(alg, &CertificateParams::default());
        let subject = good.windows(5).position(|text| text == b"rcgen").unwrap();
        for place in [good.len() - 1, subject] {
            let mut tampered = good.clone();
            tampered[place] ^= 1;
            let refused = CsrKey::from_request(&tampered, &expected()).unwrap_err();
            assert_eq!(refused, CsrError::BadSignature, "{place}");
        }
        for end in 0..good.len() {
            assert!(
                CsrKey::from_request(&good[..end], &expected()).is_err(),
                "{end}"
            );
        }
        let mut longer = good.clone();
        longer.push(0);
        assert_eq!(
            CsrKey::from_request(&longer, &expected()),
            Err(CsrError::Malformed)
        );
    }
}

#[test]
fn what_is_no_request() {
    let huge = vec![0x30; MAX_CSR_LEN + 1];
    assert_eq!(
        CsrKey::from_request(&huge, &expected()),
        Err(CsrError::TooLong)
    );
    let doubled = OPENSSL.repeat(2);
    let preceded =
        format!("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n{OPENSSL}");
    for bad in [
        "",
        "junk",
        &doubled,
        &preceded,
        "-----BEGIN CERTIFICATE REQUEST-----",
    ] {
        let refused = CsrKey::from_request(bad.as_bytes(), &expected());
        assert_eq!(refused, Err(CsrError::Malformed), "{bad}");
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    let good = [
        pem::decode(OPENSSL.as_bytes(), &PEM_LABELS).unwrap(),
        request(&rcgen::PKCS_ED25519, &CertificateParams::default()),
    ];
    for der in good {
        assert!(CsrKey::from_request(&der, &expected()).is_ok());
        for (place, bit) in (0..der.len()).flat_map(|place| (0..8).map(move |bit| (place, bit))) {
            let mut changed = der.clone();
            changed[place] ^= 1 << bit;
            let refused = CsrKey::from_request(&changed, &expected());
            assert!(refused.is_err(), "byte {place}, bit {bit}");
        }
    }
}

/// extensionRequest, challengePassword, and one that nobody knows.
const ATTRIBUTES: [&[u64]; 3] = [
    &[1, 2, 840, 113_549, 1, 9, 14],
    &[1, 2, 840, 113_549, 1, 9, 7],
    &[1, 2, 3, 4],
];

proptest::proptest! {
    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes: Vec<u8>) {
        proptest::prop_assert!(CsrKey::from_request(&bytes, &expected()).is_err());
    }

    #[test]
    fn any_attributes_behind_a_good_signature_are_read_or_refused(
        raw: Vec<u8>,
        value in proptest::collection::vec(proptest::num::u8::ANY, 0..40),
        oid in proptest::sample::select(&ATTRIBUTES),
    ) {
        let pair = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let attribute = rcgen::Attribute { oid, values: value };
        let made = CertificateParams::default()
            .serialize_request_with_attributes(&pair, vec![attribute]);
        if let Ok(made) = made
            && let Ok(key) = CsrKey::from_request(made.der(), &expected())
        {
            proptest::prop_assert_eq!(
                key.spki(),
                rcgen::PublicKeyData::subject_public_key_info(&pair)
            );
        }
        // Neither does a PEM armour around anything make it a request.
        let armoured = format!(
            "-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n",
            data_encoding::BASE64.encode(&raw)
        );
        proptest::prop_assert!(CsrKey::from_request(armoured.as_bytes(), &expected()).is_err());
    }
}
