//! Lists of revoked certificates.

use std::sync::Arc;
use std::time::Duration;

use taskpass_core::Timestamp;
use taskpass_core::credential::CredentialKind;
use taskpass_core::key::{KeyId, KeyState};
use taskpass_core::listing::{ListId, list_hour};
use taskpass_core::secret::Sha256;
use taskpass_core::ttl::MAX_CERTIFICATE_TTL;
use taskpass_issuer::crl::{CRL_LIFE, ROOT_CRL_LIFE};
use taskpass_issuer::{AuthorityId, CrlError, Hierarchy};

use super::document::{Document, ListError, Made, Pace};
use crate::broker::Broker;

/// A list may be long: two signatures a second at most.
const PACE: Pace = Pace {
    changed: Duration::from_millis(500),
    unchanged: Duration::from_secs(30),
};

/// The root's list changes with the keys alone.
const ROOT_PACE: Pace = Pace {
    changed: Duration::from_secs(1),
    unchanged: Duration::from_hours(1),
};

/// Names a list of certificates.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum CrlName {
    /// An issuing authority's, by its key.
    Issuing(KeyId, ListId),
    /// The root's.
    Root,
}

impl CrlName {
    /// Whether it is of an hour from `oldest` on, or of none.
    pub(crate) fn is_from(&self, oldest: u64) -> bool {
        match self {
            Self::Issuing(_, id) => id.hour >= oldest,
            Self::Root => true,
        }
    }
}

impl Broker {
    /// The signed list `id` of `authority`, in DER.
    pub async fn crl(
        &self,
        authority: &AuthorityId,
        id: ListId,
    ) -> Result<Arc<Document>, ListError> {
        let instant = self.instant();
        let issuer = self.issuer.load_full();
        let key = issuer
            .authorities(Hierarchy::Task, instant.now)
            .into_iter()
            .find(|view| view.id == *authority)
            .map(|view| view.key)
            .ok_or(ListError::Unknown)?;
        let (oldest, newest) = certificate_hours(instant.now);
        if !(oldest..=newest).contains(&id.hour) {
            return Err(ListError::Unknown);
        }
        // Each hour has a first list, also if it is empty: verifiers fetch them ahead.
        if id.list > 0 {
            self.list_exists(CredentialKind::Certificate, id).await?;
        }
        let wanted = || Made {
            key: key.clone(),
            version: self.revoked_lists.certificate_version(&key, id),
        };
        let make = || async {
            let as_of = self.complete_as_of(instant.now, CRL_LIFE)?;
            // RFC 5280 §3.3: an entry stays on one list that is made after the certificate's end.
            let entries = self
                .revoked_lists
                .certificates(&key, id, as_of.minus(CRL_LIFE));
            let number = self.next_crl_number().await.map_err(ListError::failed)?;
            let (issuer, authority) = (Arc::clone(&issuer), authority.clone());
            // Putting a long list together takes longer than the runtime should be kept busy.
            let made = tokio::task::spawn_blocking(move || {
                issuer.crl(&authority, id, &entries, number, as_of)
            });
            let der = made
                .await
                .map_err(ListError::failed)?
                .map_err(ListError::failed)?;
            self.metrics.signed_crls.one();
            Ok(Document::new(der, as_of.plus(CRL_LIFE)))
        };
        let name = CrlName::Issuing(key.clone(), id);
        self.crl_documents
            .get(&name, PACE, instant, wanted, make)
            .await
    }

    /// The root's signed list, in DER: issuing authorities that are tainted.
    pub async fn root_crl(&self) -> Result<Arc<Document>, ListError> {
        let instant = self.instant();
        let issuer = self.issuer.load_full();
        let tainted = issuer.records().iter().filter(|record| {
            record.purpose == Hierarchy::Task.issuing() && record.state == KeyState::Tainted
        });
        // A list that was brought is another document too.
        let mut made_of = vec![issuer.root_der(Hierarchy::Task)];
        made_of.extend(issuer.records().iter().filter_map(|r| r.crl.as_deref()));
        let wanted = Made {
            key: KeyId::from_thumbprint(Sha256::of(&made_of.concat())),
            version: u64::try_from(tainted.count()).unwrap_or(u64::MAX),
        };
        let make = || async {
            // The list is numbered by its time, which therefore never goes back.
            let at = instant.now.max(self.store.last_committed_at());
            let der = issuer
                .root_crl(Hierarchy::Task, at)
                .map_err(|error| match error {
                    CrlError::RootElsewhere => ListError::Unknown,
                    error => ListError::failed(error),
                })?;
            self.metrics.signed_crls.one();
            Ok(Document::new(der, at.plus(ROOT_CRL_LIFE)))
        };
        self.crl_documents
            .get(&CrlName::Root, ROOT_PACE, instant, || wanted, make)
            .await
    }

    /// Where all lists of certificates are whose hour is not over, and the root's own if there is one:
    /// for whoever fetches them ahead.
    pub async fn crls(&self) -> Result<Vec<String>, ListError> {
        let now = self.clock.now();
        self.learn_places().await?;
        let issuer = self.issuer.load_full();
        let mut locations = Vec::new();
        let (oldest, newest) = certificate_hours(now);
        for authority in issuer.authorities(Hierarchy::Task, now) {
            for hour in oldest..=newest {
                let lists = self.places.lists(CredentialKind::Certificate, hour).max(1);
                for list in 0..u32::try_from(lists).unwrap_or(u32::MAX) {
                    locations.push(issuer.crl_location(&authority.id, ListId { hour, list }));
                }
            }
        }
        // A root whose key lies elsewhere has a list only if one was brought.
        match self.root_crl().await {
            Ok(_) => locations.push(issuer.root_crl_location()),
            Err(ListError::Unknown) => {}
            Err(error) => return Err(error),
        }
        Ok(locations)
    }
}

/// The hours of which there are lists: from the last one, whose certificates may have ended after
/// the last list that somebody saw, to the one in which the longest certificate would end.
fn certificate_hours(now: Timestamp) -> (u64, u64) {
    let newest = now.plus(MAX_CERTIFICATE_TTL.duration());
    (list_hour(now).saturating_sub(1), list_hour(newest))
}
