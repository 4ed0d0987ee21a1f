//! The door of an API: from a request to who may do what, or to the answer that refuses it.
//!
//! Nothing is remembered between requests: the token is verified whole, the peer's certificate looked
//! at again, and both judged by the rules, keys and time of that moment. So a connection that stays
//! open for days is worth nothing from the moment of a revocation. A stream that stays open within one
//! request asks again with [`Admitted::recheck`].

mod bearer;
mod denied;
mod noted;

use std::fmt;
use std::sync::Arc;

use http::request::Parts;
use taskpass_core::{CredentialId, ScopeName, TargetUri};

use crate::certificate::VerifiedCertificate;
use crate::keys::Keys;
use crate::layer::RequireScope;
use crate::peer::PeerCertificate;
use crate::refusal::Refusal;
use crate::token::{TargetedToken, UnverifiedToken, VerifiedToken};
use crate::uses::{Outcome, Uses};
use crate::verifier::Verifier;
use noted::Noted;

pub use denied::{Challenge, Denied};

/// A guard cannot be built of these.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GuardError {
    /// The verifier refuses all tokens for this target.
    #[error("the verifier does not speak for {0}")]
    NotOurAudience(TargetUri),
    /// The metadata's URL cannot stand in an answer.
    #[error("`{0}` is not an https URL for the resource's metadata")]
    MetadataUrl(String),
}

/// Guards one API. Cloning it shares everything.
#[derive(Debug, Clone)]
pub struct Guard {
    verifier: Verifier,
    target: TargetUri,
    keys: Option<Keys>,
    #[cfg(feature = "status")]
    lists: Option<crate::status::StatusLists>,
    metadata_url: Option<String>,
    only_bound: bool,
    uses: Option<Uses>,
}

/// Who was let in: an extension of the request that a handler sees.
#[derive(Clone)]
pub struct Admitted {
    verifier: Verifier,
    token: VerifiedToken,
    certificate: Option<VerifiedCertificate>,
    noted: Option<Noted>,
}

impl Guard {
    /// Guards the API that is called `target`, which must be one of the verifier's audiences.
    pub fn new(verifier: Verifier, target: TargetUri) -> Result<Self, GuardError> {
        if !verifier.speaks_for(&target) {
            return Err(GuardError::NotOurAudience(target));
        }
        Ok(Self {
            verifier,
            target,
            keys: None,
            #[cfg(feature = "status")]
            lists: None,
            metadata_url: None,
            only_bound: false,
            uses: None,
        })
    }

    /// Looks for keys that are not known yet, as `keys` permits. Its verifier takes the place of the
    /// guard's.
    pub fn with_keys(mut self, keys: Keys) -> Result<Self, GuardError> {
        let verifier = keys.verifier();
        if !verifier.speaks_for(&self.target) {
            return Err(GuardError::NotOurAudience(self.target));
        }
        self.verifier = verifier.clone();
        self.keys = Some(keys);
        Ok(self)
    }

    /// Judges by status lists, which are fetched when a token needs one. Their verifier takes the
    /// place of the guard's. An interceptor cannot wait and only sees lists that were fetched before.
    #[cfg(feature = "status")]
    pub fn with_lists(mut self, lists: crate::status::StatusLists) -> Result<Self, GuardError> {
        if !lists.verifier().speaks_for(&self.target) {
            return Err(GuardError::NotOurAudience(self.target));
        }
        self.verifier = lists.verifier().clone();
        self.lists = Some(lists);
        Ok(self)
    }

    /// Says in refusals where the resource's metadata are (RFC 9728 §5.1).
    pub fn with_resource_metadata(mut self, url: impl Into<String>) -> Result<Self, GuardError> {
        let url = url.into();
        if !crate::resource::is_plain_url(&url) {
            return Err(GuardError::MetadataUrl(url));
        }
        self.metadata_url = Some(url);
        Ok(self)
    }

    /// Notes what is used, and what is refused to tokens of the broker's, in `uses`.
    pub fn reporting(mut self, uses: Uses) -> Result<Self, GuardError> {
        if !uses.speaks_for(&self.target) {
            return Err(GuardError::NotOurAudience(self.target));
        }
        self.uses = Some(uses);
        Ok(self)
    }

    /// Takes only tokens that are bound to a certificate. For APIs that change something.
    #[must_use]
    pub fn only_bound(mut self) -> Self {
        self.only_bound = true;
        self
    }

    /// A layer that lets only requests through whose token permits `scope`.
    pub fn require(&self, scope: ScopeName) -> RequireScope {
        RequireScope::new(self.clone(), scope)
    }

    /// What the API is called.
    pub fn target(&self) -> &TargetUri {
        &self.target
    }

    /// What checks.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// Judges a request; looks for the token's key first, if it is not known.
    pub async fn admit(&self, request: &Parts, scope: &ScopeName) -> Result<Admitted, Denied> {
        self.admit_to(request, scope, None).await
    }

    /// The same, for an action that has a name.
    pub(crate) async fn admit_to(
        &self,
        request: &Parts,
        scope: &ScopeName,
        action: Option<&Arc<str>>,
    ) -> Result<Admitted, Denied> {
        let token = UnverifiedToken::new(bearer::find(&request.headers, &request.uri)?);
        if let (Some(keys), Some(key)) = (&self.keys, token.claimed_key()) {
            // What came of it shows in the check that follows.
            keys.look_for(&key).await;
        }
        #[cfg(feature = "status")]
        if let Some(lists) = &self.lists {
            lists.look_for(token).await;
        }
        let peer = PeerCertificate::find(&request.extensions);
        self.judge(token, &peer, scope, action)
    }

    pub(crate) fn judge(
        &self,
        token: UnverifiedToken<'_>,
        peer: &PeerCertificate,
        scope: &ScopeName,
        action: Option<&Arc<str>>,
    ) -> Result<Admitted, Denied> {
        let verifier = &self.verifier;
        let certificate = peer.verified(verifier)?;
        let token = verifier.check(token)?.for_target(&self.target)?;
        let id = token.credential_id();
        match self.permitted(token, certificate.as_ref(), scope) {
            Ok(token) => Ok(Admitted {
                verifier: verifier.clone(),
                noted: self.note(id, scope, action, Outcome::Allowed),
                token,
                certificate,
            }),
            Err(denied) => {
                // Where this verifier cannot say, nothing is said of the token.
                if denied.is_of_the_token() {
                    self.note(id, scope, action, Outcome::Refused);
                }
                Err(denied)
            }
        }
    }

    fn permitted(
        &self,
        token: TargetedToken<'_>,
        certificate: Option<&VerifiedCertificate>,
        scope: &ScopeName,
    ) -> Result<VerifiedToken, Denied> {
        if self.only_bound && !token.is_bound() {
            return Err(Denied::Unbound);
        }
        let token = match certificate {
            None => token.unbound()?,
            Some(certificate) => token.presented_with(certificate)?,
        };
        self.verifier
            .counters()
            .note_refusal(token.require_scope(scope))?;
        Ok(token)
    }

    fn note(
        &self,
        id: CredentialId,
        scope: &ScopeName,
        action: Option<&Arc<str>>,
        outcome: Outcome,
    ) -> Option<Noted> {
        let uses = self.uses.as_ref()?;
        Some(Noted::new(uses, id, &self.target, scope, action, outcome))
    }

    /// What a refusal says beside its status.
    pub(crate) fn challenge<'a>(&'a self, scope: Option<&'a ScopeName>) -> Challenge<'a> {
        Challenge {
            scope,
            metadata_url: self.metadata_url.as_deref(),
        }
    }

    #[cfg(feature = "tonic")]
    pub(crate) fn keys(&self) -> Option<&Keys> {
        self.keys.as_ref()
    }
}

#[cfg(feature = "tonic")]
pub(crate) use bearer::find_in as bearer_in;

impl Admitted {
    /// The token, which was good when the request began.
    pub fn token(&self) -> &VerifiedToken {
        &self.token
    }

    /// The peer's certificate, if it presented one.
    pub fn certificate(&self) -> Option<&VerifiedCertificate> {
        self.certificate.as_ref()
    }

    /// Says what is being done, and to what, for the report of uses: `who.used("invoice.pay", None)`. The
    /// use was counted when the request was let in; the first call gives that a name (unless it has been
    /// reported meanwhile), every further one counts one more. Without [`Guard::reporting`] nothing
    /// happens. `resource` is kept only if the settings say so.
    pub fn used(&self, action: &str, resource: Option<&str>) {
        if let Some(noted) = &self.noted {
            noted.name(&self.token, action, resource);
        }
    }

    /// Whether both are good still: before each message of a stream that stays open.
    pub fn recheck(&self) -> Result<(), Refusal> {
        if let Some(certificate) = &self.certificate {
            self.verifier.recheck_certificate(certificate)?;
        }
        self.verifier.recheck_token(&self.token)
    }
}

impl fmt::Debug for Admitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admitted")
            .field("credential", &self.token.credential_id())
            .field("agent", self.token.agent())
            .field("task", &self.token.task())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
