//! What each kind of certificate contains; every field is set here and nothing is left to defaults.
//!
//! rcgen's defaults are wrong for an authority: a subject that says "self signed", a serial number
//! that is a hash of the key (so two certificates of one key share it), validity until 4096, no
//! authority key identifier. [`leaf`] and [`authority`] therefore set all of them.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CrlDistributionPoint, CustomExtension, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType, SerialNumber,
};
use taskpass_core::spiffe::SpiffeId;
use taskpass_core::time::Timestamp;
use taskpass_token::TaskExtension;
use taskpass_token::task_extension::OID;

/// How far a certificate's beginning is set back, for clients whose clocks are behind.
pub(crate) const BACKDATE: Duration = Duration::from_mins(1);

/// The longest common name and organisation (RFC 5280, upper bounds).
pub(crate) const MAX_NAME: usize = 64;

/// From when until when; `until` is the first instant at which the certificate is over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Validity {
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
}

/// What an end-entity certificate is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Role {
    Client,
    Server,
    /// Both, as an X.509-SVID must be.
    Svid,
}

/// The parts in which end-entity certificates differ.
pub(crate) struct Leaf {
    pub(crate) serial: [u8; 16],
    pub(crate) validity: Validity,
    pub(crate) id: SpiffeId,
    pub(crate) more_names: Vec<SanType>,
    pub(crate) role: Role,
    pub(crate) extension: Option<TaskExtension>,
    pub(crate) crl_url: Option<String>,
}

fn base(serial: [u8; 16], validity: Validity) -> CertificateParams {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.not_before = epoch + Duration::from_secs(validity.from.minus(BACKDATE).secs());
    // X.509 counts its last second in, `exp` does not.
    params.not_after = epoch + Duration::from_secs(validity.until.secs().saturating_sub(1));
    params.distinguished_name = DistinguishedName::new();
    params.use_authority_key_identifier_extension = true;
    params
}

/// An end-entity certificate: no subject, one critical URI name, one use, no authority.
pub(crate) fn leaf(leaf: Leaf) -> Result<CertificateParams, rcgen::Error> {
    let mut params = base(leaf.serial, leaf.validity);
    params.subject_alt_names = vec![SanType::URI(leaf.id.to_string().try_into()?)];
    params.subject_alt_names.extend(leaf.more_names);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = match leaf.role {
        Role::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
        Role::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
        Role::Svid => vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ],
    };
    params.crl_distribution_points = leaf
        .crl_url
        .map(|uri| CrlDistributionPoint { uris: vec![uri] })
        .into_iter()
        .collect();
    params.custom_extensions = leaf
        .extension
        .map(|extension| CustomExtension::from_oid_content(OID, extension.to_der()))
        .into_iter()
        .collect();
    Ok(params)
}

/// A root (`below` = 1) or issuing authority (`below` = 0).
pub(crate) fn authority(
    serial: [u8; 16],
    validity: Validity,
    common_name: &str,
    organisation: &str,
    below: u8,
) -> CertificateParams {
    let mut params = base(serial, validity);
    let short = |text: &str| text.chars().take(MAX_NAME).collect::<String>();
    let name = &mut params.distinguished_name;
    name.push(DnType::OrganizationName, short(organisation));
    name.push(DnType::CommonName, short(common_name));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}
