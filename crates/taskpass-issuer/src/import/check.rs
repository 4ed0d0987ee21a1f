//! What the certificate of an authority must allow, and may not demand.

use rustls_pki_types::CertificateDer;
use taskpass_core::access::TokenAlg;
use taskpass_core::spiffe::{SpiffeId, Subject};
use taskpass_core::time::Timestamp;
use taskpass_core::ttl::CLOCK_SKEW;
use taskpass_token::{PublicKey, spki};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::ImportError;
use crate::authority::Hierarchy;
use crate::keys::{self, AuthorityKey};
use crate::profile::{self, Leaf, Role, Validity};
use crate::request::subject_of;

const ECDSA_WITH_SHA256: &str = "1.2.840.10045.4.3.2";

/// Where a certificate stands, and how many authorities must have room beneath it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rank {
    /// Certifies leaves.
    Issuing(Hierarchy),
    /// Between an issuing authority and the root.
    Above(Hierarchy, u32),
    /// Self-signed, and trusted from now on.
    Root(Hierarchy, u32),
    /// By which others certify our root.
    Crossed(Hierarchy),
}

pub(super) fn unfit(certificate: &X509Certificate<'_>, problem: impl Into<String>) -> ImportError {
    ImportError::Unfit {
        subject: subject_of(certificate.as_raw()),
        problem: problem.into(),
    }
}

/// Whether it may do what its place demands, now, and in a way that every verifier can check.
pub(super) fn authority(
    certificate: &X509Certificate<'_>,
    rank: Rank,
    now: Timestamp,
) -> Result<(), ImportError> {
    check(certificate, rank, now).map_err(|problem| unfit(certificate, problem))
}

fn check(certificate: &X509Certificate<'_>, rank: Rank, now: Timestamp) -> Result<(), String> {
    basic_constraints(certificate, rank)?;
    key_usage(certificate)?;
    valid_now(certificate, now)?;
    // What our own path shows is P-256, which our verifiers demand; above it others decide.
    if !matches!(rank, Rank::Crossed(_)) {
        match spki::from_der(certificate.public_key().raw) {
            Ok(PublicKey::P256(_)) => {}
            _ => return Err("its key is not P-256".to_owned()),
        }
    }
    let signed = certificate.signature_algorithm.algorithm.to_id_string();
    if matches!(rank, Rank::Issuing(_) | Rank::Above(..)) && signed != ECDSA_WITH_SHA256 {
        return Err("it is not signed with ECDSA P-256 and SHA-256".to_owned());
    }
    extensions(certificate, rank)
}

fn basic_constraints(certificate: &X509Certificate<'_>, rank: Rank) -> Result<(), String> {
    let found = certificate.basic_constraints().ok().flatten();
    let Some(found) = found.filter(|found| found.value.ca) else {
        return Err("it is not an authority's (basicConstraints CA:TRUE)".to_owned());
    };
    if !found.critical && !matches!(rank, Rank::Root(..)) {
        return Err("its basicConstraints is not critical".to_owned());
    }
    let length = found.value.path_len_constraint;
    let (good, wanted) = match rank {
        Rank::Issuing(_) => (length == Some(0), "must be 0".to_owned()),
        Rank::Above(_, below) | Rank::Root(_, below) => (
            length.is_none_or(|length| length >= below),
            format!("must be at least {below}, or absent"),
        ),
        Rank::Crossed(_) => (
            length.is_none_or(|length| length >= 1),
            "must be at least 1, or absent".to_owned(),
        ),
    };
    if good {
        Ok(())
    } else {
        Err(format!(
            "its path length {wanted} (basicConstraints pathlen)"
        ))
    }
}

fn key_usage(certificate: &X509Certificate<'_>) -> Result<(), String> {
    let usage = certificate.key_usage().ok().flatten();
    match usage {
        Some(usage) if usage.value.key_cert_sign() && usage.value.crl_sign() => Ok(()),
        _ => Err("its keyUsage must say keyCertSign and cRLSign".to_owned()),
    }
}

fn valid_now(certificate: &X509Certificate<'_>, now: Timestamp) -> Result<(), String> {
    let instant = |secs: i64| Timestamp::from_secs(u64::try_from(secs).unwrap_or(0));
    let validity = certificate.validity();
    if instant(validity.not_before.timestamp()) > now.plus(CLOCK_SKEW) {
        return Err(format!("it is not valid before {}", validity.not_before));
    }
    if instant(validity.not_after.timestamp()) <= now {
        return Err(format!("it has expired ({})", validity.not_after));
    }
    Ok(())
}

/// The last second in which it is good.
pub(super) fn last_instant(certificate: &X509Certificate<'_>) -> Timestamp {
    let last = certificate.validity().not_after.timestamp();
    Timestamp::from_secs(u64::try_from(last).unwrap_or(0))
}

/// Whether it is good at least until `needed`.
pub(super) fn lasts(
    certificate: &X509Certificate<'_>,
    needed: Timestamp,
) -> Result<(), ImportError> {
    if last_instant(certificate) >= needed {
        return Ok(());
    }
    let problem = format!("it ends too soon to be of use; it must last until {needed} at least");
    Err(unfit(certificate, problem))
}

fn extensions(certificate: &X509Certificate<'_>, rank: Rank) -> Result<(), String> {
    for extension in certificate.extensions() {
        let oid = extension.oid.to_id_string();
        match extension.parsed_extension() {
            ParsedExtension::BasicConstraints(_)
            | ParsedExtension::KeyUsage(_)
            | ParsedExtension::SubjectKeyIdentifier(_)
            | ParsedExtension::AuthorityKeyIdentifier(_) => {}
            ParsedExtension::ExtendedKeyUsage(usage) => {
                let server = matches!(
                    rank,
                    Rank::Issuing(Hierarchy::Control)
                        | Rank::Above(Hierarchy::Control, _)
                        | Rank::Crossed(Hierarchy::Control)
                );
                let enough = usage.any || (usage.client_auth && (usage.server_auth || !server));
                if !enough && !matches!(rank, Rank::Root(..)) {
                    let which = if server {
                        "clientAuth and serverAuth"
                    } else {
                        "clientAuth"
                    };
                    return Err(format!(
                        "its extendedKeyUsage must allow {which}, or be absent"
                    ));
                }
            }
            ParsedExtension::NameConstraints(names) => {
                let lists = [&names.permitted_subtrees, &names.excluded_subtrees];
                for subtree in lists.into_iter().flatten().flatten() {
                    name_constraint(&subtree.base, rank)?;
                }
            }
            _ if extension.critical => {
                return Err(format!(
                    "its critical extension {oid} is not known to verifiers"
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Verifiers that cannot process a constraint on a kind of name refuse every such name, and the names
/// of tasks and callers are URIs.
fn name_constraint(base: &GeneralName<'_>, rank: Rank) -> Result<(), String> {
    let control = matches!(
        rank,
        Rank::Issuing(Hierarchy::Control)
            | Rank::Above(Hierarchy::Control, _)
            | Rank::Root(Hierarchy::Control, _)
            | Rank::Crossed(Hierarchy::Control)
    );
    match base {
        GeneralName::URI(_) => Err(
            "its nameConstraints are on URIs, which many TLS libraries do \
             not process: they would refuse every certificate beneath it"
                .to_owned(),
        ),
        GeneralName::DNSName(_) | GeneralName::IPAddress(_) if control => Err(
            "its nameConstraints are on DNS names or addresses, and would refuse the broker's \
                 own certificate, which names localhost"
                .to_owned(),
        ),
        _ => Ok(()),
    }
}

/// Whether what is signed beneath it will name it as it names itself: a name in a form that cannot be
/// written again byte for byte would break every path.
pub(super) fn names_itself(certificate: &X509Certificate<'_>) -> Result<(), ImportError> {
    let simple = certificate
        .subject()
        .iter()
        .all(|rdn| rdn.iter().count() == 1);
    let empty = certificate.subject().iter().count() == 0;
    if !empty && simple && trial(certificate).is_some_and(|issuer| issuer) {
        return Ok(());
    }
    let problem = "its subject is not of a form that can stand in what it certifies: one plain \
                   attribute of each kind, such as O and CN";
    Err(unfit(certificate, problem))
}

/// Signs a leaf that nobody gets, with a key that is thrown away, and compares the names.
fn trial(certificate: &X509Certificate<'_>) -> Option<bool> {
    let (private, _) = keys::generate(TokenAlg::Es256).ok()?;
    let key = AuthorityKey::from_private(&private).ok()?;
    let der = CertificateDer::from(certificate.as_raw().to_vec());
    let signer = rcgen::Issuer::from_ca_cert_der(&der, &key).ok()?;
    let leaf = profile::leaf(Leaf {
        serial: [1; 16],
        validity: Validity {
            from: Timestamp::from_secs(1),
            until: Timestamp::from_secs(2),
        },
        id: SpiffeId::new("trial.invalid".parse().ok()?, Subject::Broker),
        more_names: Vec::new(),
        role: Role::Client,
        extension: None,
        crl_url: None,
    });
    let made = leaf.ok()?.signed_by(&key, &signer).ok()?;
    let (_, parsed) = X509Certificate::from_der(made.der()).ok()?;
    Some(parsed.issuer().as_raw() == certificate.subject().as_raw())
}
