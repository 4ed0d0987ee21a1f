//! What a verifier accepts: whose credentials, for which audiences, with how old a view.

use std::collections::BTreeSet;
use std::time::Duration;

use taskpass_core::TargetUri;
use taskpass_core::spiffe::TrustDomain;
use taskpass_core::ttl::MAX_FEED_STALENESS;
use taskpass_token::JwkSet;

use crate::certificate::AnchorsError;

/// How old the view may be where nothing else is said, and from when on
/// [`Staleness::BestEffort`] counts what it accepts as unconfirmed.
pub const DEFAULT_STALENESS: Duration = Duration::from_secs(30);

/// How old the view of the revocations may be.
///
/// How old it is, and how often something was refused for that or accepted in spite of it, is in
/// [`Metrics`](crate::Metrics).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Staleness {
    /// Refuse everything once the newest confirmation is older than this: 1 s to 5 min. It counts
    /// from the arrival of a heartbeat; somebody who delays the stream evenly can add no more than
    /// the clocks may differ, one minute.
    Strict(Duration),
    /// Go on with what is known, however old. A revocation that did not arrive is then missed until
    /// the credential expires: an hour for a token, a day for a certificate. What is accepted on a
    /// view older than [`DEFAULT_STALENESS`] is counted.
    BestEffort,
}

impl Default for Staleness {
    fn default() -> Self {
        Self::Strict(DEFAULT_STALENESS)
    }
}

/// What to accept.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `iss` of the tokens: the broker's public URL, byte for byte.
    pub issuer: String,
    /// Whose agents.
    pub trust_domain: TrustDomain,
    /// What this API is called: tokens for anything else are refused.
    pub audiences: BTreeSet<TargetUri>,
    /// How old the view of the revocations may be.
    pub staleness: Staleness,
    /// The keys that sign tokens, fetched just now. They are believed for a day; see
    /// [`Keys`](crate::Keys), which renews them, and may begin with an empty set.
    pub jwks: JwkSet,
    /// The anchors of the Task hierarchy, in PEM: the broker's `/ca.pem`.
    pub task_anchors_pem: String,
}

/// A verifier cannot be built from these settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// No issuer.
    #[error("the issuer is empty")]
    Issuer,
    /// No audience: every token would be refused.
    #[error("a verifier needs at least one audience")]
    Audiences,
    /// A bound that the broker's rules cannot keep.
    #[error("the staleness bound is 1s to {}s", MAX_FEED_STALENESS.as_secs())]
    Staleness,
    /// The anchors cannot be used.
    #[error("the anchors of the task hierarchy cannot be used")]
    Anchors(#[source] AnchorsError),
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        if self.issuer.is_empty() {
            return Err(SettingsError::Issuer);
        }
        if self.audiences.is_empty() {
            return Err(SettingsError::Audiences);
        }
        match self.staleness {
            Staleness::Strict(bound)
                if bound < Duration::from_secs(1) || bound > MAX_FEED_STALENESS =>
            {
                Err(SettingsError::Staleness)
            }
            Staleness::Strict(_) | Staleness::BestEffort => Ok(()),
        }
    }
}
