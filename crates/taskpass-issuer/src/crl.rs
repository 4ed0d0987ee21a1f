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
use taskpass_core::key::{KeyId, KeyState};
use taskpass_core::listing::{ListId, list_hour};
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
    /// The root's key is elsewhere, and no list of its was brought.
    #[error("the root's key is not here, and no list that it signed was imported")]
    RootElsewhere,
    /// A recorded authority cannot be read.
    #[error("a tainted authority cannot be read")]
    Authority(#[from] BadAuthority),
    /// The list could not be put together or signed.
    #[error("the list could not be made")]
    Sign(#[from] rcgen::Error),
}

impl Issuer {
    /// The list `id` of `authority`, numbered `number`, complete as of `now`.
    pub fn crl(
        &self,
        authority: &AuthorityId,
        id: ListId,
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
            .find(|entry| list_hour(entry.id.expires_at()) != id.hour);
        if let Some(entry) = stranger {
            return Err(CrlError::OtherBucket(entry.id));
        }
        let location = CrlIssuingDistributionPoint {
            distribution_point: CrlDistributionPoint {
                uris: vec![self.crl_location(authority, id)],
            },
            scope: Some(CrlScope::UserCertsOnly),
        };
        let revoked = revoked.iter().map(CrlEntry::params).collect();
        list(issuing, CRL_LIFE, Some(location), revoked, number, now)
    }

    /// The root's list: issuing authorities that are tainted. For clients that check whole chains.
    pub fn root_crl(&self, hierarchy: Hierarchy, now: Timestamp) -> Result<Vec<u8>, CrlError> {
        let revoked = self.tainted_authorities(hierarchy, now)?;
        let root = self.branch(hierarchy).root_in_use();
        let Some(root) = &root.signer else {
            // Signed when the key was here, or by whoever has it.
            return root.record.crl.clone().ok_or(CrlError::RootElsewhere);
        };
        // Its content changes with the keys only; the time orders two lists.
        list(root, ROOT_CRL_LIFE, None, revoked, now.secs(), now)
    }

    fn tainted_authorities(
        &self,
        hierarchy: Hierarchy,
        now: Timestamp,
    ) -> Result<Vec<RevokedCertParams>, CrlError> {
        let mut revoked = Vec::new();
        for record in &self.records {
            if record.purpose != hierarchy.issuing() || record.state != KeyState::Tainted {
                continue;
            }
            // One that was tainted while it waited for its certificate has certified nothing.
            let Some(der) = record.certificate.as_deref() else {
                continue;
            };
            let serial = CaFacts::read(der)?.serial;
            let at = record.retired_at.unwrap_or(now);
            revoked.push(params(&serial, at, RevocationReason::CaCompromise));
        }
        Ok(revoked)
    }

    /// A root's list as it stands, for the time after the root's key: nobody can make another here,
    /// so it lasts as long as the root. `None` if the key is not here.
    pub fn last_root_crl(
        &self,
        hierarchy: Hierarchy,
        root: &KeyId,
        now: Timestamp,
    ) -> Result<Option<Vec<u8>>, CrlError> {
        let branch = self.branch(hierarchy);
        let mut roots = std::iter::once(&branch.root).chain(&branch.former);
        let Some(root) = roots.find(|known| known.record.id == *root) else {
            return Ok(None);
        };
        let Some(signer) = &root.signer else {
            return Ok(None);
        };
        let revoked = self.tainted_authorities(hierarchy, now)?;
        let life = root.not_after.since(now);
        list(signer, life, None, revoked, now.secs(), now).map(Some)
    }

    /// Where the list `id` of `authority` is fetched. The hour's first list is named by the hour
    /// alone: few hours have a second one.
    pub fn crl_location(&self, authority: &AuthorityId, id: ListId) -> String {
        let url = &self.config.crl_url;
        match id.list {
            0 => format!("{url}/crl/{authority}/{}.crl", id.hour),
            _ => format!("{url}/crl/{authority}/{id}.crl"),
        }
    }

    /// Where the list of the Task hierarchy's root is fetched.
    pub fn root_crl_location(&self) -> String {
        format!("{}/crl/root.crl", self.config.crl_url)
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
