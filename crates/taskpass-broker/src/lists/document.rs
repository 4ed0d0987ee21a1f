//! Signed documents, kept until they are to be signed anew.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use taskpass_core::Timestamp;
use taskpass_core::key::KeyId;
use taskpass_core::secret::Sha256;

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// None of that name, or its hour is over.
    #[error("there is no such list, or its hour is over")]
    Unknown,
    /// What earlier runs left has not been worked through, or deriving has fallen far behind.
    #[error("the list is being derived; try again in a second")]
    NotReady,
    /// It could not be signed, or its number not be recorded.
    #[error("the list could not be made")]
    Failed(#[source] Box<dyn StdError + Send + Sync>),
}

impl ListError {
    pub(super) fn failed(error: impl StdError + Send + Sync + 'static) -> Self {
        Self::Failed(Box::new(error))
    }
}

/// A signed list.
#[derive(Debug)]
pub struct Document {
    /// The bytes.
    pub body: Bytes,
    /// A strong entity tag, with its quotes.
    pub etag: String,
    /// From then on it says nothing.
    pub expires_at: Timestamp,
}

impl Document {
    pub(super) fn new(body: Vec<u8>, expires_at: Timestamp) -> Self {
        let etag = format!("\"{}\"", Sha256::of(&body));
        Self {
            body: body.into(),
            etag,
            expires_at,
        }
    }
}

/// What a document was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Made {
    /// The key that signed it.
    pub(super) key: KeyId,
    /// Grows with its content.
    pub(super) version: u64,
}

/// How soon a document is made anew.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// After a change: at most one in this time.
    pub(super) changed: Duration,
    /// Without one.
    pub(super) unchanged: Duration,
}

/// Both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Instant {
    pub(super) now: Timestamp,
    pub(super) monotonic: Duration,
}

#[derive(Debug)]
struct Kept {
    made: Made,
    at: Duration,
    document: Arc<Document>,
}

impl Kept {
    /// Whether it may be given away instead of a new one.
    fn serves(&self, wanted: &Made, pace: Pace, instant: Instant) -> bool {
        let age = instant.monotonic.saturating_sub(self.at);
        let young = if self.made == *wanted {
            age < pace.unchanged
        } else {
            age < pace.changed
        };
        // What another key signed is not given away at all: that one may be tainted.
        self.made.key == wanted.key && young && instant.now < self.document.expires_at
    }
}

type Slot = Arc<tokio::sync::Mutex<Option<Kept>>>;

/// Documents by name, each made by one caller at a time.
#[derive(Debug)]
pub(crate) struct Cache<K> {
    slots: Mutex<HashMap<K, Slot>>,
}

impl<K> Default for Cache<K> {
    fn default() -> Self {
        Self {
            slots: Mutex::default(),
        }
    }
}

impl<K: Eq + Hash + Clone> Cache<K> {
    /// The document of that name, made by `make` if there is none that serves. `wanted` is asked
    /// when it is this caller's turn. If it cannot be made, an older one serves until its end.
    pub(super) async fn get<F: Future<Output = Result<Document, ListError>>>(
        &self,
        name: &K,
        pace: Pace,
        instant: Instant,
        wanted: impl FnOnce() -> Made,
        make: impl FnOnce() -> F,
    ) -> Result<Arc<Document>, ListError> {
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.entry(name.clone()).or_default())
        };
        let mut slot = slot.lock().await;
        let wanted = wanted();
        if let Some(kept) = &*slot
            && kept.serves(&wanted, pace, instant)
        {
            return Ok(Arc::clone(&kept.document));
        }
        match make().await {
            Ok(document) => {
                let document = Arc::new(document);
                *slot = Some(Kept {
                    made: wanted,
                    at: instant.monotonic,
                    document: Arc::clone(&document),
                });
                Ok(document)
            }
            // There is none any more: what it said before is not to be said again.
            Err(ListError::Unknown) => {
                *slot = None;
                Err(ListError::Unknown)
            }
            Err(error) => match &*slot {
                Some(kept)
                    if kept.made.key == wanted.key && instant.now < kept.document.expires_at =>
                {
                    tracing::warn!(
                        error = &error as &dyn StdError,
                        "a list could not be made anew; the last one is served until its end"
                    );
                    Ok(Arc::clone(&kept.document))
                }
                _ => Err(error),
            },
        }
    }

    /// Keeps those that `keep` says.
    pub(crate) fn retain(&self, keep: impl Fn(&K) -> bool) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|name, _| keep(name));
    }
}
