//! What the public may read of the keys: the JWKS, trust anchors, issuing authorities, views.

use taskpass_core::key::{JWKS_MAX_AGE, KeyId, KeyPurpose, KeyRecord, KeyState};
use taskpass_core::time::Timestamp;
use taskpass_token::{Jwk, JwkSet, SpiffeBundle, spki};

use crate::authority::{Authority, AuthorityId, Hierarchy, Root};
use crate::issuer::Issuer;
use crate::pem;
use crate::rotation;

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
    /// For an authority: its certificate, and those of others above it.
    pub certificate_pem: Option<String>,
    /// Whether its private half is here.
    pub has_private: bool,
    /// When a prepared key was asked to take over.
    pub takes_over_at: Option<Timestamp>,
}

impl KeyView {
    /// The view of a record.
    pub fn of(record: &KeyRecord) -> Self {
        let jwk = Jwk::from_json(&record.public)
            .is_ok()
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
            certificate_pem: record.certificate.as_deref().map(|der| {
                let above = record.chain.iter().map(Vec::as_slice);
                pem::certificates(std::iter::once(der).chain(above))
            }),
            has_private: record.has_private(),
            takes_over_at: record.activate_at,
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

    /// The trust anchors of a hierarchy in PEM: the root, a root of before while something beneath it
    /// lives, then the published issuing authorities. What others have certified the root by is not
    /// among them: whoever trusts these must not come to trust all that those others certify.
    pub fn anchors(&self, hierarchy: Hierarchy, now: Timestamp) -> String {
        let issuing = self.published(hierarchy, now).map(|a| &*a.der);
        let roots = self.roots(hierarchy, now).map(|root| &*root.der);
        pem::certificates(roots.chain(issuing))
    }

    /// The root, and roots of before while something beneath them lives.
    fn roots(&self, hierarchy: Hierarchy, now: Timestamp) -> impl Iterator<Item = &Root> {
        let branch = self.branch(hierarchy);
        let former = branch.former.iter().filter(move |root| {
            now < root.not_after && rotation::is_root_needed(&self.records, &root.record, now)
        });
        std::iter::once(&branch.root).chain(former)
    }

    /// The SPIFFE trust bundle: what the Task hierarchy and the keys of tokens certify, and nothing
    /// of Control.
    pub fn spiffe_bundle(&self, now: Timestamp) -> SpiffeBundle {
        let x509 = self.roots(Hierarchy::Task, now).filter_map(|root| {
            let key = spki::from_der(&root.record.public).ok()?;
            Some((key, root.der.to_vec()))
        });
        SpiffeBundle {
            sequence: self.last_change(now).millis(),
            refresh_hint: JWKS_MAX_AGE.as_secs(),
            x509: x509.collect(),
            jwt: self.jwks(now).iter().cloned().collect(),
        }
    }

    /// The last instant at which a key came or went: of its own, or because its time was over. The
    /// same for every replica, and after a restart.
    fn last_change(&self, now: Timestamp) -> Timestamp {
        let instants = self.records.iter().flat_map(|record| {
            [
                Some(record.created_at),
                record.activated_at,
                record.retired_at,
                record.published_until(),
                record.not_after,
            ]
        });
        let past = instants.flatten().filter(|at| *at <= now);
        past.max().unwrap_or(Timestamp::ZERO)
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

    /// When the key that waits for its turn takes over from the active one of `purpose`; `None` if none
    /// waits, or keys of this purpose do not rotate.
    pub fn takes_over_at(&self, purpose: KeyPurpose, now: Timestamp) -> Option<Timestamp> {
        rotation::takes_over_at(&self.records, purpose, now)
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
