//! Tokens judged by the published status lists, for an API that cannot keep a feed.
//!
//! Each token names its place on a list (Token Status List, draft-ietf-oauth-status-list-20), a signed
//! document that the broker publishes. [`StatusLists`] fetches it when a token needs it: only from
//! beneath the issuer's own URL, signed by a key of the issuer, about the very list that was asked
//! for; one fetch at a time for each, and again after its `ttl` or half of the staleness bound. Then
//! the verifier judges by what is held, as it otherwise judges by the feed's rules:
//!
//! | the list | [`Staleness::Strict`] | [`Staleness::BestEffort`] |
//! |---|---|---|
//! | says that the token is revoked | [`Refusal::Listed`] | [`Refusal::Listed`] |
//! | was never had, or is by a key that is no longer published | [`Refusal::NotReady`] | [`Refusal::NotReady`] |
//! | is over (`exp`) | [`Refusal::ListStale`] | [`Refusal::ListStale`] |
//! | is older than the bound | [`Refusal::Stale`] | accepted and counted as unconfirmed |
//! | is not named, is elsewhere, has no such place | [`Refusal::Status`] | [`Refusal::Status`] |
//!
//! The age counts from when the list was asked for. One that said, when it came, that it was older than
//! the clocks may differ and a list may lie in a cache, counts as that much older.
//!
//! A feed is better: it knows within milliseconds of every revocation, a list within its `ttl`; a
//! verifier by lists asks the broker for something once in a while, and needs it to be there.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use taskpass_verify::{Keys, Settings, StatusLists, Verifier, http::{HttpClient, HttpLists}};
//! # async fn example(
//! #     settings: Settings, clock: Arc<dyn taskpass_core::Clock>, web: HttpClient,
//! #     keys: impl FnOnce(Verifier) -> Keys, token: &str,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let verifier = Verifier::by_lists(settings, None, clock)?;
//! let lists = StatusLists::new(keys(verifier), Arc::new(HttpLists::new(web)))?;
//! let token = lists.verify_token(token, &"https://ledger.example".parse()?).await?;
//! # Ok(()) }
//! ```
//!
//! [`Staleness::Strict`]: crate::Staleness::Strict
//! [`Staleness::BestEffort`]: crate::Staleness::BestEffort

mod cache;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use taskpass_core::key::KeyId;
use taskpass_core::{TargetUri, ttl};
use taskpass_status::{Expect, StatusList, StatusListError};

use crate::certificate::VerifiedCertificate;
use crate::keys::{FetchError, Keys, LONGEST};
use crate::refusal::Refusal;
use crate::token::{UnverifiedToken, VerifiedToken};
use crate::verifier::Verifier;

pub(crate) use cache::{Against, Flight, Lists};

/// How old a list may be by the broker's own saying when it comes, the difference of the clocks aside:
/// the broker signs it anew every ten seconds, and caches keep it for five.
const FRESH: Duration = Duration::from_secs(30);

/// A fetch under way.
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<String, FetchError>> + Send + 'a>>;

/// Where the lists come from: `HttpLists` of the feature `http`, or a test.
pub trait FetchLists: Send + Sync + fmt::Debug {
    /// Asks for the list at `uri` of this moment. It is given up after [`LONGEST`].
    fn fetch<'a>(&'a self, uri: &'a str) -> Fetching<'a>;
}

/// A token's place cannot be looked at: nothing is known for or against it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// The token has no claim `status`.
    #[error("the token names no status list")]
    Absent,
    /// Its list is not beneath the issuer's URL.
    #[error("the token's status list is not at its issuer")]
    Elsewhere,
    /// The list has no such place.
    #[error("the status list has no place {0}")]
    NoPlace(u64),
}

/// The verifier judges by a feed, not by lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the verifier judges by its feed; make one with Verifier::by_lists")]
pub struct ByFeed;

/// Why a document was not taken.
#[derive(Debug, thiserror::Error)]
enum TakeError {
    #[error("it could not be fetched")]
    Fetch(#[source] FetchError),
    #[error("it cannot be used")]
    Document(#[source] StatusListError),
    #[error("the keys are too old")]
    Keys(#[source] Refusal),
}

/// Fetches the lists by which a verifier judges. Cloning it shares everything.
#[derive(Debug, Clone)]
pub struct StatusLists {
    keys: Keys,
    source: Arc<dyn FetchLists>,
}

impl StatusLists {
    /// Fetches from `source` for the verifier of `keys`, which was made by [`Verifier::by_lists`].
    pub fn new(keys: Keys, source: Arc<dyn FetchLists>) -> Result<Self, ByFeed> {
        keys.verifier().lists().ok_or(ByFeed)?;
        Ok(Self { keys, source })
    }

    /// The verifier whose lists these are.
    pub fn verifier(&self) -> &Verifier {
        self.keys.verifier()
    }

    /// As [`Verifier::verify_token`], but looks for the token's key and list first.
    pub async fn verify_token(
        &self,
        token: &str,
        audience: &TargetUri,
    ) -> Result<VerifiedToken, Refusal> {
        self.look_for(token.into()).await;
        self.verifier().verify_token(token, audience)
    }

    /// As [`Verifier::verify_token_with`], but looks for the token's key and list first.
    pub async fn verify_token_with(
        &self,
        token: &str,
        audience: &TargetUri,
        certificate: &VerifiedCertificate,
    ) -> Result<VerifiedToken, Refusal> {
        self.look_for(token.into()).await;
        let verifier = self.verifier();
        verifier.verify_token_with(token, audience, certificate)
    }

    /// As [`Verifier::recheck_token`], but looks for the token's list first.
    pub async fn recheck_token(&self, token: &VerifiedToken) -> Result<(), Refusal> {
        if let Some(status) = token.checked().status() {
            self.refresh(&status.uri).await;
        }
        self.verifier().recheck_token(token)
    }

    /// Sees to it that the key and the list of a token are known and young enough, as far as they can
    /// be had. Only a token that is signed and for this verifier causes a fetch.
    pub async fn look_for(&self, token: UnverifiedToken<'_>) {
        if let Some(key) = token.claimed_key() {
            self.keys.look_for(&key).await;
        }
        // What is wrong with it shows in the check that follows.
        if let Ok(token) = self.verifier().signed(token.text())
            && self.verifier().speaks_for(token.target())
            && let Some(status) = token.status()
        {
            self.refresh(&status.uri).await;
        }
    }

    /// Fetches a list if that is due; whoever comes while it is being fetched waits for it.
    async fn refresh(&self, uri: &str) {
        let Some(flight) = self.verifier().list_flight(uri) else {
            return;
        };
        let (lists, uri) = (self.clone(), uri.to_owned());
        // In a task of its own: a caller that goes away must not end the fetch of all others.
        let fetched = tokio::spawn(async move {
            let _one = flight.lock().await;
            // Somebody else may have fetched it while this one waited.
            if lists.verifier().list_flight(&uri).is_some() {
                lists.fetch(&uri).await;
            }
        });
        if let Err(error) = fetched.await {
            tracing::error!(%error, "fetching a status list was cut off");
        }
    }

    async fn fetch(&self, uri: &str) {
        let verifier = self.verifier();
        let Some(lists) = verifier.lists() else {
            return;
        };
        let begun = verifier.clock().monotonic();
        verifier.counters().list_fetched();
        match self.get(uri).await {
            Ok((list, key)) => {
                let said = verifier.clock().now().since(list.issued_at());
                let behind = said.saturating_sub(ttl::CLOCK_SKEW + FRESH);
                lists.take(uri, list, key, begun, behind);
            }
            Err(error) => {
                verifier.counters().list_failed();
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, uri, "a status list could not be had");
            }
        }
        // At its end: until then everybody waits for it, and whoever waited does not begin the next.
        lists.tried(uri, verifier.clock().monotonic());
    }

    async fn get(&self, uri: &str) -> Result<(StatusList, KeyId), TakeError> {
        let fetched = tokio::time::timeout(LONGEST, self.source.fetch(uri));
        let document = fetched
            .await
            .unwrap_or_else(|_| Err("no answer in time".into()))
            .map_err(TakeError::Fetch)?;
        let key = signer(&document);
        if let Some(key) = &key {
            // A new key may sign lists before it signs the first token that comes here.
            self.keys.look_for(key).await;
        }
        let verifier = self.verifier();
        let expect = Expect {
            uri,
            now: verifier.clock().now(),
            leeway: ttl::CLOCK_SKEW,
        };
        let keys = verifier.key_set().map_err(TakeError::Keys)?;
        let list = StatusList::verify(&document, &keys, &expect).map_err(TakeError::Document)?;
        let key = key.ok_or(TakeError::Document(StatusListError::NoKey))?;
        Ok((list, key))
    }
}

/// The key that a document claims to be signed with; nothing of that is believed.
fn signer(document: &str) -> Option<KeyId> {
    let longest = taskpass_status::list::MAX_DOCUMENT_LEN;
    let parsed = taskpass_token::jws::parse_within(document, longest).ok()?;
    KeyId::parse(parsed.header.kid.as_deref()?)
}

#[cfg(test)]
mod tests;
