//! What the public may read of the keys: the JWKS, trust anchors, issuing authorities, views.

use taskpass_core::key::{KeyId, KeyPurpose, KeyRecord, KeyState};
use taskpass_core::time::Timestamp;
use taskpass_token::{Jwk, JwkSet};

use crate::authority::{Authority, AuthorityId, Hierarchy};
use crate::issuer::Issuer;
use crate::pem;

/// An issuing authority as the public sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityView {
    /// Its name in CRL URLs.
    pub id: AuthorityId,
    /// Its key.
    pub key: KeyId,
    /// Where in its life it is.
    pub state: KeyState,
    /// The key identifier that its certificates name as their authority's.
    pub key_identifier: Vec<u8>,
    /// Its certificate.
    pub der: Vec<u8>,
    /// When that ends.
    pub not_after: Timestamp,
}

/// A key as operators see it: everything but the private half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyView {
    /// Its name.
    pub id: KeyId,
    /// What it signs.
    pub purpose: KeyPurpose,
    /// Where in its life it is.
    pub state: KeyState,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it began to sign.
    pub activated_at: Option<Timestamp>,
    /// When it stopped.
    pub retired_at: Option<Timestamp>,
    /// For an authority: when its certificate ends.
    pub not_after: Option<Timestamp>,
    /// For any other key: its public half.
    pub public_jwk: Option<String>,
    /// For an authority: its certificate.
    pub certificate_pem: Option<String>,
}

impl KeyView {
    /// The view of a record.
    pub fn of(record: &KeyRecord) -> Self {
        let jwk = record
            .certificate
            .is_none()
            .then(|| String::from_utf8_lossy(&record.public).into_owned());
        Self {
            id: record.id.clone(),
            purpose: record.purpose,
            state: record.state,
            created_at: record.created_at,
            activated_at: record.activated_at,
            retired_at: record.retired_at,
            not_after: record.not_after,
            public_jwk: jwk,
            certificate_pem: record
                .certificate
                .as_deref()
                .map(|der| pem::encode("CERTIFICATE", der)),
        }
    }
}

impl Issuer {
    /// The keys that verifiers of tokens must know at `now`: prepared, active, lately retired.
    pub fn jwks(&self, now: Timestamp) -> JwkSet {
        let keys = self
            .records
            .iter()
            .filter(|record| {
                matches!(
                    record.purpose,
                    KeyPurpose::TokenEs256 | KeyPurpose::TokenEdDsa
                ) && record.is_published(now)
            })
            .filter_map(|record| Jwk::from_json(&record.public).ok());
        // Records are unique by id, which is the thumbprint, so no two keys can collide.
        JwkSet::from_keys(keys).unwrap_or_default()
    }

    /// The trust anchors of a hierarchy in PEM: the root, then the published issuing authorities.
    pub fn anchors(&self, hierarchy: Hierarchy, now: Timestamp) -> String {
        let root = &*self.branch(hierarchy).root.der;
        let issuing = self.published(hierarchy, now).map(|a| &*a.der);
        pem::certificates(std::iter::once(root).chain(issuing))
    }

    /// The root's certificate.
    pub fn root_der(&self, hierarchy: Hierarchy) -> &[u8] {
        &self.branch(hierarchy).root.der
    }

    /// The published issuing authorities of a hierarchy.
    pub fn authorities(&self, hierarchy: Hierarchy, now: Timestamp) -> Vec<AuthorityView> {
        self.published(hierarchy, now)
            .map(|authority| AuthorityView {
                id: authority.id.clone(),
                key: authority.key.clone(),
                state: authority.state,
                key_identifier: authority.key_identifier.clone(),
                der: authority.der.to_vec(),
                not_after: authority.not_after,
            })
            .collect()
    }

    /// Every key, as operators see it.
    pub fn key_views(&self) -> Vec<KeyView> {
        self.records.iter().map(KeyView::of).collect()
    }

    fn published(&self, hierarchy: Hierarchy, now: Timestamp) -> impl Iterator<Item = &Authority> {
        self.branch(hierarchy)
            .issuing
            .iter()
            .map(|authority| &**authority)
            .filter(move |authority| {
                now < authority.not_after
                    && self
                        .records
                        .iter()
                        .any(|record| record.id == authority.key && record.is_published(now))
            })
    }
}

#[cfg(test)]
mod tests;
