//! Status lists of tokens.

use std::sync::Arc;
use std::time::Duration;

use taskpass_core::Timestamp;
use taskpass_core::credential::CredentialKind;
use taskpass_core::listing::{ListId, list_hour};
use taskpass_core::ttl::MAX_TOKEN_TTL;
use taskpass_issuer::status::STATUS_LIFE;

use super::document::{Document, Instant, ListError, Made, Pace};
use crate::broker::Broker;

/// At most ten signatures a second for a list on which much happens.
const PACE: Pace = Pace {
    changed: Duration::from_millis(100),
    unchanged: Duration::from_secs(10),
};

impl Broker {
    /// The signed status list `id`.
    pub async fn status_list(&self, id: ListId) -> Result<Arc<Document>, ListError> {
        let instant = self.instant();
        let (oldest, newest) = self.token_hours(instant.now);
        if !(oldest..=newest).contains(&id.hour) {
            return Err(ListError::Unknown);
        }
        self.list_exists(CredentialKind::Token, id).await?;
        let issuer = self.issuer.load_full();
        let wanted = || Made {
            key: issuer.status_key().clone(),
            version: self.revoked_lists.token_version(id),
        };
        let make = || async {
            let as_of = self.complete_as_of(instant.now, STATUS_LIFE)?;
            let packed = self.revoked_lists.tokens(id);
            let signed = issuer
                .status_list(id, &packed, as_of)
                .map_err(ListError::failed)?;
            self.metrics.signed_status_lists.one();
            let end = as_of.plus(STATUS_LIFE);
            Ok(Document::new(signed.into_bytes(), end))
        };
        self.status_documents
            .get(&id, PACE, instant, wanted, make)
            .await
    }

    /// Where all status lists are whose hour is not over.
    pub async fn status_lists(&self) -> Result<Vec<String>, ListError> {
        let (oldest, newest) = self.token_hours(self.clock.now());
        self.learn_places().await?;
        let issuer = self.issuer.load_full();
        let ids = (oldest..=newest).flat_map(|hour| {
            let lists = self.places.lists(CredentialKind::Token, hour);
            (0..lists).filter_map(move |list| {
                let list = u32::try_from(list).ok()?;
                Some(ListId { hour, list })
            })
        });
        Ok(ids.map(|id| issuer.status_location(id)).collect())
    }

    /// The hours in which a token that lives by anybody's clock can end.
    fn token_hours(&self, now: Timestamp) -> (u64, u64) {
        let newest = now.plus(MAX_TOKEN_TTL.duration());
        (
            list_hour(now.minus(self.limits.skew)),
            list_hour(newest.plus(self.limits.skew)),
        )
    }

    pub(super) fn instant(&self) -> Instant {
        Instant {
            now: self.clock.now(),
            monotonic: self.clock.monotonic(),
        }
    }

    /// The instant up to which lists are complete. One so old that a list of it would be over
    /// already is none.
    pub(super) fn complete_as_of(
        &self,
        now: Timestamp,
        life: Duration,
    ) -> Result<Timestamp, ListError> {
        let newest_seq = self.store.rules().newest_seq();
        let as_of = self.revoked_lists.complete_as_of(now, newest_seq);
        as_of
            .filter(|as_of| now < as_of.plus(life))
            .ok_or(ListError::NotReady)
    }

    /// Whether any credential may stand on this list.
    pub(super) async fn list_exists(
        &self,
        kind: CredentialKind,
        id: ListId,
    ) -> Result<(), ListError> {
        let exists = || u64::from(id.list) < self.places.lists(kind, id.hour);
        if !exists() {
            // Another broker on the store may have begun it, or an earlier run of this one.
            self.learn_places().await?;
        }
        if exists() {
            Ok(())
        } else {
            Err(ListError::Unknown)
        }
    }

    pub(super) async fn learn_places(&self) -> Result<(), ListError> {
        let leased = self.store.leased_places().await;
        for leased in leased.map_err(ListError::failed)? {
            self.places.learn(leased.kind, leased.hour, leased.next);
        }
        Ok(())
    }
}
