//! Certificates of other trust domains: their bundles, and what a verified one proves.
//!
//! Which bundle a certificate is held against is decided by the trust domain that it claims, before any
//! path is built: no authority can vouch for another domain than its own, and none but ours for ours.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Deserialize;
use taskpass_broker::Proved;
use taskpass_broker::federation::{AttestationRefusal, SvidId, SvidTrust};
use taskpass_core::Timestamp;
use taskpass_core::secret::Sha256;
use taskpass_core::spiffe::TrustDomain;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::FederationError;
use super::keys::read_file;
use super::settings::SvidDomain;

/// The authorities of each domain.
pub(crate) type Bundles = BTreeMap<TrustDomain, Arc<RootCertStore>>;

/// The domains that are believed.
pub(crate) struct Domains {
    trusts: Vec<(SvidTrust, PathBuf)>,
    current: Mutex<Read>,
}

struct Read {
    bundles: Bundles,
    /// What the files held when they were looked at last, good or not.
    seen: BTreeMap<TrustDomain, Sha256>,
}

impl Domains {
    pub(super) fn open(settings: &[SvidDomain]) -> Result<Self, FederationError> {
        let mut read = Read {
            bundles: BTreeMap::new(),
            seen: BTreeMap::new(),
        };
        for domain in settings {
            let name = domain.trust.trust_domain().clone();
            let text = read_file(&domain.bundle)?;
            read.seen.insert(name.clone(), Sha256::of(&text));
            read.bundles
                .insert(name, Arc::new(bundle(&text, &domain.bundle)?));
        }
        let trusts = settings
            .iter()
            .map(|domain| (domain.trust.clone(), domain.bundle.clone()))
            .collect();
        Ok(Self {
            trusts,
            current: Mutex::new(read),
        })
    }

    /// The authorities of this moment.
    pub(crate) fn bundles(&self) -> Bundles {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.bundles.clone()
    }

    /// Reads the files again; whether something is new. One that cannot be used leaves the one before.
    pub(crate) fn refresh(&self) -> bool {
        let mut changed = false;
        for (trust, path) in &self.trusts {
            let name = trust.trust_domain();
            let text = match read_file(path) {
                Ok(text) => text,
                Err(error) => {
                    complain(&error);
                    continue;
                }
            };
            let digest = Sha256::of(&text);
            let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            if current.seen.insert(name.clone(), digest) == Some(digest) {
                continue;
            }
            match bundle(&text, path) {
                Ok(roots) => {
                    current.bundles.insert(name.clone(), Arc::new(roots));
                    tracing::info!(trust_domain = %name, "a federated trust domain has a new bundle");
                    changed = true;
                }
                Err(error) => complain(&error),
            }
        }
        changed
    }

    /// What a verified certificate of another trust domain proves; nothing if it is not of one that is
    /// believed.
    pub(crate) fn proved(
        &self,
        leaf: &CertificateDer<'_>,
    ) -> Option<Result<Proved, AttestationRefusal>> {
        let id = claimed(leaf)?;
        let (trust, _) = self
            .trusts
            .iter()
            .find(|(trust, _)| trust.trust_domain() == id.trust_domain())?;
        let read = read_svid(leaf);
        Some(match read {
            Some((key, life)) => trust.proved(&id, key, life),
            None => Err(AttestationRefusal::Nobody),
        })
    }
}

fn complain(error: &FederationError) {
    tracing::error!(
        error = error as &dyn std::error::Error,
        "a federated trust domain's bundle cannot be used; the one before stays"
    );
}

/// Who a certificate says that its holder is: its one URI.
pub(crate) fn claimed(leaf: &CertificateDer<'_>) -> Option<SvidId> {
    let (rest, certificate) = X509Certificate::from_der(leaf).ok()?;
    if !rest.is_empty() {
        return None;
    }
    let names = certificate.subject_alternative_name().ok()??;
    let mut uris = names
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        });
    let (uri, more) = (uris.next()?, uris.next());
    if more.is_some() {
        return None;
    }
    uri.parse().ok()
}

/// The key and the life of a leaf that is one (X509-SVID §4, §5): no authority, made for signing
/// handshakes as a client.
fn read_svid(leaf: &CertificateDer<'_>) -> Option<(Sha256, (Timestamp, Timestamp))> {
    let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
    let usage = certificate.key_usage().ok()??.value;
    let extended = certificate.extended_key_usage().ok()??.value;
    let is_leaf = !certificate.is_ca()
        && usage.digital_signature()
        && !usage.key_cert_sign()
        && !usage.crl_sign()
        && extended.client_auth;
    if !is_leaf {
        return None;
    }
    let validity = certificate.validity();
    let from = u64::try_from(validity.not_before.timestamp()).ok()?;
    let until = u64::try_from(validity.not_after.timestamp()).ok()?;
    // `notAfter` is inclusive.
    let life = (
        Timestamp::from_secs(from),
        Timestamp::from_secs(until.saturating_add(1)),
    );
    Some((Sha256::of(certificate.public_key().raw), life))
}

/// The authorities in a file.
pub(super) fn read_bundle(path: &Path) -> Result<RootCertStore, FederationError> {
    bundle(&read_file(path)?, path)
}

#[derive(Deserialize)]
struct SpiffeBundle {
    keys: Vec<SpiffeKey>,
}

#[derive(Deserialize)]
struct SpiffeKey {
    #[serde(default, rename = "use")]
    usage: Option<String>,
    #[serde(default)]
    x5c: Vec<String>,
}

/// PEM, or the JSON of a SPIFFE bundle (SPIFFE Trust Domain and Bundle §4).
fn bundle(text: &[u8], path: &Path) -> Result<RootCertStore, FederationError> {
    let wrong = || FederationError::Bundle {
        path: path.to_owned(),
        expected: "certificates in PEM, or a SPIFFE bundle with keys for x509-svid",
    };
    let mut roots = RootCertStore::empty();
    if text.trim_ascii_start().starts_with(b"{") {
        let bundle: SpiffeBundle = serde_json::from_slice(text).map_err(|_| wrong())?;
        for key in &bundle.keys {
            if key.usage.as_deref() != Some("x509-svid") {
                continue;
            }
            let [certificate] = key.x5c.as_slice() else {
                return Err(wrong());
            };
            let der = data_encoding::BASE64
                .decode(certificate.as_bytes())
                .map_err(|_| wrong())?;
            roots.add(der.into()).map_err(|_| wrong())?;
        }
    } else {
        for der in CertificateDer::pem_slice_iter(text) {
            roots.add(der.map_err(|_| wrong())?).map_err(|_| wrong())?;
        }
    }
    if roots.is_empty() {
        return Err(wrong());
    }
    Ok(roots)
}

#[cfg(test)]
mod tests;
