//! Certificate revocation lists: which revoked certificates there are, and the signed list.
//!
//! The revoked certificates are derived from the rules in the background (`settle`) and kept in
//! memory by authority and expiry hour, unexpired ones only. A list is asked for rarely (clients
//! cache it) and signed when it is.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use taskpass_core::credential::{Credential, CredentialKind};
use taskpass_core::key::KeyId;
use taskpass_core::{CredentialId, Timestamp};
use taskpass_issuer::{AuthorityId, CrlEntry, CrlReason, Hierarchy, crl_bucket};

use crate::broker::Broker;

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub enum CrlError {
    /// No such authority.
    #[error("there is no such authority")]
    UnknownAuthority,
    /// The hour is over, or not one that a certificate can end in.
    #[error("no certificate ends in that hour")]
    UnknownBucket,
    /// The rules of an earlier run have not been worked through since the start.
    #[error("the list is being derived; try again in a second")]
    NotReady,
    /// Signing failed.
    #[error("the list could not be signed")]
    Sign(#[source] taskpass_issuer::CrlError),
}

type Bucket = BTreeMap<CredentialId, (Timestamp, CrlReason)>;

#[derive(Debug, Default)]
struct Known {
    by_place: HashMap<(KeyId, u64), Bucket>,
    ready: bool,
    /// The newest number given to a list; numbers never repeat.
    number: u64,
}

/// The revoked, unexpired certificates.
#[derive(Debug, Default)]
pub(crate) struct RevokedCertificates {
    known: Mutex<Known>,
}

impl RevokedCertificates {
    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a revoked credential in, if it is a certificate.
    pub(crate) fn add(&self, credential: &Credential, at: Timestamp, reason: CrlReason) {
        if credential.kind() == CredentialKind::Certificate {
            let place = (credential.key.clone(), crl_bucket(credential.expires_at()));
            let mut known = self.lock();
            known
                .by_place
                .entry(place)
                .or_default()
                .entry(credential.id)
                .or_insert((at, reason));
        }
    }

    /// The rules of earlier runs are worked through: lists are complete from now on.
    pub(crate) fn set_ready(&self) {
        self.lock().ready = true;
    }

    /// Forgets certificates that have expired.
    pub(crate) fn prune(&self, now: Timestamp) {
        let oldest = crl_bucket(now);
        // RFC 5280 §3.3: an entry stays on one list after the certificate's end; keep an hour.
        self.lock()
            .by_place
            .retain(|(_, bucket), _| bucket.saturating_add(1) >= oldest);
    }

    fn list(&self, key: &KeyId, bucket: u64, now: Timestamp) -> Option<(Vec<CrlEntry>, u64)> {
        let mut known = self.lock();
        if !known.ready {
            return None;
        }
        known.number = now.millis().max(known.number + 1);
        let number = known.number;
        let entries = known
            .by_place
            .get(&(key.clone(), bucket))
            .map(|bucket| {
                bucket
                    .iter()
                    .map(|(id, (at, reason))| CrlEntry {
                        id: *id,
                        at: *at,
                        reason: *reason,
                    })
                    .collect()
            })
            .unwrap_or_default();
        Some((entries, number))
    }
}

impl Broker {
    /// The signed list of `authority` for certificates that end in the hour `bucket`, in DER.
    pub fn crl(&self, authority: &AuthorityId, bucket: u64) -> Result<Vec<u8>, CrlError> {
        let now = self.clock.now();
        let issuer = self.issuer.load();
        let authorities = issuer.authorities(Hierarchy::Task, now);
        let key = authorities
            .iter()
            .find(|view| view.id == *authority)
            .map(|view| view.key.clone())
            .ok_or(CrlError::UnknownAuthority)?;
        let newest = now.plus(taskpass_core::ttl::MAX_CERTIFICATE_TTL.duration());
        if bucket.saturating_add(1) < crl_bucket(now) || bucket > crl_bucket(newest) {
            return Err(CrlError::UnknownBucket);
        }
        let listed = self.revoked_certificates.list(&key, bucket, now);
        let (entries, number) = listed.ok_or(CrlError::NotReady)?;
        issuer
            .crl(authority, bucket, &entries, number, now)
            .map_err(CrlError::Sign)
    }
}
