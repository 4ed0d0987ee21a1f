//! The keys of one issuer: held, renewed, and looked for when a token names one that is not there.
//!
//! One fetch at a time, whoever asks; it belongs to nobody, and goes on if the request that caused it
//! goes away. After a fetch, good or bad, the next may follow only after a while: a flood of tokens with
//! invented key ids causes one fetch for each interval. Keys that cannot be renewed are used on, up to an hour;
//! then the answer is that nothing can be checked, and not that a token is wrong.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use taskpass_core::Clock;
use taskpass_token::foreign::{ForeignKey, ForeignKeySet, MAX_KEY_SET_LEN};
use tokio::sync::{Mutex, Semaphore};

use super::FederationError;
use super::fetch::{FetchError, Fetcher};
use super::settings::KeySource;

/// How long keys are used before they are asked for again.
const RENEW_AFTER: Duration = Duration::from_mins(5);
/// How long they are used at most, if they cannot be.
const KEPT_FOR: Duration = Duration::from_hours(1);
/// How long after a fetch the next may follow.
const AFTER_SUCCESS: Duration = Duration::from_secs(15);
/// The same after one that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Requests that wait for one issuer at one time. Whose key is held does not wait, and is in nobody's way.
const WAITING: usize = 64;

/// What there is under a key's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lookup {
    /// The key.
    Found(Box<ForeignKey>),
    /// None; the issuer was asked a moment ago.
    Unknown,
    /// Nobody knows: the issuer did not answer.
    Unavailable,
    /// As many wait for the issuer's answer as may.
    Busy,
}

struct Held {
    set: ForeignKeySet,
    /// When they were asked for, by the monotonic clock.
    asked_at: Duration,
}

/// How the newest fetch ended, and when.
#[derive(Debug, Clone, Copy)]
struct Last {
    at: Duration,
    good: bool,
}

enum Source {
    File(PathBuf),
    Url(Box<Fetcher>),
}

struct Inner {
    source: Source,
    name: String,
    clock: Arc<dyn Clock>,
    held: ArcSwapOption<Held>,
    /// Held while one is under way.
    last: Mutex<Option<Last>>,
    waiting: Semaphore,
}

/// Keys of an issuer.
pub(super) struct IssuerKeys(Arc<Inner>);

impl IssuerKeys {
    /// Keys of a file are read now; others when they are needed first.
    pub(super) fn open(source: &KeySource, clock: Arc<dyn Clock>) -> Result<Self, FederationError> {
        let now = clock.monotonic();
        let (held, source, name) = match source {
            KeySource::File(path) => {
                let held = Held {
                    set: read_keys(path)?,
                    asked_at: now,
                };
                let name = path.display().to_string();
                (Some(Arc::new(held)), Source::File(path.clone()), name)
            }
            KeySource::Url { url, ca_file } => {
                let fetcher = Fetcher::new(url, ca_file.as_deref(), Arc::clone(&clock))?;
                (None, Source::Url(Box::new(fetcher)), url.clone())
            }
        };
        Ok(Self(Arc::new(Inner {
            source,
            name,
            clock,
            held: ArcSwapOption::new(held),
            last: Mutex::new(None),
            waiting: Semaphore::new(WAITING),
        })))
    }

    /// Looks for a key; asks the issuer if it is not there, or if it is time to.
    pub(super) async fn find(&self, kid: &str) -> Lookup {
        if let Some(key) = self.0.key(kid, RENEW_AFTER) {
            return Lookup::Found(Box::new(key));
        }
        if let Some(key) = self.0.key(kid, KEPT_FOR) {
            // It is good for now: whoever asks does not wait for the issuer.
            let inner = Arc::clone(&self.0);
            tokio::spawn(async move { inner.renew().await });
            return Lookup::Found(Box::new(key));
        }
        let Ok(_place) = self.0.waiting.try_acquire() else {
            return Lookup::Busy;
        };
        let inner = Arc::clone(&self.0);
        let asked = tokio::spawn(async move { inner.renew().await }).await;
        match self.0.key(kid, KEPT_FOR) {
            Some(key) => Lookup::Found(Box::new(key)),
            None if asked.unwrap_or(false) => Lookup::Unknown,
            None => Lookup::Unavailable,
        }
    }

    /// Renews the keys if that is due; in the background.
    pub(super) async fn refresh_if_due(&self) {
        let is_file = matches!(self.0.source, Source::File(_));
        if is_file || self.0.is_overdue() {
            self.0.renew().await;
        }
    }
}

impl Inner {
    /// A key, of keys that were asked for less than `within` ago.
    fn key(&self, kid: &str, within: Duration) -> Option<ForeignKey> {
        let held = self.held.load();
        let held = held.as_ref()?;
        let age = self.clock.monotonic().saturating_sub(held.asked_at);
        held.set.get(kid).filter(|_| age < within).cloned()
    }

    /// Whether there are keys, and they are to be renewed.
    fn is_overdue(&self) -> bool {
        let now = self.clock.monotonic();
        let held = self.held.load();
        held.as_ref()
            .is_some_and(|held| now.saturating_sub(held.asked_at) >= RENEW_AFTER)
    }

    /// Asks for the keys, unless that was done a moment ago; whether the newest answer was good.
    async fn renew(&self) -> bool {
        let mut last = self.last.lock().await;
        let begun = self.clock.monotonic();
        if let Some(last) = *last {
            let pause = if last.good {
                AFTER_SUCCESS
            } else {
                AFTER_FAILURE
            };
            if begun.saturating_sub(last.at) < pause {
                return last.good;
            }
        }
        let fetched = match &self.source {
            Source::File(path) => read_later(path.clone()).await,
            Source::Url(fetcher) => fetcher.fetch().await,
        };
        let good = match fetched {
            Ok(set) => {
                let held = Held {
                    set,
                    asked_at: begun,
                };
                self.held.store(Some(Arc::new(held)));
                true
            }
            Err(error) => {
                tracing::warn!(
                    error = &*error as &dyn std::error::Error,
                    from = %self.name,
                    "the keys of a federated issuer could not be had"
                );
                false
            }
        };
        // From its end, so that whoever waited for a slow one does not begin the next.
        *last = Some(Last {
            at: self.clock.monotonic(),
            good,
        });
        good
    }
}

async fn read_later(path: PathBuf) -> Result<ForeignKeySet, FetchError> {
    tokio::task::spawn_blocking(move || read_keys(&path))
        .await?
        .map_err(Into::into)
}

/// The keys of a file.
pub(super) fn read_keys(path: &Path) -> Result<ForeignKeySet, FederationError> {
    let json = read_file(path)?;
    ForeignKeySet::from_json(&json).map_err(|source| FederationError::Keys {
        path: path.to_owned(),
        source,
    })
}

/// A file of bounded length.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, FederationError> {
    use std::io::Read as _;
    let failed = |source| FederationError::File {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_KEY_SET_LEN).unwrap_or(u64::MAX);
    std::fs::File::open(path)
        .map_err(failed)?
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() > MAX_KEY_SET_LEN {
        return Err(failed(std::io::Error::other("it is too long")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
