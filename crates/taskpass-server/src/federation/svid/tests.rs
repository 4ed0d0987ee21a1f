//! Bundles in both forms, and what makes a certificate one of a workload.

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};
use taskpass_broker::federation::{Pattern, SvidRule};
use taskpass_core::audit::Attestation;

use super::*;

const ID: &str = "spiffe://prod.example/ns/a/sa/x";

fn domain(bundle: &Path) -> SvidDomain {
    let rule = SvidRule::new("bot".parse().unwrap(), Pattern::exact("id", ID).unwrap());
    SvidDomain {
        trust: SvidTrust::new("prod.example".parse().unwrap(), vec![rule]).unwrap(),
        bundle: bundle.to_owned(),
    }
}

fn authority() -> (Certificate, Issuer<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let certificate = params.self_signed(&key).unwrap();
    (certificate, Issuer::new(params, key))
}

fn params(uris: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    let uri = |uri: &&str| SanType::URI((*uri).try_into().unwrap());
    params.subject_alt_names = uris.iter().map(uri).collect();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.not_before = rcgen::date_time_ymd(2026, 11, 20);
    params.not_after = rcgen::date_time_ymd(2026, 11, 22);
    params
}

/// What makes a certificate another.
type Change = fn(&mut CertificateParams);

fn leaf(params: &CertificateParams) -> CertificateDer<'static> {
    let (_, issuer) = authority();
    let key = KeyPair::generate().unwrap();
    params.signed_by(&key, &issuer).unwrap().der().clone()
}

#[test]
fn only_a_leaf_of_the_right_shape_is_a_workload() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bundle.pem");
    std::fs::write(&path, authority().0.pem()).unwrap();
    let domains = Domains::open(&[domain(&path)]).unwrap();
    let proved = |params: &CertificateParams| domains.proved(&leaf(params));
    let good = proved(&params(&[ID])).unwrap().unwrap();
    assert_eq!(good.principal.to_string(), "agent/bot");
    let Attestation::ForeignSvid { spiffe_id, .. } = good.attestation else {
        panic!("another method");
    };
    assert_eq!(spiffe_id, ID);

    // Nobody of that domain: as good as no certificate.
    for uris in [
        &[][..],
        &["spiffe://other.example/ns/a/sa/x"],
        &[ID, ID],
        &[ID, "https://prod.example"],
        &["https://prod.example/ns/a/sa/x"],
    ] {
        assert!(proved(&params(uris)).is_none(), "{uris:?}");
    }
    let mut with_name = params(&[ID]);
    let name = SanType::DnsName("x.prod.example".try_into().unwrap());
    with_name.subject_alt_names.push(name);
    assert!(proved(&with_name).unwrap().is_ok());

    // Of the domain, and no workload of a rule.
    let refused = |change: &dyn Fn(&mut CertificateParams)| {
        let mut params = params(&[ID]);
        change(&mut params);
        proved(&params).unwrap().unwrap_err()
    };
    let shapes: [Change; 6] = [
        |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
        |params| params.key_usages.push(KeyUsagePurpose::KeyCertSign),
        |params| params.key_usages = vec![KeyUsagePurpose::KeyAgreement],
        |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth],
        |params| params.extended_key_usages.clear(),
        |params| params.not_after = rcgen::date_time_ymd(2027, 11, 22),
    ];
    for change in shapes {
        assert_eq!(refused(&change), AttestationRefusal::Nobody);
    }
    let stranger = proved(&params(&["spiffe://prod.example/ns/a/sa/y"]));
    assert!(stranger.unwrap().is_err());
}

#[test]
fn bundles_in_both_forms() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bundle");
    let (certificate, _) = authority();
    let x5c = data_encoding::BASE64.encode(certificate.der());
    let json = |usage: &str, x5c: &str| {
        format!(r#"{{"keys":[{{"kty":"EC","use":"{usage}","x5c":{x5c}}}],"spiffe_sequence":1}}"#)
    };
    let one = format!(r#"["{x5c}"]"#);
    for (text, good) in [
        (certificate.pem(), true),
        (format!("{0}{0}", certificate.pem()), true),
        (json("x509-svid", &one), true),
        (json("jwt-svid", &one), false),
        (json("x509-svid", "[]"), false),
        (json("x509-svid", &format!(r#"["{x5c}","{x5c}"]"#)), false),
        (json("x509-svid", r#"["AAAA"]"#), false),
        (String::new(), false),
        ("{}".into(), false),
        ("certificate".into(), false),
    ] {
        std::fs::write(&path, &text).unwrap();
        assert_eq!(read_bundle(&path).is_ok(), good, "{text}");
    }
}

#[test]
fn a_bundle_is_read_again_and_a_broken_one_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bundle");
    let pem = || authority().0.pem();
    std::fs::write(&path, pem()).unwrap();
    let domains = Domains::open(&[domain(&path)]).unwrap();
    let name = "prod.example".parse().unwrap();
    let roots = || {
        domains.bundles()[&name].roots[0]
            .subject_public_key_info
            .to_vec()
    };
    let first = roots();
    assert!(!domains.refresh());
    std::fs::write(&path, "half").unwrap();
    assert!(!domains.refresh());
    assert_eq!(roots(), first);
    std::fs::write(&path, pem()).unwrap();
    assert!(domains.refresh());
    assert_ne!(roots(), first);
    std::fs::remove_file(&path).unwrap();
    assert!(!domains.refresh());
}
