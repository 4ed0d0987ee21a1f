//! Lists of revoked task certificates, one for each issuing authority and hour of expiry.
//!
//! A certificate names the list of its own hour as its distribution point, and the list says the
//! same in its critical issuing distribution point. So a list stays short, and one of an hour that
//! is over need not be kept. A list lasts five minutes; a verifier that enforces that refuses when
//! it gets no newer one.

use std::time::Duration;

use rcgen::{
    CertificateRevocationListParams, CrlDistributionPoint, CrlIssuingDistributionPoint, CrlScope,
    KeyIdMethod, RevocationReason, RevokedCertParams, SerialNumber,
};
use taskpass_core::id::CredentialId;
use taskpass_core::key::KeyState;
use taskpass_core::time::Timestamp;

use crate::authority::{Authority, AuthorityId, BadAuthority, CaFacts, Hierarchy};
use crate::issuer::Issuer;
use crate::profile::BACKDATE;

/// How long a list of task certificates is good for.
pub const CRL_LIFE: Duration = Duration::from_mins(5);
/// How long a root's list is good for: it changes only when an issuing authority is tainted.
pub const ROOT_CRL_LIFE: Duration = Duration::from_hours(24 * 90);

/// Why a certificate is on a list (RFC 5280 §5.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrlReason {
    /// Its key, or the authority's, is known to somebody else.
    KeyCompromise,
    /// Another one took its place.
    Superseded,
    /// Its task ended.
    CessationOfOperation,
    /// Somebody revoked it, its agent, or its task.
    PrivilegeWithdrawn,
}

/// One revoked certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrlEntry {
    /// Its id, which is its serial number.
    pub id: CredentialId,
    /// When it was revoked.
    pub at: Timestamp,
    /// Why.
    pub reason: CrlReason,
}

/// A list could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CrlError {
    /// No open authority of that id.
    #[error("there is no issuing authority {0}")]
    UnknownAuthority(AuthorityId),
    /// An entry belongs on another list.
    #[error("the certificate {0} expires in another hour than that of the list")]
    OtherBucket(CredentialId),
    /// A recorded authority cannot be read.
    #[error("a tainted authority cannot be read")]
    Authority(#[from] BadAuthority),
    /// The list could not be put together or signed.
    #[error("the list could not be made")]
    Sign(#[from] rcgen::Error),
}

/// The list that a certificate with this end is on: the hour of its expiry since the epoch.
pub const fn crl_bucket(expires_at: Timestamp) -> u64 {
    expires_at.secs() / 3600
}

impl Issuer {
    /// The list of `authority` for the hour `bucket`, numbered `number`.
    pub fn crl(
        &self,
        authority: &AuthorityId,
        bucket: u64,
        revoked: &[CrlEntry],
        number: u64,
        now: Timestamp,
    ) -> Result<Vec<u8>, CrlError> {
        let issuing = self
            .branch(Hierarchy::Task)
            .issuing
            .iter()
            .find(|issuing| issuing.id == *authority)
            .ok_or_else(|| CrlError::UnknownAuthority(authority.clone()))?;
        let stranger = revoked
            .iter()
            .find(|entry| crl_bucket(entry.id.expires_at()) != bucket);
        if let Some(entry) = stranger {
            return Err(CrlError::OtherBucket(entry.id));
        }
        let location = CrlIssuingDistributionPoint {
            distribution_point: CrlDistributionPoint {
                uris: vec![self.crl_location(authority, bucket)],
            },
            scope: Some(CrlScope::UserCertsOnly),
        };
        let revoked = revoked.iter().map(CrlEntry::params).collect();
        list(issuing, CRL_LIFE, Some(location), revoked, number, now)
    }

    /// The root's list: issuing authorities that are tainted. For clients that check whole chains.
    pub fn root_crl(&self, hierarchy: Hierarchy, now: Timestamp) -> Result<Vec<u8>, CrlError> {
        let mut revoked = Vec::new();
        for record in &self.records {
            if record.purpose != hierarchy.issuing() || record.state != KeyState::Tainted {
                continue;
            }
            let der = record.certificate.as_deref().ok_or(BadAuthority)?;
            let serial = CaFacts::read(der)?.serial;
            let at = record.retired_at.unwrap_or(now);
            revoked.push(params(&serial, at, RevocationReason::CaCompromise));
        }
        let root = &self.branch(hierarchy).root;
        // Its content changes with the keys only; the time orders two lists.
        list(root, ROOT_CRL_LIFE, None, revoked, now.secs(), now)
    }

    /// Where the list of `authority` for `bucket` is fetched.
    pub(crate) fn crl_location(&self, authority: &AuthorityId, bucket: u64) -> String {
        format!("{}/crl/{authority}/{bucket}.crl", self.config.crl_url)
    }
}

impl CrlEntry {
    fn params(&self) -> RevokedCertParams {
        let reason = match self.reason {
            CrlReason::KeyCompromise => RevocationReason::KeyCompromise,
            CrlReason::Superseded => RevocationReason::Superseded,
            CrlReason::CessationOfOperation => RevocationReason::CessationOfOperation,
            CrlReason::PrivilegeWithdrawn => RevocationReason::PrivilegeWithdrawn,
        };
        params(self.id.as_bytes(), self.at, reason)
    }
}

fn params(serial: &[u8], at: Timestamp, reason: RevocationReason) -> RevokedCertParams {
    RevokedCertParams {
        serial_number: SerialNumber::from_slice(serial),
        revocation_time: rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(at.secs()),
        reason_code: Some(reason),
        invalidity_date: None,
    }
}

fn list(
    authority: &Authority,
    life: Duration,
    location: Option<CrlIssuingDistributionPoint>,
    revoked: Vec<RevokedCertParams>,
    number: u64,
    now: Timestamp,
) -> Result<Vec<u8>, CrlError> {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let params = CertificateRevocationListParams {
        // Set back as certificates are: a client whose clock is behind would take a fresh list for
        // one that is not valid yet, and refuse everybody.
        this_update: epoch + Duration::from_secs(now.minus(BACKDATE).secs()),
        next_update: epoch + Duration::from_secs(now.plus(life).secs()),
        crl_number: SerialNumber::from(number),
        issuing_distribution_point: location,
        revoked_certs: revoked,
        // As it stands in the authority's certificate, not as rcgen would derive it.
        key_identifier_method: KeyIdMethod::PreSpecified(authority.key_identifier.clone()),
    };
    Ok(params.signed_by(&authority.signer)?.der().to_vec())
}

#[cfg(test)]
pub(crate) mod tests;
