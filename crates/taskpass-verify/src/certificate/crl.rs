//! Task certificates judged by revocation lists, for an API that cannot keep a feed.
//!
//! A list is good until its `nextUpdate`, five minutes for the broker's; from then on certificates
//! that it speaks of are refused, and so is one of which no list speaks. Both are against the habit of
//! path libraries, which ignore `nextUpdate` unless told otherwise. Lists are required for the whole
//! path: the issuing authority's for the certificate, the root's for the issuing authority. A list is
//! taken only if one of our authorities signed it, and never in place of a newer one.
//!
//! Fetching them is the caller's: `/crl/{issuer}/{hour}.crl` for each hour in which a certificate may
//! end, and `/crl/root.crl`. Tokens are not judged here; for them there is the feed.

mod list;

use std::sync::{Arc, PoisonError, RwLock};

use taskpass_core::Timestamp;
use taskpass_core::spiffe::TrustDomain;
use taskpass_core::time::Clock;

use super::{Anchors, AnchorsError, CertificateError, VerifiedCertificate};
use crate::refusal::Refusal;

pub use list::CrlError;
pub(super) use list::List;

/// Checks task certificates against revocation lists. Cloning it shares everything.
#[derive(Debug, Clone)]
pub struct CrlVerifier {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    trust_domain: TrustDomain,
    anchors: Anchors,
    clock: Arc<dyn Clock>,
    lists: RwLock<Vec<Arc<List>>>,
}

impl CrlVerifier {
    /// A verifier that refuses everything until it has the lists. `task_anchors_pem` is the broker's
    /// `/ca.pem`; new anchors need a new verifier.
    pub fn new(
        trust_domain: TrustDomain,
        task_anchors_pem: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AnchorsError> {
        let inner = Inner {
            trust_domain,
            anchors: Anchors::from_pem(task_anchors_pem)?,
            clock,
            lists: RwLock::default(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Takes a list, in DER, in place of an older one of the same scope. Lists that have ended for
    /// good are forgotten on the way.
    pub fn take(&self, der: &[u8]) -> Result<(), CrlError> {
        let now = self.inner.clock.now();
        let list = List::read(der, &self.inner.anchors, now)?;
        let mut lists = self
            .inner
            .lists
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if lists.iter().any(|held| held.is_newer_than(&list)) {
            return Err(CrlError::Older);
        }
        lists.retain(|held| !held.is_replaced_by(&list) && !held.is_long_over(now));
        lists.push(Arc::new(list));
        Ok(())
    }

    /// When the first of the lists ends: by then there should be a newer one.
    pub fn next_update(&self) -> Option<Timestamp> {
        let lists = self.lists();
        lists.iter().map(|list| list.next_update()).min()
    }

    /// Checks a certificate in DER with what its holder sent along. Ask again for each request: the
    /// lists of that moment decide.
    pub fn verify_certificate(
        &self,
        leaf: &[u8],
        intermediates: &[&[u8]],
    ) -> Result<VerifiedCertificate, Refusal> {
        let (anchors, now) = (&self.inner.anchors, self.inner.clock.now());
        let refused = Refusal::Certificate;
        // First without the lists: only those of the path's own authorities count, and nobody else
        // can put one before them.
        let certificate = anchors
            .verify(leaf, intermediates, &self.inner.trust_domain, now)
            .map_err(refused)?;
        if !list::names_its_list(leaf) {
            return Err(refused(CertificateError::Shape(
                "it does not name its list",
            )));
        }
        let lists: Vec<_> = self
            .lists()
            .into_iter()
            .filter(|list| {
                list.signer() == certificate.issuer_key()
                    || certificate.authorities().contains(list.signer())
            })
            .collect();
        anchors.check_lists(leaf, intermediates, &lists, now)?;
        Ok(certificate)
    }

    fn lists(&self) -> Vec<Arc<List>> {
        self.inner
            .lists
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[cfg(test)]
mod tests;
