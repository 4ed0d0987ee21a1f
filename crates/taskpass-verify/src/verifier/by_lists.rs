//! A verifier that judges by published lists instead of a feed.

use std::sync::Arc;

use taskpass_core::time::Clock;
use taskpass_token::{Checked, JwkSet};

use super::{Revocations, Verifier};
use crate::certificate::{CrlVerifier, VerifiedCertificate};
use crate::refusal::Refusal;
use crate::settings::{Settings, SettingsError};
use crate::state::View;
use crate::status::{Against, Flight, Lists};

/// What such a verifier judges by.
#[derive(Debug)]
pub(super) struct ByLists {
    tokens: Lists,
    certificates: Option<CrlVerifier>,
}

impl Verifier {
    /// A verifier that judges tokens by status lists, which
    /// [`StatusLists`](crate::status::StatusLists) fetches, and certificates by the revocation lists
    /// of `certificates`; without those it refuses every certificate. It has no feed and is never
    /// [ready](Verifier::wait_until_ready).
    ///
    /// A certificate that comes with a token must have been verified for the same request: there is
    /// no [`recheck_certificate`](Verifier::recheck_certificate) here, it is verified anew.
    pub fn by_lists(
        settings: Settings,
        certificates: Option<CrlVerifier>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SettingsError> {
        let by = ByLists {
            tokens: Lists::default(),
            certificates,
        };
        Self::with(settings, Revocations::Lists(Box::new(by)), clock)
    }

    /// The status lists, if it judges by them.
    pub(crate) fn lists(&self) -> Option<&Lists> {
        match &self.inner.revocations {
            Revocations::Feed => None,
            Revocations::Lists(by) => Some(&by.tokens),
        }
    }

    /// What to hold while fetching a list, if that is due.
    pub(crate) fn list_flight(&self, uri: &str) -> Option<Flight> {
        let lists = self.lists()?;
        lists.due(uri, &self.against(), |key| self.knows_key(key))
    }

    /// The keys, if they are young enough.
    pub(crate) fn key_set(&self) -> Result<JwkSet, Refusal> {
        Ok(self.keys()?.set.clone())
    }

    pub(super) fn lists_held(&self) -> usize {
        self.lists().map_or(0, Lists::len)
    }

    pub(super) fn judge_by(&self, by: &ByLists, token: &Checked) -> Result<View, Refusal> {
        by.tokens
            .judge(token, &self.against(), |key| self.knows_key(key))
    }

    pub(super) fn certificate_by(
        &self,
        by: &ByLists,
        leaf: &[u8],
        intermediates: &[&[u8]],
    ) -> Result<(VerifiedCertificate, View), Refusal> {
        let lists = by.certificates.as_ref().ok_or(Refusal::NotReady)?;
        let certificate = lists.verify_certificate(leaf, intermediates)?;
        self.certificate_still_holds(&certificate)?;
        Ok((certificate, View::Confirmed))
    }

    pub(super) fn certificate_beside(
        &self,
        by: &ByLists,
        certificate: &VerifiedCertificate,
    ) -> Result<View, Refusal> {
        // What the revocation lists say was asked when it was verified; without them nobody asked.
        by.certificates.as_ref().ok_or(Refusal::NotReady)?;
        self.certificate_still_holds(certificate)?;
        Ok(View::Confirmed)
    }

    fn against(&self) -> Against<'_> {
        Against {
            issuer: &self.inner.issuer,
            staleness: self.inner.staleness,
            now: self.inner.clock.now(),
            monotonic: self.inner.clock.monotonic(),
        }
    }
}
